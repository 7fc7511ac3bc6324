/**
 * The guest agent's byte stream: messages of any size in AGENT_DATA of at most 2048 bytes, and the
 * tokens that say how many of those the server takes.
 */
import { AGENT_DATA_BYTES, AGENT_HEAD, AGENT_PROTOCOL, MAX_AGENT_BYTES } from "./agent_messages.ts";
import type { PacedLink } from "./channel_link.ts";
import { ByteReader, ByteWriter, type Codec } from "./codec.ts";
import { SpiceAgentError } from "./errors.ts";
import { MAIN_REQUESTS } from "./main_messages.ts";

/** What a body in pieces starts with; it grows as its bytes arrive. */
const ASSEMBLY_BYTES = 4096;
/** Tokens that are kept in mind; a server has ten. */
const MAX_TOKENS = 0xffff_ffff;
/** Data messages that are handed over before the channel has sent the ones before. */
const BURST = 16;
/** What may wait for tokens: two clipboards and some small change. */
const MAX_QUEUED_BYTES = 33 * 1024 * 1024;
const MAX_QUEUED_MESSAGES = 64;

/** Who is told about an agent's messages. */
export interface AgentSink {
  /** Says whether a message is wanted; else its body is dropped as it arrives. */
  wants(type: number, size: number): boolean;
  /** Takes a message; the body is the sink's to keep. */
  message(type: number, body: Uint8Array): void;
}

/** Puts messages together from AGENT_DATA, however the server cut them. */
export class AgentAssembler {
  readonly #sink: AgentSink;
  readonly #head = new Uint8Array(AGENT_HEAD.minBytes);
  #headLength = 0;
  #type = 0;
  #size = 0;
  /** Body bytes that have yet to come. */
  #left = 0;
  #body: Uint8Array | undefined;
  #bodyLength = 0;

  constructor(sink: AgentSink) {
    this.#sink = sink;
  }

  /**
   * Takes the stream's next bytes.
   *
   * @returns `false` when they are no agent's: they are dropped, and the next ones are expected to
   * start a message, as every message starts an AGENT_DATA of its own.
   */
  feed(data: Uint8Array): boolean {
    let at = 0;
    while (at < data.length) {
      if (this.#left > 0) {
        at += this.#feedBody(data.subarray(at));
        continue;
      }
      const part = data.subarray(at, at + this.#head.length - this.#headLength);
      this.#head.set(part, this.#headLength);
      this.#headLength += part.length;
      at += part.length;
      if (this.#headLength === this.#head.length && !this.#begin()) return false;
    }
    return true;
  }

  /** Forgets a message that has begun. */
  reset(): void {
    this.#headLength = 0;
    this.#left = 0;
    this.#body = undefined;
  }

  /** Reads a complete head; returns whether it is one. */
  #begin(): boolean {
    this.#headLength = 0;
    const { protocol, type, size } = AGENT_HEAD.decode(new ByteReader(this.#head));
    if (protocol !== AGENT_PROTOCOL) return false;
    this.#type = type;
    this.#size = size;
    this.#left = size;
    this.#bodyLength = 0;
    this.#body = this.#sink.wants(type, size)
      ? new Uint8Array(Math.min(size, ASSEMBLY_BYTES))
      : undefined;
    if (size === 0) this.#end();
    return true;
  }

  /** Takes body bytes from the start of `data`; returns how many. */
  #feedBody(data: Uint8Array): number {
    const part = data.subarray(0, this.#left);
    if (this.#body) {
      const length = this.#bodyLength + part.length;
      if (length > this.#body.length) {
        const larger = new Uint8Array(
          Math.min(this.#size, Math.max(length, 2 * this.#body.length)),
        );
        larger.set(this.#body);
        this.#body = larger;
      }
      this.#body.set(part, this.#bodyLength);
      this.#bodyLength = length;
    }
    this.#left -= part.length;
    if (this.#left === 0) this.#end();
    return part.length;
  }

  #end(): void {
    const body = this.#body;
    this.#body = undefined;
    if (body) this.#sink.message(this.#type, body);
  }
}

/**
 * Returns an agent message with its head.
 *
 * @param capacity The body's size, where it is known to be large.
 */
export function encodeAgentMessage<T>(
  type: number,
  layout: Codec<T>,
  value: T,
  capacity = layout.minBytes,
): Uint8Array {
  const writer = new ByteWriter(AGENT_HEAD.minBytes + capacity);
  AGENT_HEAD.encode(writer, { protocol: AGENT_PROTOCOL, type, opaque: 0n, size: 0 });
  layout.encode(writer, value);
  const bytes = writer.finish();
  new DataView(bytes.buffer).setUint32(
    AGENT_HEAD.minBytes - 4,
    bytes.length - AGENT_HEAD.minBytes,
    true,
  );
  return bytes;
}

/** What sending needs of the main channel. */
export type SenderLink = Pick<PacedLink, "send" | "drained">;

/** A message that waits for tokens. */
interface Outgoing {
  bytes: Uint8Array;
  sent: number;
  done: PromiseWithResolvers<void>;
}

/**
 * Sends agent messages as the server gives tokens: one for each AGENT_DATA. A client that sends
 * without is thrown out.
 */
export class AgentSender {
  readonly #link: SenderLink;
  #tokens = 0;
  #queue: Outgoing[] = [];
  #queuedBytes = 0;
  #isPumping = false;

  constructor(link: SenderLink) {
    this.#link = link;
  }

  /** Whether a message of `size` bytes would be taken now. */
  hasRoom(size = MAX_AGENT_BYTES): boolean {
    return this.#queue.length < MAX_QUEUED_MESSAGES &&
      this.#queuedBytes + size <= MAX_QUEUED_BYTES;
  }

  /** Takes tokens from the server. */
  grant(count: number): void {
    this.#tokens = Math.min(this.#tokens + count, MAX_TOKENS);
    this.#pump();
  }

  /**
   * Sends a message, whose bytes must not change until then. Resolves once its last piece is with
   * the channel; with an aborted `signal` it is taken back, unless it has begun.
   *
   * @throws {SpiceAgentError} when too much waits already.
   * @throws what {@linkcode reset} was given.
   * @throws the signal's reason.
   */
  async send(bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (!this.hasRoom(bytes.length)) {
      throw new SpiceAgentError(
        `Cannot send to the guest's agent: it has not read ${this.#queue.length} messages`,
      );
    }
    const message: Outgoing = { bytes, sent: 0, done: Promise.withResolvers() };
    this.#queue.push(message);
    this.#queuedBytes += bytes.length;
    const onAbort = () => this.#takeBack(message, signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#pump();
    try {
      await message.done.promise;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Forgets tokens and messages: who waits is told `error`. */
  reset(error: unknown): void {
    const queue = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#tokens = 0;
    for (const { done } of queue) done.reject(error);
  }

  #takeBack(message: Outgoing, reason: unknown): void {
    const at = this.#queue.indexOf(message);
    if (at >= 0 && message.sent === 0) {
      this.#queue.splice(at, 1);
      this.#queuedBytes -= message.bytes.length;
    }
    message.done.reject(reason);
  }

  /** Sends what tokens allow. Never rejects. */
  async #pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      let count = 0;
      for (let next; this.#tokens > 0 && (next = this.#queue[0]);) {
        this.#sendPiece(next);
        if (++count % BURST === 0) await this.#link.drained();
      }
    } catch (error) {
      this.reset(error); // the server reads nothing
    } finally {
      this.#isPumping = false;
    }
  }

  #sendPiece(message: Outgoing): void {
    const data = message.bytes.subarray(message.sent, message.sent + AGENT_DATA_BYTES);
    this.#link.send(MAIN_REQUESTS.agent_data, { data });
    this.#tokens--;
    message.sent += data.length;
    if (message.sent < message.bytes.length) return;
    this.#queue.shift();
    this.#queuedBytes -= message.bytes.length;
    message.done.resolve();
  }
}
