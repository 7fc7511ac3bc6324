/**
 * A connection that carries descriptors, and blocks: for a Worker that does little else than wait for
 * its server and answer. A wait on another thread would cost more than all the rest of an answer.
 *
 * While a read blocks, nothing else runs on its thread: no timer, no message. So it comes back, and
 * lets the event loop have a turn, when it is woken, and twice a second all the same.
 */
import { ShimCallError } from "../../ffi/errno.ts";
import type { OwnedFd } from "../../ffi/fd.ts";
import type { Shim } from "../../ffi/load.ts";
import { UnixSocket } from "../../ffi/socket.ts";
import type { WakeUp } from "../../ffi/waker.ts";
import { SpiceConnectError } from "./errors.ts";
import type { Connection } from "./transport.ts";
import { targetText } from "./transport.ts";

/** A timer of this thread is late by this much at most, whether the server is silent or busy. */
const TURN_MS = 500;

/**
 * Connects to the server at `path`; the caller owns the socket, which a connection takes over, in this
 * thread or in another.
 *
 * @throws {SpiceConnectError} with the operating system's error as its cause.
 */
export function connectSocket(shim: Shim, path: string): UnixSocket {
  try {
    return UnixSocket.connect(shim, path);
  } catch (error) {
    if (!(error instanceof ShimCallError)) throw error;
    const isThere = error.code !== "ENOENT";
    throw new SpiceConnectError(
      `Cannot connect to the SPICE server: ${targetText({ path })} does not answer`,
      {
        cause: error,
        hint: isThere
          ? "The server behind this socket has gone, or belongs to somebody else"
          : "Check the path, and that the server runs",
      },
    );
  }
}

/** Options of {@linkcode FdConnection}. */
export interface FdConnectionOptions {
  /** How long the event loop goes without a turn at most, in milliseconds; 500 when left out. */
  turnMs?: number;
  /** Called after a turn of the event loop; the thread does not block again before it has resolved. */
  afterTurn?: () => Promise<void>;
}

/** A connection whose reads and writes block the thread; owns its socket and what came through it. */
export class FdConnection implements Connection {
  readonly #socket: UnixSocket;
  readonly #wakeUp: WakeUp;
  readonly #wait: { wakeUp: WakeUp; timeoutMs: number };
  /** Descriptors of the last read, in their order. */
  readonly #fds: OwnedFd[] = [];
  /** A turn of the event loop that is under way. */
  #turning: Promise<void> | undefined;
  readonly #afterTurn: (() => Promise<void>) | undefined;
  #turnAt = performance.now();
  #closed = false;

  /**
   * Takes over `socket`. `wakeUp` cuts its waits short; it stays the caller's, and must not be disposed
   * before the connection is closed.
   */
  constructor(socket: UnixSocket, wakeUp: WakeUp, options: FdConnectionOptions = {}) {
    const { turnMs = TURN_MS, afterTurn } = options;
    this.#socket = socket;
    this.#wakeUp = wakeUp;
    this.#wait = { wakeUp, timeoutMs: turnMs };
    this.#afterTurn = afterTurn;
  }

  /**
   * Reads what is there, and blocks until something is.
   *
   * @returns The bytes; null at the end of the stream, when this is closed, and when nobody is left
   * who could wake this thread.
   * @throws {ShimCallError} The connection is broken.
   */
  async read(into: Uint8Array<ArrayBuffer>): Promise<number | null> {
    // On Linux and on macOS the byte that a descriptor rides on comes with it, so whoever it was for
    // has been handled by now. Keeping the rest for the next scanout would shift all that follow.
    if (this.#fds.length > 0) this.#closeFds();
    if (performance.now() - this.#turnAt > this.#wait.timeoutMs) this.#turning ??= this.#turn();
    while (!this.#closed) {
      if (this.#turning) { // a write's, maybe, which goes on first
        await this.#turning;
        continue;
      }
      const result = this.#socket.receive(into, this.#fds, this.#wait);
      if (typeof result === "number") return result === 0 ? null : result;
      this.#afterCut(result);
    }
    return null;
  }

  /**
   * Writes what the socket takes, and blocks until that is something.
   *
   * @throws {ShimCallError} The connection is broken. @throws {TypeError} It was closed meanwhile.
   */
  async write(bytes: Uint8Array<ArrayBuffer>): Promise<number> {
    for (;;) {
      const result = this.#socket.send(bytes, [], this.#wait);
      if (typeof result === "number") return result;
      this.#afterCut(result);
      await this.#turning;
    }
  }

  takeFd(): OwnedFd | undefined {
    return this.#fds.shift();
  }

  /** Closes the socket and every descriptor that nobody took. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closeFds();
    this.#socket[Symbol.dispose]();
  }

  #afterCut(why: "woken" | "late"): void {
    if (why === "woken" && !this.#wakeUp.clear()) return this.close();
    this.#turning ??= this.#turn();
  }

  /** Lets everything else on this thread have its turn, messages of other threads among it. */
  async #turn(): Promise<void> {
    // A timer would take a millisecond and more. What has arrived may be handled in the first round of
    // the event loop, or be taken in there and handled in the second.
    for (let i = 0; i < 2; i++) await new Promise<void>((resolve) => setImmediate(resolve));
    await this.#afterTurn?.();
    this.#turnAt = performance.now();
    this.#turning = undefined;
  }

  #closeFds(): void {
    for (const fd of this.#fds.splice(0)) fd[Symbol.dispose]();
  }
}
