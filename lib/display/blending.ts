/** Blending by opacity: Porter and Duff's OVER on premultiplied pixels, rounded as pixman does. */
import type { Combine } from "./combine.ts";
import type { PixelFormat } from "./pixel_formats.ts";

/** Two of a pixel's four bytes, each with room for a carry. */
const PAIR = 0x00ff00ff;

/** Multiplies two bytes of a pixel by `factor` / 255, rounded. */
function scalePair(pair: number, factor: number): number {
  const product = Math.imul(pair, factor) + 0x00800080;
  return product + (product >>> 8 & PAIR) >>> 8 & PAIR;
}

/** Adds two bytes each, at most 255. */
function addPair(a: number, b: number): number {
  const sum = a + b;
  return (sum | 0x01000100 - (sum >>> 8 & PAIR)) & PAIR;
}

/** Returns `source` over `dest`. */
export function over(source: number, dest: number): number {
  const rest = 255 - (source >>> 24);
  const low = addPair(source & PAIR, scalePair(dest & PAIR, rest));
  const high = addPair(source >>> 8 & PAIR, scalePair(dest >>> 8 & PAIR, rest));
  return (low | high << 8) >>> 0;
}

/** Returns a pixel that is `alpha` / 255 as opaque. */
export function fade(pixel: number, alpha: number): number {
  const low = scalePair(pixel & PAIR, alpha);
  return (low | scalePair(pixel >>> 8 & PAIR, alpha) << 8) >>> 0;
}

/** How an image is blended. */
export interface BlendOptions {
  /** How opaque the whole image is, 0 to 255. */
  alpha: number;
  /** Whether the A byte of the image's pixels is opacity. */
  hasSourceAlpha: boolean;
  /** What the surface's pixels are. */
  onto: PixelFormat;
}

/** Puts pixels over those that are there. */
export function overCombine(options: BlendOptions): Combine {
  const { alpha, hasSourceAlpha, onto } = options;
  const opaque = hasSourceAlpha ? 0 : 0xff000000;
  const { nearest } = onto;
  return (dest, to, src, from, count) => {
    for (let i = 0; i < count; i++) {
      let source = src[from + i]! | opaque;
      if (alpha !== 255) source = fade(source, alpha);
      const pixel = over(source, dest[to + i]!);
      dest[to + i] = nearest ? nearest(pixel) : pixel;
    }
  };
}
