/**
 * Paths of DRAW_STROKE as polylines of whole pixels.
 *
 * Source: spice-common, canvas_base.c, canvas_draw_stroke and subdivide_bezier.
 */
import type { PathSegment } from "../spice/shape_layouts.ts";
import { NotDrawnError } from "./not_drawn.ts";
import { MAX_LINE_COORDINATE } from "./thin_line.ts";

/** Bits of a segment's flags. Source: spice/enums.h, SPICE_PATH_FLAGS. */
const PATH = { begin: 1, end: 2, close: 8, bezier: 16 } as const;

/** Corners of one connected line: x and y in turn. */
export type Polyline = number[];

/** Halvings of all curves of a path; a curve on a screen takes dozens. */
const MOST_HALVINGS = 1 << 18;
/** How often one curve is halved; by then it is shorter than a pixel. */
const MOST_DEPTH = 24;

/**
 * Returns the connected lines of a path.
 *
 * @throws {NotDrawnError} for a path on which the server's own canvas would fail.
 */
export function polylines(path: readonly PathSegment[]): Polyline[] {
  const lines: Polyline[] = [];
  let line: Polyline = [];
  const halvings = { left: MOST_HALVINGS };
  const finish = () => {
    if (line.length > 0) lines.push(line);
    line = [];
  };
  for (const { flags, points } of path) {
    if (points.some(isFar)) throw new NotDrawnError("a line too far away");
    let at = 0;
    if ((flags & PATH.begin) !== 0) {
      finish();
      if (points.length === 0) throw new NotDrawnError("a path that begins without a point");
      line.push(toPixel(points[0]!), toPixel(points[1]!));
      at = 2;
    }
    if ((flags & PATH.bezier) !== 0) {
      // The server stops here: nothing of this and of later segments is drawn.
      if ((points.length - at) % 6 !== 0) return lines;
      for (; at < points.length; at += 6) {
        if (line.length === 0) throw new NotDrawnError("a curve that begins without a point");
        addCurve(line, points.subarray(at, at + 6), halvings);
      }
    } else {
      for (; at < points.length; at += 2) {
        line.push(toPixel(points[at]!), toPixel(points[at + 1]!));
      }
    }
    if ((flags & PATH.end) !== 0) {
      if ((flags & PATH.close) !== 0) {
        if (line.length === 0) throw new NotDrawnError("a path that is closed without a point");
        line.push(line[0]!, line[1]!);
      }
      finish();
    }
  }
  finish();
  return lines;
}

/** Whether a coordinate, in sixteenths, is beyond what X calculates with. */
function isFar(fixed: number): boolean {
  return Math.abs(fixed) > 16 * MAX_LINE_COORDINATE;
}

/** Rounds sixteenths of a pixel; half a pixel is rounded down. */
export function toPixel(fixed: number): number {
  return (fixed >> 4) + ((fixed & 15) > 8 ? 1 : 0);
}

/** Sixteenths of a pixel: x0, y0 to x3, y3. */
type Curve = readonly [number, number, number, number, number, number, number, number];

/** Adds a Bézier curve from the last corner on, by two control points and its end. */
function addCurve(line: Polyline, points: Int32Array, halvings: { left: number }): void {
  const [x1, y1, x2, y2, x3, y3] = points as unknown as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const from = line.length - 2;
  halve(line, [line[from]! * 16, line[from + 1]! * 16, x1, y1, x2, y2, x3, y3], halvings, 0);
}

function halve(line: Polyline, curve: Curve, halvings: { left: number }, depth: number): void {
  const [x0, y0, x1, y1, x2, y2, x3, y3] = curve;
  if (isStraight(curve)) {
    line.push(toPixel(x3), toPixel(y3));
    return;
  }
  // Where all points are the same, the server's canvas would go on for ever.
  if (depth === MOST_DEPTH || --halvings.left < 0) throw new NotDrawnError("a curve without end");
  const x01 = half(x0 + x1), y01 = half(y0 + y1);
  const x12 = half(x1 + x2), y12 = half(y1 + y2);
  const x23 = half(x2 + x3), y23 = half(y2 + y3);
  const x012 = half(x01 + x12), y012 = half(y01 + y12);
  const x123 = half(x12 + x23), y123 = half(y12 + y23);
  const x = half(x012 + x123), y = half(y012 + y123);
  halve(line, [x0, y0, x01, y01, x012, y012, x, y], halvings, depth + 1);
  halve(line, [x, y, x123, y123, x23, y23, x3, y3], halvings, depth + 1);
}

/** Halves a number as C does: towards 0. */
function half(sum: number): number {
  return Math.trunc(sum / 2);
}

/** Whether the control points are less than about half a pixel beside the straight line. */
function isStraight([x0, y0, x1, y1, x2, y2, x3, y3]: Curve): boolean {
  const length = dot(x3 - x0, y3 - y0, x3 - x0, y3 - y0);
  return isNear(x1 - x0, y1 - y0, x3 - x0, y3 - y0, length) &&
    isNear(x2 - x3, y2 - y3, x0 - x3, y0 - y3, length);
}

/** Whether a control point is near a line, both from the same end, by the server's 64-bit sums. */
function isNear(x: number, y: number, lineX: number, lineY: number, length: bigint): boolean {
  const along = dot(x, y, lineX, lineY);
  const beside = BigInt.asIntN(64, dot(x, y, x, y) * length - along * along) >> 3n;
  return beside < length;
}

function dot(x1: number, y1: number, x2: number, y2: number): bigint {
  return BigInt(x1 * x2 + y1 * y2) >> 4n;
}
