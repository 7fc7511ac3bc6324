/**
 * Running UTM bundles from scripts and tests.
 *
 * ```ts
 * import { launch } from "./lib/mod.ts";
 *
 * await using run = await launch("examples/hello.utm", { disposable: true });
 * await run.vm.serial?.expect(/utmost: hello/, { timeoutMs: 60_000 });
 * await run.vm.type("help\n");
 * await run.vm.keys(["ctrl-alt-delete"]);
 * await run.vm.screenshot("screen.png", { cursor: true });
 * const screen = run.vm.screens?.pixels(0); // the surface's own memory, not a copy
 * await run.vm.stop();
 * ```
 *
 * What `launch` returns is the VM's supervisor: this process holds the VM, and disposing it ends the
 * VM. `utmost ps` and the other verbs see it like any other. A SPICE client of one's own is in
 * `spice_client.ts`.
 */
import type { CommandOptions } from "./qemu/launch_options.ts";
import type { Grant } from "./utm/grants.ts";
import type { Share } from "./utm/model.ts";
import { EventLog } from "./vm/events.ts";
import { newInstanceId } from "./vm/runtime_dir.ts";
import { Supervisor } from "./vm/supervisor.ts";

export { UtmostError } from "./base/errors.ts";
export { ExitCode } from "./base/exit_code.ts";
export { SerialPort } from "./guest/serial.ts";
export { type Bundle, openBundle } from "./utm/bundle.ts";
export { type Grant, GRANTS } from "./utm/grants.ts";
export { EventLog, type LoggedEvent } from "./vm/events.ts";
export type { Ending } from "./vm/ending.ts";
export { type StopRung, VirtualMachine } from "./vm/machine.ts";
export type { DisplayReport } from "./vm/screen.ts";
export type { ScreenPicture, Screens } from "./vm/screens.ts";
export type { ScreenshotOptions, ScreenshotReport } from "./vm/screenshot.ts";
export { Supervisor } from "./vm/supervisor.ts";
export { runSteps, type Step } from "./vm/steps.ts";

/** Options of {@linkcode launch}; the command line has the same ones, with the same defaults. */
export interface LaunchOptions extends Partial<CommandOptions> {
  /** A QEMU binary, or a folder with `qemu-system-*`. */
  qemu?: string;
  /** What the bundle may do beyond its own files. */
  grants?: Iterable<Grant>;
  /** Images for removable drives, by drive id; absolute paths. */
  drives?: ReadonlyMap<string, string>;
  /** A directory to share with the guest. */
  share?: Share;
  /** Gets the events of the launch and of the VM; a new log when left out. */
  log?: EventLog;
  /** Ends the launch; a VM that runs is not touched by it. */
  signal?: AbortSignal;
  /** How long QEMU may take to greet, in milliseconds; 30 s when left out. */
  greetingTimeoutMs?: number;
  /** Takes what the user should know of SPICE: that it is lost, what cannot be drawn. */
  onWarning?: (text: string) => void;
  /** Takes what the user may want to know: that SPICE is back. */
  onNotice?: (text: string) => void;
  /** Takes a defect of ours behind the scenes, which does not end the VM. */
  onDefect?: (error: unknown) => void;
}

/**
 * Boots a bundle and returns once the guest runs.
 *
 * @param bundle Path of the bundle.
 * @returns The supervisor, owned by the caller; disposing it ends the VM.
 * @throws {UtmostError} with the exit code that the command line would end with.
 */
export async function launch(bundle: string, options: LaunchOptions = {}): Promise<Supervisor> {
  const {
    qemu,
    grants,
    drives = new Map(),
    share,
    log = new EventLog(),
    signal,
    greetingTimeoutMs,
    onWarning,
    onNotice,
    onDefect,
    ...command
  } = options;
  const granted = new Set(grants);
  const stopped = new AbortController();
  return await Supervisor.start({
    bundle,
    request: {
      options: {
        accel: "auto",
        requireAccel: false,
        gl: "auto",
        disposable: false,
        forwards: [],
        extraArguments: [],
        strict: false,
        allowPorts: granted.has("ports"),
        allowNetwork: granted.has("network"),
        ...command,
      },
      drives,
      ...(qemu === undefined ? {} : { qemu }),
      ...(share === undefined ? {} : { share }),
    },
    grants: granted,
    id: newInstanceId(),
    log,
    ...(greetingTimeoutMs === undefined ? {} : { greetingTimeoutMs }),
    ...(onWarning === undefined ? {} : { onWarning }),
    ...(onNotice === undefined ? {} : { onNotice }),
    ...(onDefect === undefined ? {} : { onDefect }),
    signal: signal === undefined ? stopped.signal : AbortSignal.any([signal, stopped.signal]),
    onStopRequest: () => stopped.abort(new DOMException("somebody asked to stop", "AbortError")),
  });
}
