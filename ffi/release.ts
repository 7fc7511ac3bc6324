/**
 * Downloads the native library where it is neither named, carried nor built, with
 * [plug](https://jsr.io/@denosaurs/plug). That is only on jsr, so no import names it: the module is
 * looked for when it is needed, and neither a lockfile nor the start of a launch knows of it.
 */
import { withDeadline } from "../lib/base/deadline.ts";
import { ShimError } from "../lib/base/errors.ts";
import {
  findShim,
  noShim,
  SHIM_FILE,
  type ShimPlaces,
  shimPlaces,
  type ShimSource,
  unpackShim,
  whyNotFound,
} from "./find.ts";

/** The part of plug that is used. Source: plug 1.1.0, download.ts. */
export interface Plug {
  /** Downloads into a cache of its own, or takes what is there. @returns the file's path */
  download(options: { url: string; cache: "use" | "reloadAll" }): Promise<string>;
}

/** One file of a release. */
export interface ReleasedShim {
  /** Ends in the library's file name, with its suffix. */
  url: string;
  /** Of the file, 64 hex digits. */
  sha256: string;
}

/** The files of the release that fits these sources, by system: none has been made so far. */
const RELEASED: Partial<Record<string, ReleasedShim>> = {};

const PLUG = "jsr:@denosaurs/plug@1.1.0";

/** How long importing plug and downloading may take together. */
const DOWNLOAD_MS = 5000;

/** Options of {@linkcode obtainShim}. */
export interface ObtainOptions {
  /** Takes a line for the user before anything is downloaded. */
  announce: (text: string) => void;
  signal?: AbortSignal;
  /** For tests: where a library may be, what is released, and how plug is imported. */
  at?: ShimPlaces;
  released?: Partial<Record<string, ReleasedShim>>;
  importPlug?: () => Promise<Plug>;
  timeoutMs?: number;
}

/**
 * Finds the library as {@linkcode findShim} does, or downloads it: never in a compiled utmost,
 * which carries what it was made to have.
 *
 * @throws {ShimError} when there is none and none can be had.
 * @throws the signal's reason when it is aborted.
 */
export async function obtainShim(options: ObtainOptions): Promise<ShimSource> {
  const { at = shimPlaces(), released = RELEASED } = options;
  const found = findShim(at);
  if (found !== undefined) return found;
  const why = whyNotFound(at);
  if (at.standalone) throw noShim(why);
  const system = `${Deno.build.os}-${Deno.build.arch}`;
  const release = released[system];
  if (release === undefined) throw noShim(`${why}, and none is released for ${system}`);
  try {
    const bytes = await download(release, options);
    return { path: unpackShim(bytes, at.unpacked), from: "downloaded" };
  } catch (cause) {
    if (options.signal?.aborted || cause instanceof ShimError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw noShim(`${why}, and cannot be downloaded from ${release.url}: ${reason}`, { cause });
  }
}

/**
 * Downloads one file.
 *
 * @throws {ShimError} when it is not the one that was released. {DeadlineError} when it takes too
 * long. What plug throws.
 */
async function download(
  { url, sha256 }: ReleasedShim,
  { announce, signal, importPlug = () => import(PLUG), timeoutMs = DOWNLOAD_MS }: ObtainOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  announce(`downloading ${SHIM_FILE} from ${url}`);
  return await withDeadline("the native library", async (signal) => {
    const plug = await importPlug();
    let sum = "";
    for (const cache of ["use", "reloadAll"] as const) { // what was cut short is in its cache, too
      signal.throwIfAborted();
      const path = await withoutStdout(() => plug.download({ url, cache }), signal);
      const bytes = await Deno.readFile(path);
      sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
      if (sum === sha256) return bytes;
    }
    throw new ShimError(
      `Cannot use the native library from ${url}: its SHA-256 is ${sum}, expected ${sha256}`,
      {
        hint: "Build it with deno task native, and tell us: this file is not the one we released.",
      },
    );
  }, { timeoutMs, ...(signal === undefined ? {} : { signal }) });
}

/** Runs what tells on stdout how far it is, as plug does: that goes to stderr meanwhile. */
async function withoutStdout<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const { log } = console;
  const restore = () => console.log = log;
  console.log = console.error;
  signal.addEventListener("abort", restore, { once: true });
  try {
    return await work();
  } finally {
    restore();
    signal.removeEventListener("abort", restore);
  }
}
