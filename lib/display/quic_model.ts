/**
 * What a QUIC decoder learns while it decodes: which code suits each component, how often to look
 * again, and how long runs tend to be.
 *
 * The encoder learned the same from the same pixels, so every step here is part of the format.
 * Source: spice-common 0.15.1, common/quic.c and quic_family_tmpl.c.
 */
import type { CodeFamily } from "./quic_codes.ts";
import type { QuicBits } from "./quic_bits.ts";

/** After so many pixels of one pace the next one begins. */
const PIXELS_PER_PACE = 2048;

/**
 * The paces, in order: between two lessons lie up to `mask` pixels, and when a group's best code
 * has cost more than `enough` bits, its past counts half from then on.
 */
const PACES = [
  { mask: 0, enough: 110 },
  { mask: 1, enough: 550 },
  { mask: 3, enough: 900 },
  { mask: 7, enough: 800 },
  { mask: 15, enough: 550 },
  { mask: 31, enough: 400 },
  { mask: 63, enough: 350 },
] as const;

/**
 * The waits between lessons, used in turn and cut to the mask of the pace. The format has 256
 * random words, of which no mask lets more than six bits through: those are here, one a digit.
 */
const WAITS = (() => {
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const sequence = "CXTVHSoOMgvskGSLETqdQ/5zQDFOPeUJktD59AIFpOrbr7fjn8qmN2+BaDL90iHw" +
    "E7WMWIyEKGsILufz1RBru8k2KbnsWpXCsAo1owQrgchMUC4+36SUN3md5Txhv/7A" +
    "j9TZum8EjBaocKFOZSwxU7+iuHh0i6JdI3+8lklyGDKcwYa95eL2CGyvHRj1gMXR" +
    "FVx3zt0bnZn/WYq04mpp4gNYazb46lYqPcRefPQXZ2hiBdfy1VxPvJA6lteNJt/V";
  return Uint8Array.from(sequence, (digit) => digits.indexOf(digit));
})();

/** When the components that are decoded together learn. */
export class Pace {
  #pace = 0;
  #pixelsLeft = PIXELS_PER_PACE;
  #draws = 0;
  /** Pixels still to be decoded before one is learned from. */
  wait = 0;

  /** The bits that a group's best code may cost before its past is halved. */
  get enough(): number {
    return PACES[this.#pace]!.enough;
  }

  /** Returns the wait that follows a lesson, in pixels. */
  nextWait(): number {
    return WAITS[this.#draws++ & 255]! & PACES[this.#pace]!.mask;
  }

  /** Returns how many of a row's next `pixels` pixels are of the present pace; at least one. */
  pixelsOf(pixels: number): number {
    return this.#pace === PACES.length - 1 ? pixels : Math.min(pixels, this.#pixelsLeft);
  }

  /** Counts pixels of the present pace; after enough of them the next one begins. */
  pass(pixels: number): void {
    if (this.#pace === PACES.length - 1) return;
    this.#pixelsLeft -= pixels;
    if (this.#pixelsLeft > 0) return;
    this.#pixelsLeft = PIXELS_PER_PACE;
    this.#pace++;
  }
}

/** One component of the picture: its prediction errors, and which codes suit them. */
export class Component {
  readonly #family: CodeFamily;
  readonly #bits: QuicBits;
  /**
   * The errors of the row that is being decoded, behind the one that stands before it. Where a run
   * was decoded instead, errors of earlier rows remain, and count.
   */
  readonly #errors: Uint8Array;
  /** For each group, the code in use. */
  readonly #codeOf: Uint8Array;
  /** For each group, what each code would have cost, in bits; at `group * codes + code`. */
  readonly #costs: Uint32Array;

  constructor(family: CodeFamily, bits: QuicBits, width: number) {
    this.#family = family;
    this.#bits = bits;
    this.#errors = new Uint8Array(1 + width);
    this.#codeOf = new Uint8Array(family.codes).fill(family.codes - 1);
    this.#costs = new Uint32Array(family.codes * family.codes);
  }

  /** Puts the error that begins the row above before this row; the first row begins after zero. */
  beginRow(): void {
    this.#errors[0] = this.#errors[1]!;
  }

  /**
   * Reads the error at column `x` and returns it with its sign where it belongs, modulo the
   * component's range: 0, -1, 1, -2, 2, … were written as 0, 1, 2, 3, 4, …
   */
  read(x: number): number {
    const { groupOf, escapeZeros, escapeBits, escapeBase, largest } = this.#family;
    const code = this.#codeOf[groupOf[this.#errors[x]!]!]!;
    const window = this.#bits.window();
    const zeros = Math.clz32(window);
    let error;
    if (zeros < escapeZeros[code]!) {
      const length = zeros + 1 + code;
      error = zeros << code | window >>> (32 - length) & ((1 << code) - 1);
      this.#bits.skip(length);
    } else {
      const length = escapeBits[code]!;
      // What stands behind the zeros fits this mask, since the zeros are zeros.
      error = escapeBase[code]! + (window >>> (32 - length)) & largest;
      this.#bits.skip(length);
    }
    this.#errors[x + 1] = error;
    return error >>> 1 ^ -(error & 1);
  }

  /** Learns from the error at column `x`: counts its cost in every code, and picks the cheapest. */
  learn(x: number, enough: number): void {
    const { codes, groupOf, codewordBits } = this.#family;
    const group = groupOf[this.#errors[x]!]!;
    const costs = group * codes;
    const lengths = this.#errors[x + 1]! * codes;
    let best = codes - 1;
    let least = Infinity;
    for (let code = codes - 1; code >= 0; code--) {
      const cost = this.#costs[costs + code]! + codewordBits[lengths + code]!;
      this.#costs[costs + code] = cost;
      if (cost < least) {
        best = code;
        least = cost;
      }
    }
    this.#codeOf[group] = best;
    if (least > enough) {
      for (let code = 0; code < codes; code++) this.#costs[costs + code]! >>>= 1;
    }
  }
}

/**
 * For each state, log2 of the run that one bit stands for. Whole runs of that length move the state
 * up, the end of a run moves it down. (The table is that of JPEG-LS, too.)
 */
// deno-fmt-ignore
const RUN_BITS = [
  0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7,
  8, 9, 10, 11, 12, 13, 14, 15,
] as const;

/** Reads the lengths of runs of one colour. */
export class RunLengths {
  #state = 0;

  /** Returns the length of the next run, in pixels; if it is above `most`, just some such number. */
  read(bits: QuicBits, most: number): number {
    let length = 0;
    while (bits.window() < 0) {
      bits.skip(1);
      length += 1 << RUN_BITS[this.#state]!;
      // A run that is too long must end here: it could go on for as long as there are ones.
      if (length > most) return length;
      if (this.#state < RUN_BITS.length - 1) this.#state++;
    }
    bits.skip(1);
    const rest = RUN_BITS[this.#state]!;
    if (rest > 0) {
      length += bits.window() >>> (32 - rest);
      bits.skip(rest);
    }
    if (this.#state > 0) this.#state--;
    return length;
  }
}
