/**
 * Where `utmost-qemu-host` is: built from these sources, or in a compiled utmost, which carries it as
 * data and unpacks it into the cache where it is needed.
 */
import { fromFileUrl } from "@std/path";
import { HostFailure } from "../base/errors.ts";
import { places, unpackedFolder } from "../base/places.ts";
import { unpack } from "../base/unpack.ts";
import { existingFile } from "./executable.ts";

const NAME = "utmost-qemu-host";
const SOURCE = new URL(`../../native/build/${NAME}`, import.meta.url);

/** Absolute path of the program that was built here; undefined where it is not built. */
export function builtNativeHost(): string | undefined {
  if (Deno.build.standalone || SOURCE.protocol !== "file:") return undefined;
  return existingFile(fromFileUrl(SOURCE));
}

/**
 * {@linkcode builtNativeHost}, or the one that a compiled utmost carries: undefined where it carries
 * none, or cannot put it where nobody else can change it before it is run.
 */
export function nativeHost(): string | undefined {
  if (!Deno.build.standalone) return builtNativeHost();
  let carried: Uint8Array;
  try {
    carried = Deno.readFileSync(SOURCE);
  } catch {
    return undefined; // compiled where it was not built
  }
  try {
    return unpack(carried, unpackedFolder(places()), NAME);
  } catch (error) {
    if (error instanceof HostFailure) return undefined;
    throw error;
  }
}
