/**
 * The kinds of pixel that SPICE's LZ and GLZ code. Both formats are one stream of literal pixels and
 * of matches with earlier pixels, and differ only in how a match is written.
 *
 * Source: spice-common lz_decompress_tmpl.c; spice-gtk decode-glz-tmpl.c.
 */
import { expand555 } from "./pixel_formats.ts";

/** Receives the pixels of a stream in the order in which they are coded. */
export interface LzPixels {
  /** How many there are when the stream is complete. */
  readonly length: number;
  /** Bytes that one literal pixel takes in the stream. */
  readonly literalBytes: number;
  /** By how much a match is longer than its length as coded. */
  readonly extraLength: number;

  /** Takes `count` literals from `input` at `at`. The caller has checked that they are there. */
  literals(input: Uint8Array, at: number, to: number, count: number): void;

  /**
   * Copies `length` pixels that were decoded earlier, one after the other, so that a match may reach
   * into what it writes. The caller has checked that source and target are there.
   *
   * @param source Another image, or undefined for this one.
   */
  copy(from: number, to: number, length: number, source?: Uint32Array): void;
}

/** Up to this many pixels, a loop is faster than a call of the typed array's own methods. */
const SHORT = 24;

/** Colours of three bytes B G R; the A byte of the result is what it is in the source of a match. */
export class RgbPixels implements LzPixels {
  readonly literalBytes: number = 3;
  readonly extraLength: number = 0;
  readonly length: number;

  constructor(protected readonly pixels: Uint32Array) {
    this.length = pixels.length;
  }

  literals(input: Uint8Array, at: number, to: number, count: number): void {
    const { pixels } = this;
    for (let i = 0, from = at; i < count; i++, from += 3) {
      pixels[to + i] = input[from]! | input[from + 1]! << 8 | input[from + 2]! << 16;
    }
  }

  copy(from: number, to: number, length: number, source?: Uint32Array): void {
    const { pixels } = this;
    if (length <= SHORT) {
      const origin = source ?? pixels;
      for (let i = 0; i < length; i++) pixels[to + i] = origin[from + i]!;
    } else if (source !== undefined) pixels.set(source.subarray(from, from + length), to);
    else if (to - from === 1) pixels.fill(pixels[from]!, to, to + length);
    else if (to - from >= length) pixels.copyWithin(to, from, from + length);
    else for (let i = 0; i < length; i++) pixels[to + i] = pixels[from + i]!;
  }
}

/** Colours of 15 bits, the high byte first, widened to 24. */
export class Rgb16Pixels extends RgbPixels {
  override readonly literalBytes = 2;
  override readonly extraLength = 1;

  override literals(input: Uint8Array, at: number, to: number, count: number): void {
    const { pixels } = this;
    for (let i = 0, from = at; i < count; i++, from += 2) {
      pixels[to + i] = widen(input[from]! << 8 | input[from + 1]!);
    }
  }
}

/** Widens a colour x1r5g5b5 to 0x00RRGGBB; its unused bit is dropped. */
export function widen(color: number): number {
  return expand555(color & 0x7fff);
}

/** The A bytes of pixels whose colours are there already. */
export class AlphaPixels implements LzPixels {
  readonly literalBytes = 1;
  readonly extraLength = 2;
  readonly length: number;

  constructor(private readonly pixels: Uint32Array) {
    this.length = pixels.length;
  }

  literals(input: Uint8Array, at: number, to: number, count: number): void {
    const { pixels } = this;
    for (let i = 0; i < count; i++) {
      pixels[to + i] = pixels[to + i]! & 0xffffff | input[at + i]! << 24;
    }
  }

  copy(from: number, to: number, length: number, source = this.pixels): void {
    const { pixels } = this;
    for (let i = 0; i < length; i++) {
      pixels[to + i] = pixels[to + i]! & 0xffffff | source[from + i]! & 0xff000000;
    }
  }
}

/** Whole bytes: indices of a palette, several of them in one where they are small, or A alone. */
export class BytePixels implements LzPixels {
  readonly literalBytes = 1;
  readonly extraLength = 2;
  readonly length: number;

  constructor(private readonly bytes: Uint8Array) {
    this.length = bytes.length;
  }

  literals(input: Uint8Array, at: number, to: number, count: number): void {
    const { bytes } = this;
    for (let i = 0; i < count; i++) bytes[to + i] = input[at + i]!;
  }

  copy(from: number, to: number, length: number): void {
    const { bytes } = this;
    if (length > SHORT && to - from === 1) bytes.fill(bytes[from]!, to, to + length);
    else if (length > SHORT && to - from >= length) bytes.copyWithin(to, from, from + length);
    else for (let i = 0; i < length; i++) bytes[to + i] = bytes[from + i]!;
  }
}
