/** What every image decoder yields. */

/**
 * Decoded pixels, `width * height` of them: rows top-down, no padding between them. The receiver
 * owns `pixels`.
 */
export interface Picture {
  width: number;
  height: number;
  /**
   * One pixel each, 0xAARRGGBB: B G R A in the memory of a little-endian host, the only kind that is
   * run on.
   */
  pixels: Uint32Array;
  /** Whether the A byte says how opaque a pixel is; where it does not, it is 0. */
  hasAlpha: boolean;
}
