/** Combining rows of source pixels with the pixels of a surface. */
import type { RasterOp, RasterOp3 } from "./raster_ops.ts";
import type { Region } from "./region.ts";
import type { RowSource } from "./row_sources.ts";
import type { Surface } from "./surface.ts";

/**
 * Combines `count` pixels of `src`, from `from` on, with as many of `dest`, from `to` on, and stores
 * the results there.
 */
export type Combine = (
  dest: Uint32Array<ArrayBufferLike>,
  to: number,
  src: Uint32Array<ArrayBufferLike>,
  from: number,
  count: number,
) => void;

/** Combines the pixels of a region with those of a source, where the source has some. */
export function combineRows(
  surface: Surface,
  region: Region,
  source: RowSource,
  combine: Combine,
): void {
  const { pixels, width } = surface;
  const { extent } = source;
  region.forEachRect((left, top, right, bottom) => {
    if (extent) {
      left = Math.max(left, extent.left);
      top = Math.max(top, extent.top);
      right = Math.min(right, extent.right);
      bottom = Math.min(bottom, extent.bottom);
    }
    if (left >= right) return;
    for (let y = top; y < bottom; y++) {
      const from = source.row(y, left, right);
      combine(pixels, y * width + left, source.pixels, from, right - left);
    }
  });
}

/** From how many pixels on a row is copied by a call instead of a loop. */
const LONG_ROW = 64;

/** Replaces pixels. */
export function copy(
  dest: Uint32Array<ArrayBufferLike>,
  to: number,
  src: Uint32Array<ArrayBufferLike>,
  from: number,
  count: number,
): void {
  if (count >= LONG_ROW) dest.set(src.subarray(from, from + count), to);
  else for (let i = 0; i < count; i++) dest[to + i] = src[from + i]!;
}

/** Combines bits of pixels. */
export function rasterCombine(op: RasterOp): Combine {
  if (op.isCopy) return copy;
  const { one, s, d, sd } = op;
  return (dest, to, src, from, count) => {
    for (let i = 0; i < count; i++) {
      const source = src[from + i]!;
      const old = dest[to + i]!;
      dest[to + i] = one ^ (s & source) ^ (d & old) ^ (sd & source & old);
    }
  };
}

/** Replaces pixels, except where the source's is the key in the bits of `mask`. */
export function colorKeyCombine(key: number, mask: number): Combine {
  const wanted = key & mask;
  return (dest, to, src, from, count) => {
    for (let i = 0; i < count; i++) {
      const pixel = src[from + i]!;
      if ((pixel & mask) !== wanted) dest[to + i] = pixel;
    }
  };
}

/** Combines bits of pixels and of a colour. */
export function raster3Combine(op: RasterOp3, pattern: number): Combine {
  return rasterCombine({
    one: op.one ^ (op.p & pattern),
    d: op.d ^ (op.pd & pattern),
    s: op.s ^ (op.ps & pattern),
    sd: op.sd ^ (op.psd & pattern),
    isCopy: false,
  });
}

/** Combines bits of pixels and of a pattern, row by row. */
export function raster3Rows(
  surface: Surface,
  region: Region,
  source: RowSource,
  pattern: RowSource,
  op: RasterOp3,
): void {
  const { pixels, width } = surface;
  region.forEachRect((left, top, right, bottom) => {
    for (let y = top; y < bottom; y++) {
      const from = source.row(y, left, right);
      const tile = pattern.row(y, left, right);
      const to = y * width + left;
      for (let i = 0; i < right - left; i++) {
        const p = pattern.pixels[tile + i]!;
        const s = source.pixels[from + i]!;
        const d = pixels[to + i]!;
        const sd = s & d;
        pixels[to + i] = op.one ^ (op.d & d) ^ (op.s & s) ^ (op.sd & sd) ^
          (p & (op.p ^ (op.pd & d) ^ (op.ps & s) ^ (op.psd & sd)));
      }
    }
  });
}
