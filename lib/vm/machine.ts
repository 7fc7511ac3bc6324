/** A VM of ours: its state, its connections, and what can be done with it. */
import { withDeadline } from "../base/deadline.ts";
import type { TypingOptions } from "../base/keyboard.ts";
import { DeadlineError, type UtmostError } from "../base/errors.ts";
import type { SerialPort } from "../guest/serial.ts";
import type { LaunchPlan } from "../qemu/launch_options.ts";
import type { QemuProcess } from "../qemu/process.ts";
import type { QmpClient } from "../qmp/client.ts";
import type { QmpEvent } from "../qmp/events.ts";
import { type Ending, judgeEnding, type Witness } from "./ending.ts";
import type { EventLog } from "./events.ts";
import type { Screens } from "./screens.ts";
import type { SpiceKeeper } from "./spice_keeper.ts";
import type { ScreenshotOptions, ScreenshotReport } from "./screenshot.ts";
import { next, type VmEvent, type VmState } from "./state.ts";
import type { InputPath, Typist } from "./typist.ts";

/** What a VM is known by. */
export interface VmIdentity {
  /** 8 hex digits, unique among the running VMs. */
  id: string;
  name: string;
  /** In upper case. */
  uuid: string;
  /** Absolute path of the bundle. */
  bundle: string;
}

/** Where the way down starts: the guest's power button, QMP `quit`, or a signal. */
export type StopRung = "powerdown" | "quit" | "kill";

const RUNGS: readonly StopRung[] = ["powerdown", "quit", "kill"];
/** How long each rung is given before the next, in milliseconds. */
const RUNG_MS: Readonly<Record<StopRung, number>> = {
  powerdown: 15_000,
  quit: 5_000,
  kill: 10_000,
};

/** How long the end of what came with QEMU may make the VM's lag behind QEMU's, in milliseconds. */
const QUIET_MS = 300;

/**
 * One VM, from `prepared` to `stopped`. Made and brought up by `launch()`; the connections are
 * handed in as they come up.
 */
export class VirtualMachine {
  readonly identity: VmIdentity;
  readonly plan: LaunchPlan;
  readonly log: EventLog;
  /** Built-in terminals by index into `Config.serials`, as far as QEMU has connected them. */
  readonly serials = new Map<number, SerialPort>();
  /** Resolves once QEMU is gone; never rejects. */
  readonly ended: Promise<Ending>;
  /** Aborted with the failure, or with a `DOMException`, once QEMU is gone. */
  readonly gone: AbortSignal;

  readonly #end = Promise.withResolvers<Ending>();
  readonly #gone = new AbortController();
  readonly #witness: Witness = { panicked: false, stopRequested: false };
  readonly #crashed = Promise.withResolvers<void>();
  #state: VmState = "prepared";
  #process: QemuProcess | undefined;
  #qmp: QmpClient | undefined;
  #spice: SpiceKeeper | undefined;
  #typist: Promise<Typist> | undefined;
  #rung = 0;
  #raised = Promise.withResolvers<void>();
  #stopping: Promise<Ending> | undefined;
  /** Settles once QEMU's end was told. */
  #exiting: Promise<void> | undefined;

  constructor(identity: VmIdentity, plan: LaunchPlan, log: EventLog) {
    this.identity = identity;
    this.plan = plan;
    this.log = log;
    this.ended = this.#end.promise;
    this.gone = this.#gone.signal;
  }

  /** Where the launch stands. */
  get state(): VmState {
    return this.#state;
  }

  /** QEMU's pid, once it is spawned. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** The newest lines of QEMU's stderr. */
  get stderrTail(): string[] {
    return this.#process?.outputTail ?? [];
  }

  /** Names of the SPICE channels that are linked. */
  get spiceChannels(): string[] {
    return this.#spice?.channels ?? [];
  }

  /** The first built-in terminal, or undefined where the configuration has none. */
  get serial(): SerialPort | undefined {
    const first = Math.min(...this.serials.keys());
    return this.serials.get(first);
  }

  /** Moves to the next state, and logs it. Called by the launch and by this class only. */
  advance(event: VmEvent): void {
    const from = this.#state;
    this.#state = next(from, event);
    if (from !== this.#state) this.log.emit({ event: "state", from, to: this.#state });
  }

  /** Takes note of a QEMU that was just started, and follows it to its end. */
  spawned(process: QemuProcess): void {
    this.#process = process;
    this.advance("spawn");
    const onGone = () => void (this.#exiting ??= this.#exited(process.gone.reason));
    process.gone.addEventListener("abort", onGone, { once: true });
    if (process.gone.aborted) onGone();
  }

  /** Tells QEMU's end; its channels have ended with it, a display's thread tells so a moment later. */
  async #exited(died: UtmostError): Promise<void> {
    const spice = this.#spice;
    if (spice !== undefined) {
      await withDeadline("the end of SPICE", () => spice.ended(), { timeoutMs: QUIET_MS })
        .catch(() => {}); // a thread that hangs is left for later
    }
    const ending = judgeEnding(this.#witness, died);
    this.advance("exit");
    this.#gone.abort(ending.error ?? new DOMException("the VM has ended", "AbortError"));
    this.#end.resolve(ending);
  }

  /**
   * Resolves once QEMU's end was told and all that came with it has ended, too: nothing is logged of it
   * afterwards. At once while QEMU has not ended.
   */
  async quiet(): Promise<void> {
    if (this.#exiting === undefined) return;
    await this.#exiting;
    await this.#spice?.ended();
  }

  /** Ends a launch that never got to a QEMU. */
  abandon(error: UtmostError): void {
    if (this.#process !== undefined || this.#gone.signal.aborted) return;
    this.advance("stop");
    this.#gone.abort(error);
    this.#end.resolve({ reason: "stopped", error });
  }

  /** Takes note of the connection to QMP. */
  greeted(qmp: QmpClient): void {
    this.#qmp = qmp;
    this.advance("greet");
  }

  /** Takes note of the SPICE session. */
  attached(spice: SpiceKeeper): void {
    this.#spice = spice;
    this.advance("link");
  }

  /** What the guest shows; undefined before `attached`, and where QEMU has no SPICE. */
  get screens(): Screens | undefined {
    return this.#spice?.screens;
  }

  /** Follows QEMU's own events: they are logged, and some change the state. */
  heard(event: QmpEvent): void {
    this.log.emit({ event: "qmp", name: event.event, data: event.data ?? {} });
    const data = event.data as { action?: string; reason?: string } | undefined;
    switch (event.event) {
      case "STOP":
        if (this.#state === "running") this.advance("pause");
        break;
      case "RESUME":
        if (this.#state === "paused") this.advance("resume");
        break;
      case "GUEST_PANICKED":
        this.#witness.panicked = true;
        this.#crashed.resolve();
        break;
      case "WATCHDOG":
        if (data?.action !== undefined) this.#witness.watchdog = data.action;
        break;
      case "SHUTDOWN":
        if (data?.reason !== undefined) this.#witness.shutdown = data.reason;
        break;
    }
  }

  /** Resolves when the guest has reported a panic, whether or not QEMU exits then. */
  get crashed(): Promise<void> {
    return this.#crashed.promise;
  }

  /** The connection to QMP. @throws {Error} before `negotiated`: a defect of ours. */
  get qmp(): QmpClient {
    if (this.#qmp === undefined) throw new Error(`Cannot use QMP while ${this.#state}`);
    return this.#qmp;
  }

  /** Lets the guest run, for the first time or after a pause. */
  async resume(signal?: AbortSignal): Promise<void> {
    await this.qmp.execute("cont", undefined, signal === undefined ? {} : { signal });
    // RESUME has come before the reply, and has done this already after a pause.
    if (this.#state !== "running" && this.#state !== "stopping") this.advance("resume");
  }

  /** Pauses the guest. */
  async pause(): Promise<void> {
    await this.qmp.execute("stop");
    if (this.#state === "running") this.advance("pause");
  }

  /** Resets the guest as its reset button would. */
  async reset(): Promise<void> {
    await this.qmp.execute("system_reset");
  }

  /**
   * Saves the screen as PNG: what SPICE has brought, or QEMU's own screendump where there is none.
   *
   * @throws {HostFailure} when `path` cannot be written. {UsageError} where there is no such display.
   * @throws {NotRunningError} when the VM ends first.
   */
  async screenshot(path: string, options: ScreenshotOptions = {}): Promise<ScreenshotReport> {
    const { saveScreenshot } = await import("./screenshot.ts");
    return await saveScreenshot(this, path, options);
  }

  /**
   * Types a text on the guest's keyboard, as a US one has it, and returns once the last key is up.
   *
   * @returns What carried the keys: SPICE, or QMP where there is none.
   * @throws {UsageError} when a character is on no key; nothing is typed then.
   */
  async type(text: string, options: TypingOptions = {}): Promise<InputPath> {
    return await (await this.#loadTypist()).type(text, options);
  }

  /**
   * Presses keys one after another, by QEMU's names: `ret`, `f2`, `ctrl-alt-delete`.
   *
   * @returns What carried the keys: SPICE, or QMP where there is none.
   * @throws {UsageError} when a name is none; nothing is pressed then.
   */
  async keys(chords: readonly string[], options: TypingOptions = {}): Promise<InputPath> {
    return await (await this.#loadTypist()).press(chords, options);
  }

  #loadTypist(): Promise<Typist> {
    return this.#typist ??= import("./typist.ts").then(({ Typist }) => new Typist(this));
  }

  /**
   * Ends the VM: the guest's power button, then QMP `quit`, then signals, each with a deadline. A
   * further call may start further down; it speeds up the one that is under way.
   */
  stop(from: StopRung = "powerdown"): Promise<Ending> {
    // A guest that does not run cannot answer to its power button.
    const rung = Math.max(RUNGS.indexOf(from), this.#state === "running" ? 0 : 1);
    this.#witness.stopRequested = true;
    if (this.#process === undefined || this.#gone.signal.aborted) return this.ended;
    if (this.#stopping === undefined) {
      this.#rung = rung;
      this.advance("stop");
      this.#stopping = this.#descend();
    } else if (RUNGS.indexOf(from) > this.#rung) {
      this.#rung = RUNGS.indexOf(from);
      this.#raised.resolve();
      this.#raised = Promise.withResolvers();
    }
    return this.#stopping;
  }

  async #descend(): Promise<Ending> {
    for (const rung of RUNGS) {
      if (RUNGS.indexOf(rung) < this.#rung) continue;
      this.#rung = Math.max(this.#rung, RUNGS.indexOf(rung));
      const raised = this.#raised.promise;
      try {
        await withDeadline(`the end of QEMU after ${rung}`, async (signal) => {
          await Promise.race([this.#take(rung, signal), this.ended, raised]);
          await Promise.race([this.ended, raised]);
        }, { timeoutMs: RUNG_MS[rung] });
      } catch (error) {
        // A rung that does not hold, or not in time: the next one.
        if (!(error instanceof DeadlineError) && this.#gone.signal.aborted) break;
      }
      if (this.#gone.signal.aborted) break;
    }
    return await this.ended;
  }

  async #take(rung: StopRung, signal: AbortSignal): Promise<void> {
    if (rung === "kill") return void await this.#process?.stop();
    if (this.#qmp === undefined) throw new Error("there is no QMP yet");
    await this.#qmp.execute(rung === "powerdown" ? "system_powerdown" : "quit", undefined, {
      signal,
      timeoutMs: RUNG_MS[rung],
    });
  }
}
