/**
 * Dashed lines of one pixel: each dash is a polygon, and dashes are joined around corners.
 *
 * Source: spice-common, lines.c, spice_canvas_zero_dash_line, which is X's miWideDash with a line
 * width of 1, ends that are cut off, mitred corners and gaps that are left out.
 */
import { addPolygon, type Slope, type Vertex } from "./polygon.ts";
import { Spans } from "./spans.ts";
import type { Polyline } from "./stroke_path.ts";

/** Lengths of dashes and gaps in turn, in pixels, and how far the line begins in them. */
export interface Dashes {
  lengths: readonly number[];
  offset: number;
}

/** Half a line's width. */
const HALF_WIDTH = 0.5;
/** Corners that are more pointed are cut off: 1 / sin²(11° / 2). */
const MITER_LIMIT = 108.856472512142;

/** A line's end: the corner at its side, from the middle, and the direction of the line. */
interface Face {
  x: number;
  y: number;
  dx: number;
  dy: number;
  xa: number;
  ya: number;
  k: number;
}

/** Where a line stands in its dashes. */
interface Position {
  /** Even in a dash, odd in a gap. */
  index: number;
  /** How far in it. */
  offset: number;
}

/** Draws a polygon about an origin. */
type DrawPolygon = (
  vertices: readonly Vertex[],
  slopes: readonly Slope[],
  originX: number,
  originY: number,
) => void;

/** Takes runs, from top to bottom; they are only valid during the call. */
type Emit = (spans: Spans) => void;

/**
 * Draws a connected line.
 *
 * @param hasJoins Whether no pixel may be drawn twice, so that every corner gets its own piece.
 */
export function dashedLine(line: Polyline, dashes: Dashes, hasJoins: boolean, emit: Emit): void {
  const count = line.length / 2;
  const isClosed = line[0] === line.at(-2) && line[1] === line.at(-1);
  const position = startOf(dashes);
  const spans = new Spans();
  const draw: DrawPolygon = (vertices, slopes, x, y) => {
    spans.clear();
    addPolygon(spans, vertices, slopes, x, y);
    emit(spans);
  };
  const join = (a: Face, b: Face) => drawJoin(a, b, hasJoins, draw);
  let first: Face | undefined, previous: Face | undefined, endsInDash = false;
  for (let i = 1, isFirst = true; i < count; i++) {
    const [x1, y1, x2, y2] = line.slice(2 * i - 2, 2 * i + 2) as [number, number, number, number];
    if (x1 === x2 && y1 === y2) continue;
    const beginsInDash = (position.index & 1) === 0;
    const [begin, end] = drawSegment(x1, y1, x2, y2, dashes.lengths, position, draw);
    if (beginsInDash) {
      if (isFirst || !endsInDash) {
        if (isFirst && isClosed) first = begin;
      } else join(begin, previous!);
    }
    previous = end;
    endsInDash = ((position.index & 1) !== 0) !== (position.offset !== 0);
    isFirst = false;
  }
  // A line that ends with coincident corners ends with the last segment that was drawn.
  if (previous && endsInDash && first) join(first, previous);
}

/** Returns where a line begins in its dashes. */
function startOf({ lengths, offset }: Dashes): Position {
  let index = 0, rest = offset;
  if (rest < lengths[0]!) return { index, offset: rest };
  rest -= lengths[0]!;
  index = 1 % lengths.length;
  rest %= lengths.reduce((sum, length) => sum + length, 0);
  while (rest >= lengths[index]!) {
    rest -= lengths[index]!;
    index = (index + 1) % lengths.length;
  }
  return { index, offset: rest };
}

/** Draws the dashes of one straight line; returns its ends. */
function drawSegment(
  x1: number,
  y1: number,
  x2: number,
  y2: number,
  lengths: readonly number[],
  position: Position,
  draw: DrawPolygon,
): [Face, Face] {
  const dx = x2 - x1, dy = y2 - y1;
  const length = dx === 0 ? Math.abs(dy) : dy === 0 ? Math.abs(dx) : Math.sqrt(dx * dx + dy * dy);
  // From the middle of the line, half its width along it.
  const ratio = HALF_WIDTH / length;
  const alongX = dy === 0 ? Math.sign(dx) * HALF_WIDTH : dx === 0 ? 0 : ratio * dx;
  const alongY = dx === 0 ? Math.sign(dy) * HALF_WIDTH : dy === 0 ? 0 : ratio * dy;
  const k = HALF_WIDTH * length;
  const [top, right, bottom, left]: [Slope, Slope, Slope, Slope] = [
    { dx, dy, k },
    { dx: -dy, dy: dx, k: 0 },
    { dx: -dx, dy: -dy, k },
    { dx: dy, dy: -dx, k: 0 },
  ];
  let [topAt, rightAt, bottomAt, leftAt]: [Vertex, Vertex, Vertex, Vertex] = [
    { x: alongY, y: -alongX },
    { x: alongY, y: -alongX },
    { x: -alongY, y: alongX },
    { x: -alongY, y: alongX },
  ];
  const slopes = [top, right, bottom, left];
  const drawDash = (x: number, y: number) => draw([topAt, rightAt, bottomAt, leftAt], slopes, x, y);

  let { index } = position;
  let dash = lengths[index]! - position.offset, rest = length;
  while (rest > dash) {
    const moveX = dash * dx / length, moveY = dash * dy / length;
    rightAt = { x: rightAt.x + moveX, y: rightAt.y + moveY };
    bottomAt = { x: bottomAt.x + moveX, y: bottomAt.y + moveY };
    right.k = rightAt.x * dx + rightAt.y * dy;
    if ((index & 1) === 0) drawDash(x1, y1);
    rest -= dash;
    index = (index + 1) % lengths.length;
    dash = lengths[index]!;
    topAt = rightAt;
    leftAt = bottomAt;
    left.k = -right.k;
  }
  if ((index & 1) === 0) { // the last dash is counted from the line's end
    topAt = { x: topAt.x - dx, y: topAt.y - dy };
    leftAt = { x: leftAt.x - dx, y: leftAt.y - dy };
    rightAt = { x: alongY, y: -alongX };
    bottomAt = { x: -alongY, y: alongX };
    right.k = 0;
    left.k += dx * dx + dy * dy;
    drawDash(x2, y2);
  }
  dash = Math.trunc(dash - rest);
  if (dash === 0) {
    index = (index + 1) % lengths.length;
    dash = lengths[index]!;
  }
  position.index = index;
  position.offset = lengths[index]! - dash;
  return [
    { x: x1, y: y1, dx, dy, xa: alongY, ya: -alongX, k },
    { x: x2, y: y2, dx: -dx, dy: -dy, xa: -alongY, ya: alongX, k },
  ];
}

/** Draws the corner between two ends, if it is not drawn by one of the lines. */
function drawJoin(begin: Face, end: Face, hasJoins: boolean, draw: DrawPolygon): void {
  const [a, b] = [{ ...begin }, { ...end }];
  const pointsOn = ({ dx, dy }: Face) => dx > 0 || (dx === 0 && dy > 0);
  if (!hasJoins && (pointsOn(a) || pointsOn(b))) return;
  const cross = -a.dx * b.dy + b.dx * a.dy;
  if (cross === 0) return;
  const turned = cross > 0 ? a : b;
  turned.xa = -turned.xa;
  turned.ya = -turned.ya;
  turned.dx = -turned.dx;
  turned.dy = -turned.dy;
  const sign = cross > 0 ? 1 : -1;

  const miterY = (a.dy * (b.xa * b.dy - b.ya * b.dx) - b.dy * (a.xa * a.dy - a.ya * a.dx)) / cross;
  const miterX = a.dy !== 0
    ? a.xa + (miterY - a.ya) * a.dx / a.dy
    : b.xa + (miterY - b.ya) * b.dx / b.dy;
  const vertices: Vertex[] = [{ x: b.xa, y: b.ya }, { x: 0, y: 0 }, { x: a.xa, y: a.ya }];
  const slopes: Slope[] = [{ dx: -b.dy, dy: b.dx, k: 0 }, { dx: a.dy, dy: -a.dx, k: 0 }];
  if ((miterX * miterX + miterY * miterY) * 4 <= MITER_LIMIT) {
    slopes.push({ dx: sign * a.dx, dy: sign * a.dy, k: sign * a.k });
    vertices.push({ x: miterX, y: miterY });
    slopes.push({ dx: sign * b.dx, dy: sign * b.dy, k: sign * b.k });
  } else {
    const dx = b.xa - a.xa, dy = b.ya - a.ya;
    const scale = Math.max(Math.abs(dx), Math.abs(dy));
    const slope = { dx: Math.trunc(dx * 65536 / scale), dy: Math.trunc(dy * 65536 / scale) };
    const k = ((a.xa + b.xa) * slope.dy - (a.ya + b.ya) * slope.dx) / 2;
    slopes.push({ ...slope, k });
  }
  draw(vertices, slopes, a.x, a.y);
}
