/**
 * The user's terminal: raw while it is the guest's serial port, and as before on every way out.
 * `script` (util-linux) gives a real pseudo terminal.
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { pause, withDeadline } from "../../lib/base/deadline.ts";

const MAIN = fromFileUrl(new URL("../../main.ts", import.meta.url));
const HELLO = fromFileUrl(new URL("../../examples/hello.utm", import.meta.url));
const DEADLINE_MS = 60_000;

/** A run of hello.utm in a pseudo terminal, with the settings of the terminal around it. */
class Session implements AsyncDisposable {
  readonly folder: string;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  #output = "";

  private constructor(folder: string) {
    this.folder = folder;
    const run = [Deno.execPath(), "run", "-A", MAIN, HELLO, "--disposable", "--accel", "tcg"];
    const command = `stty -a >before; ${run.map((word) => `'${word}'`).join(" ")}; ` +
      `echo $? >code; stty -a >after`;
    this.#child = new Deno.Command("script", {
      args: ["-qfec", command, "/dev/null"],
      cwd: folder,
      env: { XDG_RUNTIME_DIR: folder, XDG_STATE_HOME: folder, SHELL: "/bin/sh", TERM: "xterm" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#reading = this.#read();
  }

  static async start(): Promise<Session> {
    return new Session(await Deno.makeTempDir({ prefix: "utmost-tty-" }));
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of this.#child.stdout) {
      this.#output += decoder.decode(bytes, { stream: true });
    }
  }

  async type(keys: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(keys));
  }

  /** Waits for output, and consumes it. */
  async see(text: string): Promise<void> {
    await withDeadline(`${text} on the terminal`, async (signal) => {
      while (!this.#output.includes(text)) await pause(10, signal);
    }, { timeoutMs: DEADLINE_MS }).catch((error) => {
      throw new Error(`${error.message}; there is ${JSON.stringify(this.#output)}`);
    });
    this.#output = this.#output.slice(this.#output.indexOf(text) + text.length);
  }

  /** The pids of the supervisor and its QEMU. */
  async pids(): Promise<{ pid: number; qemuPid: number }> {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", MAIN, "ps", "--json"],
      env: { XDG_RUNTIME_DIR: this.folder, XDG_STATE_HOME: this.folder },
    }).output();
    return JSON.parse(new TextDecoder().decode(stdout))[0];
  }

  /** Waits for the end; returns the exit code of the run. The terminal has to be as it was. */
  async end(): Promise<number> {
    await withDeadline("the end of the run", () => this.#child.status, { timeoutMs: DEADLINE_MS });
    await this.#reading;
    const read = (name: string) => Deno.readTextFile(join(this.folder, name));
    assertEquals(await read("after"), await read("before"), "the terminal is not as it was");
    return Number(await read("code"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.abort().catch(() => {});
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // Ended.
    }
    await this.#child.status;
    await this.#reading;
    await Deno.remove(this.folder, { recursive: true });
  }
}

const timeout = { timeout: 120_000 };

Deno.test(
  "e2e: terminal: typing reaches the guest, Ctrl-C too, and poweroff ends the run",
  timeout,
  async () => {
    await using session = await Session.start();
    await session.see("Ctrl-A x stops the VM");
    await session.see("hello> ");
    await session.type("one\r");
    await session.see("echo: one");
    await session.see("hello> ");
    await session.type("two\u0003three\r"); // Ctrl-C throws the line away, in the guest
    await session.see("echo: three");
    await session.see("hello> ");
    await session.type("\u0001\u0001four\r"); // Ctrl-A Ctrl-A is one Ctrl-A
    await session.see("hello> ");
    await session.type("poweroff\r");
    assertEquals(await session.end(), 0);
  },
);

Deno.test(
  "e2e: terminal: Ctrl-A x powers the guest down and gives the terminal back",
  timeout,
  async () => {
    await using session = await Session.start();
    await session.see("hello> ");
    await session.type("\u0001x");
    await session.see("powering the guest down");
    assertEquals(await session.end(), 130);
  },
);

Deno.test("e2e: terminal: SIGTERM to the supervisor gives the terminal back", timeout, async () => {
  await using session = await Session.start();
  await session.see("hello> ");
  Deno.kill((await session.pids()).pid, "SIGTERM");
  assertEquals(await session.end(), 143);
});

Deno.test("e2e: terminal: the death of QEMU gives the terminal back", timeout, async () => {
  await using session = await Session.start();
  await session.see("hello> ");
  Deno.kill((await session.pids()).qemuPid, "SIGKILL");
  await session.see("SIGKILL");
  assertEquals(await session.end(), 6);
});

Deno.test("e2e: terminal: a guest that reboots keeps the terminal", timeout, async () => {
  await using session = await Session.start();
  await session.see("hello> ");
  await session.type("reboot\r");
  await session.see("utmost: hello from x86_64");
  await session.see("hello> ");
  await session.type("\u0001x");
  assertMatch(String(await session.end()), /^130$/);
  assertStringIncludes(await Deno.readTextFile(join(session.folder, "after")), "icanon");
});
