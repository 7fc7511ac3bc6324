/**
 * Raster operations as polynomials.
 *
 * Each bit of the result is a function of the bits of source and destination. Every such function is
 * a sum (XOR) of products (AND) of them; with the coefficients as words of all zeros or all ones one
 * formula serves all sixteen functions on 32 bits at a time, and one of eight terms all 256 of three
 * operands.
 */

/** Bits of a raster operation descriptor. Source: spice/enums.h, SPICE_ROPD. */
const ROPD = {
  inversSrc: 1,
  inversBrush: 2,
  inversDest: 4,
  put: 8,
  or: 16,
  and: 32,
  xor: 64,
  blackness: 128,
  whiteness: 256,
  invers: 512,
  inversRes: 1024,
} as const;

/**
 * A raster operation: its result is `one ^ (s & src) ^ (d & dest) ^ (sd & src & dest)`, where each
 * coefficient is 0 or -1.
 */
export interface RasterOp {
  readonly one: number;
  readonly s: number;
  readonly d: number;
  readonly sd: number;
  /** Whether the result is the source. */
  readonly isCopy: boolean;
}

/** Returns 0 or -1. */
function allBits(bit: number): number {
  return -(bit & 1);
}

/** Makes an operation from its results: bit `2 * src + dest` is that for those two bits. */
function fromTable(table: number): RasterOp {
  const [t0, t1, t2, t3] = [table, table >> 1, table >> 2, table >> 3];
  return {
    one: allBits(t0),
    d: allBits(t0 ^ t1),
    s: allBits(t0 ^ t2),
    sd: allBits(t0 ^ t1 ^ t2 ^ t3),
    isCopy: table === 0xc,
  };
}

const BY_TABLE: readonly RasterOp[] = Array.from({ length: 16 }, (_, table) => fromTable(table));
const SRC = 0xc;
const DEST = 0xa;

/** Inverts all bits. */
export const INVERT: RasterOp = BY_TABLE[~DEST & 0xf]!;

/**
 * Returns the operation that a descriptor means.
 *
 * @param operands Which of its inversion bits are about the source and the destination: a fill has
 * a brush as source, a copy an image; and what is opaque combines a brush with the image.
 */
export function rasterOp(rop: number, operands: "brush,dest" | "src,dest" | "brush,src"): RasterOp {
  const [srcBit, destBit] = {
    "brush,dest": [ROPD.inversBrush, ROPD.inversDest],
    "src,dest": [ROPD.inversSrc, ROPD.inversDest],
    "brush,src": [ROPD.inversBrush, ROPD.inversSrc],
  }[operands] as [number, number];
  const s = (rop & srcBit) !== 0 ? ~SRC : SRC;
  const d = (rop & destBit) !== 0 ? ~DEST : DEST;
  const inverse = (rop & ROPD.inversRes) !== 0 ? -1 : 0;
  let table: number = SRC; // of several operations the first of this order counts
  if (rop & ROPD.put) table = s ^ inverse;
  else if (rop & ROPD.or) table = (s | d) ^ inverse;
  else if (rop & ROPD.and) table = s & d ^ inverse;
  else if (rop & ROPD.xor) table = s ^ d ^ inverse;
  else if (rop & ROPD.blackness) table = 0;
  else if (rop & ROPD.whiteness) table = 0xf;
  else if (rop & ROPD.invers) table = ~DEST;
  return BY_TABLE[table & 0xf]!;
}

/** Coefficients of an operation with three operands: pattern, source and destination. */
export interface RasterOp3 {
  readonly one: number;
  readonly d: number;
  readonly s: number;
  readonly sd: number;
  readonly p: number;
  readonly pd: number;
  readonly ps: number;
  readonly psd: number;
}

/**
 * Returns a ternary operation by its number: bit `4 * pattern + 2 * src + dest` of it is the result
 * for those three bits, as Windows numbers them.
 */
export function rasterOp3(number: number): RasterOp3 {
  // The Möbius transform: each coefficient is the sum of the results for all subsets of its operands.
  const sums = Array.from({ length: 8 }, (_, index) => number >> index & 1);
  for (const operand of [1, 2, 4]) {
    for (let index = 0; index < 8; index++) {
      if (index & operand) sums[index]! ^= sums[index ^ operand]!;
    }
  }
  const [one, d, s, sd, p, pd, ps, psd] = sums.map(allBits) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return { one, d, s, sd, p, pd, ps, psd };
}
