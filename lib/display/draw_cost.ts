/**
 * How large one draw may be, so that no message of a server takes a second: a surface has up to 64
 * megapixels, and some draws cost a hundred times what a plain copy does.
 */
import { NotDrawnError } from "./not_drawn.ts";
import type { Region } from "./region.ts";

/**
 * The most pixels of a draw, by what each of them costs, about 30 and 300 ns: all of a screen of
 * 3840 × 2160 pixels, and of 1920 × 1080 for compositions, which no server sends unless it is told
 * that they are drawn.
 */
export const MAX_DRAWN_PIXELS = {
  "a scaled draw": 8 * 1024 * 1024,
  "a ternary operation": 8 * 1024 * 1024,
  "a composition": 2 * 1024 * 1024,
} as const;

/** Makes sure that a draw is not too large for its kind. @throws {NotDrawnError} */
export function expectDrawable({ bounds }: Region, kind: keyof typeof MAX_DRAWN_PIXELS): void {
  const most = MAX_DRAWN_PIXELS[kind];
  if ((bounds.right - bounds.left) * (bounds.bottom - bounds.top) <= most) return;
  throw new NotDrawnError(`${kind} of more than ${most / 2 ** 20} megapixels`);
}
