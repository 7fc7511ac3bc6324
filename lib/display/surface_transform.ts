/**
 * The transform that a draw leaves on a surface. The server's canvas sets it on the surface that it
 * composes from, and does not take it off again, so that it is there for the next draw that composes
 * from the surface and sets none.
 *
 * Source: spice-common, canvas_base.c, canvas_draw_composite; sw_canvas.c, __blend_image.
 */
import type { Transform } from "../spice/shape_layouts.ts";

const left = new WeakMap<Uint32Array<ArrayBufferLike>, Transform>();

/** Notes the transform that is on a surface now, by its pixels. */
export function leaveTransform(pixels: Uint32Array<ArrayBufferLike>, transform: Transform): void {
  left.set(pixels, transform);
}

/** Returns the transform that is on a surface, by its pixels. */
export function leftTransform(pixels: Uint32Array<ArrayBufferLike>): Transform | undefined {
  return left.get(pixels);
}

/** Notes that there is no transform on a surface any more, by its pixels. */
export function forgetTransform(pixels: Uint32Array<ArrayBufferLike>): void {
  left.delete(pixels);
}

/** Whether there is a transform on a surface that moves something, by its pixels. */
export function isTransformed(pixels: Uint32Array<ArrayBufferLike>): boolean {
  const transform = left.get(pixels);
  if (!transform) return false;
  const { t00, t01, t02, t10, t11, t12 } = transform;
  return t00 !== 0x10000 || t11 !== 0x10000 || (t01 | t02 | t10 | t12) !== 0;
}
