/**
 * The ledger of a GL display: what came, what was answered and how fast, what the CPU had to copy.
 *
 * It lies in memory that two threads share: the one that draws writes, any other reads.
 */
import { HISTOGRAM_CELLS, MicrosHistogram } from "./micros_histogram.ts";

/** Kinds of buffers that a guest's picture comes in, as the ledger names them. */
const BUFFER_KINDS = ["dmabuf", "memory", "iosurface"] as const;

/** A kind of buffer: on the GPU (`dmabuf` on Linux, `iosurface` on macOS), or plain memory. */
export type BufferKind = typeof BUFFER_KINDS[number];

/** What the thread that draws is doing. */
const GL_STAGES = ["idle", "draw", "import", "copy", "read"] as const;

/** A stage of the pipeline. */
export type GlStage = typeof GL_STAGES[number];

/** Times that half and 99 of 100 did not exceed, in microseconds; 0 where there are none. */
export interface Percentiles {
  p50: number;
  p99: number;
}

/** The ledger as it is told. Source: the contract in README.md, `view --stats`. */
export interface GlReport {
  /** Scanouts that the server has announced, repeated ones among them. */
  scanouts: number;
  /** Draws that the server has told of. */
  draws: number;
  /** Draws that were acknowledged: as many as draws, but for one under way. */
  acks: number;
  /** From the receipt of a draw until its acknowledgement has left. */
  ackMicros: Percentiles;
  /** Copies of a draw's damage into a texture of ours, where somebody looks. */
  copies: number;
  /** How long such a copy took; imports not counted. */
  copyMicros: Percentiles;
  /** Buffers that were imported into EGL. */
  imports: number;
  /** How often our texture was made anew: who shows it has to ask for it again. */
  textures: number;
  /**
   * Bytes that the CPU has copied, or moved over its memory: what was read from mapped buffers, what
   * was uploaded to textures and what was read back for pictures.
   */
  cpuBytes: number;
  /** The kinds of buffers that came. */
  kinds: BufferKind[];
}

/** Where each count is, in 32-bit cells. */
const CELL = {
  scanouts: 0,
  draws: 1,
  acks: 2,
  copies: 3,
  imports: 4,
  kinds: 5,
  stage: 6,
  textures: 7,
} as const;
const CELLS = 8;
/** The stage's own bits in its cell; what is above counts. */
const STAGE_BITS = 3;
const STAGE_MASK = (1 << STAGE_BITS) - 1;
/** Bytes copied are counted in 64 bits. */
const WIDE_BYTES = 8;
const BYTES = CELLS * 4 + WIDE_BYTES + 2 * HISTOGRAM_CELLS * 4;

/** The ledger of one GL display. */
export class GlLedger {
  /** The memory, to be given to another thread. */
  readonly memory: SharedArrayBuffer;
  readonly #cells: Uint32Array;
  readonly #cpuBytes: BigUint64Array;
  readonly #ackMicros: MicrosHistogram;
  readonly #copyMicros: MicrosHistogram;
  #steps = 0;

  /** @param memory That of another ledger, which this one then shares; an empty one when left out. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(BYTES)) {
    this.memory = memory;
    this.#cells = new Uint32Array(memory, 0, CELLS);
    this.#cpuBytes = new BigUint64Array(memory, CELLS * 4, 1);
    const histogram = (at: number) =>
      new MicrosHistogram(
        new Uint32Array(
          memory,
          CELLS * 4 + WIDE_BYTES + at * HISTOGRAM_CELLS * 4,
          HISTOGRAM_CELLS,
        ),
      );
    this.#ackMicros = histogram(0);
    this.#copyMicros = histogram(1);
  }

  /** Draws so far. */
  get draws(): number {
    return Atomics.load(this.#cells, CELL.draws);
  }

  /** Acknowledgements so far. */
  get acks(): number {
    return Atomics.load(this.#cells, CELL.acks);
  }

  /** What the thread that draws is doing. */
  get stage(): GlStage {
    return GL_STAGES[this.step & STAGE_MASK] ?? "idle";
  }

  set stage(stage: GlStage) {
    this.#steps++;
    Atomics.store(this.#cells, CELL.stage, this.#steps << STAGE_BITS | GL_STAGES.indexOf(stage));
  }

  /** A number that is another one as soon as the thread does something else, or the same anew. */
  get step(): number {
    return Atomics.load(this.#cells, CELL.stage);
  }

  /** Counts a scanout. */
  scanout(): void {
    Atomics.add(this.#cells, CELL.scanouts, 1);
  }

  /** Takes note of the kind of a scanout's buffer. */
  buffer(kind: BufferKind): void {
    Atomics.or(this.#cells, CELL.kinds, 1 << BUFFER_KINDS.indexOf(kind));
  }

  /** Counts a draw. */
  draw(): void {
    Atomics.add(this.#cells, CELL.draws, 1);
  }

  /** Counts an acknowledgement that left `micros` after its draw was received. */
  ack(micros: number): void {
    this.#ackMicros.add(micros);
    Atomics.add(this.#cells, CELL.acks, 1);
  }

  /** Counts an import. */
  import(): void {
    Atomics.add(this.#cells, CELL.imports, 1);
  }

  /** Counts a texture that was made. */
  texture(): void {
    Atomics.add(this.#cells, CELL.textures, 1);
  }

  /** Counts a copy that took `micros`. */
  copy(micros: number): void {
    Atomics.add(this.#cells, CELL.copies, 1);
    this.#copyMicros.add(micros);
  }

  /** Counts bytes that the CPU has copied. */
  cpu(bytes: number): void {
    if (bytes > 0) Atomics.add(this.#cpuBytes, 0, BigInt(bytes));
  }

  /** All of it, as it is now. */
  report(): GlReport {
    const count = (cell: number) => Atomics.load(this.#cells, cell);
    const kinds = count(CELL.kinds);
    return {
      scanouts: count(CELL.scanouts),
      draws: count(CELL.draws),
      acks: count(CELL.acks),
      ackMicros: percentiles(this.#ackMicros),
      copies: count(CELL.copies),
      copyMicros: percentiles(this.#copyMicros),
      imports: count(CELL.imports),
      textures: count(CELL.textures),
      cpuBytes: Number(Atomics.load(this.#cpuBytes, 0)),
      kinds: BUFFER_KINDS.filter((_, bit) => (kinds >> bit & 1) === 1),
    };
  }
}

function percentiles(histogram: MicrosHistogram): Percentiles {
  return { p50: histogram.percentile(0.5), p99: histogram.percentile(0.99) };
}
