/**
 * One run of a VM from its settings to the exit code: the supervisor, signals, the time budget, the
 * steps, and what is said and kept of it all.
 */
import { DeadlineError, HostFailure } from "../base/errors.ts";
import { ExitCode } from "../base/exit_code.ts";
import { quoted } from "../base/text.ts";
import type { Ending } from "../vm/ending.ts";
import { EventLog } from "../vm/events.ts";
import type { StopRung, VirtualMachine } from "../vm/machine.ts";
import type { PreparedLaunch } from "../vm/prepare.ts";
import type { ScreenshotReport } from "../vm/screenshot.ts";
import { runSteps } from "../vm/steps.ts";
import { Supervisor } from "../vm/supervisor.ts";
import {
  ENDING_SIGNALS,
  exitCodeOf,
  INTERRUPT_HELP,
  InterruptedError,
  printError,
  reasonOf,
} from "./exit.ts";
import { OutputQueue } from "./output_queue.ts";
import type { Progress } from "./progress.ts";
import type { RunSettings } from "./run_settings.ts";
import { type AttachedTerminal, attachTerminal, ESCAPE_HELP } from "./terminal.ts";
import { formatForward } from "./values.ts";

/** How a session ended; the document of `--json`. */
export interface SessionResult {
  id: string;
  /** The exit code. */
  code: number;
  /** One clause. */
  reason: string;
  hint?: string;
}

/** One run. */
export class Session {
  readonly #settings: RunSettings;
  readonly #id: string;
  readonly #progress: Progress;
  /** Whether the user's terminal is ours: the foreground process, not a detached supervisor. */
  readonly #foreground: boolean;
  readonly #log = new EventLog();
  readonly #cut = new AbortController();
  #vm: VirtualMachine | undefined;
  #prepared: PreparedLaunch | undefined;
  #failure: unknown;
  #interrupts = 0;

  constructor(settings: RunSettings, id: string, progress: Progress, foreground: boolean) {
    this.#settings = settings;
    this.#id = id;
    this.#progress = progress;
    this.#foreground = foreground;
  }

  /** Runs to the end, says why, and returns how it ended; never rejects. */
  async run(): Promise<SessionResult> {
    const flushes: (() => Promise<void>)[] = [];
    let result: SessionResult;
    {
      using budget = new Budget(
        this.#settings.timeoutMs,
        (error) => this.#end(error, "quit"),
        () => this.#progress.waitingFor,
      );
      using _signals = this.#listenToSignals();
      using _defects = surviveDefects((error) => printError(error, this.#progress));
      await using stack = new AsyncDisposableStack();
      try {
        flushes.push(this.#openEvents());
        const ending = await this.#supervise(stack, budget, flushes);
        this.#failure ??= ending.error;
        result = this.#resultOf(ending.reason);
      } catch (error) {
        this.#failure ??= error;
        result = this.#resultOf("failed");
      }
      await this.#vm?.quiet(); // the exit is the last event
      this.#log.emit({ event: "exit", code: result.code, reason: result.reason });
      if (this.#failure !== undefined) await this.#evidence();
    }
    for (const flush of flushes) await flush();
    if (this.#failure !== undefined) printError(this.#failure, this.#progress);
    return result;
  }

  #resultOf(reason: string): SessionResult {
    const error = this.#failure;
    if (error === undefined) return { id: this.#id, code: ExitCode.ok, reason };
    const { hint } = error as { hint?: unknown };
    return {
      id: this.#id,
      code: exitCodeOf(error),
      reason: reasonOf(error),
      ...(typeof hint === "string" ? { hint } : {}),
    };
  }

  async #supervise(
    stack: AsyncDisposableStack,
    budget: Budget,
    flushes: (() => Promise<void>)[],
  ): Promise<Ending> {
    const { bundle, request, grants, steps } = this.#settings;
    const progress = this.#progress;
    // The first timer of a process costs milliseconds, which QEMU's own start can hide.
    using _started = this.#log.subscribe(({ event }) => {
      if (event === "qemu") progress.waiting("QEMU");
    });
    const supervisor = stack.use(
      await Supervisor.start({
        bundle,
        request,
        grants,
        id: this.#id,
        log: this.#log,
        signal: this.#cut.signal,
        onBundle: ({ warnings }) => {
          for (const { message } of warnings) progress.warning(message);
        },
        onPrepared: (prepared) => this.#announce(prepared),
        onMachine: (vm) => this.#vm = vm,
        onWarning: (text) => progress.warning(text),
        onNotice: (text) => progress.info(text),
        onDetail: (text) => progress.detail(text),
        onDefect: (error) => printError(error, progress),
        onStopRequest: () => this.#end(new InterruptedError("stop", 15), "quit"),
      }),
    );
    const { vm } = supervisor;
    const terminal = this.#attachSerial(vm, flushes);
    try {
      const onWait = (what: string) => progress.waiting(what);
      const onPicture = ({ why }: ScreenshotReport) => {
        if (why !== undefined) progress.info(`the picture is QEMU's own screendump: ${why}`);
      };
      await runSteps(vm, steps, { signal: this.#cut.signal, onWait, onPicture });
      progress.waiting("the guest to end");
      switch (this.#settings.then) {
        case "stop":
          await vm.stop();
          break;
        case "kill":
          await vm.stop("kill");
          break;
        case "leave":
          budget.cancel();
          supervisor.leave();
          break;
      }
      return await vm.ended;
    } catch (error) {
      // The first failure is the one that counts; stopping may take a moment.
      this.#failure ??= error;
      return await vm.stop(this.#interrupts > 0 ? "powerdown" : "quit");
    } finally {
      progress.waiting("");
      await terminal?.detach();
    }
  }

  #announce(prepared: PreparedLaunch): void {
    this.#prepared = prepared;
    const { plan, host, bundle } = prepared;
    const version = host.qemu?.version.join(".") ?? "";
    const { name, why } = plan.accelerator;
    const machine = `${bundle.config.information.name} (${this.#id})`;
    this.#progress.info(
      `${machine}: QEMU ${version} ${bundle.config.system.architecture}, ${name}: ${why}`,
    );
    for (const substitution of plan.substitutions) {
      if (substitution.key === "QEMU.Hypervisor") continue; // said just above
      this.#progress.substitution(substitution);
    }
    for (const forward of prepared.request.options.forwards) {
      this.#progress.info(`forward: ${formatForward(forward)}`);
    }
    if (this.#settings.windowWanted) {
      this.#progress.info("this version has no window yet, so this run is headless");
    }
  }

  /** Leads the first built-in terminal to where it was asked to go. */
  #attachSerial(
    vm: VirtualMachine,
    flushes: (() => Promise<void>)[],
  ): AttachedTerminal | undefined {
    const { serial: place, steps } = this.#settings;
    const port = vm.serial;
    if (port === undefined || place.to === "off") return undefined;
    if (place.to === "file") {
      const file = openOutput(place.path);
      const queue = new OutputQueue(file);
      port.tap((bytes) => queue.push(bytes), true);
      flushes.push(() => queue.flushed().finally(() => file.close()));
      return undefined;
    }
    if (!this.#foreground) return undefined;
    const input = steps.length === 0;
    if (input && Deno.stdin.isTerminal()) {
      this.#progress.info(`this terminal is the guest's serial port; ${ESCAPE_HELP} stops the VM`);
    }
    return attachTerminal({
      tap: (listener) => port.tap(listener, true),
      write: (bytes) => port.write(bytes),
    }, {
      input,
      onEscape: () => this.#interrupt("the escape sequence", 2),
      onRaw: (raw) => this.#progress.raw = raw,
    });
  }

  /** Opens the event stream; returns what writes the rest of it. */
  #openEvents(): () => Promise<void> {
    const { events } = this.#settings;
    if (events === undefined || (events === "-" && !this.#foreground)) return async () => {};
    const file = events === "-" ? undefined : openOutput(events);
    const queue = new OutputQueue(file ?? Deno.stdout);
    const encoder = new TextEncoder();
    this.#log.subscribe((event) => queue.push(encoder.encode(`${JSON.stringify(event)}\n`)), true);
    return () => queue.flushed().finally(() => file?.close());
  }

  #listenToSignals(): Disposable {
    const listeners = ENDING_SIGNALS.map(([signal, number]) => {
      const listener = () => this.#interrupt(signal, number);
      Deno.addSignalListener(signal, listener);
      return () => Deno.removeSignalListener(signal, listener);
    });
    return { [Symbol.dispose]: () => listeners.forEach((remove) => remove()) };
  }

  /** Once is graceful, twice is now. */
  #interrupt(signal: string, number: number): void {
    this.#interrupts++;
    if (this.#interrupts === 1) {
      this.#progress.info(`${signal}: ${INTERRUPT_HELP}`);
    }
    this.#end(
      new InterruptedError(signal, number),
      this.#interrupts === 1 ? "powerdown" : "kill",
    );
  }

  /** Ends the run, whatever it waits for. */
  #end(error: Error, from: StopRung): void {
    this.#failure ??= error;
    this.#cut.abort(this.#failure);
    void this.#vm?.stop(from);
  }

  /** Keeps what may explain a failure. */
  async #evidence(): Promise<void> {
    const { artifacts } = this.#settings;
    if (artifacts === undefined) return;
    try {
      const { saveArtifacts } = await import("./artifacts.ts");
      await saveArtifacts(artifacts, {
        events: this.#log.history(),
        ...(this.#prepared === undefined ? {} : { plan: this.#prepared.plan }),
        ...(this.#vm === undefined ? {} : { vm: this.#vm }),
      });
      this.#progress.info(`evidence: ${artifacts}`);
    } catch (error) {
      this.#progress.warning(`Cannot save evidence to ${quoted(artifacts)}: ${reasonOf(error)}`);
    }
  }
}

/**
 * Tells what nobody has caught, rather than let it end the process: a defect of ours must not take
 * the VM with it.
 */
export function surviveDefects(tell: (error: unknown) => void): Disposable {
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    tell(event.reason);
  };
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    tell(event.error);
  };
  addEventListener("unhandledrejection", onRejection);
  addEventListener("error", onError);
  return {
    [Symbol.dispose]() {
      removeEventListener("unhandledrejection", onRejection);
      removeEventListener("error", onError);
    },
  };
}

/** The wall-clock budget of a whole run. */
class Budget implements Disposable {
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    timeoutMs: number | undefined,
    onSpent: (error: DeadlineError) => void,
    what: () => string,
  ) {
    if (timeoutMs === undefined) return;
    this.#timer = setTimeout(() => {
      const doing = what() === "" ? "" : ` while waiting for ${what()}`;
      onSpent(
        new DeadlineError(`Cannot finish: the time budget of ${timeoutMs} ms ran out${doing}`, {
          hint: "Give more with --timeout, or look at what the guest printed.",
        }),
      );
    }, timeoutMs);
  }

  /** The budget no longer counts. */
  cancel(): void {
    clearTimeout(this.#timer);
  }

  [Symbol.dispose](): void {
    this.cancel();
  }
}

/** Opens a file that output goes to, made anew. @throws {HostFailure} */
function openOutput(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { create: true, write: true, truncate: true });
  } catch (error) {
    throw new HostFailure(`Cannot write ${quoted(path)}: ${reasonOf(error)}`, { cause: error });
  }
}
