/** What of a surface has changed since somebody looked. */
import type { Rect } from "../spice/draw_layouts.ts";

/** More rectangles than this are one: looking at each of them would cost more than it saves. */
const MAX_RECTS = 32;

/** Collects rectangles that hold all changes; they may overlap. */
export class Damage {
  #rects: Rect[] = [];

  /** Whether nothing has changed. */
  get isEmpty(): boolean {
    return this.#rects.length === 0;
  }

  /** Adds a rectangle, which is not empty. */
  add(rect: Rect): void {
    const last = this.#rects.at(-1);
    if (last && (isWithin(rect, last) || isWithin(last, rect) || isNeighbour(rect, last))) {
      this.#rects[this.#rects.length - 1] = hull(last, rect);
    } else if (this.#rects.length < MAX_RECTS) this.#rects.push(rect);
    else this.#rects = [this.#rects.reduce(hull, rect)];
  }

  /** Returns what has been added, and starts anew. */
  take(): Rect[] {
    const rects = this.#rects;
    this.#rects = [];
    return rects;
  }
}

function isWithin(inner: Rect, outer: Rect): boolean {
  return inner.left >= outer.left && inner.right <= outer.right && inner.top >= outer.top &&
    inner.bottom <= outer.bottom;
}

/** Whether both are a rectangle together: QEMU draws columns from left to right. */
function isNeighbour(a: Rect, b: Rect): boolean {
  if (a.top === b.top && a.bottom === b.bottom) return a.left <= b.right && b.left <= a.right;
  if (a.left === b.left && a.right === b.right) return a.top <= b.bottom && b.top <= a.bottom;
  return false;
}

/** Returns the least rectangle that holds both. */
function hull(a: Rect, b: Rect): Rect {
  return {
    left: Math.min(a.left, b.left),
    top: Math.min(a.top, b.top),
    right: Math.max(a.right, b.right),
    bottom: Math.max(a.bottom, b.bottom),
  };
}
