/** Surfaces: what the guest draws on, each in one block of memory. */
import { MAX_SURFACE_PIXELS, MAX_SURFACE_SIDE } from "../base/surface_limits.ts";
import type { PixelFormat } from "./pixel_formats.ts";

/** Returns zeroed memory, so that shared memory can take the place of memory of our own. */
export type AllocatePixels = (byteLength: number) => ArrayBufferLike;

/** Bytes of all surfaces of a display together. */
export const MAX_SURFACE_BYTES = 512 * 1024 * 1024;

/** Whether a picture may be this large: at least one pixel, and within the limits. */
export function isAllowedSize(width: number, height: number): boolean {
  return width >= 1 && height >= 1 && width <= MAX_SURFACE_SIDE && height <= MAX_SURFACE_SIDE &&
    width * height <= MAX_SURFACE_PIXELS;
}

/** A surface. Its size and its memory stay the same for as long as it lives. */
export class Surface {
  /** Its number on the wire. */
  readonly id: number;
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
  readonly format: PixelFormat;
  /**
   * One pixel each, 0xAARRGGBB, rows top-down without padding. The A byte means nothing unless
   * `format.hasAlpha`. It changes while the guest draws: copy what has to stay.
   */
  readonly pixels: Uint32Array<ArrayBufferLike>;
  /** The same memory, two pixels each, the left one in the low half; without the last odd one. */
  readonly pairs: BigUint64Array<ArrayBufferLike>;
  /** The same memory as bytes: B G R A. */
  readonly bytes: Uint8Array<ArrayBufferLike>;

  /** @throws {RangeError} if the size is beyond the limits or `allocate` gave too little memory. */
  constructor(
    id: number,
    width: number,
    height: number,
    format: PixelFormat,
    allocate: AllocatePixels = (byteLength) => new ArrayBuffer(byteLength),
  ) {
    if (!isAllowedSize(width, height)) {
      throw new RangeError(`Cannot make a surface: ${width}×${height} is beyond the limits`);
    }
    this.id = id;
    this.width = width;
    this.height = height;
    this.format = format;
    const memory = allocate(width * height * 4);
    this.pixels = new Uint32Array(memory, 0, width * height);
    this.pairs = new BigUint64Array(memory, 0, width * height >> 1);
    this.bytes = new Uint8Array(memory, 0, width * height * 4);
  }
}
