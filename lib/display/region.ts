/**
 * Which pixels a draw changes: its box, cut to the surface, within clip rectangles and under a mask.
 *
 * Clip rectangles may overlap, and a raster operation must meet each pixel once. So they are swept
 * from top to bottom into rectangles that do not. However many there are and however large, that
 * takes no more than one step for each of them and one for each pixel of the box within the surface.
 */
import type { Clip, Rect } from "../spice/draw_layouts.ts";
import type { MaskBits } from "./mask.ts";

/** Beyond this no coordinate is believed, so that sums of a few of them stay exact. */
const MAX_COORDINATE = 2 ** 30;

/** Takes one rectangle of a region; `right` and `bottom` are exclusive. */
export type PaintRect = (left: number, top: number, right: number, bottom: number) => void;

/** Whether the sides are in order and of a believable size. A rectangle may be empty. */
export function isRect({ left, top, right, bottom }: Rect): boolean {
  return left <= right && top <= bottom && left >= -MAX_COORDINATE && top >= -MAX_COORDINATE &&
    right <= MAX_COORDINATE && bottom <= MAX_COORDINATE;
}

/** Whether two rectangles have as many columns and as many rows. */
export function isSameSize(a: Rect, b: Rect): boolean {
  return a.right - a.left === b.right - b.left && a.bottom - a.top === b.bottom - b.top;
}

/** Returns what two rectangles have in common; with `left >= right` or `top >= bottom` if nothing. */
export function intersection(a: Rect, b: Rect): Rect {
  return {
    left: Math.max(a.left, b.left),
    top: Math.max(a.top, b.top),
    right: Math.min(a.right, b.right),
    bottom: Math.min(a.bottom, b.bottom),
  };
}

/** Whether a rectangle has no pixel. */
export function isEmpty({ left, top, right, bottom }: Rect): boolean {
  return left >= right || top >= bottom;
}

/** A set of pixels of one surface. */
export class Region {
  /** Holds all of it; empty if it is. */
  readonly bounds: Rect;
  readonly #clips: readonly Rect[] | undefined;
  readonly #mask: MaskBits | undefined;
  readonly #maskDx: number;
  readonly #maskDy: number;

  /**
   * @param box The draw's box, cut to its surface; may be empty.
   * @param clip Where it may draw; its rectangles are valid ({@linkcode isRect}).
   * @param mask Which pixels it draws; `undefined` for all.
   * @param maskDx,maskDy From a pixel of the surface to its bit in the mask.
   */
  constructor(box: Rect, clip: Clip, mask?: MaskBits, maskDx = 0, maskDy = 0) {
    let bounds = box;
    if (mask) {
      bounds = intersection(bounds, {
        left: -maskDx,
        top: -maskDy,
        right: mask.width - maskDx,
        bottom: mask.height - maskDy,
      });
    }
    this.#mask = mask;
    this.#maskDx = maskDx;
    this.#maskDy = maskDy;
    if (!clip) {
      this.bounds = bounds;
      return;
    }
    if (clip.length === 1) {
      this.bounds = intersection(bounds, clip[0]!);
      return;
    }
    const clips: Rect[] = [];
    const hull = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
    for (const one of clip) {
      const part = intersection(bounds, one);
      if (isEmpty(part)) continue;
      clips.push(part);
      hull.left = Math.min(hull.left, part.left);
      hull.top = Math.min(hull.top, part.top);
      hull.right = Math.max(hull.right, part.right);
      hull.bottom = Math.max(hull.bottom, part.bottom);
    }
    this.bounds = clips.length === 0 ? { ...box, right: box.left } : hull;
    if (clips.length > 1) this.#clips = clips;
  }

  /** Whether it has no pixel; a mask without a bit is not noticed. */
  get isEmpty(): boolean {
    return isEmpty(this.bounds);
  }

  /** Whether it is all of `bounds`. */
  get isRect(): boolean {
    return this.#clips === undefined && this.#mask === undefined;
  }

  /**
   * Calls `paint` for rectangles that are the region together and do not overlap: from top to
   * bottom, and from left to right beside each other.
   */
  forEachRect(paint: PaintRect): void {
    if (this.isEmpty) return;
    const mask = this.#mask;
    const paintRect = mask ? this.#masked(mask, paint) : paint;
    const { left, top, right, bottom } = this.bounds;
    if (this.#clips) sweep(this.#clips, this.bounds, paintRect);
    else paintRect(left, top, right, bottom);
  }

  /** Calls `paint` for the runs of set bits in each row of a rectangle. */
  #masked(mask: MaskBits, paint: PaintRect): PaintRect {
    const [dx, dy] = [this.#maskDx, this.#maskDy];
    return (left, top, right, bottom) => {
      for (let y = top; y < bottom; y++) {
        for (let x = left; x < right;) {
          const start = mask.find(true, x + dx, right + dx, y + dy) - dx;
          if (start >= right) break;
          x = mask.find(false, start + dx, right + dx, y + dy) - dx;
          paint(start, y, x, y + 1);
        }
      }
    };
  }
}

/** Calls `paint` for what rectangles within `bounds` cover together. */
function sweep(rects: readonly Rect[], bounds: Rect, paint: PaintRect): void {
  const width = bounds.right - bounds.left;
  const height = bounds.bottom - bounds.top;
  // Rectangles by the row in which they begin, and by that in which they have ended, as lists.
  const firstBegin = new Int32Array(height).fill(-1);
  const firstEnd = new Int32Array(height + 1).fill(-1);
  const nextBegin = new Int32Array(rects.length);
  const nextEnd = new Int32Array(rects.length);
  for (let i = 0; i < rects.length; i++) {
    const begin = rects[i]!.top - bounds.top;
    const end = rects[i]!.bottom - bounds.top;
    nextBegin[i] = firstBegin[begin]!;
    firstBegin[begin] = i;
    nextEnd[i] = firstEnd[end]!;
    firstEnd[end] = i;
  }
  // Of each column: how many more rectangles begin in it than have ended before it.
  const steps = new Int32Array(width + 1);
  let spans: number[] = [];
  let spansTop = 0;
  const flush = (y: number) => {
    for (let i = 0; i < spans.length; i += 2) {
      paint(spans[i]!, bounds.top + spansTop, spans[i + 1]!, bounds.top + y);
    }
  };
  for (let y = 0; y < height; y++) {
    if (firstBegin[y]! < 0 && firstEnd[y]! < 0) continue;
    for (let i = firstEnd[y]!; i >= 0; i = nextEnd[i]!) step(steps, rects[i]!, bounds.left, -1);
    for (let i = firstBegin[y]!; i >= 0; i = nextBegin[i]!) step(steps, rects[i]!, bounds.left, 1);
    flush(y);
    spans = coveredSpans(steps, bounds.left);
    spansTop = y;
  }
  flush(height);
}

function step(steps: Int32Array, { left, right }: Rect, from: number, by: 1 | -1): void {
  steps[left - from]! += by;
  steps[right - from]! -= by;
}

/** Returns the columns that are covered: begin and exclusive end in turn. */
function coveredSpans(steps: Int32Array, from: number): number[] {
  const spans: number[] = [];
  for (let x = 0, depth = 0; x < steps.length; x++) {
    const before = depth;
    depth += steps[x]!;
    if ((before > 0) !== (depth > 0)) spans.push(from + x);
  }
  return spans;
}
