/** What every image decoder yields. */
import { ImageError } from "./errors.ts";

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

/** The longest side of a picture, in pixels; surfaces have the same limit. */
const MAX_PICTURE_SIDE = 16384;
/** The most pixels of a picture: 256 MiB. */
const MAX_PICTURE_PIXELS = 64 * 1024 * 1024;

/**
 * Returns how many pixels a picture has, before anything is allocated for it.
 *
 * @param kind What is decoded, with its article, for the message: "an LZ image".
 * @throws {ImageError} if it has none, or more than a picture may have.
 */
export function countPixels({ width, height }: PictureSize, kind: string): number {
  const pixels = width * height;
  if (
    width >= 1 && width <= MAX_PICTURE_SIDE && height >= 1 && height <= MAX_PICTURE_SIDE &&
    pixels <= MAX_PICTURE_PIXELS
  ) return pixels;
  throw new ImageError(
    `Cannot decode ${kind}: its size is ${width} x ${height} pixels, expected 1 to ` +
      `${MAX_PICTURE_SIDE} each way and at most ${MAX_PICTURE_PIXELS} in all`,
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
