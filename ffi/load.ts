/** Opens the native library. */
import { fromFileUrl } from "@std/path";
import { ShimError } from "../lib/base/errors.ts";
import { quoted } from "../lib/base/text.ts";
import { type ShimSymbols, SYMBOLS, WAITING } from "./symbols.ts";

/** The number that the library must answer. Source: `UTM_SHIM_ABI` in `native/utm_shim.h`. */
export const SHIM_ABI = 1;

/** The native library, open in this thread: each thread opens it for itself. */
export interface Shim extends Disposable {
  /** Its calls. */
  readonly symbols: ShimSymbols;
  /** Where it is. */
  readonly path: string;
}

/** Where the library is: `UTMOST_SHIM`, or what was built from source. */
function shimPath(): string {
  const override = Deno.env.get("UTMOST_SHIM");
  if (override) return override;
  const suffix = Deno.build.os === "darwin" ? "dylib" : "so";
  return fromFileUrl(new URL(`../native/build/libutm_shim.${suffix}`, import.meta.url));
}

/**
 * Opens the library. The caller owns it: what uses it must be disposed before.
 *
 * @throws {ShimError} It is not there, or was built from other sources.
 */
export function loadShim(path: string = shimPath()): Shim {
  let library: Deno.DynamicLibrary<typeof SYMBOLS & typeof WAITING>;
  try {
    library = Deno.dlopen(path, { ...SYMBOLS, ...WAITING });
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ShimError(`Cannot open the native library ${quoted(path)}: ${reason}`, {
      cause,
      hint: "Build it with deno task native, or set UTMOST_SHIM to where it is.",
    });
  }
  const { symbols } = library;
  const abi = symbols.utm_shim_abi();
  if (abi !== SHIM_ABI) {
    library.close();
    throw new ShimError(
      `Cannot use the native library ${quoted(path)}: its ABI is ${abi}, expected ${SHIM_ABI}`,
      { hint: "Build it from these sources with deno task native." },
    );
  }
  return { symbols, path, [Symbol.dispose]: () => library.close() };
}
