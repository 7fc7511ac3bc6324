/** From an argument list to an exit code: parses, runs one command, prints what went wrong. */
import { UsageError } from "../base/errors.ts";
import { type Invocation, parseCommandLine } from "./args.ts";
import type { CommandName } from "./command_table.ts";
import { errorDocument, exitCodeOf, printError } from "./exit.ts";
import { type Progress, progressFor } from "./progress.ts";

/** What a command is made of: the exit code is its result. */
type Command = (invocation: Invocation, progress: Progress) => Promise<number> | number;

/** Each command in a module of its own, loaded when it is called: start-up is part of the product. */
const LOADERS: Record<CommandName, () => Promise<Command>> = {
  run: async () => (await import("./commands/run.ts")).run,
  supervise: async () => (await import("./commands/run.ts")).supervise,
  argv: async () => (await import("./commands/argv.ts")).argv,
  inspect: async () => (await import("./commands/inspect.ts")).inspect,
  trust: async () => (await import("./commands/trust.ts")).trust,
  untrust: async () => (await import("./commands/trust.ts")).untrust,
  doctor: async () => (await import("./commands/doctor.ts")).doctor,
  ps: async () => (await import("./commands/ps.ts")).ps,
  status: async () => (await import("./commands/ps.ts")).status,
  stop: async () => (await import("./commands/verbs.ts")).act,
  pause: async () => (await import("./commands/verbs.ts")).act,
  resume: async () => (await import("./commands/verbs.ts")).act,
  reset: async () => (await import("./commands/verbs.ts")).act,
  send: async () => (await import("./commands/verbs.ts")).send,
  type: async () => (await import("./commands/keyboard.ts")).type,
  keys: async () => (await import("./commands/keyboard.ts")).keys,
  view: async () => (await import("./commands/view.ts")).view,
  screenshot: async () => (await import("./commands/verbs.ts")).screenshot,
  qmp: async () => (await import("./commands/verbs.ts")).qmp,
  console: async () => (await import("./commands/console.ts")).serialConsole,
  log: async () => (await import("./commands/log.ts")).log,
  version: async () => (await import("./commands/help.ts")).version,
  help: async () => (await import("./commands/help.ts")).help,
  completions: async () => (await import("./commands/help.ts")).completions,
};

/** Runs one command line and returns its exit code; prints every error, rejects never. */
export async function main(args: readonly string[]): Promise<number> {
  let invocation: Invocation;
  try {
    invocation = parseCommandLine(args);
  } catch (error) {
    using progress = progressFor(new Set());
    const end = args.indexOf("--");
    const own = end < 0 ? args : args.slice(0, end);
    return fail(error, own.includes("--json"), progress);
  }
  using progress = progressFor(invocation.flags);
  const { flags, command } = invocation;
  try {
    if (flags.has("quiet") && flags.has("verbose")) {
      throw new UsageError("Cannot use -q with -v: both cannot be true");
    }
    if (flags.has("help") && command !== "help") {
      const { help } = await import("./commands/help.ts");
      return help({ ...invocation, words: [command] });
    }
    const run = await LOADERS[command]();
    return await run(invocation, progress);
  } catch (error) {
    return fail(error, flags.has("json"), progress);
  }
}

/** Prints an error, with `json` as a document on stdout, too; returns the exit code. */
function fail(error: unknown, json: boolean, progress: Progress): number {
  const code = exitCodeOf(error);
  if (json) console.log(JSON.stringify(errorDocument(error)));
  printError(error, progress);
  return code;
}
