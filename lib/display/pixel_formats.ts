/**
 * How the pixels of each surface format are kept, and how colours get into and out of them.
 *
 * A pixel is one u32, 0xAARRGGBB, whatever the format. What has fewer bits is expanded by repeating
 * them, as pixman does when it reads such pixels. Since every bit of an expanded pixel is a copy of
 * one bit of the pixel meant, raster operations give the same result on both.
 */

/** What a surface's pixels are. Source: spice/enums.h, SPICE_SURFACE_FMT. */
export interface PixelFormat {
  /** The format's name in messages to people. */
  readonly name: string;
  /** Whether the A byte says how opaque a pixel is; otherwise it is left as it comes. */
  readonly hasAlpha: boolean;
  /** Returns the pixel for a brush's colour or a palette's entry, which are in the format's own bits. */
  fromNative(value: number): number;
  /** Returns the nearest pixel of the format; `undefined` where every pixel is one. */
  readonly nearest: ((pixel: number) => number) | undefined;
  /** What of a pixel is compared with a colour key. */
  readonly keyMask: number;
  /** Returns the pixel of a colour key, which is 0x00RRGGBB. */
  fromKey(color: number): number;
  /** Whether bitmaps with a palette can be drawn: entries are in the format's own bits. */
  readonly takesPalettes: boolean;
}

/** Repeats the bits of a five-bit value. */
function expand5(value: number): number {
  return value << 3 | value >> 2;
}

/** Expands x1r5g5b5; the unused bit goes to the A byte, so that raster operations keep it. */
export function expand555(value: number): number {
  const a = (value & 0x8000) !== 0 ? 0xff000000 : 0;
  const red = expand5(value >> 10 & 0x1f);
  const green = expand5(value >> 5 & 0x1f);
  return (a | red << 16 | green << 8 | expand5(value & 0x1f)) >>> 0;
}

/** Expands r5g6b5. */
function expand565(value: number): number {
  const green = value >> 5 & 0x3f;
  return expand5(value >> 11 & 0x1f) << 16 | (green << 2 | green >> 4) << 8 | expand5(value & 0x1f);
}

function nearest555(pixel: number): number {
  const top = pixel & 0xf8f8f8;
  return top | top >> 5 & 0x070707;
}

function nearest565(pixel: number): number {
  const top = pixel & 0xf8fcf8;
  return top | top >> 5 & 0x070007 | top >> 6 & 0x000300;
}

const direct = {
  fromNative: (value: number) => value >>> 0,
  nearest: undefined,
  keyMask: 0xffffff,
  fromKey: (color: number) => color & 0xffffff,
  takesPalettes: true,
};
const alphaOnly = {
  hasAlpha: true,
  keyMask: 0xff000000 | 0,
  fromKey: () => 0,
  takesPalettes: false,
};

/** xRGB, the format of nearly every screen. */
export const XRGB: PixelFormat = { name: "xRGB", hasAlpha: false, ...direct };
/** ARGB, premultiplied. */
export const ARGB: PixelFormat = { name: "ARGB", hasAlpha: true, ...direct };
/** x1r5g5b5. */
export const X1R5G5B5: PixelFormat = {
  name: "x1r5g5b5",
  hasAlpha: false,
  fromNative: expand555,
  nearest: nearest555,
  keyMask: -1,
  fromKey: (color) => nearest555(color & 0xffffff),
  takesPalettes: true,
};
/** r5g6b5. */
const R5G6B5: PixelFormat = {
  name: "r5g6b5",
  hasAlpha: false,
  fromNative: expand565,
  nearest: nearest565,
  keyMask: 0xffffff,
  fromKey: (color) => nearest565(color & 0xffffff),
  takesPalettes: false,
};
/** Opacity alone, 8 bits: kept in the A byte, the others are 0. */
export const A8: PixelFormat = {
  name: "A8",
  ...alphaOnly,
  fromNative: (value) => value << 24 >>> 0,
  nearest: (pixel) => (pixel & 0xff000000) >>> 0,
};
/** Opacity alone, one bit: the A byte is 0 or 255. */
export const A1: PixelFormat = {
  name: "A1",
  ...alphaOnly,
  fromNative: (value) => (value & 1) !== 0 ? 0xff000000 : 0,
  nearest: (pixel) => (pixel & 0x80000000) !== 0 ? 0xff000000 : 0,
};

/** Formats by their number on the wire. */
export const PIXEL_FORMATS: ReadonlyMap<number, PixelFormat> = new Map([
  [1, A1],
  [8, A8],
  [16, X1R5G5B5],
  [80, R5G6B5],
  [32, XRGB],
  [96, ARGB],
]);
