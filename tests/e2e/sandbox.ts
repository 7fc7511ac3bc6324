/**
 * A place of its own for one test: bundles to boot, folders for everything that the command line
 * keeps, and the command line itself, run as a user does.
 *
 * Every process that a run starts has the sandbox's folder in its command line, so the sandbox sees
 * what is left behind.
 */
import { fromFileUrl, join } from "@std/path";
import { pause, retry, withDeadline } from "../../lib/base/deadline.ts";
import { DeadlineError } from "../../lib/base/errors.ts";

const MAIN = fromFileUrl(new URL("../../main.ts", import.meta.url));
/** The smallest guest: it greets on its serial port, then does what it is told. */
export const HELLO = fromFileUrl(new URL("../../examples/hello.utm", import.meta.url));

/** How long a test that has run out of time may take to say what it waited for. */
const EVIDENCE_MS = 20_000;

/** One line of `--events`; which keys there are depends on `event`. */
export type RunEvent = { t: number; event: string } & Record<string, unknown>;

/** What came of a command. */
export interface Outcome {
  /** The exit code; -1 where a signal ended it. */
  code: number;
  stdout: string;
  stderr: string;
  /** From its start to its end, in milliseconds. */
  ms: number;
  /** When it ended, in milliseconds since the epoch. */
  endedAt: number;
}

/** How a command is run. */
export interface CommandSettings {
  /** What it reads on stdin; nothing when left out. */
  stdin?: string;
  /** Variables on top of the sandbox's. */
  env?: Record<string, string>;
}

/** A command that was started; await `outcome` in any case. */
export interface Started {
  pid: number;
  outcome: Promise<Outcome>;
  kill(signal: Deno.Signal): void;
}

/** A run with its events. */
export interface StartedRun extends Started {
  /** The events so far. */
  events(): Promise<RunEvent[]>;
  /** Waits for an event that has all of `keys`, 60 s at most. */
  until(keys: Record<string, unknown>): Promise<RunEvent>;
}

/** A process as `ps` sees it. */
export interface Process {
  pid: number;
  command: string;
}

/** What differs from `examples/hello.utm` in a bundle of a sandbox. */
export interface BundleChanges {
  name?: string;
  /** `QEMU.AdditionalArguments`, beside pvpanic. */
  additionalArguments?: readonly string[];
  tpm?: boolean;
  uefi?: boolean;
  display?: string;
  /** Adds a network card with user-mode networking. */
  network?: boolean;
  /** The disk is written to. */
  writable?: boolean;
}

/** One test's place; everything in it is gone once it is closed. */
export class Sandbox {
  /** Absolute path. */
  readonly folder: string;
  /** What the command line takes for the user's folders. */
  readonly env: Record<string, string>;
  /** The program that is run. */
  main = MAIN;
  #runs = 0;
  /** The commands that have not ended yet. */
  readonly #running = new Set<{ args: readonly string[]; outcome: Promise<Outcome> }>();

  private constructor(folder: string, denoDir: string) {
    this.folder = folder;
    this.env = {
      XDG_RUNTIME_DIR: join(folder, "run"),
      XDG_STATE_HOME: join(folder, "state"),
      XDG_CACHE_HOME: join(folder, "cache"),
      NO_COLOR: "1",
      UTMOST_QEMU: "",
      DENO_DIR: denoDir, // else Deno would download its packages into our cache
    };
  }

  /** Makes an empty one. */
  static async create(): Promise<Sandbox> {
    // Short, because Unix sockets lie in it; the real path, because bundles are known by theirs.
    const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "utmost-e2e-" }));
    await Deno.mkdir(join(folder, "run"), { mode: 0o700 });
    return new Sandbox(folder, await denoDir());
  }

  /** A path inside. */
  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  /** Makes a bundle from `examples/hello.utm`, with a UUID of its own. */
  async bundle(changes: BundleChanges = {}): Promise<string> {
    const { name = "hello", additionalArguments = [] } = changes;
    const bundle = this.path(`${name}.utm`);
    await Deno.mkdir(join(bundle, "Data"), { recursive: true });
    await Deno.copyFile(join(HELLO, "Data", "hello.img"), join(bundle, "Data", "hello.img"));
    let config = await Deno.readTextFile(join(HELLO, "config.plist"));
    const replace = (pattern: RegExp, text: string) => {
      if (!pattern.test(config)) throw new Error(`hello.utm has no ${pattern}`);
      config = config.replace(pattern, text);
    };
    replace(/(?<=<key>UUID<\/key>\s*<string>)[^<]*/, crypto.randomUUID().toUpperCase());
    replace(/(?<=<key>Name<\/key>\s*<string>)[^<]*/, name);
    const args = additionalArguments.map((text) => `<string>${text}</string>`);
    replace(/(?<=<string>-device pvpanic<\/string>)/, args.join(""));
    if (changes.tpm) replace(/(?<=<key>TPMDevice<\/key>\s*)<false\/>/, "<true/>");
    if (changes.uefi) replace(/(?<=<key>UEFIBoot<\/key>\s*)<false\/>/, "<true/>");
    if (changes.writable) replace(/(?<=<key>ReadOnly<\/key>\s*)<true\/>/, "<false/>");
    if (changes.display) {
      replace(/(?<=<key>Hardware<\/key>\s*<string>)virtio-vga/, changes.display);
    }
    if (changes.network) {
      const card = {
        Hardware: "virtio-net-pci",
        MacAddress: "52:54:00:12:34:56",
        Mode: "Emulated",
      };
      const keys = Object.entries(card).map(([key, value]) =>
        `<key>${key}</key><string>${value}</string>`
      );
      replace(
        /(?<=<key>Network<\/key>\s*)<array\/>/,
        `<array><dict>${
          keys.join("")
        }<key>IsolateFromHost</key><false/><key>PortForward</key><array/></dict></array>`,
      );
    }
    await Deno.writeTextFile(join(bundle, "config.plist"), config);
    return bundle;
  }

  /**
   * Makes a QEMU that can be probed like the real one, and runs shell lines instead of a guest.
   *
   * @returns Its path, for `--qemu`.
   */
  async fakeQemu(...lines: string[]): Promise<string> {
    const path = this.path("qemu-system-x86_64");
    const probe = 'case " $* " in *" -uuid "*) ;; *) exec qemu-system-x86_64 "$@" ;; esac';
    await Deno.writeTextFile(path, ["#!/bin/sh", probe, ...lines].join("\n"), { mode: 0o755 });
    return path;
  }

  /** Makes this process itself use the sandbox's folders, until what is returned is disposed. */
  enter(): Disposable {
    const before = Object.keys(this.env).map((name) => [name, Deno.env.get(name)] as const);
    for (const [name, value] of Object.entries(this.env)) Deno.env.set(name, value);
    return {
      [Symbol.dispose]() {
        for (const [name, value] of before) {
          if (value === undefined) Deno.env.delete(name);
          else Deno.env.set(name, value);
        }
      },
    };
  }

  /** Runs a copy of the sources from now on, which has no native programs beside it. */
  async withoutNative(): Promise<void> {
    const root = fromFileUrl(new URL("../..", import.meta.url));
    const copy = this.path("src");
    const { success } = await new Deno.Command("sh", {
      args: ["-c", 'mkdir "$1" && cp -R main.ts deno.json deno.lock lib ffi "$1"', "sh", copy],
      cwd: root,
    }).output();
    if (!success) throw new Error(`cannot copy the sources to ${copy}`);
    this.main = join(copy, "main.ts");
  }

  /** Starts the command line with `args`. */
  start(args: readonly string[], settings: CommandSettings = {}): Started {
    const { stdin, env } = settings;
    const start = performance.now();
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-prompt", this.main, ...args],
      stdin: stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      env: { ...this.env, ...env },
    }).spawn();
    const fed = stdin === undefined ? undefined : feed(child.stdin, stdin);
    const ended = child.status.then(() => performance.now());
    const outcome = Promise.all([child.output(), ended, fed]).then(([output, endMs]): Outcome => ({
      code: output.signal === null ? output.code : -1,
      stdout: new TextDecoder().decode(output.stdout),
      stderr: new TextDecoder().decode(output.stderr),
      ms: endMs - start,
      endedAt: performance.timeOrigin + endMs,
    }));
    const running = { args, outcome };
    this.#running.add(running);
    void outcome.finally(() => this.#running.delete(running));
    return { pid: child.pid, outcome, kill: (signal) => child.kill(signal) };
  }

  /** Runs the command line with `args` to its end. */
  run(args: readonly string[], settings: CommandSettings = {}): Promise<Outcome> {
    return this.start(args, settings).outcome;
  }

  #eventsPath(run: number): string {
    return this.path(`events-${run}.ndjson`);
  }

  /** Starts `utmost run` with `--events FILE`; options for QEMU may end `args`. */
  startRun(args: readonly string[], settings: CommandSettings = {}): StartedRun {
    const file = this.#eventsPath(++this.#runs);
    const started = this.start(["run", "--events", file, ...args], settings);
    let over = false;
    void started.outcome.then(() => over = true);
    const events = async () => parseEvents(await Deno.readTextFile(file).catch(() => ""));
    return {
      ...started,
      events,
      until: (keys) =>
        retry(`the event ${JSON.stringify(keys)}`, async () => {
          const last = over;
          const found = (await events()).find((event) => matches(event, keys));
          if (found !== undefined) return found;
          if (last) throw new Error(`the run ended without the event ${JSON.stringify(keys)}`);
          throw new Deno.errors.NotFound();
        }, {
          timeoutMs: 60_000,
          maxMs: 10,
          canSucceedLater: isNotFound,
        }),
    };
  }

  /** Starts a detached run and returns its id, once the guest runs. */
  async detach(bundle: string, ...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(["run", bundle, "--detach", ...args]);
    if (code !== 0) throw new Error(`the detached run ended with ${code}: ${stderr}`);
    return stdout.trim();
  }

  /** Starts a run that is left at the guest's prompt, and returns its id. */
  async boot(bundle: string, ...args: string[]): Promise<string> {
    const leave = ["--expect", "hello> ", "--then", "leave", "--timeout", "60s"];
    return (await this.json(["run", bundle, ...leave, ...args]) as { id: string }).id;
  }

  /** The one JSON document that a command prints. */
  async json(args: readonly string[]): Promise<unknown> {
    const { code, stdout, stderr } = await this.run([...args, "--json"]);
    if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}: ${stderr}`);
    return JSON.parse(stdout);
  }

  /** The processes that have this folder in their command line; zombies do not count. */
  async processes(): Promise<Process[]> {
    const { stdout } = await new Deno.Command("ps", {
      args: ["-A", "-ww", "-o", "pid=,stat=,args="],
    }).output();
    return new TextDecoder().decode(stdout).split("\n").flatMap((line) => {
      const [, pid, stat = "", command = ""] = /^\s*(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
      const ours = command.includes(this.folder) && !stat.startsWith("Z");
      return ours ? [{ pid: Number(pid), command }] : [];
    });
  }

  /** The processes that are still there after `ms`; returns as soon as there are none. */
  async leftovers(ms = 2_000): Promise<Process[]> {
    const end = performance.now() + ms;
    for (;;) {
      const left = await this.processes();
      if (left.length === 0 || performance.now() > end) return left;
      await pause(20);
    }
  }

  /** The instance folders that are there. */
  async instances(): Promise<string[]> {
    const names: string[] = [];
    try {
      for await (const { name } of Deno.readDir(this.path("run", "utmost"))) names.push(name);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return names;
  }

  /** Ends every process, and says which there were and what the commands among them had printed. */
  async breakOff(): Promise<string> {
    const running = [...this.#running];
    const processes = await this.processes();
    kill(processes);
    const printed = await Promise.all(running.map(async ({ args, outcome }) => {
      const { stdout, stderr } = await withDeadline("its output", () => outcome, {
        timeoutMs: 2_000,
      }).catch((error: Error) => ({ stdout: "", stderr: error.message }));
      return [`utmost ${args.join(" ")}:`, stdout.slice(-2_000), stderr.slice(-2_000)];
    }));
    const events: string[] = [];
    for (let run = 1; run <= this.#runs; run++) {
      const text = await Deno.readTextFile(this.#eventsPath(run)).catch(() => "");
      events.push(`events of run ${run}:`, ...text.trimEnd().split("\n").slice(-10));
    }
    const commands = processes.map(({ pid, command }) => `${pid} ${command}`);
    return ["processes:", ...commands, ...printed.flat(), ...events].join("\n");
  }

  /** Ends what is left, removes the folder, and returns what was left. */
  async close(): Promise<Process[]> {
    const left = await this.leftovers();
    kill(left);
    await this.leftovers();
    await Deno.remove(this.folder, { recursive: true });
    return left;
  }
}

function kill(processes: readonly Process[]): void {
  for (const { pid } of processes) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch {
      // It has just ended.
    }
  }
}

/**
 * Registers a test that has a sandbox. It fails when a process is left behind, unless it has failed
 * before, and after two minutes unless `options` say otherwise; then it says what it waited for.
 */
export function sandboxTest(
  name: string,
  test: (sandbox: Sandbox) => Promise<void>,
  options: { timeout?: number; ignore?: boolean } = {},
): void {
  const { timeout = 120_000, ...rest } = options;
  Deno.test(name, { timeout: timeout + EVIDENCE_MS, ...rest }, async () => {
    const sandbox = await Sandbox.create();
    try {
      await withDeadline("the end of the test", () => test(sandbox), { timeoutMs: timeout });
    } catch (error) {
      const evidence = error instanceof DeadlineError ? await sandbox.breakOff() : undefined;
      await sandbox.close();
      if (evidence === undefined) throw error;
      throw new Error(`${(error as Error).message}\n${evidence}`, { cause: error });
    }
    const left = await sandbox.close();
    if (left.length === 0) return;
    throw new Error(`left behind:\n${left.map(({ command }) => command).join("\n")}`);
  });
}

let denoDirOnce: Promise<string> | undefined;

/** Where Deno keeps packages. */
function denoDir(): Promise<string> {
  return denoDirOnce ??= (async () => {
    const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] })
      .output();
    return (JSON.parse(new TextDecoder().decode(stdout)) as { denoDir: string }).denoDir;
  })();
}

async function feed(stdin: WritableStream<Uint8Array>, text: string): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
  } catch {
    // It ended without reading all of it.
  }
}

function matches(event: RunEvent, keys: Record<string, unknown>): boolean {
  return Object.entries(keys).every(([key, value]) => event[key] === value);
}

/** The events in a file; a last line that is still being written does not count. */
export function parseEvents(text: string): RunEvent[] {
  return text.split("\n").slice(0, -1).map((line) => JSON.parse(line) as RunEvent);
}

/** SHA-256 of every file below a folder, by its relative path. */
export async function hashTree(folder: string): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  async function visit(relative: string): Promise<void> {
    for await (const entry of Deno.readDir(join(folder, relative))) {
      const path = relative === "" ? entry.name : `${relative}/${entry.name}`;
      if (entry.isDirectory) await visit(path);
      else {
        const bytes = await Deno.readFile(join(folder, path));
        hashes[path] = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
      }
    }
  }
  await visit("");
  return hashes;
}

/** Whether something is not there yet: for `retry`. */
export function isNotFound(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound;
}
