/** `utmost help`, `version` and `completions`. */
import config from "../../../deno.json" with { type: "json" };
import { UsageError } from "../../base/errors.ts";
import { nearest, quoted } from "../../base/text.ts";
import type { Invocation } from "../args.ts";
import { COMMANDS, type CommandSpec, COMMON_OPTIONS, type OptionSpec } from "../command_table.ts";
import { formatTable } from "../table.ts";

const PUBLIC: [string, CommandSpec][] = Object.entries<CommandSpec>(COMMANDS)
  .filter(([, spec]) => !spec.hidden);

/** Explains the program, or one command. */
export function help({ words: [command] }: Invocation): number {
  console.log(command === undefined ? overview() : commandHelp(command));
  return 0;
}

/** Prints the version. */
export function version({ flags }: Invocation): number {
  const versions = { utmost: config.version, deno: Deno.version.deno, target: Deno.build.target };
  if (flags.has("json")) console.log(JSON.stringify(versions));
  else console.log(`utmost ${versions.utmost} (deno ${versions.deno}, ${versions.target})`);
  return 0;
}

function overview(): string {
  const rows = PUBLIC.map(([name, { words, help }]) => [`  ${name} ${words}`, help]);
  return [
    "utmost runs UTM virtual machines from the command line.",
    "",
    "  utmost vm.utm [OPTION…]          boots a bundle (the same as utmost run vm.utm)",
    "",
    formatTable(rows),
    "",
    "VM is an instance id, a name, a UUID or a bundle's path.",
    "utmost help COMMAND explains one command; its options are the same in any order.",
  ].join("\n");
}

function commandHelp(name: string): string {
  const spec = PUBLIC.find(([known]) => known === name)?.[1];
  if (spec === undefined) {
    const near = nearest(name, PUBLIC.map(([known]) => known));
    throw new UsageError(
      `Cannot explain ${quoted(name)}: it is no command`,
      { hint: near === undefined ? "utmost help lists them." : `Did you mean ${near}?` },
    );
  }
  const options: Record<string, OptionSpec> = { ...spec.options, ...COMMON_OPTIONS };
  const rows = Object.entries(options).map(([option, { value, help }]) => [
    `  --${option}${value === undefined ? "" : ` ${value}`}`,
    help,
  ]);
  const usage = [
    `utmost ${name}`,
    spec.words,
    "[OPTION…]",
    spec.passthrough ? "[-- QEMU-ARG…]" : "",
  ];
  return [
    `${usage.filter((word) => word !== "").join(" ")}`,
    "",
    `${spec.help[0]?.toUpperCase()}${spec.help.slice(1)}.`,
    "",
    ...(spec.more === undefined ? [] : [...spec.more, ""]),
    formatTable(rows),
  ].join("\n");
}

/** Prints a completion script. */
export function completions({ words: [shell = ""] }: Invocation): number {
  const names = PUBLIC.map(([name]) => name).join(" ");
  const flagsOf = ({ options }: CommandSpec) =>
    Object.keys({ ...options, ...COMMON_OPTIONS }).map((option) => `--${option}`).join(" ");
  switch (shell) {
    case "bash":
    case "zsh":
      console.log(bashCompletions(names, flagsOf, shell === "zsh"));
      return 0;
    case "fish":
      console.log(fishCompletions(names));
      return 0;
    default:
      throw new UsageError(
        `Cannot complete for ${quoted(shell)}: it is not known, expected bash, zsh or fish`,
      );
  }
}

function bashCompletions(
  names: string,
  flagsOf: (spec: CommandSpec) => string,
  zsh: boolean,
): string {
  const cases = PUBLIC.map(([name, spec]) => `    ${name}) flags="${flagsOf(spec)}" ;;`);
  const lines = [
    "_utmost() {",
    '  local word="${COMP_WORDS[COMP_CWORD]}" flags=""',
    '  case "${COMP_WORDS[1]}" in',
    ...cases,
    `    *) flags="${flagsOf(COMMANDS.run)}" ;;`,
    "  esac",
    '  if [[ "$word" == -* ]]; then',
    '    COMPREPLY=($(compgen -W "$flags" -- "$word"))',
    '  elif [[ "$COMP_CWORD" == 1 ]]; then',
    `    COMPREPLY=($(compgen -W "${names}" -- "$word") $(compgen -f -- "$word"))`,
    "  else",
    '    COMPREPLY=($(compgen -f -- "$word"))',
    "  fi",
    "}",
    "complete -o filenames -F _utmost utmost",
  ];
  return [...(zsh ? ["autoload -Uz bashcompinit && bashcompinit"] : []), ...lines].join("\n");
}

function fishCompletions(names: string): string {
  const commands = `complete -c utmost -n __fish_use_subcommand -a "${names}"`;
  const flags = PUBLIC.flatMap(([name, spec]) =>
    Object.entries<OptionSpec>({ ...spec.options, ...COMMON_OPTIONS }).map((
      [option, { kind, help }],
    ) =>
      `complete -c utmost -n "__fish_seen_subcommand_from ${name}" -l ${option}` +
      `${kind === "flag" ? "" : " -r"} -d '${help.replaceAll("'", "\\'")}'`
    )
  );
  return [commands, ...flags].join("\n");
}
