/** What is said to the user while something goes on: lines on stderr. */

/** How often a run without a terminal says that it still waits, in milliseconds. */
const HEARTBEAT_MS = 25_000;

/** Options of {@linkcode Progress}. */
export interface ProgressOptions {
  quiet: boolean;
  verbose: boolean;
  colors: boolean;
  /** Whether a person looks on; without one there are heartbeat lines. */
  terminal: boolean;
  /** Writes one line; `console.error` when left out. */
  write?: (line: string) => void;
}

/** Says what goes on, as loudly as the user asked for. */
export class Progress implements Disposable {
  readonly #options: ProgressOptions;
  readonly #write: (line: string) => void;
  readonly #startedAt = performance.now();
  #waitingFor = "";
  #timer: ReturnType<typeof setInterval> | undefined;
  /** Set while the terminal is in raw mode, where a line ends with CR LF. */
  raw = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#write = options.write ?? ((line) => console.error(line));
  }

  /** Something that the user wants to know. */
  info(text: string): void {
    if (!this.#options.quiet) this.plain(`utmost: ${text}`);
  }

  /** What is not as the bundle says. */
  substitution(
    { key, from, to, why }: { key: string; from: string; to: string; why: string },
  ): void {
    this.info(`${key}: ${from} → ${to === "" ? "left out" : to}: ${why}`);
  }

  /** Something that only `-v` shows. */
  detail(text: string): void {
    if (this.#options.verbose) this.plain(`utmost: ${text}`);
  }

  /** Something that is not as the user wished; also shown with `-q`. */
  warning(text: string): void {
    this.plain(`${this.#paint("33", "utmost: warning:")} ${text}`);
  }

  /** Why it failed. */
  error(text: string): void {
    this.plain(`${this.#paint("1;31", "utmost: error:")} ${text}`);
  }

  /** What to do next. */
  hint(text: string): void {
    const [first = "", ...more] = text.split("\n");
    this.plain(`  ${this.#paint("36", "hint:")} ${first}`);
    for (const line of more) this.plain(`        ${line}`);
  }

  /** A text as it is. */
  plain(text: string): void {
    this.#write(this.raw ? `${text.replaceAll("\n", "\r\n")}\r` : text);
  }

  #paint(code: string, text: string): string {
    return this.#options.colors ? `\u001b[${code}m${text}\u001b[0m` : text;
  }

  /** Says what is waited for from now on; an empty text ends the wait. */
  waiting(what: string): void {
    this.#waitingFor = what;
    if (what === "" || this.#options.terminal || this.#options.quiet) return;
    this.#timer ??= setInterval(() => {
      if (this.#waitingFor === "") return;
      const seconds = Math.round((performance.now() - this.#startedAt) / 1000);
      this.info(`${seconds} s: still waiting for ${this.#waitingFor}`);
    }, HEARTBEAT_MS);
  }

  /** What is waited for now. */
  get waitingFor(): string {
    return this.#waitingFor;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** The progress that flags, environment and terminal ask for. */
export function progressFor(flags: ReadonlySet<string>): Progress {
  const terminal = Deno.stderr.isTerminal();
  return new Progress({
    quiet: flags.has("quiet"),
    verbose: flags.has("verbose"),
    terminal,
    colors: terminal && wantsColors(flags),
  });
}

/** Whether flags and environment leave colours to a terminal. Source: https://no-color.org */
export function wantsColors(flags: ReadonlySet<string>): boolean {
  return !flags.has("no-color") && !Deno.env.get("NO_COLOR") && Deno.env.get("TERM") !== "dumb";
}
