/** Horizontal runs of pixels, of which lines are made. */
import type { Region } from "./region.ts";

/** A list of runs: run `i` begins at `x[i]`, `y[i]` and has `width[i]` pixels. */
export class Spans {
  x = new Int32Array(64);
  y = new Int32Array(64);
  width = new Int32Array(64);
  /** How many there are. */
  length = 0;

  /** Adds one run. */
  add(x: number, y: number, width: number): void {
    this.put(this.length++, x, y, width);
  }

  /** Stores one run; the length stays as it is. */
  put(at: number, x: number, y: number, width: number): void {
    if (at >= this.x.length) this.#grow();
    this.x[at] = x;
    this.y[at] = y;
    this.width[at] = width;
  }

  #grow(): void {
    const longer = (list: Int32Array) => {
      const copy = new Int32Array(2 * list.length);
      copy.set(list);
      return copy;
    };
    this.x = longer(this.x);
    this.y = longer(this.y);
    this.width = longer(this.width);
  }

  /** Adds one pixel beside the last one, at its left or right, or in another row. */
  addPixel(x: number, y: number): void {
    const last = this.length - 1;
    if (last < 0 || this.y[last] !== y) return this.add(x, y, 1);
    if (x < this.x[last]!) this.x[last] = x;
    this.width[last]!++;
  }

  /** Removes all. */
  clear(): void {
    this.length = 0;
  }

  /** Turns the order round. */
  reverse(): void {
    for (const list of [this.x, this.y, this.width]) list.subarray(0, this.length).reverse();
  }
}

/** Collects runs, to have each of their pixels once. */
export class SpanUnion {
  readonly #runs: { left: number; y: number; right: number }[] = [];

  /** Adds all of a list. */
  add({ x, y, width, length }: Spans): void {
    for (let i = 0; i < length; i++) {
      this.#runs.push({ left: x[i]!, y: y[i]!, right: x[i]! + width[i]! });
    }
  }

  /** Returns what was added, from top to bottom. */
  spans(): Spans {
    this.#runs.sort((a, b) => a.y - b.y || a.left - b.left);
    const spans = new Spans();
    let y = NaN, right = 0;
    for (const run of this.#runs) {
      if (run.y === y && run.left <= right) {
        right = Math.max(right, run.right);
        spans.width[spans.length - 1] = right - spans.x[spans.length - 1]!;
      } else {
        spans.add(run.left, run.y, run.right - run.left);
        ({ y, right } = run);
      }
    }
    return spans;
  }
}

/** Takes one run; `right` is exclusive. */
export type PaintSpan = (y: number, left: number, right: number) => void;

/** A region as rectangles of bands: those of one band have the same rows. */
export class SpanClip {
  /** Left, top, right and bottom in turn. */
  readonly #boxes: number[] = [];

  constructor(region: Region) {
    region.forEachRect((left, top, right, bottom) => this.#boxes.push(left, top, right, bottom));
  }

  /**
   * Calls `paint` for what is left of `spans`; they are used up.
   *
   * The server cuts them in place, so that a run that becomes two takes the place of the next one,
   * which is lost. That is done alike here, for the picture to be the same.
   * Source: spice-common, lines.c, spice_canvas_clip_spans.
   *
   * @param isSorted Whether they are known to go from top to bottom.
   */
  paint(spans: Spans, isSorted: boolean, paint: PaintSpan): void {
    const boxes = this.#boxes;
    if (boxes.length === 0) return;
    const ends = boxes.length === 4 ? this.#cutToOne(spans) : this.#cut(spans, isSorted);
    for (let i = 0; i < ends; i++) paint(spans.y[i]!, spans.x[i]!, spans.x[i]! + spans.width[i]!);
  }

  #cutToOne(spans: Spans): number {
    const [left, top, right, bottom] = this.#boxes as [number, number, number, number];
    let kept = 0;
    for (let i = 0; i < spans.length; i++) {
      const y = spans.y[i]!;
      if (y < top || y >= bottom) continue;
      const from = Math.max(spans.x[i]!, left);
      const to = Math.min(spans.x[i]! + spans.width[i]!, right);
      if (from < to) spans.put(kept++, from, y, to - from);
    }
    return kept;
  }

  #cut(spans: Spans, isSorted: boolean): number {
    if (!isSorted) sort(spans);
    const boxes = this.#boxes;
    const count = spans.length;
    let kept = 0, i = 0;
    for (let band = 0; band < boxes.length;) {
      const top = boxes[band + 1]!, bottom = boxes[band + 3]!;
      let bandEnd = band + 4;
      while (bandEnd < boxes.length && boxes[bandEnd + 1] === top) bandEnd += 4;
      while (i < count && spans.y[i]! < top) i++;
      for (; i < count && spans.y[i]! < bottom; i++) {
        const x = spans.x[i]!, y = spans.y[i]!, end = x + spans.width[i]!;
        for (let box = band; box < bandEnd; box += 4) {
          const from = Math.max(x, boxes[box]!), to = Math.min(end, boxes[box + 2]!);
          if (from < to) spans.put(kept++, from, y, to - from);
        }
      }
      band = bandEnd;
    }
    return kept;
  }
}

/** Sorts runs by their row; those of one line go up or down. */
function sort(spans: Spans): void {
  if (spans.length > 1 && spans.y[0]! > spans.y[1]!) spans.reverse();
}
