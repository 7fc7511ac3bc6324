/** Draws for tests of the display, with as little to say about each as there is to say. */
import type { DisplayHandlers } from "../../lib/spice/display_channel.ts";
import type { Bitmap, Image } from "../../lib/spice/image_layouts.ts";
import type { Clip, DrawBase, Mask, Rect } from "../../lib/spice/draw_layouts.ts";
import { GuestDisplay, type GuestDisplayOptions } from "../../lib/display/guest_display.ts";

/** Numbers of surface formats. */
export const FORMAT = { a1: 1, a8: 8, x1r5g5b5: 16, r5g6b5: 80, xrgb: 32, argb: 96 } as const;
/** Raster operation descriptors. */
export const ROP = { put: 8, or: 16, and: 32, xor: 64 } as const;
/** No mask. */
export const NO_MASK: Mask = { flags: 0, pos: { x: 0, y: 0 }, image: undefined };

/** Returns a rectangle by its corner and size. */
export function rect(left: number, top: number, width: number, height: number): Rect {
  return { left, top, right: left + width, bottom: top + height };
}

/** Returns where a draw goes. */
export function base(box: Rect, clip?: Clip, surfaceId = 0): DrawBase {
  return { surfaceId, box, clip };
}

/** Returns a bitmap of rows of bytes, top-down. */
export function bitmap(
  format: number,
  width: number,
  height: number,
  data: Uint8Array,
  changes: Partial<Bitmap> = {},
): Bitmap {
  return {
    format,
    flags: 4,
    width,
    height,
    strideBytes: data.length / height,
    palette: undefined,
    paletteId: undefined,
    data,
    ...changes,
  };
}

/** Returns an image of a bitmap. */
export function bitmapImage(bitmap: Bitmap, id = 1n, flags = 0): Image {
  const { width, height } = bitmap;
  return { id, flags, width, height, kind: "bitmap", bitmap };
}

/** Returns an image of 32-bit pixels. */
export function image32(width: number, pixels: ArrayLike<number>, format = 8): Image {
  const words = Uint32Array.from(pixels);
  const height = words.length / width;
  return bitmapImage(bitmap(format, width, height, new Uint8Array(words.buffer)));
}

/** A display and what is done with it. */
export interface Drawn {
  display: GuestDisplay;
  send: Required<DisplayHandlers>;
}

/** Returns a display with a primary surface of this size. */
export function display(
  width: number,
  height: number,
  format: number = FORMAT.xrgb,
  options: GuestDisplayOptions = {},
): Drawn {
  const display = new GuestDisplay(options);
  const send = display.handlers() as Required<DisplayHandlers>;
  send.surface_create({ surfaceId: 0, width, height, format, flags: 1 });
  send.mark({});
  return { display, send };
}

/** Returns what is shown as rows of hexadecimal pixels. */
export function rows({ display: { primary } }: Drawn): string[] {
  const { width, height, pixels } = primary!;
  return Array.from({ length: height }, (_, y) =>
    [...pixels.subarray(y * width, (y + 1) * width)]
      .map((pixel) => pixel.toString(16).padStart(6, "0")).join(" "));
}
