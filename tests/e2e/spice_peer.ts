/**
 * A real SPICE server without a guest: `tests/rigs/spice_peer`, libspice-server with displays of
 * ours, told by methods here what the guest does. `tests/rigs/spice_peer/main.c` has the language.
 */
import { fromFileUrl, join } from "@std/path";
import type { SpiceTarget } from "../../lib/spice/transport.ts";
import { withDeadline } from "../../lib/base/deadline.ts";

const RIGS = fromFileUrl(new URL("../rigs", import.meta.url));
/** Ten thousand draws take seconds; a server that waits for a client that does not read, for ever. */
const REPLY_MS = 120_000;

/** How to start a peer. */
export interface SpicePeerOptions {
  /** Where it listens: a Unix socket in a folder of its own (no compression), or TCP. */
  transport?: "unix" | "tcp";
  /** The ticket that clients need; none when left out. */
  password?: string;
  /** QXL devices, 0 to 2. */
  displays?: number;
  /** Is told each event as it comes, without the word "event". */
  onEvent?: (event: string) => void;
  /** The build with the sanitizers: three times slower. */
  checked?: boolean;
}

/** Surface formats by name. Source: spice/enums.h, SPICE_SURFACE_FMT. */
export const SURFACE_FORMATS = { xrgb: 32, argb: 96, rgb555: 16, rgb565: 80, a8: 8 } as const;

/** A head of a monitors config. */
export interface PeerHead {
  id: number;
  surface?: number;
  width: number;
  height: number;
  x?: number;
  y?: number;
}

/** A cursor's shape; its pixels follow from `seed`. */
export interface PeerCursor {
  /** 0 alpha, 1 mono, 2 colour4, 3 colour8, 4 colour16, 5 colour24, 6 colour32. */
  type: number;
  width: number;
  height: number;
  hotX?: number;
  hotY?: number;
  x?: number;
  y?: number;
  visible?: boolean;
  seed?: number;
  /** Not 0: clients may keep it under this number. */
  unique?: number;
  /** Where the peer writes the shape's data. */
  file?: string;
}

/** A peer that runs; ended by disposing it. */
export class SpicePeer implements AsyncDisposable {
  /** Where a client connects. */
  readonly target: SpiceTarget;
  readonly #child: Deno.ChildProcess;
  readonly #folder: string;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #stderr: Promise<string>;
  readonly #reading: Promise<void>;
  readonly #onEvent: ((event: string) => void) | undefined;
  #replies: PromiseWithResolvers<string>[] = [];
  #events: string[] = [];
  #waiters: (() => void)[] = [];
  #last: Promise<unknown> = Promise.resolve();
  #ended = false;
  #hasLooped = false;

  private constructor(
    child: Deno.ChildProcess,
    folder: string,
    target: SpiceTarget,
    lines: AsyncIterator<string>,
    onEvent: ((event: string) => void) | undefined,
  ) {
    this.#child = child;
    this.#onEvent = onEvent;
    this.#folder = folder;
    this.target = target;
    this.#stdin = child.stdin.getWriter();
    this.#stderr = new Response(child.stderr).text();
    this.#reading = this.#read(lines);
  }

  /**
   * Builds the peer where that has to be done, and starts it.
   *
   * @throws {Error} with what is missing, where libspice-server is not there.
   */
  static async start(options: SpicePeerOptions = {}): Promise<SpicePeer> {
    const { transport = "unix", password, displays = 1, checked = false } = options;
    const program = await buildRig(checked ? "spice_peer_checked" : "spice_peer");
    const folder = await Deno.makeTempDir({ prefix: "utmost-peer-" });
    const path = join(folder, "spice.sock");
    const child = new Deno.Command(program, {
      args: [
        "--displays",
        String(displays),
        ...(password === undefined ? [] : ["--password", password]),
        ...(transport === "unix" ? ["--unix", path] : ["--tcp"]),
      ],
      env: { ASAN_OPTIONS: "detect_leaks=0" }, // the server's own at its end are not ours
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const lines = readLines(child.stdout);
    const { value: ready = "" } = await lines.next();
    if (!ready.startsWith("ready")) {
      const stderr = await new Response(child.stderr).text();
      await child.stdin.close();
      await child.status;
      await Deno.remove(folder, { recursive: true });
      throw new Error(`Cannot start the SPICE peer: ${stderr.trim()}`);
    }
    const port = Number(ready.split(" ")[1]);
    const target = transport === "unix" ? { path } : { host: "127.0.0.1", port };
    return new SpicePeer(child, folder, target, lines, options.onEvent);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /**
   * Whether it has ended because libspice-server looped for ever, which happens in its region code
   * under random draws (pixman_region32_union_rect) and is not the client's doing.
   */
  get hasLooped(): boolean {
    return this.#hasLooped;
  }

  /** A folder for the test's own files; removed with the peer. */
  get folder(): string {
    return this.#folder;
  }

  /** What it reported on its own since the start, without the word "event". */
  get events(): readonly string[] {
    return this.#events;
  }

  async #read(lines: AsyncIterator<string>): Promise<void> {
    for (let next; !(next = await lines.next()).done;) {
      const line = next.value;
      if (line.startsWith("event ")) {
        const event = line.slice("event ".length);
        this.#events.push(event);
        this.#onEvent?.(event);
        for (const wake of this.#waiters.splice(0)) wake();
      } else {
        this.#replies.shift()?.resolve(line);
      }
    }
    this.#ended = true;
    for (const wake of this.#waiters.splice(0)) wake();
    const stderr = (await this.#stderr).trim();
    this.#hasLooped = stderr.includes("spice_peer: the server loops");
    for (const reply of this.#replies.splice(0)) {
      reply.reject(new Error(`The SPICE peer has ended: ${stderr}`));
    }
  }

  /** Resolves with the first event that `accept` takes, of those so far or later; 20 s at most. */
  async event(accept: RegExp | ((event: string) => boolean)): Promise<string> {
    const takes = typeof accept === "function" ? accept : (event: string) => accept.test(event);
    return await withDeadline("an event of the SPICE peer", async () => {
      for (let at = 0;;) {
        for (; at < this.#events.length; at++) {
          const event = this.#events[at]!;
          if (takes(event)) return event;
        }
        if (this.#ended) throw new Error(`The SPICE peer has ended: ${await this.#stderr}`);
        const woken = Promise.withResolvers<void>();
        this.#waiters.push(woken.resolve);
        await woken.promise;
      }
    }, { timeoutMs: 20_000 });
  }

  /**
   * Sends one command line and returns what follows "ok" in the answer. Commands may be sent
   * without waiting for the one before; they are done in order.
   */
  async command(line: string): Promise<string> {
    const reply = Promise.withResolvers<string>();
    this.#replies.push(reply);
    this.#last = reply.promise.catch(() => {});
    try {
      await this.#stdin.write(new TextEncoder().encode(line + "\n"));
    } catch { /* it has ended: the reply says so */ }
    const answer = await withDeadline(`the SPICE peer's answer to "${line}"`, () => reply.promise, {
      timeoutMs: REPLY_MS,
    });
    if (!answer.startsWith("ok")) throw new Error(`The SPICE peer refuses "${line}": ${answer}`);
    return answer.slice("ok ".length);
  }

  /** Chooses the display that later commands are for. */
  async display(index: number): Promise<void> {
    await this.command(`display ${index}`);
  }

  /** (Re)creates the primary surface, black. */
  async primary(
    width: number,
    height: number,
    format: number = SURFACE_FORMATS.xrgb,
    settings: { bottomUp?: boolean } = {},
  ): Promise<void> {
    await this.command(
      `primary ${width} ${height} ${format}${settings.bottomUp ? " bottom-up" : ""}`,
    );
  }

  /** (Re)creates an off-screen surface; `id` is 1 to 63. */
  async surface(
    id: number,
    width: number,
    height: number,
    format: number = SURFACE_FORMATS.xrgb,
  ): Promise<void> {
    await this.command(`surface ${id} ${width} ${height} ${format}`);
  }

  async destroy(id: number): Promise<void> {
    await this.command(`destroy ${id}`);
  }

  /** One draw, as text: `fill box=0,0,10,10 brush=ff0000`. */
  async draw(draw: string): Promise<void> {
    await this.command(`draw ${draw}`);
  }

  /**
   * Random draws on all surfaces.
   *
   * @param kinds The kinds; all of them if empty.
   * @param plain Only what `expectPixman` can follow.
   */
  async random(
    seed: number,
    count: number,
    kinds: readonly string[] = [],
    plain = false,
  ): Promise<void> {
    await this.command(["random", seed, count, ...(plain ? ["plain"] : []), ...kinds].join(" "));
  }

  /** Goes on with the sequence that `random` began. */
  async more(count: number): Promise<void> {
    await this.command(`more ${count}`);
  }

  /** The last random draw, as `draw` takes it. */
  async last(): Promise<string> {
    return await this.command("last");
  }

  /**
   * Marks the end of all that was drawn: behind it, the client gets a monitors config whose
   * `maxAllowed` is the number returned.
   */
  async sync(): Promise<number> {
    return Number(await this.command("sync"));
  }

  /** What the server's own canvas shows: 0xAARRGGBB, top-down; the A byte of xRGB is 0. */
  async expect(id = 0): Promise<Uint32Array> {
    return await this.#picture("expect", id);
  }

  /** What the same draws made by pixman show. @throws {Error} after a draw that was not plain. */
  async expectPixman(id = 0): Promise<Uint32Array> {
    return await this.#picture("expect_pixman", id);
  }

  async #picture(command: string, id: number): Promise<Uint32Array> {
    const path = join(this.#folder, `${crypto.randomUUID()}.raw`);
    await this.command(`${command} ${id} ${path}`);
    const bytes = await Deno.readFile(path);
    await Deno.remove(path);
    return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  }

  /** Announces heads. */
  async heads(heads: readonly PeerHead[], maxAllowed = heads.length): Promise<void> {
    const words = heads.map(({ id, surface = 0, width, height, x = 0, y = 0 }) =>
      [id, surface, width, height, x, y].join(",")
    );
    await this.command(["heads", maxAllowed, ...words].join(" "));
  }

  /** Sets a cursor's shape. */
  async cursor(cursor: PeerCursor): Promise<void> {
    const { type, width, height, hotX = 0, hotY = 0, x = 0, y = 0 } = cursor;
    const { visible = true, seed = 1, unique = 0, file = "" } = cursor;
    const numbers = [type, width, height, hotX, hotY, x, y, Number(visible), seed, unique];
    await this.command(`cursor set ${numbers.join(" ")} ${file}`.trimEnd());
  }

  async moveCursor(x: number, y: number): Promise<void> {
    await this.command(`cursor move ${x} ${y}`);
  }

  async hideCursor(): Promise<void> {
    await this.command("cursor hide");
  }

  /** How the server compresses images over TCP: off, auto_glz, auto_lz, quic, glz, lz, lz4. */
  async compression(name: string): Promise<void> {
    await this.command(`compression ${name}`);
  }

  /** Adds or removes the absolute pointer. */
  async tablet(on: boolean): Promise<void> {
    await this.command(`tablet ${on ? "on" : "off"}`);
  }

  /** The guest's keyboard lights: 1 scroll, 2 num, 4 caps. */
  async leds(bits: number): Promise<void> {
    await this.command(`leds ${bits}`);
  }

  /** Adds a character device: "port", "usbredir", "vdagent". What arrives comes as events. */
  async addDevice(subtype: string, name: string): Promise<void> {
    await this.command(`chardev add ${subtype} ${name}`);
  }

  /** Sends bytes from the guest's side of a character device. */
  async sendFromGuest(name: string, bytes: Uint8Array): Promise<void> {
    await this.command(`chardev send ${name} ${bytes.toHex()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    try {
      await this.#stdin.close();
    } catch { /* it has ended already */ }
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 10_000);
    await this.#child.status;
    clearTimeout(timer);
    await this.#reading;
    await this.#stderr;
    await Deno.remove(this.#folder, { recursive: true });
  }
}

let building: Promise<unknown> = Promise.resolve();

/**
 * Makes a program of `tests/rigs` and returns its path.
 *
 * @throws {Error} with the compiler's words, or with what has to be installed.
 */
export async function buildRig(name: string): Promise<string> {
  const make = async () => {
    const { success, stderr } = await new Deno.Command("make", {
      args: ["-s", "-C", RIGS, `build/${name}`],
    }).output();
    if (!success) throw new Error(`Cannot build ${name}: ${new TextDecoder().decode(stderr)}`);
  };
  await (building = building.then(make, make));
  return join(RIGS, "build", name);
}

/** The lines of a stream of text. */
async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
