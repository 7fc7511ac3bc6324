/**
 * Watches that draws are acknowledged: the guest's GPU stands still until they are, and a copy may hang
 * in a driver. Then the draw is acknowledged without it, and the VM goes on. A thread that does not come
 * back has to be given up: it would not even see the next draw.
 */
import type { GlLedger } from "../display/gl_ledger.ts";
import type { DisplayCells } from "./display_cells.ts";

/** So long a draw may take, in milliseconds. QEMU itself complains after as long. */
const LIMIT_MS = 1_000;
/** A thread that is at the same thing for so much longer is given up. */
const HANG_MS = 5_000;
const CHECK_MS = 200;
/** Time between two looks beyond this, in milliseconds, is none that the thread had: both stood still. */
const MAX_LOOK_MS = 500;

/** Options of {@linkcode GlWatchdog}. */
export interface GlWatchdogOptions {
  /** The display's name in texts. */
  name: string;
  cells: DisplayCells;
  ledger: GlLedger;
  /** What the display shows, for texts: "1280×800". */
  describe: () => string;
  /** Sends GL_DRAW_DONE. @returns Whether it has left. */
  acknowledge: () => boolean;
  /** A draw had to be acknowledged in place of the thread. */
  onTrip: (text: string) => void;
  /** The thread has still not come back, and has to be given up. */
  onHang: (text: string) => void;
  /** How much longer than a draw may take the thread may stay away, in milliseconds; 5 s if left out. */
  hangMs?: number;
}

/** A watchdog that looks a few times each second, until it is disposed. */
export class GlWatchdog implements Disposable {
  readonly #options: GlWatchdogOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  /** Milliseconds that have passed, but for those in which the process or the host was stopped. */
  #now = 0;
  #lookedAt: number | undefined;
  #draws = -1;
  #owedSince = 0;
  /** What the thread does, since when it does, and whether it was given up. */
  #step = { number: 0, since: 0, isOver: false };

  constructor(options: GlWatchdogOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.check(performance.now()), CHECK_MS);
    Deno.unrefTimer(this.#timer);
  }

  /** Looks once. @param at Milliseconds. */
  check(at: number): void {
    this.#now += Math.min(at - (this.#lookedAt ?? at), MAX_LOOK_MS);
    this.#lookedAt = at;
    const now = this.#now;
    const { cells, ledger } = this.#options;
    const { draws } = ledger;
    this.#checkStep(now);
    if (!cells.isOwed) return void (this.#draws = -1);
    if (draws !== this.#draws) {
      this.#draws = draws;
      this.#owedSince = now;
      return;
    }
    const owedMs = now - this.#owedSince;
    if (owedMs >= LIMIT_MS) this.#trip(draws, owedMs);
  }

  #trip(draws: number, owedMs: number): void {
    const { name, cells, ledger, describe, acknowledge, onTrip } = this.#options;
    const { stage, acks } = ledger;
    if (!cells.takeOwed()) return; // just now
    if (!acknowledge()) return cells.owe(); // the next time
    ledger.ack(owedMs * 1000);
    this.#draws = -1;
    onTrip(
      `no draw of ${name} was acknowledged for ${Math.round(owedMs)} ms: its thread is at ` +
        `"${stage}" with draw ${draws} of ${describe()}, and ${acks} were acknowledged; this one is ` +
        `now, without its copy`,
    );
  }

  #checkStep(now: number): void {
    const { ledger, name, onHang, hangMs = HANG_MS } = this.#options;
    const { step, stage } = ledger;
    if (stage === "idle" || step !== this.#step.number) {
      this.#step = { number: step, since: now, isOver: false };
    } else if (now - this.#step.since >= LIMIT_MS + hangMs && !this.#step.isOver) {
      this.#step.isOver = true;
      onHang(`the thread of ${name} does not come back from "${stage}"`);
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
