/** Questions to another thread that are answered later. */

/** Questions of one kind, by the numbers that their answers come with. */
export class ThreadCalls<T> {
  readonly #waiting = new Map<number, PromiseWithResolvers<T>>();
  #count = 0;

  /**
   * Asks, and waits for the answer.
   *
   * @param post Posts the question with its number.
   * @param again Asks once more where there is no answer after so many milliseconds.
   * @throws the signal's reason when it is aborted first; what `fail` is given.
   */
  async ask(
    signal: AbortSignal,
    post: (call: number) => void,
    again?: { afterMs: number; post: (call: number) => void },
  ): Promise<T> {
    const call = ++this.#count;
    const answer = Promise.withResolvers<T>();
    this.#waiting.set(call, answer);
    const timer = again && setTimeout(() => again.post(call), again.afterMs);
    try {
      post(call);
      return await unlessAborted(signal, answer.promise);
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(call);
    }
  }

  /** Takes an answer. @returns Whether somebody waits for it. */
  answer(call: number, value: T): boolean {
    const waiting = this.#waiting.get(call);
    waiting?.resolve(value);
    return waiting !== undefined;
  }

  /** There will be no more answers. */
  fail(error: unknown): void {
    for (const { promise, reject } of this.#waiting.values()) {
      promise.catch(() => {}); // it may have been given up
      reject(error);
    }
  }
}

/** Waits for `work` unless `signal` is aborted. @throws the signal's reason. */
export async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  work.catch(() => {}); // it may lose the race and fail later
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
