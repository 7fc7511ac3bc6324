/**
 * A client of a SPICE server as a program of its own, ours (`tests/bench/spice_client.ts`) or the
 * reference (`tests/rigs/spice_glib_client.c`): it says "up" once there is something to see, and then
 * answers each line with a line of JSON.
 */
import { retry, withDeadline } from "../../lib/base/deadline.ts";

/** Clock ticks per second of `/proc/PID/stat`: the same on every Linux. */
const TICKS_PER_SECOND = 100;
const START_MS = 30_000;

/** A client that runs; `Answer` is what its lines say. Ended by disposing it. */
export class LineClient<Answer> implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncGenerator<string, undefined>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#writer = child.stdin.getWriter();
    this.#lines = lines(child.stdout);
  }

  /** Starts a client and waits until there is something to see. @throws {Error} when there is not. */
  static async start<Answer>(
    [command, ...args]: readonly [string, ...string[]],
    env: Record<string, string> = {},
  ): Promise<LineClient<Answer>> {
    const child = new Deno.Command(command, { args, env, stdin: "piped", stdout: "piped" }).spawn();
    const client = new LineClient<Answer>(child);
    try {
      const said = await withDeadline(`a picture in ${command}`, () => client.#line(), {
        timeoutMs: START_MS,
      });
      if (said !== "up") throw new Error(`Cannot start ${command}: it shows nothing`);
    } catch (error) {
      await client[Symbol.asyncDispose]();
      throw error;
    }
    return client;
  }

  get pid(): number {
    return this.#child.pid;
  }

  async #line(): Promise<string | undefined> {
    return (await this.#lines.next()).value;
  }

  /** Sends a line, which may be empty, and returns the answer. */
  async ask(line = ""): Promise<Answer> {
    await this.#writer.write(new TextEncoder().encode(`${line}\n`));
    return JSON.parse(await this.#line() ?? "null");
  }

  /** Stops it, as a debugger would; resolves once none of its threads runs. */
  async stop(): Promise<void> {
    this.#child.kill("SIGSTOP");
    await retry("a stopped client", async () => {
      const running = await this.#threadsOutside("T");
      if (running > 0) throw new Deno.errors.Busy(`${running} threads`);
    }, {
      timeoutMs: START_MS,
      canSucceedLater: (error) => error instanceof Deno.errors.Busy,
    });
  }

  async #threadsOutside(state: string): Promise<number> {
    const tasks = `/proc/${this.#child.pid}/task`;
    const stats = [...Deno.readDirSync(tasks)].map(({ name }) =>
      Deno.readTextFile(`${tasks}/${name}/stat`)
    );
    const states = (await Promise.all(stats)).map((stat) => stat.at(stat.lastIndexOf(")") + 2));
    return states.filter((it) => it !== state).length;
  }

  /** Processor time since its start, in milliseconds. */
  async cpuMs(): Promise<number> {
    const stat = await Deno.readTextFile(`/proc/${this.#child.pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // from the third field on
    return (Number(fields[11]) + Number(fields[12])) * 1000 / TICKS_PER_SECOND;
  }

  /** Memory now and at most, in MiB. */
  async memoryMiB(): Promise<{ now: number; most: number }> {
    const status = await Deno.readTextFile(`/proc/${this.#child.pid}/status`);
    const kib = (key: string) => Number(new RegExp(`${key}:\\s*(\\d+)`).exec(status)?.[1]);
    return { now: kib("VmRSS") / 1024, most: kib("VmHWM") / 1024 };
  }

  /** How many files it has open. */
  openFiles(): number {
    return [...Deno.readDirSync(`/proc/${this.#child.pid}/fd`)].length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close().catch(() => {});
    try {
      this.#child.kill("SIGKILL"); // a client that is stopped takes no other
    } catch { /* it has ended */ }
    await this.#child.status;
    await this.#lines.return(undefined);
  }
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const whole = (rest + text).split("\n");
    rest = whole.pop() ?? "";
    yield* whole;
  }
}
