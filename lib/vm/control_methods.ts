/** The methods of a supervisor's control socket, and the shapes of their results. */
import { withDeadline } from "../base/deadline.ts";
import { NotRunningError, UsageError } from "../base/errors.ts";
import type { SerialPort } from "../guest/serial.ts";
import type { ExtraForward } from "../qemu/launch_options.ts";
import type { ControlMethod, ControlPeer } from "./control.ts";
import type { EventLog } from "./events.ts";
import type { StopRung, VirtualMachine, VmIdentity } from "./machine.ts";
import type { PointerMover } from "./pointer.ts";
import type { PreparedLaunch } from "./prepare.ts";
import type { VmState } from "./state.ts";
import type { DisplayReport } from "./screen.ts";
import type { ScreenshotReport } from "./screenshot.ts";

/** What `status` tells, and `ps` for each VM. */
export interface VmStatus {
  id: string;
  name: string;
  uuid: string;
  /** Absolute path of the bundle. */
  bundle: string;
  state: VmState;
  /** Pid of the supervisor. */
  pid: number;
  /** Pid of QEMU; null before it is spawned. */
  qemuPid: number | null;
  binary: string | null;
  accelerator: string | null;
  /** Seconds since the launch. */
  uptimeSeconds: number;
  disposable: boolean;
  /** Path of the SPICE socket; null where there is none. */
  spice: string | null;
  /** Names of the SPICE channels that the server offers. */
  channels: string[];
  /** How many built-in terminals there are. */
  terminals: number;
  forwards: ExtraForward[];
}

/** The states of a launch that is under way. */
const COMING_UP: readonly VmState[] = ["prepared", "spawned", "negotiated", "attached"];

/** How long the pictures that are saved at the end may take, in milliseconds. */
const LAST_PICTURES_MS = 3_000;

/** Serves the control socket of one VM, also while there is no VM yet. */
export class VmMethods {
  readonly #identity: VmIdentity;
  readonly #log: EventLog;
  readonly #onStopRequest: () => void;
  readonly #startedAt = performance.now();
  readonly #left = Promise.withResolvers<null>();
  readonly #signals = new WeakMap<ControlPeer, AbortSignal>();
  #mover: Promise<PointerMover> | undefined;
  /** The pictures that are saved once the VM ends. */
  readonly #saving = new Set<Promise<unknown>>();
  #vm: VirtualMachine | undefined;
  #prepared: PreparedLaunch | undefined;

  constructor(identity: VmIdentity, log: EventLog, onStopRequest: () => void) {
    this.#identity = identity;
    this.#log = log;
    this.#onStopRequest = onStopRequest;
  }

  /** From now on there is a VM. */
  serve(vm: VirtualMachine, prepared: PreparedLaunch): void {
    [this.#vm, this.#prepared] = [vm, prepared];
  }

  /** From now on the VM may be left by whoever started it: its steps are done. */
  leave(): void {
    this.#left.resolve(null);
  }

  /** Resolves once the pictures of a VM that has ended are saved; never rejects. */
  async saved(): Promise<void> {
    const all = Promise.allSettled(this.#saving);
    await withDeadline("the last pictures", () => all, { timeoutMs: LAST_PICTURES_MS })
      .catch(() => {});
  }

  /** The methods by name. */
  table(): Record<string, ControlMethod> {
    return {
      status: () => this.status(),
      stop: ({ kill }) => this.#stop(kill === true ? "kill" : "powerdown"),
      pause: () => this.#reach("pause", (vm) => vm.pause()),
      resume: () => this.#reach("resume", (vm) => vm.resume()),
      reset: () => this.#reach("reset", (vm) => vm.reset()),
      qmp: ({ request }) => this.#reach("use QMP", (vm) => vm.qmp.executeRaw(requestOf(request))),
      send: ({ data, serial }) =>
        this.#reach("send", () => this.#serial(serial).write(bytesOf(data))),
      type: ({ text }, peer) =>
        this.#running().type(textOf(text, "text"), { signal: this.#signalOf(peer) }),
      keys: ({ keys }, peer) =>
        this.#running().keys(textsOf(keys), { signal: this.#signalOf(peer) }),
      pointer: (params, peer) => this.#pointer(params, this.#signalOf(peer)),
      screenshot: ({ path, display, cursor }) =>
        this.#running().screenshot(textOf(path, "path"), {
          display: displayOf(display),
          cursor: cursor === true,
        }),
      lastScreenshot: (params, peer) => {
        const saving = this.#saveLast(params, this.#signalOf(peer));
        this.#saving.add(saving);
        return saving.finally(() => this.#saving.delete(saving));
      },
      displays: () => this.#running().screens?.displays() ?? [],
      frames: (_, peer) => this.#followFrames(peer),
      left: () => this.#left.promise,
      log: () => ({ events: this.#log.history(), stderr: this.#vm?.stderrTail ?? [] }),
      events: ({ replay }, peer) => this.#followEvents(replay === true, peer),
      serial: ({ replay, serial }, peer) => this.#followSerial(replay === true, serial, peer),
    };
  }

  /** Where the VM stands. */
  status(): VmStatus {
    const [vm, prepared] = [this.#vm, this.#prepared];
    return {
      ...this.#identity,
      state: vm?.state ?? "prepared",
      pid: Deno.pid,
      qemuPid: vm?.pid ?? null,
      binary: vm?.plan.binary ?? null,
      accelerator: vm?.plan.accelerator.name ?? null,
      uptimeSeconds: Math.round((performance.now() - this.#startedAt) / 1000),
      disposable: prepared?.request.options.disposable ?? false,
      spice: vm?.plan.spice ?? null,
      channels: vm?.spiceChannels ?? [],
      terminals: vm?.serials.size ?? 0,
      forwards: prepared?.request.options.forwards ?? [],
    };
  }

  async #stop(from: StopRung): Promise<unknown> {
    const vm = this.#vm;
    // A launch that is cut short has not failed: whoever waits for it is told.
    if (vm === undefined || COMING_UP.includes(vm.state)) this.#onStopRequest();
    if (vm?.pid === undefined) return { reason: "stopped" };
    const { reason } = await vm.stop(from);
    return { reason };
  }

  /** Does something with the VM. @throws {NotRunningError} where there is none, or it ends. */
  async #reach<T>(what: string, work: (vm: VirtualMachine) => Promise<T>): Promise<T> {
    const vm = this.#running();
    try {
      return await work(vm);
    } catch (error) {
      const { failureOf } = await import("./guest_access.ts");
      throw await failureOf(vm, what, error);
    }
  }

  /** The VM, if QMP can be used. @throws {NotRunningError} */
  #running(): VirtualMachine {
    const vm = this.#vm;
    if (vm !== undefined && !["prepared", "spawned", "stopped"].includes(vm.state)) return vm;
    const state = vm?.state ?? "prepared";
    throw new NotRunningError(`Cannot do that: ${this.#identity.id} is ${state}, expected running`);
  }

  #serial(index: unknown): SerialPort {
    const vm = this.#running();
    const port = typeof index === "number" ? vm.serials.get(index) : vm.serial;
    if (port !== undefined) return port;
    throw new UsageError(
      `Cannot reach a serial port of ${this.#identity.name}: it has no built-in terminal`,
    );
  }

  #followEvents(replay: boolean, peer: ControlPeer): null {
    peer.own(this.#log.subscribe((event) => peer.notify("event", event), replay));
    return null;
  }

  async #pointer(params: Record<string, unknown>, client: AbortSignal): Promise<null> {
    const vm = this.#running();
    this.#mover ??= import("./pointer.ts").then(({ PointerMover }) => new PointerMover(vm));
    await (await this.#mover).move(params, client);
    return null;
  }

  /** Aborted when the client goes: nobody types for somebody who has left. */
  #signalOf(peer: ControlPeer): AbortSignal {
    const known = this.#signals.get(peer);
    if (known !== undefined) return known;
    const left = new AbortController();
    this.#signals.set(peer, left.signal);
    peer.own({
      [Symbol.dispose]: () => left.abort(new DOMException("the client has left", "AbortError")),
    });
    return left.signal;
  }

  /** Waits for the end of the VM, and saves what it has shown last; unless the client goes before. */
  async #saveLast(
    { path, display, cursor }: Record<string, unknown>,
    client: AbortSignal,
  ): Promise<ScreenshotReport> {
    const vm = this.#running();
    const file = textOf(path, "path");
    const options = { display: displayOf(display), cursor: cursor === true };
    await withDeadline("the end of the VM", () => vm.ended, { signal: client });
    const { saveLastScreenshot } = await import("./screenshot.ts");
    return await saveLastScreenshot(vm, file, options);
  }

  /** Notices of frames, without their pixels; returns the displays as they are now. */
  #followFrames(peer: ControlPeer): DisplayReport[] {
    const { screens } = this.#running();
    if (screens === undefined) return [];
    peer.own(screens.follow((display) => peer.notify("frame", display)));
    return screens.displays();
  }

  #followSerial(replay: boolean, index: unknown, peer: ControlPeer): null {
    const port = this.#serial(index);
    peer.own(port.tap((bytes) => peer.notify("serial", { data: bytes.toBase64() }), replay));
    return null;
  }
}

function textOf(value: unknown, name: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw new UsageError(`Cannot do that: the parameter ${name} is missing, expected text`);
}

function textsOf(value: unknown): string[] {
  if (Array.isArray(value) && value.every((it) => typeof it === "string")) return value;
  throw new UsageError("Cannot do that: the parameter keys is missing, expected a list of texts");
}

function displayOf(value: unknown): number {
  if (value === undefined) return 0;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  throw new UsageError("Cannot do that: the parameter display is not the number of a display");
}

/** Bytes travel as base64. */
function bytesOf(value: unknown): Uint8Array {
  try {
    return Uint8Array.fromBase64(textOf(value, "data"));
  } catch (cause) {
    throw new UsageError("Cannot send: the parameter data is not base64", { cause });
  }
}

function requestOf(value: unknown): { execute: string; arguments?: Record<string, unknown> } {
  if (value !== null && typeof value === "object" && "execute" in value) {
    const { execute, arguments: args } = value as Record<string, unknown>;
    const argsFit = args === undefined || (typeof args === "object" && args !== null);
    if (typeof execute === "string" && argsFit) {
      return args === undefined
        ? { execute }
        : { execute, arguments: args as Record<string, unknown> };
    }
  }
  throw new UsageError('Cannot send this to QMP: expected {"execute": NAME, "arguments": {…}}');
}
