/**
 * Files that a compiled program carries as data, or that were downloaded, put where the system can
 * open them: it runs and links files on a disk, not bytes in a process.
 */
import { HostFailure } from "./errors.ts";
import { ensurePrivateFolder } from "./private_folder.ts";
import { quoted } from "./text.ts";

/** Sticky: in a folder that all may write to, nobody can rename or remove what is another's. */
const STICKY = 0o1000;
const OTHERS_WRITE = 0o022;

/**
 * Puts `bytes` into a file that its owner alone can change or replace, and that can be run. One that
 * is there already is compared with them, all of it: what was damaged is made anew.
 *
 * Other contents have other paths, so that versions of utmost that run side by side do not take the
 * file from each other. It appears at once with all of its content, also where several processes
 * make it at a time.
 *
 * @param folder Of the user's; absolute. Mode 0700 from then on.
 * @param name Of the file, in a folder below that.
 * @returns The path.
 * @throws {HostFailure} when it cannot be written, or where another user could change it before it
 * is opened.
 */
export function unpack(bytes: Uint8Array, folder: string, name: string): string {
  const hint = "Set XDG_CACHE_HOME to a folder of your own that can be written.";
  const place = `${folder}/${fingerprint(bytes)}`;
  ensurePrivateFolder(folder, "the folder for unpacked files", hint);
  ensurePrivateFolder(place, "the folder for unpacked files", hint);
  const path = `${place}/${name}`;
  const temporary = `${path}.${Deno.pid}.${crypto.randomUUID().slice(0, 8)}`;
  try {
    const intruder = whoElseWrites(place);
    if (intruder !== undefined) {
      throw new HostFailure(`Cannot unpack ${name}: ${intruder}`, { hint });
    }
    if (isUnpacked(bytes, path)) return path;
    Deno.writeFileSync(temporary, bytes, { mode: 0o700, createNew: true });
    Deno.renameSync(temporary, path);
    return path;
  } catch (error) {
    try {
      Deno.removeSync(temporary);
    } catch { /* it was not made, or cannot be removed either */ }
    if (error instanceof HostFailure) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new HostFailure(`Cannot unpack ${name} into ${quoted(place)}: ${why}`, {
      cause: error,
      hint,
    });
  }
}

/** Who beside this user and root could put another file there; undefined: nobody. */
function whoElseWrites(folder: string): string | undefined {
  for (let at = Deno.realPathSync(folder);; at = at.slice(0, at.lastIndexOf("/")) || "/") {
    const { uid, mode } = Deno.statSync(at);
    if (uid !== 0 && uid !== Deno.uid()) return `${quoted(at)} belongs to user ${uid}`;
    if (((mode ?? 0) & OTHERS_WRITE) !== 0 && ((mode ?? 0) & STICKY) === 0) {
      return `${quoted(at)} can be written to by other users`;
    }
    if (at === "/") return undefined;
  }
}

/** Whether the file is there as it should be: ours, no link, and with these bytes. */
function isUnpacked(bytes: Uint8Array, path: string): boolean {
  let info: Deno.FileInfo;
  try {
    info = Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  const { isFile, size, uid, mode } = info;
  if (!isFile || size !== bytes.length || uid !== Deno.uid()) return false;
  if (((mode ?? 0) & 0o777) !== 0o700) return false;
  const there = Deno.readFileSync(path);
  return there.length === bytes.length && bytes.every((byte, at) => byte === there[at]);
}

/** Tells contents apart, 16 hex digits; whether they are the same is seen by comparing them. */
function fingerprint(bytes: Uint8Array): string {
  let one = 0x811c9dc5;
  let other = 0x9e3779b9;
  for (const byte of bytes) {
    one = Math.imul(one ^ byte, 0x01000193); // FNV-1a
    other = Math.imul((other ^ byte) + (other >>> 15), 0x85ebca6b);
  }
  const hex = (value: number) => (value >>> 0).toString(16).padStart(8, "0");
  return hex(one) + hex(other);
}
