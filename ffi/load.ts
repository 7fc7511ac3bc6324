/** Opens the native library. */
import { ShimError } from "../lib/base/errors.ts";
import { quoted } from "../lib/base/text.ts";
import { findShim, noShim, shimPlaces, whyNotFound } from "./find.ts";
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

/** What every version of the library has, and what tells them apart. */
const VERSION = { utm_shim_abi: SYMBOLS.utm_shim_abi } as const;

/** What to do about a library that does not fit. */
const HINT = "Build it from these sources with deno task native, or set UTMOST_SHIM to such a one.";

/**
 * Opens the library. The caller owns it: what uses it must be disposed before.
 *
 * @param path Where it is; what is named, carried or built when left out.
 * @throws {ShimError} It is not there, is another library, or was built from other sources.
 */
export function loadShim(path: string = localShim()): Shim {
  expectAbi(path);
  const library = open(path, { ...SYMBOLS, ...WAITING });
  return { symbols: library.symbols, path, [Symbol.dispose]: () => library.close() };
}

/** The library that is there without a download. */
function localShim(): string {
  const places = shimPlaces();
  const found = findShim(places);
  if (found === undefined) throw noShim(whyNotFound(places));
  return found.path;
}

/** Asks the library for its number before anything else, which another version may not have. */
function expectAbi(path: string): void {
  const library = open(path, VERSION);
  const abi = library.symbols.utm_shim_abi();
  library.close();
  if (abi === SHIM_ABI) return;
  throw new ShimError(
    `Cannot use the native library ${quoted(path)}: its ABI is ${abi}, expected ${SHIM_ABI}`,
    { hint: HINT },
  );
}

function open<S extends Deno.ForeignLibraryInterface>(
  path: string,
  symbols: S,
): Deno.DynamicLibrary<S> {
  try {
    return Deno.dlopen(path, symbols);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    // Deno names the first symbol that is missing.
    const reason = /\butm_shim_abi\b/.test(message) ? "it is another library" : message;
    throw new ShimError(`Cannot open the native library ${quoted(path)}: ${reason}`, {
      cause,
      hint: HINT,
    });
  }
}
