/** The native library for unit tests, open for as long as a test file runs. */
import { ShimError } from "../../lib/base/errors.ts";
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

/** How many descriptors this process has open; the one that counts is left out. */
export function countFds(): number {
  return [...Deno.readDirSync("/dev/fd")].length - 1;
}
