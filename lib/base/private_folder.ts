/** Folders that nobody else can look into or write to. */
import { HostFailure } from "./errors.ts";
import { quoted } from "./text.ts";

/**
 * Makes sure that the folder at `path` exists, belongs to us and lets nobody else in (mode 0700).
 * What is put into it then is safe from other users, wherever the folder is.
 *
 * @param what What it is, for messages: "the runtime folder".
 * @param hint What to do where it cannot be had.
 * @throws {HostFailure} when it cannot be made, is a link or a file, or belongs to somebody else.
 */
export function ensurePrivateFolder(path: string, what: string, hint: string): void {
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
    const info = Deno.lstatSync(path);
    if (!info.isDirectory) {
      throw new HostFailure(`Cannot use ${what}: ${quoted(path)} is not a folder, expected one`);
    }
    if (info.uid !== null && info.uid !== Deno.uid()) {
      throw new HostFailure(
        `Cannot use ${what}: ${quoted(path)} belongs to user ${info.uid}, expected ${Deno.uid()}`,
        { hint },
      );
    }
    if (info.mode !== null && (info.mode & 0o077) !== 0) Deno.chmodSync(path, 0o700);
  } catch (error) {
    if (error instanceof HostFailure) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new HostFailure(`Cannot make ${what} ${quoted(path)}: ${why}`, { cause: error, hint });
  }
}
