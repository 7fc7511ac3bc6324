/**
 * A run whose VM outlives the command: a supervisor of its own session holds the VM, and this
 * process is its client until the VM may be left.
 */
import { fromFileUrl, join } from "@std/path";
import { places } from "../base/places.ts";
import { pause } from "../base/deadline.ts";
import { HostFailure, NotRunningError, UtmostError } from "../base/errors.ts";
import { ExitCode } from "../base/exit_code.ts";
import { ControlClient } from "../vm/control.ts";
import type { VmStatus } from "../vm/control_methods.ts";
import type { LoggedEvent } from "../vm/events.ts";
import { instancePaths } from "../vm/runtime_dir.ts";
import type { Invocation } from "./args.ts";
import { ENDING_SIGNALS, INTERRUPT_HELP } from "./exit.ts";
import { OutputQueue } from "./output_queue.ts";
import type { Progress } from "./progress.ts";
import type { RunSettings } from "./run_settings.ts";
import { formatForward } from "./values.ts";

/** How many logs of earlier supervisors are kept. */
const KEEP_LOGS = 20;
/** The longest that a timer can wait: the supervisor's own end is what ends the wait. */
const NO_DEADLINE_MS = 2 ** 31 - 1;

/** Starts a supervisor and returns the exit code once the VM may be left, or has failed. */
export async function runDetached(
  invocation: Invocation,
  settings: RunSettings,
  id: string,
  progress: Progress,
): Promise<number> {
  const { runtime, state } = places();
  const log = await makeLog(join(state, "logs"), id);
  const child = spawnSupervisor(invocation, id, log);
  const ended = child.status;
  let client: ControlClient | undefined;
  using interrupts = new Interrupts(progress, (kill) => {
    client?.call("stop", { kill }).catch(() => {});
  });
  try {
    client = await connect(instancePaths(runtime, id).control, ended);
    interrupts.repeat();
    const status = client !== undefined && await follow(client, settings, progress)
      ? await statusUnlessGone(client)
      : undefined;
    if (status !== undefined) {
      const warnings = troublesOf(await Deno.readTextFile(log).catch(() => ""));
      if (warnings !== "") progress.plain(warnings);
      for (const forward of status.forwards) progress.info(`forward: ${formatForward(forward)}`);
      if (settings.json) console.log(JSON.stringify(status));
      else if (settings.events !== "-" && settings.detach) console.log(id);
      progress.info(`${id} goes on; utmost stop ${id} ends it`);
      child.unref();
      return 0;
    }
    const { code: ownCode, signal } = await ended;
    const code = interrupts.exitCode ?? ownCode;
    const words = troublesOf(await Deno.readTextFile(log).catch(() => ""));
    // A wait that the user has ended need not say that it failed.
    if (words !== "" && interrupts.exitCode === undefined) progress.plain(words);
    if (signal !== null) progress.error(`Cannot go on: ${signal} ended the supervisor of ${id}`);
    if (settings.json) console.log(JSON.stringify({ id, code, reason: words }));
    return code;
  } finally {
    await client?.[Symbol.asyncDispose]();
  }
}

/** What the supervisor says of its VM; undefined when it ends before, which its own end explains. */
async function statusUnlessGone(client: ControlClient): Promise<VmStatus | undefined> {
  try {
    return await client.call("status") as VmStatus;
  } catch (error) {
    if (error instanceof NotRunningError) return undefined;
    throw error;
  }
}

/** Hands the signals of the user on to the supervisor: once is graceful, twice is now. */
class Interrupts implements Disposable {
  readonly #stack = new DisposableStack();
  readonly #ask: (kill: boolean) => void;
  #count = 0;
  /** The exit code, once a signal has come. */
  exitCode: number | undefined;

  constructor(progress: Progress, ask: (kill: boolean) => void) {
    this.#ask = ask;
    for (const [signal, number] of ENDING_SIGNALS) {
      const listener = () => {
        this.#count++;
        this.exitCode ??= ExitCode.signalBase + number;
        if (this.#count === 1) progress.info(`${signal}: ${INTERRUPT_HELP}`);
        this.repeat();
      };
      Deno.addSignalListener(signal, listener);
      this.#stack.defer(() => Deno.removeSignalListener(signal, listener));
    }
  }

  /** Asks once more, if a signal has come: nobody may have listened before. */
  repeat(): void {
    if (this.#count > 0) this.#ask(this.#count > 1);
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

/** What a supervisor's log has besides news, which the client has told already. */
function troublesOf(log: string): string {
  return log.split("\n").filter((line) => !/^utmost: (?!error:|warning:)/.test(line)).join("\n")
    .trim();
}

/** Starts `supervise` as this program itself, in a session of its own, with a log file for stderr. */
function spawnSupervisor(invocation: Invocation, id: string, log: string): Deno.ChildProcess {
  const program = Deno.build.standalone
    ? [Deno.execPath()]
    : [Deno.execPath(), "run", "-A", "--no-prompt", fromFileUrl(Deno.mainModule)];
  const args = invocation.args.filter((arg) => arg !== "--json");
  // A shell, because a child's stderr cannot be led to a file otherwise.
  return new Deno.Command("sh", {
    args: ["-c", 'exec "$@" 2>>"$0"', log, ...program, "supervise", id, ...args],
    stdin: "null",
    stdout: "null",
    stderr: "null",
    detached: true,
  }).spawn();
}

/** Connects as soon as the supervisor listens; undefined when it ended before. */
async function connect(
  path: string,
  ended: Promise<Deno.CommandStatus>,
): Promise<ControlClient | undefined> {
  let over = false;
  void ended.then(() => over = true);
  for (let waitMs = 1; !over; waitMs = Math.min(waitMs * 2, 50)) {
    try {
      return await ControlClient.connect(path);
    } catch (error) {
      const later = error instanceof Deno.errors.NotFound ||
        error instanceof Deno.errors.ConnectionRefused;
      if (!later) throw error;
    }
    await pause(waitMs);
  }
  return undefined;
}

/**
 * Shows what happens until the VM may be left; false when its supervisor ended first.
 *
 * Runs without a deadline of its own: the supervisor has the time budget, and its end ends this.
 */
async function follow(
  client: ControlClient,
  settings: RunSettings,
  progress: Progress,
): Promise<boolean> {
  const left = Promise.withResolvers<boolean>();
  const output = new OutputQueue(Deno.stdout);
  const encoder = new TextEncoder();
  let serial = false;
  progress.waiting("the guest");
  using _listener = client.onNotification((method, params) => {
    if (method === "serial") {
      output.push(Uint8Array.fromBase64((params as { data: string }).data));
    } else if (method === "event") {
      const event = params as LoggedEvent;
      if (settings.events === "-") output.push(encoder.encode(`${JSON.stringify(event)}\n`));
      if (event.event === "launch") progress.info(`${event.name} is ${event.id}`);
      if (event.event === "substitution") progress.substitution(event);
      if (event.event !== "state" || event.to !== "running") return;
      if (settings.detach) left.resolve(true);
      else if (settings.serial.to === "stdio" && !serial) {
        serial = true;
        client.call("serial", { replay: true }).catch(() => {});
      }
    }
  });
  void client.closed.then(() => left.resolve(false));
  client.call("left", {}, { timeoutMs: NO_DEADLINE_MS }).then(() => left.resolve(true), () => {});
  await client.call("events", { replay: true }).catch((error: unknown) => {
    if (!(error instanceof UtmostError)) throw error;
  });
  const result = await left.promise;
  progress.waiting("");
  await output.flushed();
  return result;
}

/** Removes the log of a supervisor that ended well. */
export async function removeLog(id: string): Promise<void> {
  await Deno.remove(join(places().state, "logs", `${id}.log`)).catch(() => {});
}

/** Makes the log of a new supervisor, and removes those of long ago. */
async function makeLog(folder: string, id: string): Promise<string> {
  try {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    const logs: { path: string; time: number }[] = [];
    for await (const entry of Deno.readDir(folder)) {
      const path = join(folder, entry.name);
      const info = await Deno.stat(path).catch(() => undefined); // another run may remove it
      if (info !== undefined) logs.push({ path, time: info.mtime?.getTime() ?? 0 });
    }
    logs.sort((a, b) => b.time - a.time);
    for (const { path } of logs.slice(KEEP_LOGS)) await Deno.remove(path).catch(() => {});
    const path = join(folder, `${id}.log`);
    await Deno.writeTextFile(path, "", { mode: 0o600 });
    return path;
  } catch (error) {
    throw new HostFailure(
      `Cannot make the supervisor's log: ${error instanceof Error ? error.message : error}`,
      { cause: error },
    );
  }
}
