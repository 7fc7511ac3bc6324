/** Files that cannot be written: what the system says of it, and what to do next. */
import { HostFailure } from "./errors.ts";
import { printable, quoted } from "./text.ts";

/** What Deno appends to the system's own words: a number, and the call with the paths it was given. */
const APPENDED = /(?: \(os error \d+\))?(?:: [a-z]+ '.*')?$/s;

/**
 * The error for a file that cannot be written. Names of temporary files stay out of it.
 *
 * @param what What cannot be done: "save the screen to".
 */
export function cannotWrite(what: string, path: string, error: unknown): HostFailure {
  const text = error instanceof Error ? error.message : String(error);
  const hint = hintFor(error, text);
  return new HostFailure(
    `Cannot ${what} ${quoted(path)}: ${printable(text.replace(APPENDED, ""))}`,
    { cause: error, ...(hint === undefined ? {} : { hint }) },
  );
}

function hintFor(error: unknown, text: string): string | undefined {
  if (error instanceof Deno.errors.NotFound) return "Give a file in a folder that exists.";
  if (error instanceof Deno.errors.IsADirectory) return "Give a file, not a folder.";
  if (error instanceof Deno.errors.NotADirectory) return "Give a file in a folder.";
  if (/No space left|Disk quota exceeded/i.test(text)) {
    return "Make room, or give a file elsewhere.";
  }
  if (error instanceof Deno.errors.PermissionDenied || /Read-only file system/i.test(text)) {
    return "Give a file in a folder that can be written.";
  }
  return undefined;
}
