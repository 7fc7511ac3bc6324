/**
 * A linked channel: reads messages until the connection ends, acknowledges them, answers what every
 * channel must answer, and passes the rest to handlers.
 */
import type { OwnedFd } from "../../ffi/fd.ts";
import { concatBytes } from "../base/bytes.ts";
import { printable } from "../base/text.ts";
import { AckWindow } from "./ack_window.ts";
import {
  AWAITED_MESSAGES,
  BASE_MAX_BYTES,
  BASE_MESSAGES,
  BASE_REQUESTS,
  NOTIFY_SEVERITIES,
  PING_MAX_BYTES,
} from "./base_messages.ts";
import type {
  AwaitedMessage,
  ChannelEnd,
  ChannelStats,
  PacedLink,
  Request,
  SpiceNotice,
  SpiceWarning,
} from "./channel_link.ts";
import { ByteReader } from "./codec.ts";
import {
  linkErrorName,
  SpiceClosedError,
  SpiceDecodeError,
  SpiceLimitError,
  SpiceTimeoutError,
} from "./errors.ts";
import { encodeMessage, HEADER_BYTES, type MessageSink, MessageSplitter } from "./framing.ts";
import type { LinkResult } from "./link.ts";
import type { MessageMemory } from "./memory.ts";
import { type Routes, routes } from "./message_routes.ts";
import type { SpiceStream } from "./transport.ts";
import { TurnBudget } from "./turn_budget.ts";

/** Complete messages with a broken structure that are put up with. */
const MAX_MALFORMED = 100;
/** Answers that wait for a server that does not read; a real one reads all the time. */
const MAX_OUTBOX_BYTES = 1024 * 1024;
const SET_ACK_ID = 3;
const PING_ID = 4;
const LIST_ID = 8;

/** Options of {@linkcode SpiceChannel}. */
export interface ChannelOptions {
  /** The channel's name: "main", "display". */
  name: string;
  /** Which one of its type; 0 when left out. */
  id?: number;
  /** What the server can do on this channel; nothing when left out. */
  caps?: LinkResult;
  /** What to do with the channel's own messages. */
  routes: Routes | ((link: PacedLink) => Routes);
  /** The most bytes of a message body. */
  maxBytes: number | (() => number);
  /** What messages in pieces are collected in; without a bound when left out. */
  memory?: MessageMemory;
  /** Messages that begin with a list as WAIT_FOR_CHANNELS has it. */
  waitsBefore?: readonly number[];
  /** Messages that are followed by a byte which their size does not count, by type: the byte. */
  trailers?: ReadonlyMap<number, number>;
  /**
   * Waits until other channels have handled the messages that the server names; undefined if they
   * have. Without it nothing is waited for.
   *
   * @throws {SpiceDecodeError} if that can never be. A rejection ends the channel.
   */
  waitFor?: (awaited: readonly AwaitedMessage[]) => Promise<void> | undefined;
  /** Whether the server may stop reading for any time; not when left out. */
  isPacedByGuest?: boolean;
  /** Whether the channel has a thread of its own: then nothing else there needs a turn. */
  hasThread?: boolean;
  /** Called once, when the first message has come. */
  onFirstMessage?: () => void;
  /** Takes texts for the user. */
  onNotice?: (notice: SpiceNotice) => void;
  /** Is told what is left out. */
  onWarning?: (warning: SpiceWarning) => void;
  /** The server wants to move the session to another host. */
  onMigrate?: () => void;
}

/** A wait: for other channels, or for the rest of the process. */
interface Hold {
  /** Rejects where that fails. */
  over: PromiseWithResolvers<void>;
  /** What is done then, in this order. */
  later: (() => void)[];
}

const NO_TRAILERS: ReadonlyMap<number, number> = new Map();
const NO_CAPS: LinkResult = { commonCaps: new Uint32Array(), channelCaps: new Uint32Array() };

/** A linked channel; owns its stream. */
export class SpiceChannel implements PacedLink, MessageSink, Disposable {
  readonly name: string;
  readonly id: number;
  readonly caps: LinkResult;
  readonly trailers: ReadonlyMap<number, number>;
  /** Resolves with how the channel ended; never rejects. */
  readonly closed: Promise<ChannelEnd>;
  /** Counts since the link. */
  readonly stats: ChannelStats = {
    messages: 0,
    bytes: 0,
    acks: 0,
    malformed: 0,
    unknown: new Map(),
  };
  readonly #stream: SpiceStream;
  readonly #options: ChannelOptions;
  readonly #routes: Routes;
  readonly #splitter: MessageSplitter;
  readonly #ack = new AckWindow();
  readonly #turns = new TurnBudget();
  readonly #ending = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<ChannelEnd>();
  #outbox: Uint8Array[] = [];
  #outboxBytes = 0;
  #sending: Promise<void> | undefined;
  #paused: PromiseWithResolvers<void> | undefined;
  #held: Hold | undefined;
  #reaching: { serial: bigint; resolve: () => void }[] = [];
  #end: ChannelEnd | undefined;
  #disconnecting: string | undefined;
  /** Ids of messages that were broken. */
  readonly #broken = new Set<number>();
  #watched = { received: -1, sent: -1 };
  #sentBytes = 0;

  constructor(stream: SpiceStream, options: ChannelOptions) {
    this.#stream = stream;
    this.#options = options;
    this.name = options.name;
    this.id = options.id ?? 0;
    this.caps = options.caps ?? NO_CAPS;
    this.trailers = options.trailers ?? NO_TRAILERS;
    this.closed = this.#ended.promise;
    this.#splitter = new MessageSplitter(this, options.memory);
    const own = typeof options.routes === "function" ? options.routes(this) : options.routes;
    this.#routes = new Map([...this.#baseRoutes(), ...own]);
  }

  /** Answers to messages that every channel has. */
  #baseRoutes(): Routes {
    const handled = routes(BASE_MESSAGES, {
      migrate: () => this.#options.onMigrate?.(),
      set_ack: ({ generation, window }) => {
        this.#ack.reset(window);
        this.send(BASE_REQUESTS.ack_sync, { generation });
      },
      ping: (ping) => this.send(BASE_REQUESTS.pong, ping),
      wait_for_channels: ({ items }) => this.#hold(items),
      disconnecting: ({ reason }) => this.#disconnecting = linkErrorName(reason),
      notify: ({ severity, text }) =>
        this.#options.onNotice?.({
          channel: this.#options.name,
          severity: NOTIFY_SEVERITIES[severity] ?? "error",
          text,
        }),
    });
    return new Map([...handled, [LIST_ID, (reader) => this.#list(reader)]]);
  }

  /** Reads messages until the connection ends; resolves with how. Call it once. */
  async run(): Promise<ChannelEnd> {
    try {
      for (;;) {
        const room = this.#splitter.room();
        const chunk = await this.#stream.chunk(room);
        if (!chunk) break;
        this.stats.bytes += chunk.length;
        this.#turns.start();
        if (room && chunk.buffer === room.buffer) {
          this.#splitter.filled(chunk.length);
          while (this.#held) await this.#goOn(this.#held);
        } else {
          await this.#feed(chunk);
        }
        if (this.#paused && this.stats.messages > 0) await this.#paused.promise;
        if (this.#end) break;
      }
      this.#end ??= { by: "server", text: this.#serverClosed() };
    } catch (error) {
      this.#end ??= { by: "error", text: error instanceof Error ? error.message : "", error };
    }
    this.#ending.resolve();
    this.#turns.stop();
    this.#stream.close();
    this.#splitter.release();
    for (const { resolve } of this.#reaching) resolve();
    await this.#sending;
    this.#ended.resolve(this.#end);
    return this.#end;
  }

  /** Handles the messages in a chunk; waits where the server says so, and when they take long. */
  async #feed(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length && !this.#end;) {
      at += this.#splitter.feed(at === 0 ? chunk : chunk.subarray(at));
      while (this.#held) await this.#goOn(this.#held);
    }
  }

  /** Resolves as soon as the channel is about to end. */
  get ending(): Promise<void> {
    return this.#ending.promise;
  }

  /** Whether messages wait, for another channel or for the rest of the process. */
  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /**
   * Resolves once the server's message number `serial`, counted from 1, has been handled, or the
   * channel has ended; undefined if that is so already.
   */
  reached(serial: bigint): Promise<void> | undefined {
    if (this.#end || BigInt(this.handled) >= serial) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#reaching.push({ serial, resolve });
    return promise;
  }

  /** How many messages have been handled; one that waits for another channel has not. */
  get handled(): number {
    return this.stats.messages - (this.#held ? 1 : 0);
  }

  #tellReached(): void {
    const handled = BigInt(this.handled);
    this.#reaching = this.#reaching.filter(({ serial, resolve }) => {
      if (handled < serial) return true;
      resolve();
      return false;
    });
  }

  /** Handles nothing more until other channels have handled the messages `awaited`. */
  #hold(awaited: readonly AwaitedMessage[]): void {
    this.#holdUntil(this.#options.waitFor?.(awaited));
  }

  /** Handles nothing more until `waiting` resolves; goes on where there is nothing to wait for. */
  #holdUntil(waiting: Promise<void> | undefined): void {
    if (waiting === undefined) return;
    const over = Promise.withResolvers<void>();
    waiting.then(over.resolve, over.reject);
    this.#held = { over, later: [] };
  }

  /** Waits as long as it takes, and then handles what was put off. */
  async #goOn(held: Hold): Promise<void> {
    await held.over.promise;
    this.#held = undefined;
    this.#turns.start();
    for (const handle of held.later) {
      if (!this.#end) handle(); // may hold again, and then puts itself off
    }
    if (!this.#held && this.#reaching.length > 0) this.#tellReached();
  }

  #serverClosed(): string {
    if (this.#disconnecting) return `the server disconnected with ${this.#disconnecting}`;
    if (this.#splitter.insideMessage) return "the server closed the connection inside a message";
    return "the server closed the connection";
  }

  /** Ends the channel at once, for the reason `text`; `run` then resolves. */
  close(text: string): void {
    this.#finish({ by: "client", text });
  }

  #finish(end: ChannelEnd): void {
    this.#end ??= end;
    this.#stream.close();
    this.resume();
    this.#held?.over.resolve();
    this.#ending.resolve();
  }

  [Symbol.dispose](): void {
    this.close("the client closed the session");
  }

  send<T>(request: Request<T>, value: T): void {
    if (this.#end) return;
    const bytes = request.framed ?? encodeMessage(request.id, request.body, value);
    if (this.#outboxBytes + bytes.length > MAX_OUTBOX_BYTES) {
      throw new SpiceLimitError(
        `Cannot send on the ${this.#options.name} channel: the server has not read the last ` +
          `${this.#outboxBytes} bytes`,
      );
    }
    this.#outbox.push(bytes);
    this.#outboxBytes += bytes.length;
    this.#sending ??= this.#flush();
  }

  async drained(): Promise<void> {
    await this.#sending;
    if (!this.#end) return;
    throw new SpiceClosedError(`Cannot send on the ${this.name} channel: ${this.#end.text}`);
  }

  pause(): void {
    if (!this.#end) this.#paused ??= Promise.withResolvers();
  }

  resume(): void {
    this.#paused?.resolve();
    this.#paused = undefined;
  }

  takeFd(): OwnedFd | undefined {
    return this.#stream.takeFd();
  }

  async #flush(): Promise<void> {
    await undefined; // so that the rest of this turn's messages join the first
    while (this.#outbox.length > 0) {
      const bytes = concatBytes(this.#outbox);
      this.#outbox = [];
      await this.#stream.write(bytes);
      this.#outboxBytes -= bytes.length;
      this.#sentBytes += bytes.length;
    }
    this.#sending = undefined;
  }

  /**
   * Ends the channel if nothing has moved since the last call although something is under way: a
   * message has begun and does not go on, or the server does not read what we send. Calls are
   * `periodMs` apart.
   */
  endIfStalled(periodMs: number): void {
    const { received, sent } = this.#watched;
    this.#watched = { received: this.stats.bytes, sent: this.#sentBytes };
    const isReadStalled = this.#splitter.insideMessage && received === this.stats.bytes &&
      !this.#paused && !this.#held;
    const isWriteStalled = this.#sending !== undefined && sent === this.#sentBytes &&
      !this.#options.isPacedByGuest;
    if (!isReadStalled && !isWriteStalled) return;
    const what = isReadStalled ? "the server stopped inside a message" : "the server reads nothing";
    const error = new SpiceTimeoutError(
      `Cannot follow the ${this.#options.name} channel: ${what} for ${periodMs} ms`,
    );
    this.#finish(endBy(error));
  }

  /** Says how much of a message is read. @throws {SpiceLimitError} if it is too large */
  wants(type: number, size: number): number {
    const { maxBytes: own } = this.#options;
    const ownBytes = typeof own === "number" ? own : own();
    const maxBytes = type === PING_ID
      ? PING_MAX_BYTES
      : type in BASE_MESSAGES
      ? Math.min(BASE_MAX_BYTES, ownBytes)
      : ownBytes;
    if (size > maxBytes) {
      throw new SpiceLimitError(
        `Cannot follow the ${this.#options.name} channel: message ${type} has ${size} bytes, ` +
          `expected at most ${maxBytes}`,
      );
    }
    if (!this.#routes.get(type)) return 0;
    return type === PING_ID ? BASE_MESSAGES[PING_ID].minBytes : size; // its padding is dropped
  }

  /** Counts a message, acknowledges, and dispatches it. */
  message(type: number, _size: number, head: Uint8Array): void {
    const isFirst = this.stats.messages++ === 0;
    const isSetAck = type === SET_ACK_ID;
    if (!isSetAck) this.#countForAck();
    this.#dispatch(type, new ByteReader(head));
    if (isSetAck) this.#countForAck(); // it is the first message of its own window
    if (this.#reaching.length > 0) this.#tellReached();
    if (isFirst) this.#options.onFirstMessage?.();
  }

  #countForAck(): void {
    if (!this.#ack.count()) return;
    this.stats.acks++;
    this.send(BASE_REQUESTS.ack, {});
  }

  #dispatch(type: number, reader: ByteReader): void {
    if (this.#held) return void this.#held.later.push(() => this.#dispatch(type, reader));
    const handle = this.#routes.get(type);
    if (!handle) {
      if (!this.#routes.has(type)) this.#countUnknown(type);
      return;
    }
    try {
      if (this.#options.waitsBefore?.includes(type)) {
        this.#hold(AWAITED_MESSAGES.decode(reader.at(0)).items);
        if (this.#held) return void (this.#held as Hold).later.push(() => this.#try(type, reader));
      }
    } catch (error) {
      return this.#countMalformed(type, error);
    }
    this.#try(type, reader);
  }

  /** Handles a message; one with a broken structure is left out: its bounds are known. */
  #try(type: number, reader: ByteReader): void {
    if (this.#held) return void this.#held.later.push(() => this.#try(type, reader));
    try {
      this.#routes.get(type)?.(reader);
    } catch (error) {
      this.#countMalformed(type, error);
    }
    if (!this.#held && !this.#options.hasThread) this.#holdUntil(this.#turns.spend());
  }

  #countUnknown(type: number): void {
    const count = (this.stats.unknown.get(type) ?? 0) + 1;
    this.stats.unknown.set(type, count);
    if (count === 1) this.#warn(`message ${type} is not known`);
  }

  #countMalformed(type: number, error: unknown): void {
    if (!(error instanceof SpiceDecodeError)) throw error;
    if (++this.stats.malformed === MAX_MALFORMED) {
      throw new SpiceClosedError(
        `Cannot follow the ${this.#options.name} channel: ${MAX_MALFORMED} messages are broken`,
        { cause: error },
      );
    }
    if (this.#broken.has(type)) return;
    this.#broken.add(type);
    this.#warn(`message ${type} is broken: ${error.message}`);
  }

  #warn(text: string): void {
    this.#options.onWarning?.({ channel: this.#options.name, text: printable(text) });
  }

  /**
   * LIST: sub-messages inside one message, each with a header of its own, in the order of the
   * offsets, which is not that of the bytes. The sizes in the headers are of no use: libspice-server
   * writes those of its own structures, which are larger and reach beyond the message.
   */
  #list(reader: ByteReader): void {
    const count = reader.u16();
    reader.expectItems(count, 4);
    const end = reader.offset + 4 * count;
    for (let i = 0; i < count; i++) {
      const sub = reader.at(reader.u32(), HEADER_BYTES);
      if (sub.offset < end) throw new SpiceDecodeError("Cannot read a list: it names itself");
      const type = sub.u16();
      const size = sub.u32();
      if (type === LIST_ID) throw new SpiceDecodeError("Cannot read a list: it holds a list");
      // All parts share what may be read of the message: naming one a thousand times is in vain.
      this.#dispatch(type, reader.part(sub.offset, size));
    }
  }
}

/** How something ends that `error` ended. */
export function endBy(error: unknown): ChannelEnd {
  return { by: "error", text: error instanceof Error ? error.message : String(error), error };
}
