/** The reference client, `tests/rigs/spice_glib_client.c`: libspice-client-glib and nothing else. */
import type { SpiceTarget } from "../../lib/spice/transport.ts";
import { withDeadline } from "../../lib/base/deadline.ts";
import { buildRig } from "./spice_peer.ts";

/** What it has received since its start. */
export interface GlibCounts {
  updates: number;
  pixels: number;
  bytes: number;
  /** GL scanouts and draws. */
  scanouts: number;
  draws: number;
}

/** A client that runs; ended by disposing it. */
export class GlibClient implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #rest = "";

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#writer = child.stdin.getWriter();
    this.#reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Starts one on a Unix socket, and waits until it shows something. */
  static async start(target: SpiceTarget): Promise<GlibClient> {
    if (!("path" in target)) throw new TypeError("Cannot attach over TCP");
    const child = new Deno.Command(await buildRig("spice_glib_client"), {
      args: [`spice+unix://${target.path}`],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const client = new GlibClient(child);
    const said = await withDeadline("a picture in the reference client", () => client.#line(), {
      timeoutMs: 20_000,
    });
    if (said !== "up") throw new Error(`Cannot start the reference client: ${said}`);
    return client;
  }

  get pid(): number {
    return this.#child.pid;
  }

  async #line(): Promise<string> {
    while (!this.#rest.includes("\n")) {
      const { value, done } = await this.#reader.read();
      if (done) return this.#rest;
      this.#rest += value;
    }
    const end = this.#rest.indexOf("\n");
    const line = this.#rest.slice(0, end);
    this.#rest = this.#rest.slice(end + 1);
    return line;
  }

  async counts(): Promise<GlibCounts> {
    await this.#writer.write(new TextEncoder().encode("\n"));
    return JSON.parse(await this.#line());
  }

  /** Stops it, lets it go on, ends it. */
  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    await this.#writer.close().catch(() => {});
    await this.#reader.cancel();
  }
}
