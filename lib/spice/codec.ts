/**
 * Layouts of messages as data: a layout decodes, encodes and carries its TypeScript type.
 *
 * All integers are little-endian and nothing is aligned or padded. Every read is checked against
 * the end of its message, and every count against the bytes left before anything is allocated.
 * Source: spice-common, spice.proto.
 */
import { printable } from "../base/text.ts";
import { SpiceDecodeError } from "./errors.ts";

/**
 * What a message may be read over and over: links may name one place many times, and a small message
 * of such links must not cost the work of a large one.
 */
const MAX_READS_OF_A_BYTE = 4;

/** How many bytes may still be read, by all readers of one body together. */
interface ReadBudget {
  left: number;
}

/** Reads little-endian values from one message body and never beyond it. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #budget: ReadBudget;
  #offset: number;

  /**
   * @param bytes The whole body; borrowed, so what is decoded as `bytes` shares its memory.
   * @param offset Where to start, in bytes from the body's start.
   * @param budget Of another reader of the same body; the body's own when left out.
   */
  constructor(
    bytes: Uint8Array,
    offset = 0,
    budget: ReadBudget = { left: MAX_READS_OF_A_BYTE * bytes.length },
  ) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#budget = budget;
    this.#offset = offset;
  }

  /** Bytes from the body's start to the next read. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes from the next read to the body's end. */
  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  /**
   * Returns a reader of the same body that starts at `offset`: what a link (`ptr`) points at.
   *
   * @param minBytes The least size of what is there.
   * @throws {SpiceDecodeError} unless `offset` and `minBytes` after it lie within the body.
   */
  at(offset: number, minBytes = 0): ByteReader {
    if (!(offset >= 0 && offset + minBytes <= this.#bytes.length)) {
      throw new SpiceDecodeError(
        `Cannot follow a link: offset ${offset} leaves no room for ${minBytes} bytes, ` +
          `expected at most ${this.#bytes.length}`,
      );
    }
    return new ByteReader(this.#bytes, offset, this.#budget);
  }

  /**
   * Returns a reader of part of this body as of a body of its own, in which links count from
   * `offset`: up to `maxBytes`, fewer where this body ends before.
   *
   * @throws {SpiceDecodeError} unless `offset` lies within the body.
   */
  part(offset: number, maxBytes: number): ByteReader {
    const { offset: start } = this.at(offset);
    return new ByteReader(this.#bytes.subarray(start, start + maxBytes), 0, this.#budget);
  }

  /** Moves over `count` bytes and returns where they start. @throws {SpiceDecodeError} */
  #advance(count: number): number {
    const start = this.#offset;
    if (count > this.#bytes.length - start) {
      throw new SpiceDecodeError(
        `Cannot read ${count} bytes at offset ${start}: ${this.#bytes.length - start} are left`,
      );
    }
    this.#budget.left -= count;
    if (this.#budget.left < 0) {
      throw new SpiceDecodeError(
        `Cannot read on at offset ${start}: the message's links name the same bytes too often`,
      );
    }
    this.#offset = start + count;
    return start;
  }

  /** Reads an unsigned byte. @throws {SpiceDecodeError} at the body's end */
  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  /** Reads two bytes, unsigned. @throws {SpiceDecodeError} at the body's end */
  u16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  /** Reads four bytes, unsigned. @throws {SpiceDecodeError} at the body's end */
  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  /** Reads eight bytes, unsigned. @throws {SpiceDecodeError} at the body's end */
  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true);
  }

  /** Reads two bytes, signed. @throws {SpiceDecodeError} at the body's end */
  i16(): number {
    return this.#view.getInt16(this.#advance(2), true);
  }

  /** Reads four bytes, signed. @throws {SpiceDecodeError} at the body's end */
  i32(): number {
    return this.#view.getInt32(this.#advance(4), true);
  }

  /** Reads eight bytes, signed. @throws {SpiceDecodeError} at the body's end */
  i64(): bigint {
    return this.#view.getBigInt64(this.#advance(8), true);
  }

  /** Returns the next `count` bytes, a view of the body. @throws {SpiceDecodeError} at its end */
  bytes(count: number): Uint8Array {
    const start = this.#advance(count);
    return this.#bytes.subarray(start, start + count);
  }

  /**
   * Checks a count that was read, before anything is allocated for it.
   *
   * @throws {SpiceDecodeError} if `count` items of at least `itemBytes` cannot be in what is left.
   */
  expectItems(count: number, itemBytes: number): void {
    if (count * itemBytes > this.remaining) {
      throw new SpiceDecodeError(
        `Cannot read ${count} items of ${itemBytes} bytes at offset ${this.#offset}: ` +
          `${this.remaining} bytes are left`,
      );
    }
  }
}

/** Collects little-endian values into one message body. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;
  #bodyStart = 0;
  #links: { at: number; write: () => void }[] = [];

  /** @param capacity Bytes to start with; it grows as needed. */
  constructor(capacity = 64) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** Says that the body starts here: links are counted from this place. */
  startBody(): void {
    this.#bodyStart = this.#length;
  }

  /** Writes a link (u32) to what `write` will write behind everything else. */
  link(write: () => void): void {
    this.#links.push({ at: this.#length, write });
    this.u32(0); // the offset, known in finish()
  }

  /** Writes what links name, and returns all of it, a view that the next write may change. */
  finish(): Uint8Array<ArrayBuffer> {
    for (let link; (link = this.#links.shift());) {
      this.#view.setUint32(link.at, this.#length - this.#bodyStart, true);
      link.write(); // may add links of its own
    }
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(count: number): number {
    const start = this.#length;
    const end = start + count;
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#length = end;
    return start;
  }

  /** Writes an unsigned byte. */
  u8(value: number): void {
    const at = this.#grow(1); // may replace the view
    this.#view.setUint8(at, value);
  }

  /** Writes two bytes, unsigned. */
  u16(value: number): void {
    const at = this.#grow(2); // may replace the view
    this.#view.setUint16(at, value, true);
  }

  /** Writes four bytes, unsigned. */
  u32(value: number): void {
    const at = this.#grow(4); // may replace the view
    this.#view.setUint32(at, value, true);
  }

  /** Writes eight bytes, unsigned. */
  u64(value: bigint): void {
    const at = this.#grow(8); // may replace the view
    this.#view.setBigUint64(at, value, true);
  }

  /** Writes two bytes, signed. */
  i16(value: number): void {
    const at = this.#grow(2); // may replace the view
    this.#view.setInt16(at, value, true);
  }

  /** Writes four bytes, signed. */
  i32(value: number): void {
    const at = this.#grow(4); // may replace the view
    this.#view.setInt32(at, value, true);
  }

  /** Writes eight bytes, signed. */
  i64(value: bigint): void {
    const at = this.#grow(8); // may replace the view
    this.#view.setBigInt64(at, value, true);
  }

  /** Writes bytes as they are. */
  bytes(value: Uint8Array): void {
    const start = this.#grow(value.length);
    this.#bytes.set(value, start);
  }
}

/** The layout of one value on the wire. */
export interface Codec<T> {
  /** The least number of bytes that a value takes. */
  readonly minBytes: number;
  /** Reads a value. @throws {SpiceDecodeError} if it does not fit in what is left */
  decode(reader: ByteReader): T;
  /** Writes a value. @throws {RangeError} if it is outside of what the field can hold */
  encode(writer: ByteWriter, value: T): void;
}

/** The TypeScript type of what a layout decodes. */
export type Decoded<C> = C extends Codec<infer T> ? T : never;

/** Makes the layout of an integer; `min` and `max` are what the field can hold. */
function integer<T extends number | bigint>(
  name: "u8" | "u16" | "u32" | "u64" | "i16" | "i32" | "i64",
  minBytes: number,
  min: T,
  max: T,
): Codec<T> {
  return {
    minBytes,
    decode: (reader) => reader[name]() as T,
    encode(writer, value) {
      if (!(value >= min && value <= max) || (typeof value === "number" && value % 1 !== 0)) {
        throw new RangeError(`Cannot encode ${value} as ${name}: expected ${min} to ${max}`);
      }
      (writer[name] as (value: T) => void).call(writer, value);
    },
  };
}

/** One byte, unsigned. */
export const u8: Codec<number> = integer("u8", 1, 0, 0xff);
/** Two bytes, unsigned. */
export const u16: Codec<number> = integer("u16", 2, 0, 0xffff);
/** Four bytes, unsigned. */
export const u32: Codec<number> = integer("u32", 4, 0, 0xffff_ffff);
/** Eight bytes, unsigned. */
export const u64: Codec<bigint> = integer("u64", 8, 0n, (1n << 64n) - 1n);
/** Two bytes, signed. */
export const i16: Codec<number> = integer("i16", 2, -0x8000, 0x7fff);
/** Four bytes, signed. */
export const i32: Codec<number> = integer("i32", 4, -0x8000_0000, 0x7fff_ffff);
/** Eight bytes, signed. */
export const i64: Codec<bigint> = integer("i64", 8, -(1n << 63n), (1n << 63n) - 1n);

/** Exactly `count` bytes; decoded as a view of the body. */
export function fixedBytes(count: number): Codec<Uint8Array> {
  return {
    minBytes: count,
    decode: (reader) => reader.bytes(count),
    encode(writer, value) {
      if (value.length !== count) {
        throw new RangeError(`Cannot encode ${value.length} bytes: expected ${count}`);
      }
      writer.bytes(value);
    },
  };
}

/**
 * Returns UTF-8 text up to its first zero byte, with control characters replaced and at most 4096
 * characters kept, so that it is safe to show.
 */
export function shownText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return printable(new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end)));
}

/**
 * A count of bytes (u32), then UTF-8 text. Decoded as by {@linkcode shownText}; encoded with a zero
 * byte at the end.
 */
export const countedText: Codec<string> = {
  minBytes: 4,
  decode: (reader) => shownText(reader.bytes(reader.u32())),
  encode(writer, value) {
    const bytes = new TextEncoder().encode(value);
    writer.u32(bytes.length + 1);
    writer.bytes(bytes);
    writer.u8(0);
  },
};

/** A message without a body. */
export const empty: Codec<Record<never, never>> = {
  minBytes: 0,
  decode: () => ({}),
  encode() {},
};

// deno-lint-ignore no-explicit-any -- a field may have any type; the struct's type is inferred
type Fields = Readonly<Record<string, Codec<any>>>;

/** Fields one after another, in the order in which they are written down. */
export function struct<F extends Fields>(fields: F): Codec<{ [K in keyof F]: Decoded<F[K]> }> {
  type Value = { [K in keyof F]: Decoded<F[K]> };
  const entries = Object.entries(fields) as [keyof F & string, Codec<unknown>][];
  return {
    minBytes: entries.reduce((sum, [, codec]) => sum + codec.minBytes, 0),
    decode(reader) {
      const value: Partial<Record<string, unknown>> = {};
      for (const [name, codec] of entries) value[name] = codec.decode(reader);
      return value as Value;
    },
    encode(writer, value) {
      for (const [name, codec] of entries) codec.encode(writer, value[name]);
    },
  };
}

/**
 * A head that holds `count`, then that many items.
 *
 * The count is checked against the bytes left before the list is made; encoding takes it from the
 * list's length.
 *
 * @throws {RangeError} if an item may take no bytes at all: then no count would be too large.
 */
export function countedList<H extends { count: number }, T>(
  head: Codec<H>,
  item: Codec<T>,
): Codec<H & { items: T[] }> {
  if (item.minBytes < 1) throw new RangeError("Cannot count items without bytes");
  return {
    minBytes: head.minBytes,
    decode(reader) {
      const start = head.decode(reader);
      reader.expectItems(start.count, item.minBytes);
      return { ...start, items: Array.from({ length: start.count }, () => item.decode(reader)) };
    },
    encode(writer, value) {
      head.encode(writer, { ...value, count: value.items.length });
      for (const one of value.items) item.encode(writer, one);
    },
  };
}

/**
 * A link (u32) to a value further on in the same body; 0 is none, decoded as undefined.
 *
 * Decoding refuses a link that does not lead forward: nothing can lead to itself then.
 */
export function pointer<T>(target: Codec<T>): Codec<T | undefined> {
  return {
    minBytes: 4,
    decode(reader) {
      const offset = reader.u32();
      if (offset === 0) return undefined;
      if (offset < reader.offset) {
        throw new SpiceDecodeError(
          `Cannot follow a link at offset ${reader.offset - 4}: it leads back to ${offset}`,
        );
      }
      return target.decode(reader.at(offset, target.minBytes));
    },
    encode(writer, value) {
      if (value === undefined) writer.u32(0);
      else writer.link(() => target.encode(writer, value));
    },
  };
}

/** A count (u32), then that many bytes; decoded as a view of the body. */
export const countedBytes: Codec<Uint8Array> = {
  minBytes: 4,
  decode: (reader) => reader.bytes(reader.u32()),
  encode(writer, value) {
    writer.u32(value.length);
    writer.bytes(value);
  },
};

/** All bytes up to the body's end; decoded as a view of the body. */
export const restBytes: Codec<Uint8Array> = {
  minBytes: 0,
  decode: (reader) => reader.bytes(reader.remaining),
  encode: (writer, value) => writer.bytes(value),
};

/**
 * As many items as there are up to the body's end; bytes too few for one more are left unread.
 *
 * @throws {RangeError} if an item may take no bytes at all: then the list would have no end.
 */
export function restList<T>(item: Codec<T>): Codec<T[]> {
  if (item.minBytes < 1) throw new RangeError("Cannot count items without bytes");
  return {
    minBytes: 0,
    decode(reader) {
      const items: T[] = [];
      while (reader.remaining >= item.minBytes) items.push(item.decode(reader));
      return items;
    },
    encode(writer, value) {
      for (const one of value) item.encode(writer, one);
    },
  };
}

/** An entry of a message table: the name of a message and its layout. */
export interface Message<N extends string, T> extends Codec<T> {
  /** The message's name as spice.proto spells it. */
  readonly name: N;
}

/** Makes an entry of a message table. */
export function message<N extends string, T>(name: N, codec: Codec<T>): Message<N, T> {
  return { name, ...codec };
}
