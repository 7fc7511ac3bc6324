/**
 * Lines of one pixel, the way X draws them: Bresenham's, with ties decided by the octant, and cut to
 * the surface so that what remains has the pixels of the whole line.
 *
 * Source: spice-common, lines.c, spice_canvas_zero_line, which is X's mizerline.c.
 */
import type { Spans } from "./spans.ts";

/** Beyond this X does not calculate exactly. */
export const MAX_LINE_COORDINATE = 32767;

/** Octants, as numbers of these bits, in which a tie takes the step along the axis. */
const Y_MAJOR = 1, Y_DECREASING = 2, X_DECREASING = 4;
const BIASED_OCTANTS: ReadonlySet<number> = new Set([
  Y_DECREASING | Y_MAJOR,
  X_DECREASING | Y_DECREASING | Y_MAJOR,
  X_DECREASING | Y_DECREASING,
  X_DECREASING,
]);

/** Sides of the surface that a point is beyond. */
const LEFT = 8, RIGHT = 4, ABOVE = 2, BELOW = 1;

/** A line's end. */
interface End {
  x: number;
  y: number;
  /** Sides that it has been cut at. */
  cut: number;
}

/**
 * Adds the pixels of a line to `spans`, without that of its end.
 *
 * @param width,height Of the surface: what is beyond is left out.
 */
export function addThinLine(
  spans: Spans,
  x1: number,
  y1: number,
  x2: number,
  y2: number,
  width: number,
  height: number,
): void {
  const dx = Math.abs(x2 - x1), dy = Math.abs(y2 - y1);
  const stepX = x2 < x1 ? -1 : 1, stepY = y2 < y1 ? -1 : 1;
  const isXMajor = dx > dy;
  const octant = (isXMajor ? 0 : Y_MAJOR) | (stepY < 0 ? Y_DECREASING : 0) |
    (stepX < 0 ? X_DECREASING : 0);
  const bias = BIASED_OCTANTS.has(octant) ? 1 : 0;
  const ends = cutLine(x1, y1, x2, y2, { dx, dy, stepX, stepY, isXMajor, bias, width, height });
  if (!ends) return;
  const [start, end] = ends;

  const major = isXMajor ? dx : dy, minor = isXMajor ? dy : dx;
  // How far the line is from the pixel, in units of 2 * major; a step to the side is due at 0.
  let error = 2 * minor - major - bias;
  const [cutX, cutY] = [Math.abs(start.x - x1), Math.abs(start.y - y1)];
  const [cutMajor, cutMinor] = isXMajor ? [cutX, cutY] : [cutY, cutX];
  error += 2 * minor * cutMajor - 2 * major * cutMinor - 2 * minor;

  let length = isXMajor ? Math.abs(end.x - start.x) : Math.abs(end.y - start.y);
  if (end.cut !== 0) length++;
  let { x, y } = start;
  for (; length > 0; length--) {
    spans.addPixel(x, y);
    error += 2 * minor;
    const turns = error >= 0;
    if (turns) error -= 2 * major;
    if (isXMajor || turns) x += stepX;
    if (!isXMajor || turns) y += stepY;
  }
}

/** What stays the same while a line is cut. */
interface Line {
  dx: number;
  dy: number;
  stepX: number;
  stepY: number;
  isXMajor: boolean;
  bias: number;
  width: number;
  height: number;
}

/** Cuts a line to the surface; returns its ends, or nothing if none of it is left. */
function cutLine(
  x1: number,
  y1: number,
  x2: number,
  y2: number,
  line: Line,
): readonly [End, End] | undefined {
  const { width, height } = line;
  const start: End = { x: x1, y: y1, cut: 0 }, end: End = { x: x2, y: y2, cut: 0 };
  for (let cuts = 0; cuts <= MOST_CUTS; cuts++) {
    const startSides = sidesOf(start, width, height), endSides = sidesOf(end, width, height);
    if ((startSides & endSides) !== 0) return undefined;
    if ((startSides | endSides) === 0) return [start, end];
    // One end is cut until it is inside, then the other.
    if (startSides !== 0) cutEnd(start, startSides, x1, y1, line, true);
    else cutEnd(end, endSides, x2, y2, line, false);
  }
  return undefined;
}

/** Two sides for each end, and each of them once more where the first cut left the surface again. */
const MOST_CUTS = 8;

function sidesOf({ x, y }: End, width: number, height: number): number {
  return (x < 0 ? LEFT : 0) | (x >= width ? RIGHT : 0) | (y < 0 ? ABOVE : 0) |
    (y >= height ? BELOW : 0);
}

/** Moves an end along its line to one of the sides that it is beyond. */
function cutEnd(
  end: End,
  sides: number,
  x: number,
  y: number,
  line: Line,
  isStart: boolean,
): void {
  const { dx, dy, stepX, stepY, isXMajor, bias, width, height } = line;
  const direction = isStart ? 1 : -1;
  end.cut |= sides;
  // A step along the major axis is rounded; one along the minor axis goes to the first or last pixel
  // of its row or column.
  if ((sides & (LEFT | RIGHT)) !== 0 && ((sides & LEFT) !== 0 || (sides & ABOVE) === 0)) {
    end.x = (sides & LEFT) !== 0 ? 0 : width - 1;
    const steps = stepsAcross(Math.abs(end.x - x), dx, dy, isXMajor, isStart, bias);
    end.y = y + direction * stepY * steps;
  } else {
    end.y = (sides & ABOVE) !== 0 ? 0 : height - 1;
    const steps = stepsAcross(Math.abs(end.y - y), dy, dx, !isXMajor, isStart, bias);
    end.x = x + direction * stepX * steps;
  }
}

/**
 * Returns how many steps across go with `along` steps on an axis.
 *
 * @param length,across The line's extent on that axis and on the other.
 * @param isMajor Whether that axis is the longer one.
 */
function stepsAcross(
  along: number,
  length: number,
  across: number,
  isMajor: boolean,
  isStart: boolean,
  bias: number,
): number {
  if (isMajor) {
    const tie = isStart ? -bias : bias - 1;
    return Math.floor((2 * along * across + length + tie) / (2 * length));
  }
  const tie = isStart ? bias - 1 : -bias;
  return Math.floor((2 * along * across - across + tie) / (2 * length)) + 1;
}
