/**
 * Messages cut out of a byte stream, and put into one: sizes, not meanings.
 *
 * Every message has a mini header: type (u16) and body size (u32).
 * Source: spice/protocol.h, SpiceMiniDataHeader.
 */
import { concatBytes } from "../base/bytes.ts";
import { ByteWriter, type Codec } from "./codec.ts";
import { SpiceDecodeError } from "./errors.ts";
import type { MessageMemory } from "./memory.ts";

/** Bytes before each body. */
export const HEADER_BYTES = 6;

/** Memory for bodies that come in pieces: what it starts with, and what it keeps afterwards. */
const ASSEMBLY_BYTES = 4096;
/** A column of QEMU's, 32 pixels of a high screen, comes again and again. */
const KEPT_ASSEMBLY_BYTES = 256 * 1024;
/** Of larger bodies that follow each other this closely, in messages, the array is kept, too. */
const NEXT_LARGE_WITHIN = 16;
/** A read is worth its cost from here on. */
const LEAST_ROOM_BYTES = 16 * 1024;

/**
 * Where collected bodies begin beyond a multiple of eight: then the pixels of a draw of QEMU's, which
 * are 93 bytes behind, are aligned and need not be moved to be copied.
 */
const BODY_PHASE = 3;

/** Who is told about messages. */
export interface MessageSink {
  /** Whether nothing may be delivered for now; only looked at behind a message. */
  readonly isHeld?: boolean;
  /**
   * Messages that are followed by one byte which their size does not count, by type: the byte. They
   * are complete once that has come.
   */
  readonly trailers?: ReadonlyMap<number, number>;
  /**
   * Says how many bytes from the body's start the sink wants; the rest is dropped as it arrives.
   * Called once per message, as soon as its header is there; throws to refuse it.
   */
  wants(type: number, size: number): number;
  /**
   * Takes a message that has been read to its end.
   *
   * @param head The wanted bytes; a view that is only valid during the call.
   */
  message(type: number, size: number, head: Uint8Array): void;
}

/**
 * Cuts messages out of chunks of any size. A body that lies within one chunk is passed on without
 * a copy; one in pieces is collected as its bytes arrive, so that a header alone never allocates.
 */
export class MessageSplitter {
  readonly #sink: MessageSink;
  readonly #memory: MessageMemory | undefined;
  readonly #header = new Uint8Array(HEADER_BYTES);
  #headerLength = 0;
  #type = 0;
  /** What the header says. */
  #size = 0;
  /** The byte that follows the body. */
  #trailer: number | undefined;
  /** Bytes after the header: the body's, and one if it has a trailer. */
  #total = 0;
  /** How many of them have yet to come; -1 between messages. */
  #left = -1;
  /** How many are collected: what the sink wants, and all with a trailer. */
  #wanted = 0;
  /** What the sink wants. */
  #delivered = 0;
  #assembly = new Uint8Array(0);
  #assembled = 0;
  /** Messages since the last body that needed more than is kept. */
  #sinceLarge = Infinity;

  /** @param memory What the collected bytes are taken from; without a bound when left out. */
  constructor(sink: MessageSink, memory?: MessageMemory) {
    this.#sink = sink;
    this.#memory = memory;
  }

  /** Whether the stream stands inside a message: it has begun and its end has not come. */
  get insideMessage(): boolean {
    return this.#left >= 0 || this.#headerLength > 0;
  }

  /**
   * Takes the next bytes of the stream and returns how many: all, unless the sink is held.
   *
   * @throws {SpiceLimitError} when the message does not fit in the memory.
   * @throws {SpiceDecodeError} when a message is not followed by the byte that belongs there.
   * @throws what the sink throws; the stream is lost then.
   */
  feed(chunk: Uint8Array): number {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left < 0) {
        at = this.#feedHeader(chunk, at);
        if (this.#left < 0) return at; // the header's end has yet to come
      }
      at = this.#feedBody(chunk, at);
      if (this.#left < 0 && this.#sink.isHeld) return at;
    }
    return at;
  }

  /**
   * Returns where the next bytes of the stream can be read to without a copy: they belong to a body
   * that is being collected, and the memory for them is there. They are told with `filled`; any
   * others go through `feed`.
   */
  room(): Uint8Array | undefined {
    if (this.#left < 0 || this.#assembled === 0) return undefined;
    const end = Math.min(this.#wanted, this.#assembly.length);
    if (end - this.#assembled < LEAST_ROOM_BYTES) return undefined;
    return this.#assembly.subarray(this.#assembled, end);
  }

  /** Takes the next `count` bytes of the stream, which have been read to `room`. */
  filled(count: number): void {
    this.#assembled += count;
    this.#left -= count;
    if (this.#left === 0) this.#complete(this.#assembly.subarray(0, this.#assembled));
  }

  /** Gives the memory back; nothing can be fed afterwards. */
  release(): void {
    this.#resize(0);
  }

  /** Takes header bytes from `chunk`; returns where the body starts. */
  #feedHeader(chunk: Uint8Array, at: number): number {
    let header: Uint8Array = this.#header;
    let from = 0;
    if (this.#headerLength === 0 && chunk.length - at >= HEADER_BYTES) {
      header = chunk;
      from = at;
      at += HEADER_BYTES;
    } else {
      const part = chunk.subarray(at, at + HEADER_BYTES - this.#headerLength);
      header.set(part, this.#headerLength);
      this.#headerLength += part.length;
      at += part.length;
      if (this.#headerLength < HEADER_BYTES) return at;
      this.#headerLength = 0;
    }
    this.#type = header[from]! | header[from + 1]! << 8;
    this.#size = (header[from + 2]! | header[from + 3]! << 8 | header[from + 4]! << 16 |
      header[from + 5]! << 24) >>> 0;
    this.#delivered = Math.min(this.#sink.wants(this.#type, this.#size), this.#size);
    this.#trailer = this.#sink.trailers?.get(this.#type);
    this.#total = this.#trailer === undefined ? this.#size : this.#size + 1;
    this.#wanted = this.#trailer === undefined ? this.#delivered : this.#total;
    this.#left = this.#total;
    return at;
  }

  /** Takes body bytes from `chunk`; returns where they end. */
  #feedBody(chunk: Uint8Array, at: number): number {
    const got = Math.min(this.#left, chunk.length - at);
    const end = at + got;
    const isWhole = got === this.#total;
    if (!isWhole && this.#assembled < this.#wanted) {
      this.#assemble(chunk.subarray(at, Math.min(end, at + this.#wanted - this.#assembled)));
    }
    this.#left -= got;
    if (this.#left > 0) return end;
    this.#complete(
      isWhole ? chunk.subarray(at, at + this.#wanted) : this.#assembly.subarray(0, this.#assembled),
    );
    return end;
  }

  /** Passes a message on whose body has come to its end. */
  #complete(collected: Uint8Array): void {
    this.#left = -1;
    this.#assembled = 0;
    const head = this.#trailer === undefined ? collected : this.#withoutTrailer(collected);
    this.#sink.message(this.#type, this.#size, head);
    if (this.#assembly.length > KEPT_ASSEMBLY_BYTES && this.#sinceLarge > NEXT_LARGE_WITHIN) {
      this.#resize(0);
    }
    this.#sinceLarge = head.length > KEPT_ASSEMBLY_BYTES ? 0 : this.#sinceLarge + 1;
  }

  /** Checks the byte behind a body; returns what the sink wants of the body. */
  #withoutTrailer(collected: Uint8Array): Uint8Array {
    const last = collected[this.#size];
    if (last === this.#trailer) return collected.subarray(0, this.#delivered);
    throw new SpiceDecodeError(
      `Cannot find the end of message ${this.#type}: byte ${last} follows it, ` +
        `expected ${this.#trailer}`,
    );
  }

  #assemble(part: Uint8Array): void {
    if (this.#assembled + part.length > this.#assembly.length) this.#grow(part.length);
    this.#assembly.set(part, this.#assembled);
    this.#assembled += part.length;
  }

  /** Makes room for `count` more bytes, and for as many as there are if so many are to come. */
  #grow(count: number): void {
    const most = Math.max(this.#wanted, ASSEMBLY_BYTES); // doubling need not go beyond
    const doubled = Math.min(this.#assembly.length * 2, most);
    this.#resize(Math.max(this.#assembled + count, doubled, ASSEMBLY_BYTES));
  }

  /** Moves what is collected to an array of `length` bytes. */
  #resize(length: number): void {
    const before = this.#assembly.length;
    if (length > before) this.#memory?.take(length - before);
    else this.#memory?.give(before - length);
    const resized = new Uint8Array(new ArrayBuffer(BODY_PHASE + length), BODY_PHASE);
    if (length > 0) resized.set(this.#assembly.subarray(0, this.#assembled));
    this.#assembly = resized;
  }
}

/** Returns a message with its header as one block. */
export function encodeMessage<T>(type: number, codec: Codec<T>, value: T): Uint8Array {
  const writer = new ByteWriter(HEADER_BYTES + codec.minBytes);
  writer.u16(type);
  writer.u32(0); // the size, known below
  writer.startBody();
  codec.encode(writer, value);
  const bytes = writer.finish();
  new DataView(bytes.buffer).setUint32(2, bytes.length - HEADER_BYTES, true);
  return bytes;
}

/** Returns the messages that `write` adds, one after another, as one block. */
export function encodeMessages(
  write: (
    add: <T>(request: { readonly id: number; readonly body: Codec<T> }, value: T) => void,
  ) => void,
): Uint8Array {
  const parts: Uint8Array[] = [];
  write((request, value) => parts.push(encodeMessage(request.id, request.body, value)));
  return concatBytes(parts);
}
