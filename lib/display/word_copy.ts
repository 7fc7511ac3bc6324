/**
 * The path that nearly all of a screen's content takes: rows of a 32-bit bitmap into a surface.
 *
 * QEMU cuts what changes into columns 32 pixels wide, so most rows are short: then a loop beats a
 * call of `set`, which costs as much as copying 100 pixels. A loop over pairs of pixels, as 64-bit
 * integers that never become objects once the loop is compiled, is twice as fast as one over pixels.
 * Pixels begin at any byte of a message, where neither can be read but through a `DataView`, many
 * times slower: they are moved to a boundary first, many rows with one call.
 */
import type { Bitmap } from "../spice/image_layouts.ts";
import { isTopDown } from "./bitmaps.ts";
import type { Region } from "./region.ts";
import type { Surface } from "./surface.ts";

/** From how many pixels on a row is copied by a call instead of a loop. */
const LONG_ROW = 128;
/** Where unaligned rows are put: what stays in a core's cache, and at least one short row. */
const aligned = new Uint8Array(128 * 1024);
const alignedPixels = new Uint32Array(aligned.buffer);
const alignedPairs = new BigUint64Array(aligned.buffer);

/**
 * Copies a bitmap whose pixels are those of the surface, bit by bit.
 *
 * @param bitmap 32BIT or RGBA; has been checked.
 * @param dx,dy From a pixel of the surface to its pixel in the bitmap; what has none stays.
 */
export function copyWords(
  surface: Surface,
  region: Region,
  bitmap: Bitmap,
  dx: number,
  dy: number,
): void {
  if (region.isRect) {
    const { left, top, right, bottom } = region.bounds;
    copyRect(surface, bitmap, dx, dy, left, top, right, bottom);
  } else {
    region.forEachRect((left, top, right, bottom) =>
      copyRect(surface, bitmap, dx, dy, left, top, right, bottom)
    );
  }
}

function copyRect(
  surface: Surface,
  bitmap: Bitmap,
  dx: number,
  dy: number,
  left: number,
  top: number,
  right: number,
  bottom: number,
): void {
  left = Math.max(left, -dx);
  top = Math.max(top, -dy);
  right = Math.min(right, bitmap.width - dx);
  bottom = Math.min(bottom, bitmap.height - dy);
  const columns = right - left;
  const rows = bottom - top;
  if (columns <= 0 || rows <= 0) return;

  const { strideBytes, data } = bitmap;
  const step = isTopDown(bitmap) ? strideBytes : -strideBytes;
  const firstRow = isTopDown(bitmap) ? top + dy : bitmap.height - 1 - (top + dy);
  const from = firstRow * strideBytes + (left + dx) * 4;
  const to = top * surface.width + left;
  if (step === columns * 4 && columns === surface.width) {
    surface.bytes.set(data.subarray(from, from + rows * step), to * 4);
  } else if (columns >= LONG_ROW) copyLongRows(surface, to, data, from, step, columns, rows);
  else if (((to | columns | surface.width) & 1) === 0) {
    copyPairRows(surface, to / 2, data, from, step, columns / 2, rows);
  } else copyPixelRows(surface, to, data, from, step, columns, rows);
}

function copyLongRows(
  { bytes, width }: Surface,
  to: number,
  data: Uint8Array,
  from: number,
  step: number,
  columns: number,
  rows: number,
): void {
  for (let y = 0, at = to * 4; y < rows; y++, at += width * 4, from += step) {
    bytes.set(data.subarray(from, from + columns * 4), at);
  }
}

/** Copies short rows of whole pairs to where pairs are; `to` and `columns` count pairs. */
function copyPairRows(
  surface: Surface,
  to: number,
  data: Uint8Array,
  from: number,
  step: number,
  columns: number,
  rows: number,
): void {
  const pitch = surface.width / 2;
  if ((data.byteOffset + from) % 8 === 0 && step % 8 === 0) {
    const phase = data.byteOffset % 8;
    const length = Math.floor((phase + data.length) / 8); // nothing behind the data is looked at
    const pairs = new BigUint64Array(data.buffer, data.byteOffset - phase, length);
    copyPairs(surface.pairs, to, pitch, pairs, (phase + from) / 8, step / 8, columns, rows);
    return;
  }
  if (step !== columns * 8) {
    return copyLongRows(surface, to * 2, data, from, step, columns * 2, rows);
  }
  const rowsAtOnce = Math.floor(alignedPairs.length / columns);
  for (let y = 0; y < rows; y += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, rows - y);
    const start = from + y * step;
    aligned.set(data.subarray(start, start + count * step));
    copyPairs(surface.pairs, to + y * pitch, pitch, alignedPairs, 0, columns, columns, count);
  }
}

/** Copies rows of pairs, four at a time; all counts are of pairs. */
function copyPairs(
  dest: BigUint64Array<ArrayBufferLike>,
  to: number,
  pitch: number,
  src: BigUint64Array<ArrayBufferLike>,
  from: number,
  step: number,
  columns: number,
  rows: number,
): void {
  const fours = columns & ~3;
  for (let y = 0; y < rows; y++, to += pitch, from += step) {
    for (let x = 0; x < fours; x += 4) {
      const at = to + x;
      const of = from + x;
      dest[at] = src[of]!;
      dest[at + 1] = src[of + 1]!;
      dest[at + 2] = src[of + 2]!;
      dest[at + 3] = src[of + 3]!;
    }
    for (let x = fours; x < columns; x++) dest[to + x] = src[from + x]!;
  }
}

/** Copies short rows that pairs do not fit. */
function copyPixelRows(
  surface: Surface,
  to: number,
  data: Uint8Array,
  from: number,
  step: number,
  columns: number,
  rows: number,
): void {
  if (step !== columns * 4) return copyLongRows(surface, to, data, from, step, columns, rows);
  const { pixels, width } = surface;
  const rowsAtOnce = Math.floor(alignedPixels.length / columns);
  for (let y = 0; y < rows; y += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, rows - y);
    const start = from + y * step;
    aligned.set(data.subarray(start, start + count * step));
    copyPixels(pixels, to + y * width, width, alignedPixels, columns, count);
  }
}

/** Copies rows of pixels that follow each other without a gap. */
function copyPixels(
  dest: Uint32Array<ArrayBufferLike>,
  to: number,
  pitch: number,
  src: Uint32Array<ArrayBufferLike>,
  columns: number,
  rows: number,
): void {
  for (let y = 0, from = 0; y < rows; y++, to += pitch, from += columns) {
    for (let x = 0; x < columns; x++) dest[to + x] = src[from + x]!;
  }
}
