/**
 * One display as its thread runs it: links the channel, draws what comes, and answers the owner.
 *
 * The thread blocks while nothing comes, so it has no timers, and a command reaches it only because the
 * owner wakes it as well.
 */
import type { OwnedFd } from "../../ffi/fd.ts";
import type { GlDriver, GuestBuffer } from "../display/gl_interfaces.ts";
import type { GlLedger } from "../display/gl_ledger.ts";
import { GuestDisplay } from "../display/guest_display.ts";
import type { ImageDecoders } from "../display/decoders.ts";
import { GlScanouts } from "../display/scanout.ts";
import type { Surface } from "../display/surface.ts";
import { endBy, SpiceChannel } from "../spice/channel.ts";
import type { AwaitedMessage, ChannelEnd, PacedLink } from "../spice/channel_link.ts";
import { type DisplayHandlers, displaySetup } from "../spice/display_channel.ts";
import { DISPLAY_REQUESTS } from "../spice/display_messages.ts";
import { SpiceDecodeError } from "../spice/errors.ts";
import { linkChannel, type LinkResult } from "../spice/link.ts";
import { MessageMemory } from "../spice/memory.ts";
import { both } from "../spice/message_routes.ts";
import { type Connection, SpiceStream } from "../spice/transport.ts";
import type { DisplayCells } from "./display_cells.ts";
import {
  type CapturedPicture,
  type DisplayCommand,
  type DisplayNews,
  type DisplayTask,
  errorOf,
  plainError,
  type ShownPicture,
} from "./display_protocol.ts";
import { FRAME_MS } from "./screen.ts";
import { toldOnce } from "./told_once.ts";
import { WatchedConnection } from "./watched_connection.ts";

/** A guest that has drawn within so many milliseconds draws. */
const DRAWING_MS = 250;

/** What a display's thread works with. */
export interface WorkerDisplayOptions<B extends GuestBuffer> {
  cells: DisplayCells;
  ledger: GlLedger;
  /** Tells the owner something; what is in `transfer` is the owner's then. */
  post: (news: DisplayNews, transfer?: Transferable[]) => void;
  /** Takes over a connected socket. */
  connect: (socket: number) => Connection;
  driver: GlDriver<OwnedFd, B>;
}

/** One display in its thread; owns its connection, its scanouts and EGL. */
export class WorkerDisplay<B extends GuestBuffer> implements AsyncDisposable {
  readonly #options: WorkerDisplayOptions<B>;
  readonly #cells: DisplayCells;
  readonly #ledger: GlLedger;
  readonly #scanouts: GlScanouts<OwnedFd, B>;
  #display = new GuestDisplay();
  #decoders: ImageDecoders | undefined;
  #stream: SpiceStream | undefined;
  #channel: SpiceChannel | undefined;
  #running: Promise<void> = Promise.resolve();
  /** What the display showed when the last scanout came: older than that. */
  #surfaceBefore: Surface | undefined;
  /** When draws were received whose acknowledgements have not left yet. */
  #unsent: number[] = [];
  #receivedAt = 0;
  /** When the last draw was received. */
  #drawnAt = -Infinity;
  /** Pictures that are taken at the next draw. */
  readonly #atDraw = new Set<number>();
  #isChanged = false;
  #frameAt = -Infinity;
  #told: ShownPicture = { kind: "surface", width: 0, height: 0 };
  #toldCount = 0;
  #calls = 0;
  readonly #waits = new Map<number, PromiseWithResolvers<void>>();

  constructor(options: WorkerDisplayOptions<B>) {
    this.#options = options;
    this.#cells = options.cells;
    this.#ledger = options.ledger;
    this.#scanouts = new GlScanouts<OwnedFd, B>({
      driver: options.driver,
      ledger: options.ledger,
      onDone: () => this.#done(),
      onChange: () => this.#changed(),
      onWarning: (text) => options.post({ is: "flaw", text }),
    });
  }

  /** Does what the owner asks for; resolves once the thread may block again. */
  async handle(command: DisplayCommand): Promise<void> {
    switch (command.do) {
      case "open":
        this.#running = this.#run(command.task);
        break;
      case "close":
        this.#stop(command.text);
        break;
      case "stall":
        this.#channel?.endIfStalled(command.periodMs);
        break;
      case "decode":
        await this.#loadDecoders();
        break;
      case "watch":
        this.#scanouts.watch(command.isWatched);
        break;
      case "refresh":
        this.#refresh();
        break;
      case "capture":
        this.#captureOrWait(command.call, command.isUrgent);
        break;
      case "texture": {
        const texture = this.#scanouts.texture();
        this.#options.post({ is: "texture", call: command.call, texture });
        break;
      }
      case "go on":
        this.#goOn(command.call, command.error && errorOf(command.error));
        break;
      case "tell":
        this.#tellShown();
        break;
    }
  }

  #stop(text: string): void {
    this.#channel?.close(text);
    this.#stream?.close();
  }

  async #loadDecoders(): Promise<void> {
    const { loadDecoders } = await import("../display/load_decoders.ts");
    this.#decoders = await loadDecoders();
    this.#display.decoders = this.#decoders;
  }

  /** Links a display and follows it to its end, which is told in any case. Never rejects. */
  async #run(task: DisplayTask): Promise<void> {
    let end: ChannelEnd;
    try {
      end = await this.#follow(task);
    } catch (error) {
      end = endBy(error);
    }
    this.#tellCounts();
    this.#channel = undefined;
    this.#stream = undefined;
    this.#captureDue(); // no draw will come
    const { by, text, error } = end;
    const told = error === undefined ? {} : { error: plainError(error) };
    this.#options.post({ is: "ended", by, text, ...told });
  }

  async #follow(task: DisplayTask): Promise<ChannelEnd> {
    const { post, connect } = this.#options;
    using stream = new SpiceStream(
      new WatchedConnection(connect(task.socket), {
        beforeRead: () => this.#tellCounts(),
        afterRead: () => this.#receivedAt = performance.now(),
        afterWrite: () => this.#countSent(),
        beforeClose: () => void this.#cells.takeSocket(),
      }),
    );
    this.#stream = stream;
    if (task.hasDecoders && this.#decoders === undefined) await this.#loadDecoders();
    this.#restart();
    const setup = displaySetup({
      gl: true,
      onDisplay: (link) => this.#handlers(link),
      ...(task.compression === undefined ? {} : { compression: task.compression }),
    });
    const { type, caps, maxBytes, waitsBefore = [], trailers, early } = setup;
    const linked: LinkResult = await linkChannel(stream, {
      channel: task.name,
      type,
      id: task.id,
      connectionId: task.connectionId,
      caps,
      onWait: (what) => post({ is: "waiting", what }),
      ...(early ? { early } : {}),
      ...(task.password === undefined ? {} : { password: task.password }),
    });
    const notices = new Map(
      (["info", "warn", "error"] as const).map((severity) => [
        severity,
        toldOnce((text) => post({ is: "notice", notice: { channel: task.name, severity, text } })),
      ]),
    );
    const warn = toldOnce((text) => post({ is: "warning", warning: { channel: task.name, text } }));
    const channel: SpiceChannel = new SpiceChannel(stream, {
      name: task.name,
      id: task.id,
      caps: linked,
      maxBytes,
      memory: new MessageMemory(),
      hasThread: true,
      waitsBefore,
      ...(trailers ? { trailers } : {}),
      waitFor: (awaited) => this.#waitFor(task.name, awaited),
      routes: (link) => setup.routes(link),
      onMigrate: () => post({ is: "migrating" }),
      onFirstMessage: () => post({ is: "first message" }),
      // A server may say as much as it likes.
      onNotice: ({ severity, text }) => notices.get(severity)?.(text),
      onWarning: ({ text }) => warn(text),
    });
    this.#channel = channel;
    post({ is: "linked" });
    return await channel.run();
  }

  /** Forgets what the channel before has shown, but for the guest's buffer. */
  #restart(): void {
    const { post } = this.#options;
    this.#scanouts.restart();
    this.#unsent = [];
    this.#cells.takeOwed(); // the server has done without it
    this.#surfaceBefore = undefined;
    this.#display = new GuestDisplay({
      allocate: (byteLength) => new SharedArrayBuffer(byteLength),
      onChange: ({ primary, isReplaced, damage }) => {
        const isNewer = isReplaced && primary !== undefined && primary !== this.#surfaceBefore;
        const isDrawnInstead = this.#scanouts.isOff && damage.length > 0;
        if (this.#scanouts.isActive && (isNewer || isDrawnInstead)) this.#scanouts.drop();
        this.#changed();
      },
      onWarning: (text) => post({ is: "flaw", text }),
      ...(this.#decoders === undefined ? {} : { decoders: this.#decoders }),
    });
    this.#changed();
  }

  #handlers(link: PacedLink): DisplayHandlers {
    const ownSurfaces = this.#display.handlers(link);
    const ownScanouts: DisplayHandlers = {
      gl_scanout_unix: (shape) => {
        this.#surfaceBefore = this.#display.primary;
        this.#scanouts.scanout(shape, link.takeFd());
      },
      gl_draw: ({ x, y, w, h }) => {
        this.#cells.owe();
        this.#scanouts.draw({ x, y, width: w, height: h });
      },
      monitors_config: ({ items }) => this.#scanouts.heads(items),
    };
    return both(ownSurfaces, ownScanouts);
  }

  /** Acknowledges a draw, unless the owner has: it does where a copy takes too long. */
  #done(): void {
    this.#drawnAt = this.#receivedAt;
    if (this.#atDraw.size > 0) this.#captureDue();
    if (!this.#cells.takeOwed()) return;
    this.#unsent.push(this.#receivedAt);
    this.#channel?.send(DISPLAY_REQUESTS.gl_draw_done, {});
  }

  #countSent(): void {
    if (this.#unsent.length === 0) return;
    const now = performance.now();
    for (const receivedAt of this.#unsent) this.#ledger.ack((now - receivedAt) * 1000);
    this.#unsent.length = 0;
  }

  #tellCounts(): void {
    const channel = this.#channel;
    if (channel === undefined) return;
    if (this.#cells.tell(channel.stats, channel.handled)) this.#options.post({ is: "reached" });
  }

  /** Takes note that the picture has changed; told once this turn's messages are handled. */
  #changed(): void {
    if (this.#isChanged) return;
    this.#isChanged = true;
    queueMicrotask(() => {
      this.#isChanged = false;
      const now = performance.now();
      const isFrame = now - this.#frameAt >= FRAME_MS;
      if (isFrame) this.#frameAt = now;
      this.#tellShown();
      if (this.#cells.change(isFrame)) this.#refresh();
    });
  }

  /** Tells the owner of a change, once those who show our texture can see it. */
  #refresh(): void {
    this.#scanouts.refresh();
    this.#options.post({ is: "changed" });
  }

  #shown(): ShownPicture {
    if (this.#scanouts.isActive) {
      const { width = 0, height = 0 } = this.#scanouts.visible ?? {};
      return { kind: "gl", width, height };
    }
    const { primary } = this.#display;
    if (primary === undefined) return { kind: "surface", width: 0, height: 0 };
    const { width, height, pixels } = primary;
    return { kind: "surface", width, height, pixels: pixels.buffer as SharedArrayBuffer };
  }

  /** Tells what is shown, if that is something else than was told; not before that was heard. */
  #tellShown(): void {
    const cells = this.#cells;
    const picture = this.#shown();
    const told = this.#told;
    cells.hasMore = false;
    if (
      told.kind === picture.kind && told.width === picture.width &&
      told.height === picture.height && told.pixels === picture.pixels
    ) return;
    const isHeard = () => cells.answered === this.#toldCount;
    if (!isHeard()) {
      cells.hasMore = true;
      if (!isHeard()) return; // the owner asks for it then
    }
    cells.hasMore = false;
    this.#told = picture;
    this.#options.post({ is: "shown", count: ++this.#toldCount, picture });
  }

  /**
   * A guest that draws may draw into the buffer while it is read, but not until a draw of its own is
   * acknowledged: so its picture is taken then. The owner asks again where no draw comes.
   */
  #captureOrWait(call: number, isUrgent: boolean): void {
    if (isUrgent) {
      if (this.#atDraw.delete(call)) this.#capture(call);
    } else if (this.#channel !== undefined && performance.now() - this.#drawnAt < DRAWING_MS) {
      this.#atDraw.add(call);
    } else {
      this.#capture(call);
    }
  }

  /** Takes the pictures that have waited for a draw. */
  #captureDue(): void {
    const due = [...this.#atDraw];
    this.#atDraw.clear();
    for (const call of due) this.#capture(call);
  }

  #capture(call: number): void {
    let captured: CapturedPicture = "surface";
    if (this.#scanouts.isActive) {
      const picture = this.#scanouts.picture();
      captured = typeof picture === "string"
        ? { why: picture }
        : { ...picture, pixels: picture.pixels.buffer };
    }
    const transfer = typeof captured === "object" && "pixels" in captured ? [captured.pixels] : [];
    this.#options.post({ is: "captured", call, picture: captured }, transfer);
  }

  /** Has the owner wait for messages of other channels. */
  #waitFor(channel: string, awaited: readonly AwaitedMessage[]): Promise<void> {
    const call = ++this.#calls;
    const wait = Promise.withResolvers<void>();
    this.#waits.set(call, wait);
    this.#options.post({ is: "await", call, awaited });
    return wait.promise.catch((error) => {
      // A wait that makes no sense is left out, like any broken message.
      if (!(error instanceof SpiceDecodeError)) throw error;
      const text = `message 5 is broken: ${error.message}`;
      this.#options.post({ is: "warning", warning: { channel, text } });
    });
  }

  #goOn(call: number, error: Error | undefined): void {
    const wait = this.#waits.get(call);
    this.#waits.delete(call);
    if (error === undefined) wait?.resolve();
    else wait?.reject(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop("the client closed the session");
    await this.#running;
    this.#scanouts[Symbol.dispose]();
  }
}
