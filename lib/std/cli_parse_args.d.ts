/** The part of `@std/cli/parse-args` in use; `deno-std` on npm ships without types. */

/** Options of {@linkcode parseArgs}. */
export interface ParseOptions {
  /** Names that take no value. */
  boolean?: readonly string[];
  /** Names whose value is text. */
  string?: readonly string[];
  /** Names that may be given more than once. */
  collect?: readonly string[];
  /** Names that also exist as `--no-NAME`. */
  negatable?: readonly string[];
  /** Other spellings of a name. */
  alias?: Record<string, string | readonly string[]>;
  /** Values of names that are not given. */
  default?: Record<string, unknown>;
  /** Puts everything after the first word into `_`. */
  stopEarly?: boolean;
  /** Keeps what follows `--` apart, under the key `--`. */
  "--"?: boolean;
  /** Called for each argument that is no known option; false leaves it out. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}
/** What {@linkcode parseArgs} returns: words in `_`, options by name. */
export interface ParsedArgs {
  _: (string | number)[];
  "--"?: string[];
  [name: string]: unknown;
}
/** Splits a command line into options and words. */
export function parseArgs(args: readonly string[], options?: ParseOptions): ParsedArgs;
