/**
 * Binary property lists. `bplist-parser` follows references without end and trusts every count, so
 * the object table is walked and checked here first.
 *
 * Source: Apple's CFBinaryPList.c, "HEADER, OBJECT TABLE, OFFSET TABLE, TRAILER".
 */
import { Buffer } from "node:buffer";
import { parseBuffer, UID } from "bplist-parser";
import {
  MAX_PLIST_BYTES,
  MAX_PLIST_DEPTH,
  MAX_PLIST_VALUES,
  type PlistDict,
  plistError,
  type PlistValue,
} from "./plist_value.ts";

const HEADER_BYTES = 8;
const TRAILER_BYTES = 32;
/** Bytes of text and data once references are followed; one object may be used many times. */
const MAX_EXPANDED_BYTES = 4 * MAX_PLIST_BYTES;

/**
 * Reads the root value.
 *
 * @throws {BundleError} with the position of the byte that is wrong.
 */
export function parseBinaryPlist(bytes: Uint8Array, file: string): PlistValue {
  new ObjectTable(bytes, file).check();
  try {
    return toValue(
      parseBuffer<unknown>(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))[0],
    );
  } catch (cause) {
    throw plistError(file, "it is a binary property list that cannot be decoded", cause);
  }
}

/** Copies the library's value into ours; only own keys count. */
function toValue(value: unknown): PlistValue {
  if (Array.isArray(value)) return value.map(toValue);
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (value instanceof Date) return value;
  if (value instanceof UID) return value.UID;
  if (value !== null && typeof value === "object") {
    const entries = Object.entries(value).map(([key, item]) => [key, toValue(item)] as const);
    return new Map(entries) satisfies PlistDict;
  }
  return value as PlistValue;
}

/** The tables of one file; every read is bounds-checked. */
class ObjectTable {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #file: string;
  #offsetBytes = 0;
  #referenceBytes = 0;
  #count = 0;
  #tableStart = 0;
  #visits = 0;
  #expandedBytes = 0;

  constructor(bytes: Uint8Array, file: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#file = file;
  }

  #fail(at: number, what: string): never {
    throw plistError(this.#file, `byte ${at}: ${what}`);
  }

  /** Checks header, trailer and everything that can be reached from the root. */
  check(): void {
    const end = this.#bytes.length - TRAILER_BYTES;
    if (end < HEADER_BYTES) this.#fail(this.#bytes.length, "the file ends before its trailer");
    const version = String.fromCharCode(...this.#bytes.subarray(0, HEADER_BYTES));
    if (version !== "bplist00") this.#fail(0, "the header is not that of version 00");
    this.#offsetBytes = this.#view.getUint8(end + 6);
    this.#referenceBytes = this.#view.getUint8(end + 7);
    if (!(this.#offsetBytes >= 1 && this.#offsetBytes <= 8)) {
      this.#fail(end + 6, `offsets have ${this.#offsetBytes} bytes, expected 1 to 8`);
    }
    if (!(this.#referenceBytes >= 1 && this.#referenceBytes <= 8)) {
      this.#fail(end + 7, `references have ${this.#referenceBytes} bytes, expected 1 to 8`);
    }
    const count = this.#view.getBigUint64(end + 8);
    const top = this.#view.getBigUint64(end + 16);
    const start = this.#view.getBigUint64(end + 24);
    if (count < 1n || count > BigInt(Math.min(MAX_PLIST_VALUES, 32768))) {
      this.#fail(end + 8, `there are ${count} objects, expected 1 to 32768`);
    }
    this.#count = Number(count);
    if (start < BigInt(HEADER_BYTES) || start + count * BigInt(this.#offsetBytes) > BigInt(end)) {
      this.#fail(end + 24, `the offset table is at ${start}, expected it inside the file`);
    }
    this.#tableStart = Number(start);
    if (top >= count) this.#fail(end + 16, `the root is object ${top} of ${count}`);
    this.#visit(Number(top), 0);
  }

  /** A big-endian unsigned number of 1 to 8 bytes. */
  #number(at: number, length: number): number {
    let value = 0;
    for (let index = 0; index < length; index++) value = value * 256 + this.#bytes[at + index]!;
    return value;
  }

  /** Where object `reference` begins. */
  #locate(reference: number, from: number): number {
    if (reference >= this.#count) {
      this.#fail(from, `reference to object ${reference} of ${this.#count}`);
    }
    const entry = this.#tableStart + reference * this.#offsetBytes;
    const at = this.#number(entry, this.#offsetBytes);
    if (at < HEADER_BYTES || at >= this.#tableStart) {
      this.#fail(
        entry,
        `an object is said to be at byte ${at}, expected it before the offset table`,
      );
    }
    return at;
  }

  /** Fails if `length` bytes at `at` reach into the offset table. */
  #inside(at: number, length: number): void {
    if (length > this.#tableStart - at) this.#fail(at, "an object is longer than the file");
  }

  /** The element count in an object's head, and where its elements begin. */
  #head(at: number): [count: number, start: number] {
    const low = this.#bytes[at]! & 0x0f;
    if (low !== 0x0f) return [low, at + 1];
    this.#inside(at, 2);
    const marker = this.#bytes[at + 1]!;
    const width = 2 ** (marker & 0x0f);
    if (marker >> 4 !== 1 || width > 8) {
      this.#fail(at + 1, "a count is not an integer of 8 bytes at most");
    }
    this.#inside(at + 2, width);
    return [this.#number(at + 2, width), at + 2 + width];
  }

  /**
   * Checks one object and what it holds. Shared objects are visited once for each use, since that is
   * how often the library copies them: so the number of visits bounds its work.
   */
  #visit(reference: number, depth: number, from = this.#tableStart): number {
    const at = this.#locate(reference, from);
    if (++this.#visits > MAX_PLIST_VALUES) {
      this.#fail(at, `more than ${MAX_PLIST_VALUES} values once references are followed`);
    }
    if (depth > MAX_PLIST_DEPTH) {
      this.#fail(at, `objects nest more than ${MAX_PLIST_DEPTH} deep, or contain themselves`);
    }
    const kind = this.#bytes[at]! >> 4;
    const low = this.#bytes[at]! & 0x0f;
    switch (kind) {
      case 0x0:
        if (low !== 0x8 && low !== 0x9) this.#fail(at, "neither true nor false");
        break;
      case 0x1:
        if (low > 4) this.#fail(at, `an integer has ${2 ** low} bytes, expected 16 at most`);
        this.#inside(at + 1, 2 ** low);
        break;
      case 0x2:
        if (low !== 2 && low !== 3) this.#fail(at, "a real number has neither 4 nor 8 bytes");
        this.#inside(at + 1, 2 ** low);
        break;
      case 0x3:
        if (low !== 3) this.#fail(at, "a date does not have 8 bytes");
        this.#inside(at + 1, 8);
        break;
      case 0x8:
        this.#inside(at + 1, low + 1);
        break;
      case 0x4:
      case 0x5:
      case 0x6: {
        const [count, start] = this.#head(at);
        const length = kind === 0x6 ? 2 * count : count;
        this.#inside(start, length);
        this.#expandedBytes += length;
        if (this.#expandedBytes > MAX_EXPANDED_BYTES) {
          this.#fail(at, `more than ${MAX_EXPANDED_BYTES} bytes once references are followed`);
        }
        break;
      }
      case 0xa:
      case 0xd: {
        const [count, start] = this.#head(at);
        this.#inside(start, count * this.#referenceBytes * (kind === 0xd ? 2 : 1));
        this.#visitAll(start, count, depth, kind === 0xd);
        break;
      }
      default:
        this.#fail(
          at,
          `the object's type is 0x${kind.toString(16)}, which property lists do not have`,
        );
    }
    return at;
  }

  /** Checks the references of an array, or the keys and values of a dictionary. */
  #visitAll(start: number, count: number, depth: number, dict: boolean): void {
    const keys = new Set<string>();
    for (let index = 0; index < (dict ? 2 * count : count); index++) {
      const from = start + index * this.#referenceBytes;
      const at = this.#visit(this.#number(from, this.#referenceBytes), depth + 1, from);
      if (!dict || index >= count) continue;
      const kind = this.#bytes[at]! >> 4;
      if (kind !== 0x5 && kind !== 0x6) this.#fail(at, "a key is not a string");
      const [length, begin] = this.#head(at);
      const key = this.#text(begin, length, kind === 0x6);
      if (keys.has(key)) this.#fail(at, `the key "${key}" is there twice, expected once`);
      keys.add(key);
    }
  }

  #text(start: number, length: number, wide: boolean): string {
    const width = wide ? 2 : 1;
    let text = "";
    for (let index = 0; index < length; index++) {
      text += String.fromCharCode(this.#number(start + index * width, width));
    }
    return text;
  }
}
