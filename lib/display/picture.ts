/** What every image decoder yields. */
import { MAX_SURFACE_PIXELS, MAX_SURFACE_SIDE } from "../base/surface_limits.ts";
import { ImageError } from "./errors.ts";
import { isAllowedSize } from "./surface.ts";

/** Width and height in pixels. */
export interface PictureSize {
  width: number;
  height: number;
}

/**
 * Decoded pixels, `width * height` of them: rows top-down, no padding between them. The receiver
 * owns `pixels`.
 */
export interface Picture extends PictureSize {
  /**
   * One pixel each, 0xAARRGGBB: B G R A in the memory of a little-endian host, the only kind that is
   * run on.
   */
  pixels: Uint32Array;
  /** Whether the A byte says how opaque a pixel is; where it does not, it is 0. */
  hasAlpha: boolean;
}

/**
 * Returns how many pixels a picture has, before anything is allocated for it.
 *
 * @param kind What is decoded, with its article, for the message: "an LZ image".
 * @throws {ImageError} if it has none, or more than a picture may have.
 */
export function countPixels({ width, height }: PictureSize, kind: string): number {
  if (isAllowedSize(width, height)) return width * height;
  throw new ImageError(
    `Cannot decode ${kind}: its size is ${width} x ${height} pixels, expected 1 to ` +
      `${MAX_SURFACE_SIDE} each way and at most ${MAX_SURFACE_PIXELS} in all`,
  );
}

/** Turns rows that are stored bottom-up to top-down, in place. */
export function flipRows(pixels: Uint32Array, width: number): void {
  const row = new Uint32Array(width);
  for (let top = 0, bottom = pixels.length - width; top < bottom; top += width, bottom -= width) {
    row.set(pixels.subarray(top, top + width));
    pixels.copyWithin(top, bottom, bottom + width);
    pixels.set(row, bottom);
  }
}
