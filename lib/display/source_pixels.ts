/** Pixels that a draw takes from an image or a surface. */
import type { Rect } from "../spice/draw_layouts.ts";
import type { PixelFormat } from "./pixel_formats.ts";

/** The pixels of an image, or of that part of it which a draw needs. */
export interface SourcePixels {
  /** The size of the whole image. */
  readonly width: number;
  readonly height: number;
  /** Which part of the image `pixels` are. */
  readonly part: Rect;
  /** Rows top-down, without padding. */
  readonly pixels: Uint32Array<ArrayBufferLike>;
  readonly format: PixelFormat;
}

/** Returns the rectangle of a whole picture. */
export function wholeOf({ width, height }: { width: number; height: number }): Rect {
  return { left: 0, top: 0, right: width, bottom: height };
}

/** Whether the pixels of one format can be taken as those of the other, bit by bit. */
export function isCompatible(from: PixelFormat, to: PixelFormat): boolean {
  if (from === to) return true;
  return from.nearest === undefined && to.nearest === undefined; // xRGB and ARGB
}

/** Returns pixels as a surface of the format `to` has them; the same where nothing is to be done. */
export function convert(source: SourcePixels, to: PixelFormat): SourcePixels {
  const { format: from } = source;
  if (isCompatible(from, to)) return source;
  const { nearest } = to;
  const opaque = from.hasAlpha ? 0 : 0xff000000; // pixman sets it on xRGB surfaces as well
  const pixels = source.pixels.map((pixel) => nearest ? nearest(pixel | opaque) : pixel | opaque);
  return { ...source, pixels, format: to };
}

/** Returns a copy of a part of pixels that may change later. */
export function copyPart(source: SourcePixels, part: Rect): SourcePixels {
  const { pixels, part: { left, top, right } } = source;
  const width = part.right - part.left;
  const copied = new Uint32Array(Math.max(0, width * (part.bottom - part.top)));
  for (let y = part.top, at = 0; y < part.bottom; y++, at += width) {
    const start = (y - top) * (right - left) + part.left - left;
    copied.set(pixels.subarray(start, start + width), at);
  }
  return { ...source, part, pixels: copied };
}
