/** Finding programs, synchronously: a look-up costs microseconds and comes before every spawn. */
import { HostError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";

/** Returns `path` if a file is there that somebody may execute. */
export function existingFile(path: string): string | undefined {
  return modeOf(path) === "executable" ? path : undefined;
}

/** The first executable called `name` in the folders of PATH. */
export function findInPath(name: string): string | undefined {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    const found = folder.startsWith("/") && existingFile(`${folder}/${name}`);
    if (found) return found;
  }
  return undefined;
}

/**
 * The absolute path of a program that can be started.
 *
 * @param program A path, or a bare name that is looked up in PATH.
 * @throws {HostError} There is none, or it may not be executed.
 */
export function resolveExecutable(program: string): string {
  if (!program.includes("/")) {
    const found = findInPath(program);
    if (found) return found;
    throw new HostError(`Cannot find ${quoted(program)}: no folder in PATH has it`, {
      hint: "Install it, or name its path",
    });
  }
  const what = modeOf(program);
  if (what === "executable") return program;
  throw new HostError(`Cannot run ${quoted(program)}: ${what}, expected an executable file`);
}

function modeOf(
  path: string,
):
  | "executable"
  | "there is no such file"
  | "it is no file"
  | "it is not executable"
  | "it cannot be reached" {
  try {
    const { isFile, mode } = Deno.statSync(path);
    if (!isFile) return "it is no file";
    return mode === null || (mode & 0o111) !== 0 ? "executable" : "it is not executable";
  } catch (error) {
    return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory
      ? "there is no such file"
      : "it cannot be reached";
  }
}
