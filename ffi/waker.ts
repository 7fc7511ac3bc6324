/** Waking a thread that waits inside a call of the library. */
import { checked, failure } from "./errno.ts";
import { fdPair, type OwnedFd } from "./fd.ts";
import type { Shim } from "./load.ts";

const PEER_GONE = failure("EPIPE");

/** The end that wakes. */
export class Waker implements Disposable {
  readonly #shim: Shim;
  readonly #fd: OwnedFd;

  /** Takes over `fd`. */
  constructor(shim: Shim, fd: OwnedFd) {
    this.#shim = shim;
    this.#fd = fd;
  }

  /**
   * Wakes whoever waits, now or the next time; waking twice is waking once. Never blocks.
   *
   * @returns Whether the waiting end is still there.
   */
  wake(): boolean {
    const result = this.#shim.symbols.utm_shim_wake(this.#fd.number);
    if (result !== PEER_GONE) checked(result, "wake a thread");
    return result !== PEER_GONE;
  }

  /** Closes this end: whoever waits is woken, for good. */
  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}

/** The end that is waited on, beside a socket. */
export class WakeUp implements Disposable {
  readonly #shim: Shim;
  readonly #fd: OwnedFd;

  /** Takes over `fd`. */
  constructor(shim: Shim, fd: OwnedFd) {
    this.#shim = shim;
    this.#fd = fd;
  }

  /** The number for the library's calls. */
  get number(): number {
    return this.#fd.number;
  }

  /** Gives the number to another thread, which makes a `WakeUp` of it. */
  take(): number {
    return this.#fd.take();
  }

  /**
   * Forgets that it was woken; what is done about it comes afterwards, so that no waking is missed.
   *
   * @returns Whether the waking end is still there; if not, every wait is cut short.
   */
  clear(): boolean {
    const result = this.#shim.symbols.utm_shim_wake_clear(this.#fd.number);
    if (result !== PEER_GONE) checked(result, "clear a wake-up");
    return result !== PEER_GONE;
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}

/** Makes both ends. @throws {ShimCallError} There are too many open files */
export function openWaker(shim: Shim): { wakeUp: WakeUp; waker: Waker } {
  const { utm_shim_wake_open } = shim.symbols;
  const [waiting, waking] = fdPair(shim, "a wake-up", (ends) => utm_shim_wake_open(ends));
  return { wakeUp: new WakeUp(shim, waiting), waker: new Waker(shim, waking) };
}
