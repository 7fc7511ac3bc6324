/**
 * The decoders of compressed images, gathered.
 *
 * A QEMU of ours sends none of these: they are loaded once a VM runs, so that its start does not pay
 * for them, and before the displays of other servers are linked.
 */
import type { Picture } from "./picture.ts";

/** Pixels that an image has according to its descriptor. */
export interface ImageSize {
  width: number;
  height: number;
}

/**
 * Decodes compressed images. Each checks `size` against the data's own header before it allocates.
 * All throw an `ImageError` for data that cannot be decoded.
 */
export interface ImageDecoders {
  quic?(data: Uint8Array, size: ImageSize): Picture;
  lzRgb?(data: Uint8Array, size: ImageSize): Picture;
  /** @param palette 0x00RRGGBB each. */
  lzPalette?(data: Uint8Array, size: ImageSize, palette: Uint32Array): Picture;
  /** Images may refer to earlier ones: every one of them has to be decoded, in order. */
  glzRgb?(data: Uint8Array, size: ImageSize): Picture;
  /** @param glzSize Bytes of the GLZ data once unpacked. */
  zlibGlzRgb?(data: Uint8Array, size: ImageSize, glzSize: number): Picture;
  lz4?(data: Uint8Array, size: ImageSize): Picture;
  jpeg?(data: Uint8Array, size: ImageSize): Picture;
  /**
   * @param jpegSize Bytes of the JPEG; the rest of `data` is the alpha plane.
   * @param flags 1: the alpha plane is top-down.
   */
  jpegAlpha?(data: Uint8Array, size: ImageSize, jpegSize: number, flags: number): Picture;
}
