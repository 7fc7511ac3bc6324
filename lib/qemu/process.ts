/**
 * Child processes: QEMU, and what runs beside it. Each has one owner, does not outlive this process
 * (`guard.ts`), and its end is an AbortSignal that every wait can be raced against.
 */
import { pause, withDeadline } from "../base/deadline.ts";
import { HostFailure, QemuError } from "../base/errors.ts";
import { printable, quoted } from "../base/text.ts";
import { resolveExecutable } from "./executable.ts";
import { guardCommand, type GuardedCommand, type GuardKind } from "./guard.ts";
import { LineSplitter, OutputTail } from "./output_tail.ts";
import { type QemuExit, QemuExitError, QemuLaunchError } from "./process_errors.ts";

export { type QemuExit, QemuExitError, QemuLaunchError } from "./process_errors.ts";

/** Options of {@linkcode QemuProcess.spawn}. */
export interface QemuSpawnOptions {
  /** Absolute path, or a bare name that is looked up in PATH. */
  binary: string;
  /** The arguments, without the binary. */
  argv: readonly string[];
  /** How the child is tied to this process; the best guard of this host when left out. */
  guard?: GuardKind;
  /** Path of `utmost-qemu-host`, for the guard `native`; this checkout's when left out. */
  nativeHost?: string;
  /** Its working folder; ours when left out. */
  cwd?: string;
  /** Variables on top of our environment. */
  env?: Record<string, string>;
  /** Hears of each line that it prints on stdout or stderr: untrusted text. */
  onLine?: (line: string) => void;
  /** A file that gets what it prints, made anew (mode 0600), at most {@linkcode MAX_LOG_BYTES}. */
  logFile?: string;
}

/** Options of {@linkcode ChildProcess.spawn}. */
export interface ChildSpawnOptions extends QemuSpawnOptions {
  /** What messages call it: `swtpm`. */
  name: string;
}

/** Options of {@linkcode ChildProcess.stop}. */
export interface StopOptions {
  /** Asks it to end, such as by QMP `quit`; its signal is aborted when the time for it is over. */
  ask?: (signal: AbortSignal) => Promise<unknown>;
  /** How long asking and then ending may take, in milliseconds. */
  askTimeoutMs?: number;
  /** How long it may take to end after SIGTERM, in milliseconds; then SIGKILL. */
  termTimeoutMs?: number;
}

/** The most bytes that a log file gets. */
export const MAX_LOG_BYTES = 16 * 1024 * 1024;

const ASK_TIMEOUT_MS = 5000;
const TERM_TIMEOUT_MS = 1000; // UTM's own pause between SIGTERM and SIGKILL
const KILL_TIMEOUT_MS = 10_000;

/** What is read of a child's output between two turns of the event loop, in bytes. */
const YIELD_BYTES = 256 * 1024;

/** What it printed before its end is read until nothing came for this long, in milliseconds… */
const DRAIN_QUIET_MS = 5;
/** …and for no longer than this: a process that it left behind may hold the pipe, and print. */
const DRAIN_MAX_MS = 50;

/** One child process, ended and waited for when it is disposed. */
export class ChildProcess implements AsyncDisposable {
  /** What messages call it. */
  readonly name: string;
  /** The whole command, program first, without its guard. */
  readonly command: readonly string[];
  /** The guard in use. */
  readonly guard: GuardKind;
  readonly pid: number;
  /** Resolves when it has ended and what it printed was read; never rejects. */
  readonly exited: Promise<QemuExit>;

  readonly #child: Deno.ChildProcess;
  readonly #lifeline: WritableStreamDefaultWriter<Uint8Array> | undefined;
  readonly #output: ChildOutput;
  readonly #gone = new AbortController();
  #up = false;
  #exit: QemuExit | undefined;
  #stopping: Promise<QemuExit> | undefined;

  protected constructor(options: ChildSpawnOptions) {
    const { binary, argv, guard, nativeHost } = options;
    const program = resolveExecutable(binary);
    const guarded = guardCommand(program, argv, {
      ...guard && { kind: guard },
      ...nativeHost !== undefined && { nativeHost },
    });
    const log = options.logFile === undefined ? undefined : openLog(options.logFile);
    try {
      this.#child = spawnDetached(options.name, guarded, options);
    } catch (error) {
      log?.close();
      throw error;
    }
    this.name = options.name;
    this.command = [program, ...argv];
    this.guard = guarded.kind;
    this.pid = this.#child.pid;
    this.#lifeline = guarded.lifeline ? this.#child.stdin.getWriter() : undefined;
    this.#output = new ChildOutput([this.#child.stdout, this.#child.stderr], log, options.onLine);
    this.exited = this.#watch();
  }

  /**
   * Starts a child in a session of its own, so that a Ctrl-C on our terminal does not reach it.
   * Call it from the main thread only (`guard.ts` says why).
   *
   * @throws {HostError} when the program is missing or may not be executed.
   * @throws {HostFailure} when the host cannot start one more process, or write its log.
   */
  static spawn(options: ChildSpawnOptions): ChildProcess {
    return new ChildProcess(options);
  }

  /**
   * Aborted within milliseconds of its end, whatever the cause, with a {@linkcode QemuLaunchError}
   * or, once {@linkcode confirmUp} was called, a {@linkcode QemuExitError} as the reason. It holds
   * what the child printed last. `AbortSignal.any([child.gone, …])` makes it beat any wait.
   */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** How it ended; undefined while it runs. */
  get exit(): QemuExit | undefined {
    return this.#exit;
  }

  /** The last lines that it printed so far, oldest first: untrusted text. */
  get outputTail(): string[] {
    return this.#output.lines();
  }

  /** Says that it is up: its end is no failed launch from now on. */
  confirmUp(): void {
    this.#up = true;
  }

  /** Sends a signal; does nothing once it has ended. */
  kill(signal: Deno.Signal = "SIGKILL"): void {
    try {
      this.#child.kill(signal);
    } catch (error) {
      // Deno says TypeError once it has reaped the child; its status is on the way then.
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /**
   * Ends it: asks, then SIGTERM, then SIGKILL, each with a deadline. Calls share the first one's
   * ladder; {@linkcode kill} cuts it short.
   *
   * @returns How it ended.
   * @throws {QemuError} when it is still there long after SIGKILL (the kernel holds it).
   */
  stop(options: StopOptions = {}): Promise<QemuExit> {
    return this.#stopping ??= this.#descend(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #descend(options: StopOptions): Promise<QemuExit> {
    const { ask, askTimeoutMs = ASK_TIMEOUT_MS, termTimeoutMs = TERM_TIMEOUT_MS } = options;
    const asked = ask && await this.#endsWithin(askTimeoutMs, ask);
    if (!asked && !await this.#endsWithin(termTimeoutMs, () => this.kill("SIGTERM"))) {
      if (!await this.#endsWithin(KILL_TIMEOUT_MS, () => this.kill("SIGKILL"))) {
        throw new QemuError(
          `Cannot end ${this.name}: process ${this.pid} is still there after SIGKILL`,
        );
      }
    }
    return await this.exited;
  }

  /** Whether it ends within `ms` of `act`; an `act` that fails is a no, at once. */
  async #endsWithin(ms: number, act: (signal: AbortSignal) => unknown): Promise<boolean> {
    if (this.#exit) return true;
    try {
      await withDeadline(`the end of ${this.name}`, async (signal) => {
        await Promise.race([act(signal), this.exited]);
        await this.exited;
      }, { timeoutMs: ms });
      return true;
    } catch {
      return this.#exit !== undefined; // the next step of the ladder is stronger
    }
  }

  /** Waits for its end and tells everybody. */
  async #watch(): Promise<QemuExit> {
    const status = await this.#child.status;
    await Promise.all([this.#output.drain(), this.#releaseWatcher()]);
    const exit: QemuExit = {
      code: status.signal === null ? status.code : null,
      signal: status.signal,
      stderrTail: this.#output.lines(),
    };
    this.#exit = exit;
    const ErrorClass = this.#up ? QemuExitError : QemuLaunchError;
    this.#gone.abort(new ErrorClass(this.name, this.command, exit));
    return exit;
  }

  /** Tells the watcher of the guard `shell` that the child has ended, so that it leaves. */
  async #releaseWatcher(): Promise<void> {
    try {
      await this.#lifeline?.write(new TextEncoder().encode("\n"));
      await this.#lifeline?.close();
    } catch {
      // The watcher is gone already: it never started, or somebody killed it.
      await this.#lifeline?.abort().catch(() => {});
    }
  }
}

/** A running QEMU. */
export class QemuProcess extends ChildProcess {
  /**
   * Starts QEMU in a session of its own, tied to this process. Call it from the main thread only.
   *
   * @throws {HostError} when the binary is missing or may not be executed.
   * @throws {HostFailure} when the host cannot start one more process, or write its log.
   */
  static override spawn(options: QemuSpawnOptions): QemuProcess {
    return new QemuProcess({ ...options, name: "QEMU" });
  }
}

/** Reads what a child prints: the last lines are kept, the log file gets all of it up to a limit. */
class ChildOutput {
  readonly #tail = new OutputTail();
  readonly #readers: ReadableStreamDefaultReader<Uint8Array>[];
  readonly #reading: Promise<unknown>;
  #log: Deno.FsFile | undefined;
  #logged = 0;
  #lastRead = 0;

  constructor(
    streams: ReadableStream<Uint8Array>[],
    log: Deno.FsFile | undefined,
    onLine: ((line: string) => void) | undefined,
  ) {
    this.#log = log;
    this.#readers = streams.map((stream) => stream.getReader());
    const take = (line: string): void => {
      this.#tail.push(line);
      try {
        onLine?.(line);
      } catch (error) {
        reportError(error); // a defect of its owner; the pipe must be read on, or the child blocks
      }
    };
    this.#reading = Promise.all(
      this.#readers.map((reader) => this.#read(reader, new LineSplitter(take))),
    );
  }

  lines(): string[] {
    return this.#tail.lines();
  }

  /** Reads what is left after the child's end, and closes everything. */
  async drain(): Promise<void> {
    const end = performance.now() + DRAIN_MAX_MS;
    let done = false;
    const reading = this.#reading.finally(() => done = true);
    for (let seen = -1; !done && performance.now() < end && seen !== this.#lastRead;) {
      seen = this.#lastRead;
      const quiet = new AbortController();
      await Promise.race([reading, pause(DRAIN_QUIET_MS, quiet.signal).catch(() => {})]);
      quiet.abort();
    }
    await Promise.all(this.#readers.map((reader) => reader.cancel()));
    await reading;
    this.#log?.close();
    this.#log = undefined;
  }

  async #read(
    reader: ReadableStreamDefaultReader<Uint8Array>,
    splitter: LineSplitter,
  ): Promise<void> {
    let unyielded = 0;
    try {
      for (let read; !(read = await reader.read()).done;) {
        // A read of a full pipe resolves without a turn of the event loop; a flood would hide the
        // child's end, and every timer, for as long as it lasts.
        if ((unyielded += read.value.length) >= YIELD_BYTES) {
          unyielded = 0;
          await pause(0);
        }
        this.#lastRead = performance.now();
        splitter.write(read.value);
        this.#writeLog(read.value);
      }
    } catch {
      // A broken pipe is an end; how the child ended is what counts.
    }
    splitter.end();
  }

  /** A log that cannot be written (a full disk) must not end the VM: it stops there. */
  #writeLog(bytes: Uint8Array): void {
    if (!this.#log || this.#logged >= MAX_LOG_BYTES) return;
    try {
      const fitting = bytes.subarray(0, MAX_LOG_BYTES - this.#logged);
      for (let at = 0; at < fitting.length;) at += this.#log.writeSync(fitting.subarray(at));
      this.#logged += fitting.length;
    } catch {
      this.#logged = MAX_LOG_BYTES;
    }
  }
}

function spawnDetached(
  name: string,
  guarded: GuardedCommand,
  { cwd, env }: QemuSpawnOptions,
): Deno.ChildProcess {
  try {
    return new Deno.Command(guarded.program, {
      args: guarded.args,
      stdin: guarded.lifeline ? "piped" : "null",
      stdout: "piped",
      stderr: "piped",
      detached: true,
      ...cwd !== undefined && { cwd },
      ...env && { env },
    }).spawn();
  } catch (cause) {
    const why = printable(cause instanceof Error ? cause.message : String(cause));
    throw new HostFailure(`Cannot start ${name}: ${why}`, { cause });
  }
}

function openLog(path: string): Deno.FsFile {
  try {
    try {
      Deno.removeSync(path); // of an earlier run; it may have another mode, or be a link
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
  } catch (cause) {
    const why = printable(cause instanceof Error ? cause.message : String(cause));
    throw new HostFailure(`Cannot write the log ${quoted(path)}: ${why}`, { cause });
  }
}
