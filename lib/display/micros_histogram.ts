/** How often what took how long: counts in memory that several threads may share. */

/** Quarters of a microsecond are told apart up to 8 µs; … */
const STEPS_PER_MICRO = 4;
/** … beyond, each doubling is divided into so many buckets: 3 % of the value. */
const BUCKETS_PER_OCTAVE = 32;
const OCTAVE_BITS = 5;
/** The longest that is told apart: 2^31 steps, nine minutes. */
const MAX_STEPS = 0x7fff_ffff;

/** How many counts there are. */
export const HISTOGRAM_CELLS = (31 - OCTAVE_BITS + 1) * BUCKETS_PER_OCTAVE;

/** Times in microseconds, each to within 3 %. Any thread may add; reading is never torn. */
export class MicrosHistogram {
  readonly #counts: Uint32Array;

  /** @param counts {@linkcode HISTOGRAM_CELLS} counts, zero at first; memory of its own when left out. */
  constructor(counts: Uint32Array = new Uint32Array(HISTOGRAM_CELLS)) {
    this.#counts = counts;
  }

  /** Counts one time. */
  add(micros: number): void {
    Atomics.add(this.#counts, bucketOf(micros), 1);
  }

  /** How many times were counted. */
  get total(): number {
    let total = 0;
    for (let i = 0; i < HISTOGRAM_CELLS; i++) total += Atomics.load(this.#counts, i);
    return total;
  }

  /**
   * Returns the time that the share `part` of all did not exceed, in microseconds with one decimal; 0
   * where there are none.
   *
   * @param part 0 to 1; 0.5 is the median.
   */
  percentile(part: number): number {
    const counts = Array.from({ length: HISTOGRAM_CELLS }, (_, i) => Atomics.load(this.#counts, i));
    const total = counts.reduce((sum, count) => sum + count, 0);
    if (total === 0) return 0;
    const rank = Math.max(1, Math.ceil(total * part));
    let seen = 0;
    const bucket = counts.findIndex((count) => (seen += count) >= rank);
    return Math.round(middleOf(bucket) * 10) / 10;
  }
}

function bucketOf(micros: number): number {
  const steps = Math.min(Math.max(0, Math.floor(micros * STEPS_PER_MICRO)), MAX_STEPS);
  if (steps < BUCKETS_PER_OCTAVE) return steps;
  const octave = 31 - Math.clz32(steps) - OCTAVE_BITS; // 0 for the first beyond single steps
  return (octave + 1) * BUCKETS_PER_OCTAVE + (steps >>> octave) - BUCKETS_PER_OCTAVE;
}

function middleOf(bucket: number): number {
  if (bucket < BUCKETS_PER_OCTAVE) return (bucket + 0.5) / STEPS_PER_MICRO;
  const octave = Math.floor(bucket / BUCKETS_PER_OCTAVE) - 1;
  const steps = (BUCKETS_PER_OCTAVE + bucket % BUCKETS_PER_OCTAVE + 0.5) * 2 ** octave;
  return steps / STEPS_PER_MICRO;
}
