/**
 * The path that nearly all of a screen's content takes: rows of a 32-bit bitmap into a surface.
 *
 * QEMU cuts what changes into columns 32 pixels wide, so most rows are short: then a loop over words
 * beats a call of `set`, which costs as much as copying 64 pixels. Pixels begin at any byte of a
 * message, where words cannot be read but through a `DataView`, ten times slower than the loop: they
 * are moved to a word's boundary first, many rows with one call.
 */
import type { Bitmap } from "../spice/draw_layouts.ts";
import { isTopDown } from "./bitmaps.ts";
import type { Region } from "./region.ts";
import type { Surface } from "./surface.ts";

/** From how many pixels on a row is copied by a call instead of a loop. */
const LONG_ROW = 64;
/** Where unaligned rows are put: what stays in a core's cache, and at least one short row. */
const aligned = new Uint8Array(128 * 1024);
const alignedWords = new Uint32Array(aligned.buffer);

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
  if (columns >= LONG_ROW) {
    if (step === columns * 4 && columns === surface.width) {
      surface.bytes.set(data.subarray(from, from + rows * step), to * 4);
    } else copyLongRows(surface, to, data, from, step, columns, rows);
  } else if ((data.byteOffset + from) % 4 === 0 && step % 4 === 0) {
    const phase = data.byteOffset % 4;
    const length = Math.floor((phase + data.length) / 4); // nothing behind the data is looked at
    const words = new Uint32Array(data.buffer, data.byteOffset - phase, length);
    copyAligned(surface, to, words, (phase + from) / 4, step / 4, columns, rows);
  } else if (step === columns * 4) {
    copyUnaligned(surface, to, data, from, columns, rows);
  } else {
    copyLongRows(surface, to, data, from, step, columns, rows);
  }
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

/** Copies short rows of words, eight at a time. */
function copyAligned(
  { pixels, width }: Surface,
  to: number,
  words: Uint32Array,
  from: number,
  step: number,
  columns: number,
  rows: number,
): void {
  const eights = columns & ~7;
  for (let y = 0; y < rows; y++, to += width, from += step) {
    for (let x = 0; x < eights; x += 8) {
      const at = to + x;
      const of = from + x;
      pixels[at] = words[of]!;
      pixels[at + 1] = words[of + 1]!;
      pixels[at + 2] = words[of + 2]!;
      pixels[at + 3] = words[of + 3]!;
      pixels[at + 4] = words[of + 4]!;
      pixels[at + 5] = words[of + 5]!;
      pixels[at + 6] = words[of + 6]!;
      pixels[at + 7] = words[of + 7]!;
    }
    for (let x = eights; x < columns; x++) pixels[to + x] = words[from + x]!;
  }
}

/** Copies short rows that follow each other without a gap and begin at any byte. */
function copyUnaligned(
  surface: Surface,
  to: number,
  data: Uint8Array,
  from: number,
  columns: number,
  rows: number,
): void {
  const rowsAtOnce = Math.floor(alignedWords.length / columns);
  for (let y = 0; y < rows; y += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, rows - y);
    const start = from + y * columns * 4;
    aligned.set(data.subarray(start, start + count * columns * 4));
    copyAligned(surface, to + y * surface.width, alignedWords, 0, columns, columns, count);
  }
}
