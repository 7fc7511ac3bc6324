/**
 * Watches that draws are acknowledged: the guest's GPU stands still until they are, and a copy may hang
 * in a driver. Then the draw is acknowledged without it, and the VM goes on.
 */
import type { GlLedger } from "../display/gl_ledger.ts";
import type { DisplayCells } from "./display_cells.ts";

/** So long a draw may take, in milliseconds. QEMU itself complains after as long. */
const LIMIT_MS = 1_000;
/** A thread that does not come back for so long after that is given up. */
const HANG_MS = 5_000;
const CHECK_MS = 200;

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
  /** So long the thread may stay away after that, in milliseconds; 5 s when left out. */
  hangMs?: number;
}

/** A watchdog that looks a few times each second, until it is disposed. */
export class GlWatchdog implements Disposable {
  readonly #options: GlWatchdogOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  #draws = -1;
  #owedSince = 0;
  /** The draw that was acknowledged in place of the thread, and when. */
  #tripped: { draws: number; at: number } | undefined;

  constructor(options: GlWatchdogOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.check(performance.now()), CHECK_MS);
    Deno.unrefTimer(this.#timer);
  }

  /** Looks once. @param now Milliseconds. */
  check(now: number): void {
    const { cells, ledger } = this.#options;
    const { draws } = ledger;
    this.#checkHang(draws, now);
    if (!cells.isOwed) return void (this.#draws = -1);
    if (draws !== this.#draws) {
      this.#draws = draws;
      this.#owedSince = now;
      return;
    }
    const owedMs = now - this.#owedSince;
    if (owedMs >= LIMIT_MS) this.#trip(draws, owedMs, now);
  }

  #trip(draws: number, owedMs: number, now: number): void {
    const { name, cells, ledger, describe, acknowledge, onTrip } = this.#options;
    const { stage, acks } = ledger;
    if (!cells.takeOwed()) return; // just now
    if (!acknowledge()) return cells.owe(); // the next time
    ledger.ack(owedMs * 1000);
    this.#draws = -1;
    this.#tripped = { draws, at: now };
    onTrip(
      `no draw of ${name} was acknowledged for ${Math.round(owedMs)} ms: its thread is at ` +
        `"${stage}" with draw ${draws} of ${describe()}, and ${acks} were acknowledged; this one is ` +
        `now, without its copy`,
    );
  }

  #checkHang(draws: number, now: number): void {
    if (this.#tripped === undefined) return;
    const { ledger, name, onHang, hangMs = HANG_MS } = this.#options;
    if (draws !== this.#tripped.draws || ledger.stage === "idle") {
      this.#tripped = undefined;
    } else if (now - this.#tripped.at >= hangMs) {
      this.#tripped = undefined;
      onHang(`the thread of ${name} does not come back from "${ledger.stage}"`);
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
