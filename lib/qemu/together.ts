/** Several pieces of work at once, of which none is left running when one fails. */

/**
 * Starts `work` and waits for all of it. When one piece fails the signal that all were given is
 * aborted, the others are waited for, and the first failure is thrown.
 *
 * @param outer Aborts all of it.
 */
export async function together<T extends readonly unknown[] | []>(
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal) => T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const controller = new AbortController();
  const signal = outer ? AbortSignal.any([outer, controller.signal]) : controller.signal;
  const pieces = work(signal);
  try {
    return await Promise.all(pieces);
  } catch (error) {
    controller.abort(error);
    await Promise.allSettled(pieces);
    throw error;
  }
}
