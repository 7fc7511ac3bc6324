/**
 * Taking a session up again that was lost, without a fight: a SPICE server has one client, and throws
 * the first out when a second comes. If both came back at once, neither would see anything.
 */
import { retry } from "../base/deadline.ts";
import { DeadlineError } from "../base/errors.ts";
import {
  SpiceClosedError,
  SpiceConnectError,
  SpiceLinkError,
  SpiceTakenError,
  SpiceTimeoutError,
} from "./errors.ts";
import type { SpiceCloseReason, SpiceSession } from "./session.ts";

const TIMEOUT_MS = 30_000;
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 2000;
/** A session that another client ends so soon after we came back is fought over. */
const FIGHT_MS = 10_000;

/** Options of {@linkcode Reconnector}. */
export interface ReconnectOptions {
  /** Attaches anew; has a deadline of its own, of a few seconds. */
  connect: (signal: AbortSignal) => Promise<SpiceSession>;
  /** Whether another client's session may be ended for ours; not when left out. */
  takesOver?: boolean;
  /**
   * Finds out whether the server has a client now, by other means than SPICE, which cannot tell
   * without ending that client's session: QMP's query-spice lists its channels.
   */
  hasClient?: (signal: AbortSignal) => Promise<boolean>;
  /** Milliseconds until it is given up; 30 s when left out. */
  timeoutMs?: number;
}

/** Takes the sessions with one server up again, one after another. */
export class Reconnector {
  readonly #options: ReconnectOptions;
  #since = -Infinity;

  constructor(options: ReconnectOptions) {
    this.#options = options;
  }

  /**
   * Attaches again after a session has ended: at once where its connection was lost, else as soon as
   * a server is there. Pauses grow from 0.1 to 2 s.
   *
   * @param end Why it ended, as its `closed` tells.
   * @param signal Gives up.
   * @throws {SpiceTakenError} where another client has, or may have, taken the session over.
   * @throws {SpiceClosedError} where it must not be taken up: it was closed on purpose, or the server
   * sent what none would.
   * @throws {SpiceTimeoutError} when `timeoutMs` passes first.
   * @throws {SpiceLinkError} when the server refuses us, by a wrong password for example.
   * @throws the signal's reason when it is aborted first.
   */
  async again(end: SpiceCloseReason, signal?: AbortSignal): Promise<SpiceSession> {
    const { connect, timeoutMs = TIMEOUT_MS } = this.#options;
    if (end.by === "client" || (end.by === "error" && !(end.error instanceof SpiceTimeoutError))) {
      throw new SpiceClosedError(`Cannot take the SPICE session up again: ${end.text}`, {
        cause: end.error,
      });
    }
    try {
      const session = await retry("SPICE session", async (signal) => {
        await this.#expectFree(end.by === "server" && end.isServerAlive, signal);
        return await connect(signal);
      }, {
        timeoutMs,
        firstMs: FIRST_PAUSE_MS,
        maxMs: MAX_PAUSE_MS,
        canSucceedLater,
        ...signal ? { signal } : {},
      });
      this.#since = performance.now();
      return session;
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error;
      throw new SpiceTimeoutError(
        `Cannot take the SPICE session up again: the server did not come back within ` +
          `${timeoutMs} ms`,
        { cause: error.cause ?? error },
      );
    }
  }

  /**
   * Makes sure that nobody's session ends when ours begins.
   *
   * @param isSuspicious The server closed our session and goes on.
   * @throws {SpiceTakenError} where another client has come, or may have.
   */
  async #expectFree(isSuspicious: boolean, signal: AbortSignal): Promise<void> {
    const { takesOver = false, hasClient } = this.#options;
    if (isSuspicious && performance.now() - this.#since < FIGHT_MS) {
      throw new SpiceTakenError(
        "Cannot take the SPICE session up again: another client takes it over each time",
        { hint: "Close the other client, or watch the VM through it" },
      );
    }
    if (takesOver) return;
    const isTaken = await hasClient?.(signal) ?? isSuspicious;
    if (!isTaken) return;
    throw new SpiceTakenError(
      `Cannot take the SPICE session up again: another client ${
        hasClient ? "has it" : "may have it"
      }, and would be thrown out`,
      { hint: "Close the other client first, or take the session over" },
    );
  }
}

/** Whether an error may be gone later: a server that is still starting answers in any of these ways. */
function canSucceedLater(error: unknown): boolean {
  if (error instanceof SpiceTakenError) return false;
  if (error instanceof SpiceLinkError) return error.code === undefined;
  return error instanceof SpiceConnectError || error instanceof SpiceClosedError ||
    error instanceof SpiceTimeoutError;
}
