/** `utmost view`: looks at a running VM, or at any SPICE server. */
import { resolve } from "@std/path";
import { pause, withDeadline } from "../../base/deadline.ts";
import { ExitCode } from "../../base/exit_code.ts";
import {
  HostFailure,
  NotRunningError,
  SpiceError,
  UsageError,
  type UtmostError,
} from "../../base/errors.ts";
import { expectWritable } from "../../base/replace_file.ts";
import { printable, quoted } from "../../base/text.ts";
import { cannotWrite } from "../../base/write_failure.ts";
import { type Invocation, lastValue } from "../args.ts";
import {
  ENDING_SIGNALS,
  errorDocument,
  exitCodeOf,
  InterruptedError,
  printError,
  reasonOf,
} from "../exit.ts";
import type { Progress } from "../progress.ts";
import type { ScreenshotReport } from "../../vm/screenshot.ts";
import { parseCount, parseDuration, parsePicturePath } from "../values.ts";
import { SpiceSource, type ViewSource, type ViewStats, VmSource } from "../view_source.ts";
import { likelyAddress, parseViewTarget, type ViewTarget } from "../view_target.ts";

/** How much later than what fails of it the end of what is looked at is known, in milliseconds. */
const END_LAG_MS = 100;

/** The most bytes of a password. Source: spice/protocol.h, SPICE_MAX_PASSWORD_LENGTH. */
const MAX_PASSWORD_BYTES = 60;

/** A checked `view`. */
export interface ViewSettings {
  target: ViewTarget;
  /** Absolute path. */
  screenshot?: string;
  /** Whether the picture has the mouse pointer. */
  cursor?: boolean;
  /** Which display is saved; the first one when left out. */
  display?: number;
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
  const display = lastValue(invocation, "display");
  for (const option of ["cursor", "display"] as const) {
    if (
      screenshot === undefined && (option === "cursor" ? flags.has(option) : display !== undefined)
    ) {
      throw new UsageError(`Cannot use --${option} without --screenshot: it tells how to save it`);
    }
  }
  const settings: ViewSettings = {
    target,
    json: flags.has("json"),
    ...(duration === undefined ? {} : { durationMs: parseDuration("--duration", duration) }),
    ...(screenshot === undefined
      ? {}
      : { screenshot: resolve(parsePicturePath("--screenshot", screenshot)) }),
    ...(flags.has("cursor") ? { cursor: true } : {}),
    ...(display === undefined ? {} : { display: parseCount("--display", display, 0, 255) }),
    ...(stats === undefined ? {} : { stats }),
    ...(passwordFile === undefined ? {} : { passwordFile }),
  };
  if (!flags.has("headless") || flags.has("window")) {
    throw new UsageError("Cannot show a window: this version has none yet, expected --headless", {
      hint: "Add --headless, with --screenshot FILE or --stats - to see what there is.",
    });
  }
  return settings;
}

/**
 * Looks until the duration is over, there is a picture to be saved, or there is nothing more to see.
 *
 * @throws {InterruptedError} after a signal; the last picture and statistics are written all the
 * same, with what is known already after a second one.
 */
export async function view(invocation: Invocation, progress: Progress): Promise<number> {
  const settings = viewSettingsOf(invocation);
  await expectFiles(settings);
  using signals = new Signals();
  await using source = await openSource(settings, progress, signals.signal);
  const isEndless = settings.durationMs === undefined && settings.screenshot === undefined;
  progress.info(`looking at ${source.name}${isEndless ? "; Ctrl-C ends it" : ""}`);
  const { screenshot, failure } = await look(source, settings, progress, signals);
  if (screenshot?.why !== undefined) {
    progress.info(`the picture is QEMU's own screendump: ${screenshot.why}`);
  }
  const stats = await source.stats(signals.second);
  await writeStats(stats, settings);
  if (!settings.json) {
    if (failure !== undefined) throw failure;
    return ExitCode.ok;
  }
  const error = failure === undefined ? {} : errorDocument(failure);
  console.log(JSON.stringify({ ...stats, ...(screenshot && { screenshot }), ...error }));
  if (failure === undefined) return ExitCode.ok;
  printError(failure, progress);
  return exitCodeOf(failure);
}

/** Looks before the look-out whether its end can be written. @throws {HostFailure} */
async function expectFiles({ screenshot, stats }: ViewSettings): Promise<void> {
  if (screenshot !== undefined) {
    await expectWritable(screenshot).catch((cause) => {
      throw cannotWrite("save the screen to", screenshot, cause);
    });
  }
  if (stats !== undefined && stats !== "-") {
    await expectWritable(stats).catch((cause) => {
      throw cannotWrite("write", stats, cause);
    });
  }
}

async function openSource(
  { target, passwordFile, cursor = false, screenshot, display }: ViewSettings,
  progress: Progress,
  signal: AbortSignal,
): Promise<ViewSource> {
  if ("vm" in target) {
    const picture = screenshot === undefined
      ? undefined
      : { path: screenshot, cursor, ...(display === undefined ? {} : { display }) };
    try {
      return await VmSource.open(target.vm, signal, picture);
    } catch (cause) {
      const address = cause instanceof NotRunningError ? await likelyAddress(target.vm) : undefined;
      if (address === undefined) throw cause;
      const message = `Cannot view ${quoted(target.vm)}: no running VM is called that`;
      throw new UsageError(message, { cause, hint: `Did you mean ${printable(address)}?` });
    }
  }
  const password = passwordFile === undefined
    ? undefined
    : await readPassword(passwordFile, signal);
  return await SpiceSource.open(target.spice, {
    signal,
    cursor,
    onWarning: (text) => progress.warning(text),
    onDetail: (text) => progress.detail(text),
    ...(password === undefined ? {} : { password }),
  }).catch((error) => {
    throw password === undefined ? withPasswordHint(error) : error;
  });
}

/** The first line of a file. @throws {HostFailure} when it cannot be read. {UsageError} if none is. */
async function readPassword(path: string, signal: AbortSignal): Promise<string> {
  let text: string;
  try {
    text = await Deno.readTextFile(path, { signal });
  } catch (cause) {
    signal.throwIfAborted();
    throw new HostFailure(`Cannot read the password from ${quoted(path)}: ${reasonOf(cause)}`, {
      cause,
    });
  }
  return passwordIn(text, path);
}

/** The password in the text of a file. @throws {UsageError} when there is none that SPICE takes. */
export function passwordIn(text: string, path: string): string {
  const password = text.split(/\r?\n/, 1)[0] ?? "";
  const { length } = new TextEncoder().encode(password);
  if (length > 0 && length <= MAX_PASSWORD_BYTES) return password;
  const what = length > 0
    ? `it has ${length} bytes, expected at most ${MAX_PASSWORD_BYTES}`
    : `${text === "" ? "the file" : "its first line"} is empty`;
  throw new UsageError(`Cannot use the password in ${quoted(path)}: ${what}`);
}

/** Names the option where a server wants a password and none was given. */
function withPasswordHint(cause: unknown): unknown {
  // Source: spice/error_codes.h, SPICE_LINK_ERR_PERMISSION_DENIED.
  if (!(cause instanceof SpiceError && "code" in cause && cause.code === 7)) return cause;
  return new SpiceError(cause.message, {
    cause,
    hint: "Give the password with --password-file FILE.",
  });
}

/** What came of looking. */
interface Looked {
  /** What was saved. */
  screenshot?: ScreenshotReport;
  /** Why it ended too early, or without a picture. */
  failure?: unknown;
}

/**
 * Looks for as long as was asked for, and saves the picture: the one that came last, where the
 * look-out is cut short. Never rejects.
 */
async function look(
  source: ViewSource,
  settings: ViewSettings,
  progress: Progress,
  { signal, second }: Signals,
): Promise<Looked> {
  const { durationMs, screenshot: path, cursor = false, display } = settings;
  const options = { cursor, ...(display === undefined ? {} : { display }) };
  let end: { error: UtmostError | undefined } | undefined;
  const ended = source.ended.then((error) => void (end = { error }));
  let failure: unknown;
  try {
    if (durationMs !== undefined || path === undefined) {
      progress.waiting("the end of what is looked at");
      await withDeadline("the end", async (over) => {
        await Promise.race([ended, durationMs === undefined ? ended : pause(durationMs, over)]);
      }, { signal });
    }
    if (path !== undefined && end === undefined) {
      progress.waiting("a picture");
      return { screenshot: await source.screenshot(path, { ...options, signal }) };
    }
  } catch (error) {
    failure = error;
    // The end of what is looked at may be known a moment later than what fails of it.
    if (!signal.aborted) await Promise.race([ended, pause(END_LAG_MS)]);
  } finally {
    progress.waiting("");
  }
  const cut = end as { error: UtmostError | undefined } | undefined;
  if (signal.aborted) failure = signal.reason;
  else if (cut !== undefined) failure = cut.error;
  if (path === undefined || (cut === undefined && !signal.aborted)) return { failure };
  try {
    const screenshot = await source.lastScreenshot(path, { ...options, signal: second });
    progress.info(`${quoted(path)} has the last picture`);
    return { screenshot, failure };
  } catch (error) {
    if (failure === undefined) return { failure: error };
    progress.warning(`${quoted(path)} was not saved: ${unsavedReason(error, path)}`);
    return { failure };
  }
}

/** Why a picture was not saved, where it is said already that it was not. */
export function unsavedReason(error: unknown, path: string): string {
  const reason = reasonOf(error);
  const said = ["Cannot save the screen: ", `Cannot save the screen to ${quoted(path)}: `]
    .find((text) => reason.startsWith(text)) ?? "";
  return reason.slice(said.length);
}

/** Writes what came, to a file or to stdout. @throws {HostFailure} when it cannot be written. */
async function writeStats(stats: ViewStats, { stats: file, json }: ViewSettings): Promise<void> {
  if (file === undefined) return;
  const text = JSON.stringify(stats);
  if (file === "-") {
    if (!json) console.log(text); // the document of --json has it, too
    return;
  }
  try {
    await Deno.writeTextFile(file, `${text}\n`);
  } catch (cause) {
    throw cannotWrite("write", file, cause);
  }
}

/** Turns the signals that end a process into aborts. */
class Signals implements Disposable {
  readonly #first = new AbortController();
  readonly #second = new AbortController();
  readonly #stack = new DisposableStack();

  constructor() {
    for (const [signal, number] of ENDING_SIGNALS) {
      const listener = () => {
        const controller = this.#first.signal.aborted ? this.#second : this.#first;
        controller.abort(new InterruptedError(signal, number));
      };
      Deno.addSignalListener(signal, listener);
      this.#stack.defer(() => Deno.removeSignalListener(signal, listener));
    }
  }

  /** Aborted by the first signal. */
  get signal(): AbortSignal {
    return this.#first.signal;
  }

  /** Aborted by the second one: whoever sends it does not want to wait. */
  get second(): AbortSignal {
    return this.#second.signal;
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}
