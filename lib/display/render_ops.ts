/**
 * The operators of the Render extension on premultiplied pixels, rounded as pixman does.
 *
 * Source: pixman, pixman-combine32.c.
 */
import { fade } from "./blending.ts";

/** Adds two pixels, each component at most 255. */
function add(a: number, b: number): number {
  const low = (a & 0x00ff00ff) + (b & 0x00ff00ff);
  const high = (a >>> 8 & 0x00ff00ff) + (b >>> 8 & 0x00ff00ff);
  return (saturate(low) | saturate(high) << 8) >>> 0;
}

/** Keeps two sums of bytes at 255. */
function saturate(pair: number): number {
  return (pair | 0x01000100 - (pair >>> 8 & 0x00ff00ff)) & 0x00ff00ff;
}

/** Multiplies two pixels component by component. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let shift = 0; shift < 32; shift += 8) {
    const value = (a >>> shift & 0xff) * (b >>> shift & 0xff) + 0x80;
    product |= (value + (value >> 8) >> 8) << shift;
  }
  return product >>> 0;
}

const alphaOf = (pixel: number): number => pixel >>> 24;
const invert = (pixel: number): number => ~pixel >>> 0;

/** Combines a source, a mask and what is there. All have opacity; what has none is opaque. */
export type RenderCombine = (source: number, mask: number, dest: number) => number;

/** How much of source and destination remain: by the other's opacity. */
interface Factors {
  /** Of the source, by the destination's opacity. */
  source: (destAlpha: number) => number;
  /** Of the destination, by the source's opacity. */
  dest: (sourceAlpha: number) => number;
}

const none = () => 0;
const all = () => 255;
const same = (alpha: number) => alpha;
const rest = (alpha: number) => 255 - alpha;

/**
 * Porter and Duff's operators, and ADD. Numbers: pixman.h, pixman_op_t. The others are calculated in
 * floating point there.
 */
const FACTORS: readonly Factors[] = [
  { source: none, dest: none }, // CLEAR
  { source: all, dest: none }, // SRC
  { source: none, dest: all }, // DST
  { source: all, dest: rest }, // OVER
  { source: rest, dest: all }, // OVER_REVERSE
  { source: same, dest: none }, // IN
  { source: none, dest: same }, // IN_REVERSE
  { source: rest, dest: none }, // OUT
  { source: none, dest: rest }, // OUT_REVERSE
  { source: same, dest: rest }, // ATOP
  { source: rest, dest: same }, // ATOP_REVERSE
  { source: rest, dest: rest }, // XOR
  { source: all, dest: all }, // ADD
];

/**
 * Returns an operator.
 *
 * @param number pixman's number of it.
 * @param isComponent Whether the mask has its own opacity for each colour.
 * @returns Nothing for one that is not known here.
 */
export function renderOperator(number: number, isComponent: boolean): RenderCombine | undefined {
  const factors = FACTORS[number];
  if (!factors) return undefined;
  const { source: ofSource, dest: ofDest } = factors;
  if (!isComponent) {
    return (source, mask, dest) => {
      const masked = fade(source, alphaOf(mask));
      const kept = fade(dest, ofDest(alphaOf(masked)));
      return add(fade(masked, ofSource(alphaOf(dest))), kept);
    };
  }
  return (source, mask, dest) => {
    const masked = multiply(source, mask);
    // The source's opacity for each colour.
    const alphas = fade(mask, alphaOf(source));
    const kept = ofDest === none
      ? 0
      : ofDest === all
      ? dest
      : multiply(dest, ofDest === same ? alphas : invert(alphas));
    return add(fade(masked, ofSource(alphaOf(dest))), kept);
  };
}
