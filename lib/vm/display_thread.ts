/**
 * The thread of one display, as its owner on the main thread has it: starts it, connects it, and hears
 * from it.
 *
 * The thread blocks in a call while nothing comes from the server. Such a call cannot be aborted, so
 * the thread is woken for each command and ends by itself; it is never terminated inside one.
 */
import { OwnedFd } from "../../ffi/fd.ts";
import type { Shim } from "../../ffi/load.ts";
import type { UnixSocket } from "../../ffi/socket.ts";
import { openWaker, type Waker } from "../../ffi/waker.ts";
import { pause } from "../base/deadline.ts";
import { SpiceError } from "../base/errors.ts";
import type { SharedTexture } from "../display/gl_interfaces.ts";
import { GlLedger } from "../display/gl_ledger.ts";
import { endBy } from "../spice/channel.ts";
import type { ChannelEnd } from "../spice/channel_link.ts";
import { SpiceConnectError } from "../spice/errors.ts";
import { connectSocket } from "../spice/fd_connection.ts";
import type { DisplayOpening } from "../spice/session_options.ts";
import { DisplayCells } from "./display_cells.ts";
import {
  type CapturedPicture,
  type DisplayCommand,
  type DisplayNews,
  type ShownPicture,
} from "./display_protocol.ts";
import { ThreadCalls, unlessAborted } from "./thread_calls.ts";
import type { ThreadChannel } from "./thread_channel.ts";
import { endOf, ThreadLink } from "./thread_link.ts";

/**
 * How long the thread may take to let go of everything, in milliseconds, before it is left behind; and
 * how long if it has just been started.
 */
const END_MS = 2_000;
const START_MS = 20_000;
/** How long a picture waits for the next draw of a guest that draws, in milliseconds. */
const DRAW_MS = 300;

/** What a thread tells of its display. */
export interface DisplayThreadEvents {
  /** Something else is shown: of another kind or size, in other memory, or nothing. */
  onShown: (picture: ShownPicture) => void;
  /** The picture has changed since `cells.arm()`. */
  onChanged: () => void;
  /** What of the picture is not as the guest's; safe to show. */
  onWarning: (text: string) => void;
  /** A draw was not acknowledged in time. */
  onGuard: (text: string) => void;
  /** A defect of ours, which has ended the display at most. */
  onDefect: (error: unknown) => void;
}

/** A texture of ours that is lent to others: what it is, and a descriptor of it that its holder owns. */
export type LentTexture = Omit<SharedTexture, "fd"> & { fd: OwnedFd | undefined };

/** How a thread is started. */
export interface ThreadOptions {
  /** Which GPU EGL should take, where it can choose. */
  renderNode?: string;
  /** The ledger to go on with, of the thread whose place this one takes; an empty one if left out. */
  ledger?: GlLedger;
  /** Another module than `display_worker.ts`; for tests. */
  entry?: URL;
  /** How much longer than a draw may take the thread may stay away, in milliseconds; 5 s if left out. */
  hangMs?: number;
}

/** How a display is linked. */
export interface ThreadLinkOptions {
  /** What images are asked for. */
  compression?: "off" | "lz";
  /** Whether compressed images are decoded from the first message on. */
  hasDecoders: boolean;
}

/** A channel of the thread. */
interface Current {
  link: ThreadLink;
  /** Lets the next channel begin. */
  leave: () => void;
}

/** The thread of one display; one channel after another. */
export class DisplayThread implements AsyncDisposable {
  /** Numbers that the thread tells at any time. */
  readonly cells = new DisplayCells();
  readonly ledger: GlLedger;
  /** Who is told of the display. */
  events: DisplayThreadEvents | undefined;
  /** What the display shows. */
  shown: ShownPicture = { kind: "surface", width: 0, height: 0 };
  readonly #shim: Shim;
  readonly #options: ThreadOptions;
  readonly #worker: Worker;
  readonly #waker: Waker;
  /** The waiting end, the thread's own unless that dies. */
  readonly #wakeUp: number;
  readonly #ready = Promise.withResolvers<void>();
  readonly #over = Promise.withResolvers<void>();
  #current: Current | undefined;
  /** Resolves once the channel before has ended. */
  #idle: Promise<void> = Promise.resolve();
  /** Why the thread is of no use any more. */
  #lost: Error | undefined;
  #isReady = false;
  #isOver = false;
  readonly #captures = new ThreadCalls<CapturedPicture>();
  readonly #textures = new ThreadCalls<LentTexture | undefined>();

  private constructor(shim: Shim, options: ThreadOptions) {
    const { renderNode, entry = new URL("./display_worker.ts", import.meta.url) } = options;
    this.#shim = shim;
    this.#options = options;
    this.ledger = options.ledger ?? new GlLedger();
    this.ledger.stage = "idle"; // the thread before may hang at something for ever
    const { waker, wakeUp } = openWaker(shim);
    this.#waker = waker;
    this.#wakeUp = wakeUp.take();
    this.#worker = new Worker(entry, { type: "module", name: "display" });
    this.#worker.onmessage = ({ data }: MessageEvent<DisplayNews>) => {
      try {
        this.#hear(data);
      } catch (error) {
        this.#fail(error);
      }
    };
    this.#worker.onerror = (event) => {
      event.preventDefault(); // it would end the whole process
      this.#die(new Error(`${event.message} (${event.filename}:${event.lineno})`));
    };
    this.#ready.promise.catch(() => {}); // told to who opens a display
    this.#post({
      do: "start",
      start: {
        shim: shim.path,
        wakeUp: this.#wakeUp,
        cells: this.cells.memory,
        ledger: this.ledger.memory,
        ...(renderNode === undefined ? {} : { renderNode }),
      },
    });
  }

  /**
   * Starts a thread, which loads its modules while the caller goes on.
   *
   * @param shim The native library, which must stay open until the thread is over.
   */
  static start(shim: Shim, options: ThreadOptions = {}): DisplayThread {
    return new DisplayThread(shim, options);
  }

  /** Whether displays can be opened in it. */
  get isUsable(): boolean {
    return this.#lost === undefined;
  }

  /** Resolves once the thread has let go of everything, also one that was left behind. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** Whether it has. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Has the thread do something. */
  #post(command: DisplayCommand): void {
    if (this.#isOver) return;
    this.#worker.postMessage(command);
    this.cells.post();
    this.#waker.wake();
  }

  /**
   * Links a display and lets it run; another one is linked once that has ended.
   *
   * @throws as `SpiceSessionOptions.openDisplay`.
   */
  async open(
    signal: AbortSignal,
    opening: DisplayOpening,
    options: ThreadLinkOptions,
  ): Promise<ThreadChannel> {
    const { name, id, connectionId, password, target } = opening;
    if (!("path" in target)) throw new TypeError("Cannot pass descriptors but on a Unix socket");
    const before = this.#idle;
    const { promise, resolve: leave } = Promise.withResolvers<void>();
    this.#idle = promise;
    let socket: UnixSocket;
    let given: number;
    try {
      await unlessAborted(signal, Promise.all([this.#ready.promise, before]));
      if (this.#lost !== undefined) throw this.#lost;
      opening.onWait(`connection for the ${name} channel`);
      socket = await connect(this.#shim, target.path, signal);
      using unless = new DisposableStack();
      unless.use(socket);
      if (this.#lost !== undefined) throw this.#lost;
      given = socket.dup().take();
      unless.move();
    } catch (error) {
      void before.then(leave);
      throw error;
    }
    const link = this.#link(opening, socket);
    this.#current = { link, leave };
    this.cells.giveSocket(given);
    this.cells.tell({ messages: 0, bytes: 0, acks: 0, malformed: 0 }, 0);
    const { compression, hasDecoders } = options;
    const task = {
      socket: given,
      name,
      id,
      connectionId,
      hasDecoders,
      ...(password === undefined ? {} : { password }),
      ...(compression === undefined ? {} : { compression }),
    };
    this.#post({ do: "open", task });
    try {
      await unlessAborted(signal, link.linked);
    } catch (error) {
      link.channel.close("linking was given up");
      throw error;
    }
    return link.channel;
  }

  #link(opening: DisplayOpening, socket: UnixSocket): ThreadLink {
    const { hangMs } = this.#options;
    return new ThreadLink(opening, socket, {
      cells: this.cells,
      ledger: this.ledger,
      post: (command) => this.#post(command),
      describe: () => `${this.shown.width}×${this.shown.height}`,
      onGuard: (text) => this.events?.onGuard(text),
      onHang: (text) => this.#abandon(new SpiceError(`Cannot go on with ${opening.name}: ${text}`)),
      ...(hangMs === undefined ? {} : { hangMs }),
    });
  }

  #hear(news: DisplayNews): void {
    switch (news.is) {
      case "ready":
        this.#isReady = true;
        return this.#ready.resolve();
      case "ended":
        return this.#end(endOf(news));
      case "shown":
        this.shown = news.picture;
        this.events?.onShown(news.picture);
        if (this.cells.answer(news.count)) this.#post({ do: "tell" });
        return;
      case "changed":
        return this.events?.onChanged();
      case "captured":
        return void this.#captures.answer(news.call, news.picture);
      case "texture":
        return this.#hearTexture(news.call, news.texture);
      case "flaw":
        return this.events?.onWarning(news.text);
      case "over":
        return this.#finish();
      default:
        return this.#current?.link.hear(news);
    }
  }

  #hearTexture(call: number, texture: SharedTexture | undefined): void {
    const lent = texture &&
      { ...texture, fd: texture.fd < 0 ? undefined : new OwnedFd(this.#shim, texture.fd) };
    if (!this.#textures.answer(call, lent)) lent?.fd?.[Symbol.dispose]();
  }

  /** A listener's defect ends the channel: it must not be overlooked. */
  #fail(error: unknown): void {
    if (this.#current === undefined) this.events?.onDefect(error);
    else this.#current.link.fail(error);
  }

  #end(end: ChannelEnd): void {
    const current = this.#current;
    this.#current = undefined;
    current?.link.end(end);
    current?.leave();
  }

  /**
   * The picture that a display with scanouts shows now.
   *
   * @throws the signal's reason when it is aborted; why the thread is lost.
   */
  async capture(signal: AbortSignal): Promise<CapturedPicture> {
    if (this.#lost !== undefined) throw this.#lost;
    const asked = (isUrgent: boolean) => (call: number) => {
      this.#post({ do: "capture", call, isUrgent });
    };
    return await this.#captures.ask(signal, asked(false), { afterMs: DRAW_MS, post: asked(true) });
  }

  /** Our texture, as `GlScanouts.texture` has it. @throws as {@linkcode capture} */
  async texture(signal: AbortSignal): Promise<LentTexture | undefined> {
    if (this.#lost !== undefined) throw this.#lost;
    return await this.#textures.ask(signal, (call) => this.#post({ do: "texture", call }));
  }

  /** Has draws copied to our texture, or not. */
  watch(isWatched: boolean): void {
    this.#post({ do: "watch", isWatched });
  }

  /** Has our texture brought up to date where it is plain memory; a change is told after that. */
  refresh(): void {
    this.#post({ do: "refresh" });
  }

  /** Has the decoders of compressed images loaded. */
  loadDecoders(): void {
    this.#post({ do: "decode" });
  }

  /** Takes note that the thread is of no use: who waits for it is told. */
  #lose(error: Error): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    this.#ready.reject(error);
    this.#captures.fail(error);
    this.#textures.fail(error);
  }

  /** The thread has died of a defect. What it had is closed here. */
  #die(cause: Error): void {
    if (this.#isOver) return;
    const name = this.#current?.link.channel.name ?? "a display";
    const error = new SpiceError(
      `Cannot go on with ${name}: its thread has died: ${cause.message}`,
      {
        cause,
      },
    );
    this.#lose(error);
    const socket = this.cells.takeSocket();
    for (const fd of [socket, this.#wakeUp]) {
      if (fd !== undefined) new OwnedFd(this.#shim, fd)[Symbol.dispose]();
    }
    this.#end(endBy(error));
    this.#finish();
    this.events?.onDefect(error);
  }

  /** Leaves a thread behind that hangs in a call: it ends by itself, should it ever come back. */
  #abandon(error: Error): void {
    this.#lose(error);
    this.#current?.link.shutdown();
    this.#post({ do: "end" });
    this.#end(endBy(error));
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#lose(new SpiceError("Cannot use a display's thread: it has ended"));
    this.#end({ by: "client", text: "the client closed the session" });
    this.#worker.terminate(); // it is in no call
    this.#waker[Symbol.dispose]();
    this.#over.resolve();
  }

  /** Ends the thread, and its channel with it; one that hangs is left behind. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#post({ do: "end" });
    const late = new AbortController();
    await Promise.race([
      this.#over.promise.finally(() => late.abort()),
      pause(this.#isReady ? END_MS : START_MS, late.signal).catch(() => {}),
    ]);
    if (!this.#isOver) this.#abandon(new SpiceError("Cannot end a display's thread: it hangs"));
  }
}

/** Connects; a server that has too many connections to accept is tried again. */
async function connect(shim: Shim, path: string, signal: AbortSignal): Promise<UnixSocket> {
  for (;;) {
    try {
      return connectSocket(shim, path);
    } catch (error) {
      const cause = error instanceof SpiceConnectError ? error.cause : undefined;
      if ((cause as { code?: string } | undefined)?.code !== "EAGAIN") throw error;
    }
    await pause(5, signal);
  }
}
