/** Waits: each has a wall-clock deadline, an AbortSignal, and ends when something better is known. */
import { DeadlineError } from "./errors.ts";

/** Options of {@linkcode withDeadline}. */
export interface DeadlineOptions {
  /** Milliseconds until the wait fails; no timer when left out. */
  timeoutMs?: number;
  /** Ends the wait, by rejecting with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * Waits for `work`, which is given a signal that is aborted as soon as the wait is over for any
 * reason, so that it can give up what it holds.
 *
 * @param what What is waited for, for the message: "QMP greeting".
 * @throws {DeadlineError} when `timeoutMs` passes first.
 * @throws the signal's reason when the caller's signal is aborted first.
 */
export async function withDeadline<T>(
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
  options: DeadlineOptions = {},
): Promise<T> {
  const { timeoutMs, signal } = options;
  signal?.throwIfAborted();
  const controller = new AbortController();
  const lost = Promise.withResolvers<never>();
  const end = (reason: unknown) => {
    lost.reject(reason);
    controller.abort(reason);
  };
  const onAbort = () => end(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const timer = timeoutMs === undefined ? undefined : setTimeout(
    () => end(new DeadlineError(`Cannot get ${what}: nothing came within ${timeoutMs} ms`)),
    timeoutMs,
  );
  lost.promise.catch(() => {});
  try {
    const working = work(controller.signal);
    working.catch(() => {}); // it may lose the race and fail later
    return await Promise.race([working, lost.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
    controller.abort(new DOMException(`${what}: the wait is over`, "AbortError"));
  }
}

/** Options of {@linkcode retry}. */
export interface RetryOptions extends DeadlineOptions {
  /** The first pause in milliseconds; it doubles up to `maxMs`. */
  firstMs?: number;
  /** The longest pause in milliseconds. */
  maxMs?: number;
  /** Whether an error may be gone at the next attempt; any other error ends the retries. */
  canSucceedLater: (error: unknown) => boolean;
}

/**
 * Calls `attempt` until it resolves: after 1 ms, then twice as long each time, up to 50 ms, with a
 * jitter of a quarter.
 *
 * @throws {DeadlineError} with the last error as its cause when `timeoutMs` passes first.
 * @throws the first error that `canSucceedLater` does not accept.
 */
export async function retry<T>(
  what: string,
  attempt: (signal: AbortSignal) => Promise<T>,
  options: RetryOptions,
): Promise<T> {
  const { firstMs = 1, maxMs = 50, canSucceedLater } = options;
  let last: unknown;
  try {
    return await withDeadline(what, async (signal) => {
      for (let pauseMs = firstMs;; pauseMs = Math.min(pauseMs * 2, maxMs)) {
        signal.throwIfAborted();
        try {
          return await attempt(signal);
        } catch (error) {
          if (!canSucceedLater(error)) throw error;
          last = error;
        }
        await pause(pauseMs * (0.75 + Math.random() / 2), signal);
      }
    }, options);
  } catch (error) {
    if (error instanceof DeadlineError && last !== undefined && error.cause === undefined) {
      error.cause = last;
    }
    throw error;
  }
}

/** Resolves after `ms` milliseconds, or rejects with the signal's reason as soon as it is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
