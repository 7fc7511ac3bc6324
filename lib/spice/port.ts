/**
 * Ports: byte streams between a client and the guest, or QEMU, that the server carries.
 *
 * Memory is bounded both ways. What nobody reads stops the server after a few hundred kilobytes, and
 * the server stops the guest; what the guest does not read makes our writes wait. Other channels
 * have connections of their own and go on.
 */
import { withDeadline } from "../base/deadline.ts";
import { SpiceError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import type { ChannelEnd, PacedLink } from "./channel_link.ts";
import { type Handlers, type Routes, routes } from "./message_routes.ts";
import { channelName } from "./channel_types.ts";
import { SpiceClosedError, SpiceDecodeError, SpicePortError } from "./errors.ts";
import {
  PORT_DATA_BYTES,
  PORT_EVENTS,
  PORT_MAX_BYTES,
  PORT_MESSAGES,
  PORT_REQUESTS,
  PORT_TYPES,
} from "./port_messages.ts";
import type { OfferedChannel, SpiceSession } from "./session.ts";

/** What happened at the guest's end of a port. */
export type PortEvent = typeof PORT_EVENTS[number];

/** What nobody has read yet, before the server is stopped. */
const MAX_UNREAD_BYTES = 256 * 1024;
const TIMEOUT_MS = 10_000;

/** Options of {@linkcode SpicePort.open} and {@linkcode openPort}. */
export interface PortOptions {
  /** Milliseconds until opening fails; 10 s when left out. */
  timeoutMs?: number;
  /** Gives up opening; the port is not affected later. */
  signal?: AbortSignal;
  /** Is told when the guest opens or closes its end, and of a break on its line. */
  onEvent?: (event: PortEvent) => void;
}

/** What ports need of their session. */
export type PortSession = Pick<SpiceSession, "channels" | "offered" | "open">;

/** A port, linked; owns its channel. */
export class SpicePort implements AsyncDisposable {
  /**
   * What comes from the guest, in chunks of any size. Cancelling it drops what comes from then on.
   * It ends with the channel; what had come by then is still read.
   */
  readonly readable: ReadableStream<Uint8Array>;
  /**
   * What goes to the guest. A write waits until the server has taken it, for as long as the guest
   * takes; aborting gives up what is not on its way. Closing it tells the guest nothing.
   */
  readonly writable: WritableStream<Uint8Array>;
  readonly #link: PacedLink;
  readonly #onEvent: ((event: PortEvent) => void) | undefined;
  readonly #named = Promise.withResolvers<void>();
  #name = "";
  #isNamed = false;
  #isOpened: boolean;
  #unread = new Uint8Array();
  #unreadBytes = 0;
  #isDropping = false;
  #end: ChannelEnd | undefined;
  /** Resolves when there is something to read, or nothing more will come. */
  #arrived = Promise.withResolvers<void>();

  private constructor(link: PacedLink, isOpened: boolean, options: PortOptions) {
    this.#link = link;
    this.#isOpened = isOpened;
    this.#onEvent = options.onEvent;
    this.#named.promise.catch(() => {}); // a usbredir channel has no name to wait for
    this.readable = new ReadableStream<Uint8Array>({
      pull: (controller) => this.#pull(controller),
      cancel: () => this.#drop(),
    }, { highWaterMark: 0 });
    this.writable = new WritableStream<Uint8Array>({
      write: (chunk, { signal }) => this.#write(chunk, signal),
    }, new ByteLengthQueuingStrategy({ highWaterMark: PORT_DATA_BYTES }));
    link.closed.then((end) => this.#onEnd(end));
  }

  /**
   * Links a port, a WebDAV port, or a usbredir channel (which has no name), and waits until the
   * server has told its name. `channel` is one of the session's `offered`.
   *
   * @throws {SpicePortError} when the server closes it: someone else has it, or it has gone.
   * @throws {SpiceError} as `SpiceSession.open` does.
   * @throws {DeadlineError} when `timeoutMs` passes first.
   * @throws the signal's reason when the caller's signal is aborted first.
   */
  static async open(
    session: PortSession,
    channel: Pick<OfferedChannel, "type" | "id">,
    options: PortOptions = {},
  ): Promise<SpicePort> {
    const { timeoutMs = TIMEOUT_MS } = options;
    const hasName = channel.type !== PORT_TYPES.usbredir;
    let port: SpicePort | undefined;
    const setup = {
      type: channel.type,
      caps: [], // compressed data is not asked for
      maxBytes: PORT_MAX_BYTES,
      isPacedByGuest: true,
      routes(link: PacedLink): Routes {
        port = new SpicePort(link, !hasName, options);
        return routes(PORT_MESSAGES, port.#handlers());
      },
    };
    return await withDeadline("port of the SPICE server", async (signal) => {
      const opened = await session.open(setup, channel.id, { timeoutMs, signal });
      const giveUp = () => opened.close("it was given up");
      signal.addEventListener("abort", giveUp, { once: true });
      try {
        signal.throwIfAborted();
        if (hasName) await port!.#named.promise;
        return port!; // made when the channel was linked
      } catch (error) {
        giveUp();
        throw error;
      } finally {
        signal.removeEventListener("abort", giveUp);
      }
    }, { ...options, timeoutMs });
  }

  /** The port's name as the server tells it, safe to show; empty for usbredir. */
  get name(): string {
    return this.#name;
  }

  /** The channel's name: "port", "port-1". */
  get channel(): string {
    return this.#link.name;
  }

  /**
   * Whether the guest has opened its end. What is written before waits for it, or is lost: that is
   * the guest's device's choice.
   */
  get isOpened(): boolean {
    return this.#isOpened;
  }

  /** Resolves when the port's channel has ended, whoever ended it. Never rejects. */
  get closed(): Promise<ChannelEnd> {
    return this.#link.closed;
  }

  /** Tells the guest's end that ours was opened or closed, or sends a break. */
  sendEvent(event: PortEvent): void {
    this.#link.send(PORT_REQUESTS.port_event, { event: PORT_EVENTS.indexOf(event) });
  }

  /** Ends the channel at once; resolves when nothing of it is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#link.close("the client closed the port");
    await this.#link.closed;
  }

  #handlers(): Handlers<typeof PORT_MESSAGES> {
    return {
      data: ({ data }) => this.#onData(data),
      compressed_data: () => {
        // A stream with a hole is worse than none.
        throw new SpicePortError(
          `Cannot follow the ${this.#link.name} channel: the server compresses what it sends, ` +
            "although this client does not take it",
        );
      },
      port_init: ({ name, opened }) => {
        if (this.#isNamed) throw new SpiceDecodeError("Cannot name a port twice");
        this.#isNamed = true;
        this.#name = name;
        this.#isOpened = opened !== 0;
        this.#named.resolve();
      },
      port_event: ({ event: number }) => {
        const event = PORT_EVENTS[number];
        if (event === undefined) throw new SpiceDecodeError(`Cannot take port event ${number}`);
        if (event !== "break") this.#isOpened = event === "opened";
        this.#onEvent?.(event);
      },
    };
  }

  /** Keeps what came, and stops the server once that is enough. */
  #onData(data: Uint8Array): void {
    if (this.#isDropping || data.length === 0) return;
    const length = this.#unreadBytes + data.length;
    if (length > this.#unread.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#unread.length));
      larger.set(this.#unread.subarray(0, this.#unreadBytes));
      this.#unread = larger;
    }
    this.#unread.set(data, this.#unreadBytes);
    this.#unreadBytes = length;
    if (length >= MAX_UNREAD_BYTES) this.#link.pause();
    this.#arrived.resolve();
  }

  /** Hands over all that came. */
  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    await this.#arrived.promise;
    if (this.#unreadBytes > 0) {
      controller.enqueue(this.#unread.subarray(0, this.#unreadBytes));
      this.#unread = new Uint8Array();
      this.#unreadBytes = 0;
      if (!this.#end) this.#arrived = Promise.withResolvers();
      this.#link.resume();
    } else if (this.#end?.by === "error") controller.error(this.#end.error);
    else controller.close();
  }

  #drop(): void {
    this.#isDropping = true;
    this.#unread = new Uint8Array();
    this.#unreadBytes = 0;
    this.#link.resume();
  }

  async #write(data: Uint8Array, signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<never>();
    aborted.promise.catch(() => {});
    const onAbort = () => aborted.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      for (let at = 0; at < data.length; at += PORT_DATA_BYTES) {
        const piece = data.subarray(at, at + PORT_DATA_BYTES);
        this.#link.send(PORT_REQUESTS.data, { data: piece });
        await Promise.race([this.#link.drained(), aborted.promise]);
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #onEnd(end: ChannelEnd): void {
    this.#end = end;
    this.#named.reject(
      end.error ??
        new SpicePortError(`Cannot open the ${this.#link.name} channel: ${end.text}`, {
          hint: "A port takes one client at a time",
        }),
    );
    this.#arrived.resolve();
  }
}

/**
 * Opens a port by its name. The server lists only ids, so ports are linked one after another until
 * the name is found; those of other names are closed again, and whoever writes to them meanwhile sees
 * a client come and go. A port that is in use already is passed over.
 *
 * @throws {SpicePortError} when no port has the name.
 * @throws {SpiceError} when the session has ended.
 * @throws {DeadlineError} when `timeoutMs` passes first.
 * @throws the signal's reason when the caller's signal is aborted first.
 */
export async function openPort(
  session: PortSession,
  name: string,
  options: PortOptions = {},
): Promise<SpicePort> {
  const { timeoutMs = TIMEOUT_MS } = options;
  return await withDeadline(`port ${quoted(name)}`, async (signal) => {
    const seen: string[] = [];
    const failures: SpiceError[] = [];
    const ports = session.offered
      .filter(({ type }) => type === PORT_TYPES.port || type === PORT_TYPES.webdav)
      .filter(({ type, id }) => !session.channels.includes(channelName(type, id)))
      .toSorted((a, b) => a.type - b.type || a.id - b.id);
    for (const offered of ports) {
      try {
        const port = await SpicePort.open(session, offered, { ...options, timeoutMs, signal });
        if (port.name === name) return port;
        seen.push(quoted(port.name));
        await port[Symbol.asyncDispose]();
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof SpiceError) || error instanceof SpiceClosedError) throw error;
        failures.push(error);
      }
    }
    throw new SpicePortError(
      `Cannot open the port ${quoted(name)}: the server has ` +
        (seen.length === 0 ? "no free port" : seen.join(", ")),
      { cause: failures[0] },
    );
  }, { ...options, timeoutMs });
}
