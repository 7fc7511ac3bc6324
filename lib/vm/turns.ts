/** One at a time: what two clients do to the same device must not mix. */

/** A queue of work; each begins when the one before has ended, whether or not that failed. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Waits for its turn, then works.
   *
   * @param signal Gives the turn up, if it has not come yet.
   * @throws what `work` throws, or the signal's reason.
   */
  take<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const mine = this.#last.then(() => {
      signal?.throwIfAborted();
      return work();
    });
    this.#last = mine.catch(() => {});
    return mine;
  }
}
