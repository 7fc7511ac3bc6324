/** Getting to a QMP connection: to a socket of QEMU's by retries, or by waiting on one of ours. */
import { retry, withDeadline } from "../base/deadline.ts";
import { DeadlineError } from "../base/errors.ts";
import { printable, quoted } from "../base/text.ts";
import { DEFAULT_TIMEOUT_MS, type QmpAttachOptions, QmpClient, waitSignal } from "./client.ts";
import { QmpClosedError, QmpGreetingError } from "./errors.ts";

/** Options of {@linkcode connectQmp} and {@linkcode acceptQmp}. */
export type QmpConnectOptions = QmpAttachOptions;

/**
 * Connects to a Unix socket on which QEMU listens, retrying until it does, and attaches.
 *
 * @param path The socket's path.
 * @throws {QmpGreetingError} when nobody listens or greets before the one deadline for all of it.
 * @throws the reason of `signal` or `gone` when that is aborted first.
 */
export async function connectQmp(
  path: string,
  options: QmpConnectOptions = {},
): Promise<QmpClient> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const signal = waitSignal(options);
  const start = performance.now();
  let conn: Deno.Conn;
  try {
    conn = await retry(`a connection to QMP at ${printable(path)}`, async (signal) => {
      const conn = await Deno.connect({ transport: "unix", path });
      if (!signal.aborted) return conn;
      conn.close(); // the wait was over first
      throw signal.reason;
    }, { timeoutMs, ...signal && { signal }, canSucceedLater: isNotListening });
  } catch (error) {
    if (signal?.aborted && error === signal.reason) throw error;
    const why = error instanceof DeadlineError
      ? `nobody listened within ${timeoutMs} ms`
      : printable(error instanceof Error ? error.message : String(error));
    throw new QmpGreetingError(`Cannot connect to QMP at ${quoted(path)}: ${why}`, {
      cause: error,
    });
  }
  return await QmpClient.attach(conn, { ...options, timeoutMs: timeLeft(start, timeoutMs) });
}

/**
 * Waits for QEMU to connect to a socket of ours, and attaches. A peer that leaves without a word (a
 * probe of the socket) is passed over.
 *
 * @param listener Taken over: closed once QEMU is there or the wait fails, which also removes the
 *   socket from the file system.
 * @throws {QmpGreetingError} when nobody connects and greets before the one deadline for both.
 * @throws the reason of `signal` or `gone` when that is aborted first.
 */
export async function acceptQmp(
  listener: Deno.Listener,
  options: QmpConnectOptions = {},
): Promise<QmpClient> {
  using owned = listener;
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const signal = waitSignal(options);
  const start = performance.now();
  for (;;) {
    const accepting = owned.accept();
    let conn: Deno.Conn;
    try {
      conn = await withDeadline("a QMP connection", () => accepting, {
        timeoutMs: timeLeft(start, timeoutMs),
        ...signal && { signal },
      });
    } catch (error) {
      owned[Symbol.dispose](); // ends the accept, and only then is the socket removed
      await accepting.then((conn) => conn.close(), () => {});
      if (!(error instanceof DeadlineError)) throw error;
      throw new QmpGreetingError(
        `Cannot get a QMP connection: QEMU did not connect within ${timeoutMs} ms`,
        { cause: error },
      );
    }
    try {
      return await QmpClient.attach(conn, { ...options, timeoutMs: timeLeft(start, timeoutMs) });
    } catch (error) {
      if (!(error instanceof QmpGreetingError && error.cause instanceof QmpClosedError)) {
        throw error;
      }
    }
  }
}

function timeLeft(start: number, timeoutMs: number): number {
  return Math.max(1, Math.ceil(timeoutMs - (performance.now() - start)));
}

/** Whether a connect failed in a way that is gone as soon as QEMU listens. */
function isNotListening(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound ||
    error instanceof Deno.errors.ConnectionRefused ||
    error instanceof Deno.errors.ConnectionReset || // an earlier listener just closed
    error instanceof Deno.errors.WouldBlock; // its backlog is full
}
