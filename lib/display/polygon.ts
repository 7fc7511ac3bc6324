/**
 * Convex polygons of which dashes are made, filled as X fills them: edges in whole numbers, corners
 * beside a whole pixel.
 *
 * Source: spice-common, lines.c, miPolyBuildPoly and miFillPolyHelper, which are X's miwideline.c.
 */
import type { Spans } from "./spans.ts";

/** A corner, from the polygon's origin. */
export interface Vertex {
  x: number;
  y: number;
}

/** An edge's direction, and `k` = x * dy - y * dx of a point on it. */
export interface Slope {
  dx: number;
  dy: number;
  k: number;
}

/** One side of the polygon for some rows: where it is, and how it goes on from row to row. */
interface Edge {
  rows: number;
  x: number;
  step: number;
  /** Where a step further is due: when `error` is above 0. */
  sign: number;
  error: number;
  errorStep: number;
  errorTurn: number;
}

/**
 * Adds a polygon to `spans`, from top to bottom.
 *
 * @param vertices The corners, around the polygon.
 * @param slopes Slope `i` is that of the edge from corner `i` to the next one.
 * @param originX,originY The polygon's origin.
 */
export function addPolygon(
  spans: Spans,
  vertices: readonly Vertex[],
  slopes: readonly Slope[],
  originX: number,
  originY: number,
): void {
  const count = vertices.length;
  let top = 0, bottom = 0;
  vertices.forEach(({ y }, i) => {
    if (y < vertices[top]!.y) top = i;
    if (y >= vertices[bottom]!.y) bottom = i;
  });
  const before = slopes[(top + count - 1) % count]!, after = slopes[top]!;
  const isClockwise = before.dy * after.dx <= after.dy * before.dx;
  const endY = Math.ceil(vertices[bottom]!.y) + originY;
  const side = (direction: 1 | -1, isLeft: boolean): { edges: Edge[]; startY: number } => {
    const edges: Edge[] = [];
    let startY = 0, lastY = 0;
    let slope = direction > 0 ? top : (top + count - 1) % count;
    for (let i = top; i !== bottom;) {
      if (slopes[slope]!.dy !== 0) {
        const { edge, y } = makeEdge(vertices[i]!, slopes[slope]!, isLeft);
        edge.x += originX;
        if (edges.length === 0) startY = y + originY;
        else edges.at(-1)!.rows = y + originY - lastY;
        lastY = y + originY;
        edges.push(edge);
      }
      i = (i + direction + count) % count;
      slope = (slope + direction + count) % count;
    }
    if (edges.length > 0) edges.at(-1)!.rows = endY - lastY;
    return { edges, startY };
  };
  const right = side(isClockwise ? 1 : -1, false);
  const left = side(isClockwise ? -1 : 1, true);
  fill(spans, right.startY, left.edges, right.edges);
}

function makeEdge(
  { y: vertexY }: Vertex,
  slope: Slope,
  isLeft: boolean,
): { edge: Edge; y: number } {
  const sign = slope.dy < 0 ? -1 : 1;
  const dx = slope.dx * sign, dy = slope.dy * sign;
  const y = Math.ceil(vertexY);
  const product = Math.ceil(slope.k * sign) + y * dx;
  const x = product <= 0 ? -Math.floor(-product / dy) - 1 : Math.floor((product - 1) / dy);
  let error = product - x * dy;
  if (dx < 0) error = dy - error + 1;
  const run = Math.abs(dx), direction = dx < 0 ? -1 : 1;
  return {
    edge: {
      rows: 0,
      x: x + (isLeft ? 1 : 0),
      step: direction * Math.floor(run / dy),
      sign: direction,
      error: error - dy,
      errorStep: run % dy,
      errorTurn: dy,
    },
    y,
  };
}

/** Adds the runs between two sides, as far down as there are edges on both. */
function fill(spans: Spans, startY: number, leftEdges: Edge[], rightEdges: Edge[]): void {
  let y = startY, left: Edge | undefined, right: Edge | undefined;
  let leftRows = 0, rightRows = 0;
  for (;;) {
    if (leftRows === 0) {
      left = leftEdges.shift();
      if (!left) return;
      leftRows = left.rows;
    }
    if (rightRows === 0) {
      right = rightEdges.shift();
      if (!right) return;
      rightRows = right.rows;
    }
    const rows = Math.min(leftRows, rightRows);
    leftRows -= rows;
    rightRows -= rows;
    for (let i = 0; i < rows; i++, y++) {
      if (right!.x >= left!.x) spans.add(left!.x, y, right!.x - left!.x + 1);
      advance(left!);
      advance(right!);
    }
  }
}

function advance(edge: Edge): void {
  edge.x += edge.step;
  edge.error += edge.errorStep;
  if (edge.error > 0) {
    edge.x += edge.sign;
    edge.error -= edge.errorTurn;
  }
}
