/** Horizontal runs of pixels, of which lines are made. */
import type { Region } from "./region.ts";

/** A list of runs: run `i` begins at `x[i]`, `y[i]` and has `width[i]` pixels. */
export class Spans {
  readonly x: number[] = [];
  readonly y: number[] = [];
  readonly width: number[] = [];

  get length(): number {
    return this.x.length;
  }

  /** Adds one run. */
  add(x: number, y: number, width: number): void {
    this.x.push(x);
    this.y.push(y);
    this.width.push(width);
  }

  /** Adds one pixel beside the last one, at its left or right, or in another row. */
  addPixel(x: number, y: number): void {
    const last = this.length - 1;
    if (last < 0 || this.y[last] !== y) return this.add(x, y, 1);
    this.x[last] = Math.min(this.x[last]!, x);
    this.width[last]!++;
  }

  /** Returns the pixels of several lists, each of them once, from top to bottom. */
  static union(lists: readonly Spans[]): Spans {
    const runs = lists.flatMap(({ x, y, width }) =>
      x.map((left, i) => ({ left, y: y[i]!, right: left + width[i]! }))
    );
    runs.sort((a, b) => a.y - b.y || a.left - b.left);
    const union = new Spans();
    let last: typeof runs[number] | undefined;
    for (const run of runs) {
      if (last && last.y === run.y && run.left <= last.right) {
        last.right = Math.max(last.right, run.right);
        union.width[union.length - 1] = last.right - last.left;
      } else {
        union.add(run.left, run.y, run.right - run.left);
        last = run;
      }
    }
    return union;
  }

  clear(): void {
    this.x.length = this.y.length = this.width.length = 0;
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
      if (from < to) store(spans, kept++, from, y, to);
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
          if (from < to) store(spans, kept++, from, y, to);
        }
      }
      band = bandEnd;
    }
    return kept;
  }
}

function store(spans: Spans, at: number, from: number, y: number, to: number): void {
  spans.x[at] = from;
  spans.y[at] = y;
  spans.width[at] = to - from;
}

/** Sorts runs by their row. */
function sort(spans: Spans): void {
  const { y } = spans;
  if (y.every((row, i) => i === 0 || y[i - 1]! <= row)) return;
  const order = y.map((_, i) => i).sort((a, b) => y[a]! - y[b]!);
  const sorted = order.map((i) => [spans.x[i]!, spans.y[i]!, spans.width[i]!] as const);
  spans.clear();
  for (const [x, row, width] of sorted) spans.add(x, row, width);
}
