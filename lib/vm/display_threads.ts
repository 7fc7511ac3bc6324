/**
 * The threads that draw the displays of one guest: one for each, for as long as the guest lives. A
 * later session uses the same ones, which still hold the guest's last buffer.
 */
import { loadShim, type Shim } from "../../ffi/load.ts";
import { MAX_DISPLAYS } from "../spice/memory.ts";
import { DisplayThread, type ThreadOptions } from "./display_thread.ts";

/** Threads for displays, by the displays' ids; owns them and their native library. */
export class DisplayThreads implements AsyncDisposable {
  readonly #shim: Shim;
  readonly #options: ThreadOptions;
  readonly #threads = new Map<number, DisplayThread>();
  /** Threads that were left behind. */
  readonly #lost: DisplayThread[] = [];

  private constructor(shim: Shim, options: ThreadOptions) {
    this.#shim = shim;
    this.#options = options;
  }

  /**
   * Opens the native library, and starts the threads of the displays that will come: they load their
   * modules while QEMU starts.
   *
   * @param options `shim` is the library's path, where it has been found before; `displays` are one
   * when left out.
   * @throws {ShimError} where there is no library, or it does not fit.
   */
  static start(
    { shim, displays = 1, ...options }: ThreadOptions & { shim?: string; displays?: number } = {},
  ): DisplayThreads {
    const threads = new DisplayThreads(loadShim(shim), options);
    for (let id = 0; id < Math.min(displays, MAX_DISPLAYS); id++) threads.of(id);
    return threads;
  }

  /** The thread of a display; another one where it has died or hangs. */
  of(id: number): DisplayThread {
    const before = this.#threads.get(id);
    if (before?.isUsable) return before;
    if (before?.isOver === false) this.#lost.push(before);
    const ledger = before === undefined ? {} : { ledger: before.ledger };
    const thread = DisplayThread.start(this.#shim, { ...this.#options, ...ledger });
    this.#threads.set(id, thread);
    return thread;
  }

  /** Ends all threads; one that hangs is left behind, and with it the library open. */
  async [Symbol.asyncDispose](): Promise<void> {
    const threads = [...this.#threads.values(), ...this.#lost];
    await Promise.all(threads.map((thread) => thread[Symbol.asyncDispose]()));
    if (threads.every(({ isOver }) => isOver)) this.#shim[Symbol.dispose]();
  }
}
