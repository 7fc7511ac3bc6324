/**
 * Where `utmost-qemu-host` is: built from these sources, or in a compiled utmost, which carries it as
 * data and unpacks it into the cache where it is needed.
 */
import { dirname, fromFileUrl, join } from "@std/path";
import { places } from "../base/places.ts";
import { existingFile } from "./executable.ts";

const NAME = "utmost-qemu-host";
const SOURCE = new URL(`../../native/build/${NAME}`, import.meta.url);

/** Absolute path of the program that was built here; undefined where it is not built. */
export function builtNativeHost(): string | undefined {
  if (Deno.build.standalone || SOURCE.protocol !== "file:") return undefined;
  return existingFile(fromFileUrl(SOURCE));
}

/** {@linkcode builtNativeHost}, or the one that a compiled utmost carries. */
export function nativeHost(): string | undefined {
  if (!Deno.build.standalone) return builtNativeHost();
  let carried: Uint8Array;
  try {
    carried = Deno.readFileSync(SOURCE);
  } catch {
    return undefined; // compiled where it was not built
  }
  return unpackProgram(carried, join(places().cache, "native", NAME));
}

/**
 * Writes a program to `path`, at once, unless it is there already.
 *
 * @returns `path`, or undefined where it cannot be written, or where somebody else could change it
 * before it is run.
 */
export function unpackProgram(bytes: Uint8Array, path: string): string | undefined {
  const temporary = `${path}.${Deno.pid}.${crypto.randomUUID().slice(0, 8)}`;
  try {
    Deno.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    if (!isOursAlone(Deno.lstatSync(dirname(path)))) return undefined;
    if (isUnpacked(bytes, path)) return path;
    Deno.writeFileSync(temporary, bytes, { mode: 0o700, createNew: true });
    Deno.renameSync(temporary, path);
    return path;
  } catch {
    try {
      Deno.removeSync(temporary);
    } catch { /* it was not made, or cannot be removed either */ }
    return undefined;
  }
}

function isUnpacked(bytes: Uint8Array, path: string): boolean {
  try {
    const info = Deno.lstatSync(path);
    if (!info.isFile || info.size !== bytes.length || !isOursAlone(info)) return false;
    if (((info.mode ?? 0) & 0o100) === 0) return false;
    const there = Deno.readFileSync(path);
    return there.every((byte, index) => byte === bytes[index]);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function isOursAlone({ uid, mode, isSymlink }: Deno.FileInfo): boolean {
  return !isSymlink && uid === Deno.uid() && ((mode ?? 0o777) & 0o022) === 0;
}
