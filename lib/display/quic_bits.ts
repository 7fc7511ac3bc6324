/** The bit stream of a QUIC image. */
import { ImageError } from "./errors.ts";

/** Words of zeros behind the stream: the codewords of a pixel and a window can reach over its end. */
const SPARE_WORDS = 8;

/**
 * Reads bits: the stream is 32-bit words, little-endian, each used from its highest bit down.
 *
 * Reading is not checked bit by bit. Whoever reads calls `expectInside` at least once for each
 * pixel; until then zeros are read over the end.
 */
export class QuicBits {
  readonly #words: Uint32Array;
  readonly #endBit: number;
  #bit: number;

  /** @param data The stream, which is copied; bytes behind its last whole word are ignored. */
  constructor(data: Uint8Array) {
    const count = data.byteLength >>> 2;
    this.#words = new Uint32Array(count + SPARE_WORDS);
    new Uint8Array(this.#words.buffer).set(data.subarray(0, count * 4));
    this.#endBit = count * 32;
    this.#bit = 0;
  }

  /** Returns the next 32 bits as a signed number, the next one in the sign; moves nothing. */
  window(): number {
    const word = this.#bit >>> 5;
    const used = this.#bit & 31;
    // Two shifts, since a shift by 32 would be one by 0.
    return this.#words[word]! << used | this.#words[word + 1]! >>> 1 >>> (31 - used);
  }

  /** Moves over `count` bits. */
  skip(count: number): void {
    this.#bit += count;
  }

  /** Returns the next word, unsigned, and moves over it. */
  word(): number {
    const value = this.window() >>> 0;
    this.#bit += 32;
    return value;
  }

  /** @throws {ImageError} when more was read than there is. */
  expectInside(): void {
    if (this.#bit > this.#endBit) {
      throw new ImageError(
        `Cannot decode a QUIC image: its data ends after ${this.#endBit >>> 3} bytes, ` +
          `expected more`,
      );
    }
  }
}
