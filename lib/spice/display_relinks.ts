/** Displays that an attached session links beside what else it does, and does without if it has to. */
import { pause, withDeadline } from "../base/deadline.ts";
import { DeadlineError, SpiceError } from "../base/errors.ts";

/** How long linking may take. */
const TIMEOUT_MS = 10_000;
/**
 * A display that ends alone is linked again after a pause, so that the end of main, which makes it
 * pointless, can come first; and only so many times in a minute.
 */
const REOPEN_MS = 200;
const MAX_REOPENS = 3;
const REOPEN_PERIOD_MS = 60_000;

/** What is needed of the session. */
export interface RelinkingSession {
  /** Is aborted when the session ends. */
  readonly ending: AbortSignal;
  /** Links a display, and resolves once it is up. */
  link(signal: AbortSignal, id: number): Promise<void>;
  /** Tells that a display is left out, and why. */
  warn(id: number, text: string): void;
}

/** Links displays that came later, and those that have ended alone. */
export class DisplayRelinks {
  readonly #session: RelinkingSession;
  /** When displays were linked again, by their ids. */
  readonly #reopened = new Map<number, number[]>();

  constructor(session: RelinkingSession) {
    this.#session = session;
  }

  /** Links a display. What the session's listeners throw meanwhile is handed on. */
  async open(id: number): Promise<void> {
    const { ending } = this.#session;
    try {
      await withDeadline("display", (signal) => this.#session.link(signal, id), {
        timeoutMs: TIMEOUT_MS,
        signal: ending,
      });
    } catch (error) {
      if (ending.aborted) return;
      if (!(error instanceof SpiceError) && !(error instanceof DeadlineError)) throw error;
      this.#session.warn(id, `the display is not shown: ${error.message}`);
    }
  }

  /** Links a display again that has ended alone, unless it ends all the time. */
  async again(id: number): Promise<void> {
    const now = performance.now();
    const recent = (this.#reopened.get(id) ?? []).filter((at) => now - at < REOPEN_PERIOD_MS);
    if (recent.length >= MAX_REOPENS) {
      const text = `the display is not linked again: it has ended ${recent.length + 1} times`;
      return this.#session.warn(id, text);
    }
    this.#reopened.set(id, [...recent, now]);
    try {
      await pause(REOPEN_MS, this.#session.ending);
    } catch {
      return; // the whole session has ended
    }
    await this.open(id);
  }
}
