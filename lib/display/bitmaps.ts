/** Bitmaps of every format, as they stand in a message, made into pixels. */
import type { Bitmap } from "../spice/image_layouts.ts";
import type { Rect } from "../spice/draw_layouts.ts";
import type { MaskRows } from "./mask.ts";
import { NotDrawnError } from "./not_drawn.ts";
import { A8, ARGB, expand555, type PixelFormat, X1R5G5B5, XRGB } from "./pixel_formats.ts";
import { isAllowedSize } from "./surface.ts";

/** Bit of a bitmap's flags: the first row is the top one. Source: spice/enums.h. */
const TOP_DOWN = 4;

/** Formats of bitmaps. Source: spice/enums.h, SPICE_BITMAP_FMT. */
export const BITMAP = {
  bit1Le: 1,
  bit1Be: 2,
  bit4Le: 3,
  bit4Be: 4,
  bit8: 5,
  bit16: 6,
  bit24: 7,
  bit32: 8,
  rgba: 9,
  alpha8: 10,
} as const;

/** Bits of a pixel, by format. */
const BITS: Readonly<Record<number, number>> = {
  [BITMAP.bit1Le]: 1,
  [BITMAP.bit1Be]: 1,
  [BITMAP.bit4Le]: 4,
  [BITMAP.bit4Be]: 4,
  [BITMAP.bit8]: 8,
  [BITMAP.bit16]: 16,
  [BITMAP.bit24]: 24,
  [BITMAP.bit32]: 32,
  [BITMAP.rgba]: 32,
  [BITMAP.alpha8]: 8,
};

/** What the pixels of formats without a palette are. */
const DIRECT: ReadonlyMap<number, PixelFormat> = new Map([
  [BITMAP.bit16, X1R5G5B5],
  [BITMAP.bit24, XRGB],
  [BITMAP.bit32, XRGB],
  [BITMAP.rgba, ARGB],
  [BITMAP.alpha8, A8],
]);

/** Whether a bitmap's pixels are those of a surface with 32 bits, bit by bit. */
export function isWords({ format }: Bitmap): boolean {
  return format === BITMAP.bit32 || format === BITMAP.rgba;
}

/** Whether the pixels of a bitmap are indices of a palette. */
export function isIndexed({ format }: Bitmap): boolean {
  return format >= BITMAP.bit1Le && format <= BITMAP.bit8;
}

/** Whether the first row of a bitmap is the top one. */
export function isTopDown({ flags }: Bitmap): boolean {
  return (flags & TOP_DOWN) !== 0;
}

/**
 * Checks that a bitmap is what its image says and that its data holds all rows.
 *
 * @throws {NotDrawnError}
 */
export function checkBitmap(bitmap: Bitmap, image: { width: number; height: number }): void {
  const bits = BITS[bitmap.format];
  if (bits === undefined) throw new NotDrawnError("a bitmap of an unknown format");
  if (bitmap.width !== image.width || bitmap.height !== image.height) {
    throw new NotDrawnError("a bitmap of another size than its image");
  }
  if (!isAllowedSize(bitmap.width, bitmap.height)) {
    throw new NotDrawnError("an image of a size beyond the limits");
  }
  if (
    bitmap.strideBytes < Math.ceil(bitmap.width * bits / 8) ||
    bitmap.data.length < bitmap.strideBytes * bitmap.height
  ) throw new NotDrawnError("a bitmap with too few bytes");
}

/**
 * Returns what the pixels of a bitmap are on a surface of the format `onto`. Entries of a palette
 * are pixels of it.
 *
 * @param isOriginal Whether their A byte is wanted as opacity, where `onto` has it.
 */
export function bitmapFormat(bitmap: Bitmap, onto: PixelFormat, isOriginal: boolean): PixelFormat {
  return DIRECT.get(bitmap.format) ?? (onto === ARGB && !isOriginal ? XRGB : onto);
}

/**
 * Returns the pixels of a part of a bitmap, rows top-down.
 *
 * @param bitmap Has been checked ({@linkcode checkBitmap}).
 * @param part Lies within the bitmap.
 * @param colors The palette as pixels, 256 of them; needed only for indexed formats.
 */
export function bitmapPixels(bitmap: Bitmap, part: Rect, colors: Uint32Array): Uint32Array {
  const width = part.right - part.left;
  const height = part.bottom - part.top;
  const pixels = new Uint32Array(width * height);
  const { data, strideBytes } = bitmap;
  const step = isTopDown(bitmap) ? strideBytes : -strideBytes;
  let row = strideBytes * (isTopDown(bitmap) ? part.top : bitmap.height - 1 - part.top);
  const readRow = ROW_READERS[bitmap.format]!;
  for (let y = 0; y < height; y++, row += step) {
    readRow(data, row, part.left, pixels.subarray(y * width, (y + 1) * width), colors);
  }
  return pixels;
}

/** Fills `pixels` from the row that starts at byte `row` of `data`, from its pixel `left` on. */
type RowReader = (
  data: Uint8Array,
  row: number,
  left: number,
  pixels: Uint32Array,
  colors: Uint32Array,
) => void;

const readWords: RowReader = (data, row, left, pixels) => {
  const start = row + left * 4;
  new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength)
    .set(data.subarray(start, start + pixels.byteLength));
};

const ROW_READERS: Readonly<Record<number, RowReader>> = {
  [BITMAP.bit1Le]: (data, row, left, pixels, colors) => {
    for (let i = 0; i < pixels.length; i++) {
      const x = left + i;
      pixels[i] = colors[data[row + (x >> 3)]! >> (x & 7) & 1]!;
    }
  },
  [BITMAP.bit1Be]: (data, row, left, pixels, colors) => {
    for (let i = 0; i < pixels.length; i++) {
      const x = left + i;
      pixels[i] = colors[data[row + (x >> 3)]! >> (7 - (x & 7)) & 1]!;
    }
  },
  [BITMAP.bit4Le]: (data, row, left, pixels, colors) => {
    for (let i = 0; i < pixels.length; i++) {
      const x = left + i;
      pixels[i] = colors[data[row + (x >> 1)]! >> ((x & 1) * 4) & 15]!;
    }
  },
  [BITMAP.bit4Be]: (data, row, left, pixels, colors) => {
    for (let i = 0; i < pixels.length; i++) {
      const x = left + i;
      pixels[i] = colors[data[row + (x >> 1)]! >> (4 - (x & 1) * 4) & 15]!;
    }
  },
  [BITMAP.bit8]: (data, row, left, pixels, colors) => {
    for (let i = 0; i < pixels.length; i++) pixels[i] = colors[data[row + left + i]!]!;
  },
  [BITMAP.bit16]: (data, row, left, pixels) => {
    for (let i = 0, at = row + left * 2; i < pixels.length; i++, at += 2) {
      pixels[i] = expand555(data[at]! | data[at + 1]! << 8);
    }
  },
  [BITMAP.bit24]: (data, row, left, pixels) => {
    for (let i = 0, at = row + left * 3; i < pixels.length; i++, at += 3) {
      pixels[i] = data[at]! | data[at + 1]! << 8 | data[at + 2]! << 16;
    }
  },
  [BITMAP.bit32]: readWords,
  [BITMAP.rgba]: readWords,
  [BITMAP.alpha8]: (data, row, left, pixels) => {
    for (let i = 0; i < pixels.length; i++) pixels[i] = data[row + left + i]! << 24;
  },
};

/**
 * Returns a bitmap as a mask; its rows share the bitmap's memory.
 *
 * @param bitmap Has been checked ({@linkcode checkBitmap}).
 * @throws {NotDrawnError} unless it has one bit a pixel.
 */
export function maskRows(bitmap: Bitmap): MaskRows {
  const { format, width, height, strideBytes, data } = bitmap;
  if (BITS[format] !== 1) throw new NotDrawnError("a mask of more than one bit a pixel");
  return {
    width,
    height,
    strideBytes,
    data,
    isTopDown: isTopDown(bitmap),
    isMsbFirst: format === BITMAP.bit1Be,
  };
}
