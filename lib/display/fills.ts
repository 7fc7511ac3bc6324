/** Fills with one colour, and copies within a surface. */
import type { Rect } from "../spice/draw_layouts.ts";
import type { RasterOp } from "./raster_ops.ts";
import { intersection, type Region } from "./region.ts";
import type { Surface } from "./surface.ts";

/** Combines a region with one pixel. */
export function fill(surface: Surface, region: Region, pixel: number, op: RasterOp): void {
  const { pixels, width } = surface;
  const one = op.one ^ (op.s & pixel);
  const dest = op.d ^ (op.sd & pixel);
  region.forEachRect((left, top, right, bottom) => {
    for (let y = top; y < bottom; y++) {
      const start = y * width + left;
      const end = y * width + right;
      if (dest === 0) pixels.fill(one >>> 0, start, end);
      else for (let i = start; i < end; i++) pixels[i] = one ^ (dest & pixels[i]!);
    }
  });
}

/**
 * Copies pixels of a surface to another place of it. Both may overlap; what would come from outside
 * of the surface stays as it is.
 *
 * @param dx,dy From where a pixel goes to where it comes from.
 */
export function copyWithin(surface: Surface, region: Region, dx: number, dy: number): void {
  const { pixels, width, height } = surface;
  const inside = { left: -dx, top: -dy, right: width - dx, bottom: height - dy };
  if (region.isRect) {
    copyRows(surface, intersection(region.bounds, inside), dx, dy);
    return;
  }
  // The parts of a region would overwrite each other's source.
  const bounds = intersection(region.bounds, inside);
  const columns = bounds.right - bounds.left;
  if (columns <= 0 || bounds.top >= bounds.bottom) return;
  const before = new Uint32Array(columns * (bounds.bottom - bounds.top));
  for (let y = bounds.top, at = 0; y < bounds.bottom; y++, at += columns) {
    const start = (y + dy) * width + bounds.left + dx;
    before.set(pixels.subarray(start, start + columns), at);
  }
  region.forEachRect((left, top, right, bottom) => {
    left = Math.max(left, bounds.left);
    right = Math.min(right, bounds.right);
    if (left >= right) return;
    for (let y = Math.max(top, bounds.top); y < Math.min(bottom, bounds.bottom); y++) {
      const start = (y - bounds.top) * columns + left - bounds.left;
      pixels.set(before.subarray(start, start + right - left), y * width + left);
    }
  });
}

function copyRows(surface: Surface, { left, top, right, bottom }: Rect, dx: number, dy: number) {
  const { pixels, width } = surface;
  if (left >= right) return;
  const rows = bottom - top;
  for (let i = 0; i < rows; i++) {
    const y = dy >= 0 ? top + i : bottom - 1 - i; // what is overwritten has been read before
    const start = (y + dy) * width + left + dx;
    pixels.copyWithin(y * width + left, start, start + right - left);
  }
}
