/** The native library for unit tests, open for as long as a test file runs. */
import { ShimError } from "../../lib/base/errors.ts";
import { assert } from "@std/assert";
import { openPipe, type OwnedFd } from "../../ffi/fd.ts";
import { loadShim, type Shim } from "../../ffi/load.ts";

/** The library; undefined where it was not built, which is said on stderr. */
export const shim: Shim | undefined = open();

function open(): Shim | undefined {
  try {
    return loadShim();
  } catch (error) {
    // Built from other sources is a failure; not built at all, for want of a compiler, is none.
    if (!(error instanceof ShimError) || Deno.env.get("UTMOST_SHIM") || isBuilt()) throw error;
    console.error(`skipped what needs the native library: ${error.message}`);
    return undefined;
  }
}

function isBuilt(): boolean {
  const suffix = Deno.build.os === "darwin" ? "dylib" : "so";
  try {
    return Deno.statSync(new URL(`../../native/build/libutm_shim.${suffix}`, import.meta.url))
      .isFile;
  } catch {
    return false;
  }
}

/** A test that needs the library; skipped where there is none. */
export function shimTest(name: string, fn: (shim: Shim) => void | Promise<void>): void {
  Deno.test({ name, ignore: shim === undefined, fn: () => fn(shim!) });
}

/**
 * A descriptor of which one can tell whether any copy is still open, here or in flight. Counting those
 * of the process would count what tests in other threads have open.
 */
export class Traced implements Disposable {
  readonly #shim: Shim;
  readonly #reading: OwnedFd;
  /** The descriptor. */
  readonly fd: OwnedFd;

  constructor(shim: Shim) {
    this.#shim = shim;
    [this.#reading, this.fd] = openPipe(shim);
  }

  /** Whether any copy is open: then the other end of the pipe has not been hung up. */
  get isOpen(): boolean {
    return !this.#isHungUp(0);
  }

  /** Whether no copy is open any more, or soon: a child that is being started may have one. */
  get isGone(): boolean {
    return this.#isHungUp(2000);
  }

  #isHungUp(timeoutMs: number): boolean {
    const readable = 1;
    return this.#shim.symbols.utm_shim_poll(this.#reading.number, readable, -1, timeoutMs) !== 0;
  }

  [Symbol.dispose](): void {
    this.fd[Symbol.dispose]();
    this.#reading[Symbol.dispose]();
  }
}

/** Runs `test` with a descriptor, and checks that no copy of it is left. */
export async function expectNoCopies(
  shim: Shim,
  test: (fd: OwnedFd) => void | Promise<void>,
): Promise<void> {
  using traced = new Traced(shim);
  await test(traced.fd);
  traced.fd[Symbol.dispose]();
  assert(traced.isGone, "a copy of the descriptor is still open");
}
