/**
 * Where the native library is: what `UTMOST_SHIM` names, else what a compiled utmost carries, else what
 * was built from these sources. `release.ts` downloads one where there is none of these.
 */
import { fromFileUrl, resolve } from "@std/path";
import { HostFailure, ShimError } from "../lib/base/errors.ts";
import { places, unpackedFolder } from "../lib/base/places.ts";
import { quoted } from "../lib/base/text.ts";
import { unpack } from "../lib/base/unpack.ts";

/** What led to a library. */
export type ShimOrigin = "UTMOST_SHIM" | "carried" | "built" | "downloaded";

/** A file that should be the native library; nobody has opened it so far. */
export interface ShimSource {
  /** Absolute. */
  path: string;
  from: ShimOrigin;
}

/** Where a library may be; for tests. */
export interface ShimPlaces {
  /** `UTMOST_SHIM`; one that is empty counts as none. */
  named: string | undefined;
  /** Whether this is a compiled utmost, which carries the file at `built` as data. */
  standalone: boolean;
  /** What `make` builds from these sources. */
  built: URL;
  /** Absolute path of a folder for unpacked files. */
  unpacked: string;
}

/** The library's file name on this system. */
export const SHIM_FILE: string = `libutm_shim.${Deno.build.os === "darwin" ? "dylib" : "so"}`;

/** What this process has. */
export function shimPlaces(): ShimPlaces {
  return {
    named: Deno.env.get("UTMOST_SHIM"),
    standalone: Deno.build.standalone,
    built: new URL(`../native/build/${SHIM_FILE}`, import.meta.url),
    unpacked: unpackedFolder(places()),
  };
}

/**
 * Finds the library.
 *
 * @returns undefined where there is none, and none was named.
 * @throws {ShimError} when `UTMOST_SHIM` names what is no file, or when the library that a compiled
 * utmost carries cannot be unpacked.
 */
export function findShim(at: ShimPlaces = shimPlaces()): ShimSource | undefined {
  if (at.named) return { path: namedFile(at.named), from: "UTMOST_SHIM" };
  if (at.standalone) {
    const bytes = readIfThere(at.built);
    return bytes && { path: unpackShim(bytes, at.unpacked), from: "carried" };
  }
  if (at.built.protocol !== "file:") return undefined; // run from a URL, without a checkout
  const path = fromFileUrl(at.built);
  return isFile(path) ? { path, from: "built" } : undefined;
}

/**
 * Puts the library where it can be opened, and where nobody else can change it before it is.
 *
 * @throws {ShimError} when that cannot be done.
 */
export function unpackShim(bytes: Uint8Array, folder: string): string {
  try {
    return unpack(bytes, folder, SHIM_FILE);
  } catch (cause) {
    if (!(cause instanceof HostFailure)) throw cause;
    const hint = cause.hint === undefined ? {} : { hint: cause.hint };
    throw new ShimError(`Cannot open the native library: ${cause.message}`, { cause, ...hint });
  }
}

/** The error where there is no library; `why` is a clause. */
export function noShim(why: string, options: ErrorOptions = {}): ShimError {
  return new ShimError(`Cannot open the native library: ${why}`, {
    ...options,
    hint: "Build it with deno task native, or name one with UTMOST_SHIM; " +
      "without it everything works but GL scanouts.",
  });
}

/** Why {@linkcode findShim} has none: a clause. */
export function whyNotFound({ standalone }: ShimPlaces): string {
  return standalone
    ? "this utmost was compiled without it"
    : `native/build/${SHIM_FILE} is not built`;
}

/** The file that was named: absolute, since a bare name would be looked up among the system's. */
function namedFile(named: string): string {
  const path = resolve(named);
  if (isFile(path)) return path;
  throw new ShimError(
    `Cannot open the native library ${
      quoted(path)
    }, which UTMOST_SHIM names: there is no such file`,
    { hint: `Set UTMOST_SHIM to a ${SHIM_FILE} that deno task native has built, or unset it.` },
  );
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return false;
  }
}

function readIfThere(url: URL): Uint8Array | undefined {
  try {
    return Deno.readFileSync(url);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined; // compiled where it was not built
    throw error;
  }
}
