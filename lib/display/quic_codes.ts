/**
 * QUIC's prefix codes, and how its numbers map to them.
 *
 * A component's prediction error is written with one of as many Golomb-Rice codes as a component
 * has bits: code `k` suits errors around 2^k. It is `k` low bits behind a unary count of the rest;
 * a count that would grow too long is cut, and the error follows in fixed length (an escape).
 * Source: spice-common 0.15.1, common/quic.c and quic_family_tmpl.c (which follow SFALIC).
 */

/** The longest codeword is this many bits long. */
export const LONGEST_CODEWORD = 26;

/** All that depends on the bits of a component. Indexed by code, from that for the least errors. */
export interface CodeFamily {
  /** How many codes there are: one for each bit of a component. */
  readonly codes: number;
  /** All ones: the largest value of a component. */
  readonly largest: number;
  /** So many leading zeros announce an escape. */
  readonly escapeZeros: Uint8Array;
  /** Bits of an escape, zeros and all. */
  readonly escapeBits: Uint8Array;
  /** The least error that needs an escape; what the escape holds is counted from it. */
  readonly escapeBase: Uint16Array;
  /** Bits of the codeword for an error, at `error * codes + code`. */
  readonly codewordBits: Uint8Array;
  /** Which of the `codes` groups of neighbours an error falls into: 0, 1–2, 3–6, 7–14, … */
  readonly groupOf: Uint8Array;
}

/** Makes the family for components of `bits` bits. */
function codeFamily(bits: number): CodeFamily {
  const values = 1 << bits;
  const family = {
    codes: bits,
    largest: values - 1,
    escapeZeros: new Uint8Array(bits),
    escapeBits: new Uint8Array(bits),
    escapeBase: new Uint16Array(bits),
    codewordBits: new Uint8Array(values * bits),
    groupOf: new Uint8Array(values),
  };
  for (let code = 0; code < bits; code++) {
    const zeros = Math.min(LONGEST_CODEWORD - bits, (1 << (bits - code)) - 1);
    const base = zeros << code;
    family.escapeZeros[code] = zeros;
    family.escapeBase[code] = base;
    family.escapeBits[code] = zeros + Math.ceil(Math.log2(values - base));
    for (let error = 0; error < values; error++) {
      family.codewordBits[error * bits + code] = error < base
        ? (error >> code) + 1 + code
        : family.escapeBits[code]!;
    }
  }
  for (let error = 0; error < values; error++) {
    // The last group takes in what would be a group of one.
    family.groupOf[error] = Math.min(31 - Math.clz32(error + 1), bits - 1);
  }
  return family;
}

/** Components of eight bits. */
export const EIGHT_BITS = codeFamily(8);
/** Components of five bits. */
export const FIVE_BITS = codeFamily(5);
