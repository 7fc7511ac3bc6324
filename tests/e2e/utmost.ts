/** Runs the command line as a user does: a process of its own, with its events and its output. */
import { fromFileUrl, join } from "@std/path";
import { retry } from "../../lib/base/deadline.ts";
import { parseEvents, type RunEvent } from "./sandbox.ts";

/** What came of a run. */
export interface Run {
  /** The exit code. */
  code: number;
  /** Every event, in order. */
  events: RunEvent[];
  /** What the guest wrote to its serial port: the standard output. */
  serial: string;
  /** Progress, warnings and errors. */
  stderr: string;
}

/** A run that has begun. */
export interface StartedRun {
  /** Waits until an event of one name is there, 60 s at most, and returns the first. */
  event(name: string): Promise<RunEvent>;
  /** Sends a signal to it. */
  kill(signal: Deno.Signal): void;
  /** Waits for the end, which only a `--timeout` bounds. */
  end(): Promise<Run>;
}

const MAIN = fromFileUrl(new URL("../../main.ts", import.meta.url));

/** Starts `utmost` with `args`; the caller must await `end`. */
export async function startUtmost(...args: string[]): Promise<StartedRun> {
  const folder = await Deno.makeTempDir({ prefix: "utmost-e2e-run-" });
  const file = join(folder, "events.ndjson");
  // Options go before a `--` for QEMU.
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN, "--events", file, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const output = child.output();

  async function event(name: string): Promise<RunEvent> {
    return await retry(`the event ${name}`, async () => {
      const found = parseEvents(await Deno.readTextFile(file)).find(({ event }) => event === name);
      if (found === undefined) throw new Deno.errors.NotFound(name);
      return found;
    }, {
      timeoutMs: 60_000,
      canSucceedLater: (error) => error instanceof Deno.errors.NotFound,
    });
  }

  async function end(): Promise<Run> {
    try {
      const { code, stdout, stderr } = await output;
      const decoder = new TextDecoder();
      return {
        code,
        events: await exists(file) ? parseEvents(await Deno.readTextFile(file)) : [],
        serial: decoder.decode(stdout),
        stderr: decoder.decode(stderr),
      };
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }

  return { event, kill: (signal) => child.kill(signal), end };
}

/** Runs `utmost` with `args` to its end. */
export async function utmost(...args: string[]): Promise<Run> {
  const started = await startUtmost(...args);
  return await started.end();
}

/** Whether a file is there. */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The data of QEMU's own events of one name, in order. */
export function qmpEvents(run: Run, name: string): unknown[] {
  return run.events.filter((event) => event.event === "qmp" && event.name === name)
    .map((event) => event.data);
}

/** Everything that is known of a run, for the message of an assertion. */
export function evidence(run: Run): string {
  const events = run.events.map((event) => JSON.stringify(event).slice(0, 200));
  return [`exit code ${run.code}`, run.stderr, run.serial.slice(-2000), ...events].join("\n");
}
