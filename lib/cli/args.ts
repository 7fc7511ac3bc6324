/** From an argument list to a command with its words and options. */
import { parseArgs } from "@std/cli/parse-args";
import { UsageError } from "../base/errors.ts";
import { nearest, quoted } from "../base/text.ts";
import {
  type CommandName,
  COMMANDS,
  type CommandSpec,
  COMMON_OPTIONS,
  FUTURE_COMMANDS,
  type OptionSpec,
  SHORT_OPTIONS,
} from "./command_table.ts";

/** One step of a run, in the order given. */
export interface StepOption {
  name: "expect" | "send" | "screenshot";
  value: string;
}

/** A parsed command line. */
export interface Invocation {
  command: CommandName;
  /** The words behind the command. */
  words: string[];
  /** Flags that were given. */
  flags: ReadonlySet<string>;
  /** Values by option name, in the order given; not those of steps. */
  values: ReadonlyMap<string, readonly string[]>;
  steps: StepOption[];
  /** What follows `--`. */
  passthrough: string[];
  /** The arguments behind the command, as they were given. */
  args: string[];
}

/** The last value of an option, or undefined. */
export function lastValue(invocation: Invocation, name: string): string | undefined {
  return invocation.values.get(name)?.at(-1);
}

/**
 * Parses a command line; `BUNDLE …` is `run BUNDLE …`, and nothing at all is `help`.
 *
 * @throws {UsageError} for an unknown command or flag (naming the nearest known one), a flag that is
 * given a value or an option that is not, a value outside its choices, too few or too many words.
 */
export function parseCommandLine(args: readonly string[]): Invocation {
  const { command, rest } = splitCommand(args);
  const spec: CommandSpec = COMMANDS[command];
  const options: Record<string, OptionSpec> = { ...COMMON_OPTIONS, ...spec.options };
  const end = rest.indexOf("--");
  const own = end < 0 ? rest : rest.slice(0, end);
  const behind = end < 0 ? [] : rest.slice(end + 1);
  const passthrough = spec.dashedWords ? [] : behind;
  const { joined, steps } = joinValues(own, options, command);

  const names = Object.keys(options);
  const withValue = names.filter((name) => options[name]?.kind !== "flag");
  const parsed = parseArgs(joined, {
    boolean: names.filter((name) => options[name]?.kind === "flag"),
    string: [...withValue, "_"],
    collect: withValue,
    alias: SHORT_OPTIONS,
    unknown: (arg) => {
      if (arg.startsWith("-") && arg !== "-") throw unknownFlag(arg, names, command);
      return true;
    },
  });

  const flags = new Set(names.filter((name) => options[name]?.kind === "flag" && parsed[name]));
  const words = [...parsed._.map(String), ...(spec.dashedWords ? behind : [])];
  if (!flags.has("help")) {
    if (passthrough.length > 0 && !spec.passthrough) {
      throw new UsageError(`Cannot use ${quoted("--")} with ${command}: it passes nothing on`);
    }
    checkWords(command, spec, words);
  }
  const values = new Map<string, readonly string[]>();
  for (const name of withValue) {
    const given = parsed[name] as string[] | undefined;
    if (given === undefined || given.length === 0 || options[name]?.step) continue;
    const choices = options[name]?.choices;
    for (const value of given) {
      if (choices !== undefined && !choices.includes(value)) {
        throw new UsageError(
          `Cannot use --${name} ${quoted(value)}: it is not known, expected ${choices.join(", ")}`,
          didYouMean(value, choices),
        );
      }
    }
    values.set(name, given);
  }
  return { command, words, flags, values, steps, passthrough, args: rest };
}

/** Finds the command: the first word, which may be a bundle. */
function splitCommand(args: readonly string[]): { command: CommandName; rest: string[] } {
  if (args.length === 0) return { command: "help", rest: [] };
  const index = firstWord(args);
  if (index < 0) {
    if (args.includes("--version")) return { command: "version", rest: [] };
    return {
      command: args.some(isHelp) ? "help" : "run",
      rest: args.filter((arg) => !isHelp(arg)),
    };
  }
  const word = args[index] ?? "";
  if (Object.hasOwn(COMMANDS, word)) {
    return { command: word as CommandName, rest: args.toSpliced(index, 1) };
  }
  if (looksLikeBundle(word)) return { command: "run", rest: [...args] };
  if (FUTURE_COMMANDS.includes(word)) {
    throw new UsageError(`Cannot run ${quoted(word)}: this version does not have it yet`, {
      hint: "utmost help lists what it has.",
    });
  }
  const known = Object.entries<CommandSpec>(COMMANDS).filter(([, spec]) => !spec.hidden);
  throw new UsageError(`Cannot run ${quoted(word)}: it is neither a command nor a bundle`, {
    hint: didYouMean(word, known.map(([name]) => name)).hint ?? "utmost help lists the commands.",
  });
}

/** The index of the first argument that is neither an option nor an option's value; -1: none. */
function firstWord(args: readonly string[]): number {
  const all = Object.values<CommandSpec>(COMMANDS).map(({ options }) => options);
  const options: Record<string, OptionSpec> = Object.assign({}, ...all);
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    if (arg === "--") return -1;
    if (!arg.startsWith("-") || arg === "-") return i;
    const name = arg.slice(2);
    if (arg.startsWith("--") && (options[name]?.kind ?? "flag") !== "flag") i++;
  }
  return -1;
}

function isHelp(arg: string): boolean {
  return arg === "--help" || arg === "-h";
}

function looksLikeBundle(word: string): boolean {
  if (word.includes("/") || /\.utm$/i.test(word) || word.endsWith(".plist")) return true;
  try {
    return Deno.statSync(word).isDirectory;
  } catch {
    return false;
  }
}

/**
 * Writes `--name value` as `--name=value`, so that a value may start with a dash, and notes the
 * steps in their order, which a parsed command line no longer tells.
 */
function joinValues(
  args: readonly string[],
  options: Record<string, OptionSpec>,
  command: string,
): { joined: string[]; steps: StepOption[] } {
  const joined: string[] = [];
  const steps: StepOption[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    const [, name = "", given] = /^--([^=]+)(?:=(.*))?$/s.exec(arg) ?? [];
    const spec = Object.hasOwn(options, name) ? options[name] : undefined;
    if (spec === undefined) {
      if (name !== "") throw unknownFlag(`--${name}`, Object.keys(options), command);
      // parseArgs itself breaks at some of these, such as -_.
      const letters = /^-(?!-)(.+)$/s.exec(arg)?.[1] ?? "";
      if ([...letters].some((letter) => !Object.hasOwn(SHORT_OPTIONS, letter))) {
        throw unknownFlag(arg, Object.keys(options), command);
      }
      joined.push(arg);
    } else if (spec.kind === "flag") {
      if (given !== undefined) {
        throw new UsageError(`Cannot use ${quoted(arg)}: --${name} takes no value`);
      }
      joined.push(arg);
    } else {
      const value = given ?? args[++i];
      if (value === undefined) {
        throw new UsageError(`Cannot use --${name}: there is no value, expected ${spec.value}`);
      }
      joined.push(`--${name}=${value}`);
      if (spec.step) steps.push({ name: name as StepOption["name"], value });
    }
  }
  return { joined, steps };
}

function checkWords(command: string, spec: CommandSpec, words: readonly string[]): void {
  const [least, most] = spec.count;
  if (words.length >= least && words.length <= most) return;
  const usage = `utmost ${command} ${spec.words}`.trim();
  const extra = words[most];
  throw new UsageError(
    extra === undefined
      ? `Cannot run ${command}: a word is missing, expected ${usage}`
      : `Cannot run ${command}: ${quoted(extra)} is one word too many, expected ${usage}`,
    { hint: `utmost help ${command} explains it.` },
  );
}

function unknownFlag(arg: string, names: readonly string[], command: string): UsageError {
  const hint = didYouMean(arg, names.map((name) => `--${name}`)).hint;
  return new UsageError(`Cannot use ${quoted(arg)}: ${command} has no such flag`, {
    hint: hint ?? `utmost help ${command} lists its flags.`,
  });
}

function didYouMean(word: string, known: readonly string[]): { hint?: string } {
  const near = nearest(word, known);
  return near === undefined ? {} : { hint: `Did you mean ${near}?` };
}
