/** `utmost view`: looks at a running VM, or at any SPICE server. */
import { resolve } from "@std/path";
import { pause } from "../../base/deadline.ts";
import { HostFailure, UsageError } from "../../base/errors.ts";
import { quoted } from "../../base/text.ts";
import { type Invocation, lastValue } from "../args.ts";
import { ENDING_SIGNALS, InterruptedError, reasonOf } from "../exit.ts";
import type { Progress } from "../progress.ts";
import { parseDuration } from "../values.ts";
import { SpiceSource, type ViewSource, type ViewStats, VmSource } from "../view_source.ts";
import { parseViewTarget, type ViewTarget } from "../view_target.ts";

/** A checked `view`. */
export interface ViewSettings {
  target: ViewTarget;
  /** Absolute path. */
  screenshot?: string;
  durationMs?: number;
  /** A file, or `-` for stdout. */
  stats?: string;
  passwordFile?: string;
  json: boolean;
}

/** Checks a `view`, before any side effect. @throws {UsageError} */
export function viewSettingsOf(invocation: Invocation): ViewSettings {
  const { words: [word = ""], flags } = invocation;
  const target = parseViewTarget(word);
  const duration = lastValue(invocation, "duration");
  const screenshot = lastValue(invocation, "screenshot");
  const stats = lastValue(invocation, "stats");
  const passwordFile = lastValue(invocation, "password-file");
  if (passwordFile !== undefined && "vm" in target) {
    throw new UsageError(
      "Cannot use --password-file with a VM: its supervisor is attached already, " +
        "expected spice+unix:// or spice://",
    );
  }
  const settings: ViewSettings = {
    target,
    json: flags.has("json"),
    ...(duration === undefined ? {} : { durationMs: parseDuration("--duration", duration) }),
    ...(screenshot === undefined ? {} : { screenshot: resolve(screenshot) }),
    ...(stats === undefined ? {} : { stats }),
    ...(passwordFile === undefined ? {} : { passwordFile }),
  };
  if (!flags.has("headless")) {
    throw new UsageError("Cannot show a window: this version has none yet, expected --headless", {
      hint: "Add --headless, with --screenshot FILE or --stats - to see what there is.",
    });
  }
  return settings;
}

/**
 * Looks until the duration is over, there is a picture to be saved, or there is nothing more to see.
 *
 * @throws {InterruptedError} after a signal; statistics are written all the same.
 */
export async function view(invocation: Invocation, progress: Progress): Promise<number> {
  const settings = viewSettingsOf(invocation);
  using signals = new Signals();
  await using source = await openSource(settings, progress, signals.signal);
  progress.info(`looking at ${source.name}`);
  const failure = await look(source, settings, progress, signals.signal).then(
    () => undefined,
    (error: unknown) => error,
  );
  await writeStats(await source.stats(), settings, failure !== undefined);
  if (failure !== undefined) throw failure;
  return 0;
}

async function openSource(
  { target, passwordFile }: ViewSettings,
  progress: Progress,
  signal: AbortSignal,
): Promise<ViewSource> {
  if ("vm" in target) return await VmSource.open(target.vm);
  const password = passwordFile === undefined ? undefined : await readPassword(passwordFile);
  return await SpiceSource.open(target.spice, {
    signal,
    onWarning: (text) => progress.warning(text),
    ...(password === undefined ? {} : { password }),
  });
}

/** The first line of a file. @throws {HostFailure} when it cannot be read. */
async function readPassword(path: string): Promise<string> {
  try {
    return (await Deno.readTextFile(path)).split(/\r?\n/, 1)[0] ?? "";
  } catch (cause) {
    throw new HostFailure(`Cannot read the password from ${quoted(path)}: ${reasonOf(cause)}`, {
      cause,
    });
  }
}

/** Looks for as long as was asked for; saves the picture. @throws why it ended too early */
async function look(
  source: ViewSource,
  { durationMs, screenshot }: ViewSettings,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const interrupted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  interrupted.catch(() => {});
  const over = new AbortController();
  const enough = durationMs !== undefined
    ? pause(durationMs, over.signal)
    : screenshot !== undefined
    ? source.pictured()
    : new Promise<void>(() => {});
  enough.catch(() => {});
  progress.waiting("the end of what is looked at");
  const end = await Promise.race([
    source.ended.then((error) => ({ error })),
    enough.then(() => undefined),
    interrupted,
  ]).finally(() => {
    over.abort();
    progress.waiting("");
  });
  if (screenshot !== undefined) {
    const saving = source.screenshot(screenshot);
    const { why } = await Promise.race([saving, interrupted]).catch((error: unknown) => {
      throw end?.error ?? error;
    });
    if (why !== undefined) progress.info(`the picture is QEMU's own screendump: ${why}`);
  }
  if (end?.error !== undefined) throw end.error;
}

/**
 * Writes what came, to a file or to stdout; with `--json` a failure has a document of its own there.
 *
 * @throws {HostFailure} when the file cannot be written.
 */
async function writeStats(
  stats: ViewStats,
  { stats: file, json }: ViewSettings,
  failed: boolean,
): Promise<void> {
  const text = JSON.stringify(stats);
  if (json ? !failed : file === "-") console.log(text);
  if (file === undefined || file === "-") return;
  try {
    await Deno.writeTextFile(file, `${text}\n`);
  } catch (cause) {
    throw new HostFailure(`Cannot write ${quoted(file)}: ${reasonOf(cause)}`, { cause });
  }
}

/** Turns the signals that end a process into an abort. */
class Signals implements Disposable {
  readonly #controller = new AbortController();
  readonly #stack = new DisposableStack();

  constructor() {
    for (const [signal, number] of ENDING_SIGNALS) {
      const listener = () => this.#controller.abort(new InterruptedError(signal, number));
      Deno.addSignalListener(signal, listener);
      this.#stack.defer(() => Deno.removeSignalListener(signal, listener));
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}
