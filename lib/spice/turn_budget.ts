/**
 * How long messages may be handled before everything else in the process has its turn.
 *
 * Reading gives no turn by itself: where bytes are there already, a read resolves at once, up to a
 * hundred times in a row, and one chunk may hold thousands of messages that draw.
 */

/** Handling goes on for this long; then the event loop comes first. */
const TURN_MS = 16;
/**
 * After this long a timer is set that shows when the event loop had its turn: it mostly does while
 * we read, and then nothing has to wait.
 */
const WATCH_MS = 4;

/** Measures how long one channel keeps the event loop. */
export class TurnBudget {
  #startedAt = 0;
  #spentMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #turn: PromiseWithResolvers<void> | undefined;

  /** Begins to measure. */
  start(): void {
    this.#startedAt = performance.now();
  }

  /**
   * Counts the time since `start`, or since it was last counted.
   *
   * @returns undefined while handling may go on, else what has to be waited for.
   */
  spend(): Promise<void> | undefined {
    const now = performance.now();
    this.#spentMs += now - this.#startedAt;
    this.#startedAt = now;
    if (this.#spentMs < WATCH_MS) return undefined;
    this.#timer ??= setTimeout(() => this.#renew(), 0);
    if (this.#spentMs < TURN_MS) return undefined;
    this.#turn ??= Promise.withResolvers();
    return this.#turn.promise;
  }

  /** Ends measuring; nobody waits any longer. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#renew();
  }

  #renew(): void {
    this.#timer = undefined;
    this.#spentMs = 0;
    this.#turn?.resolve();
    this.#turn = undefined;
  }
}
