/**
 * What runs in a guest with a desktop, without the guest: X on a virtual screen and the real
 * spice-vdagentd and spice-vdagent, whose virtio port is a character device of a {@linkcode SpicePeer}.
 */
import { retry, withDeadline } from "../../lib/base/deadline.ts";
import { SpicePeer, type SpicePeerOptions } from "./spice_peer.ts";

const DEVICE = "vdagent";
const SETTLE = { timeoutMs: 20_000, canSucceedLater: () => true };

/** A desktop and the SPICE server in front of it; owns every process. */
export class GuestDesktop implements AsyncDisposable {
  readonly peer: SpicePeer;
  readonly #stack: AsyncDisposableStack;
  readonly #display: string;
  readonly #folder: string;
  #agent: Process | undefined;

  private constructor(
    peer: SpicePeer,
    stack: AsyncDisposableStack,
    display: string,
    folder: string,
  ) {
    this.peer = peer;
    this.#stack = stack;
    this.#display = display;
    this.#folder = folder;
  }

  /** Starts a desktop of 2048 × 1536 without an agent. */
  static async start(options: Pick<SpicePeerOptions, "displays"> = {}): Promise<GuestDesktop> {
    await using stack = new AsyncDisposableStack();
    const peer = stack.use(
      await SpicePeer.start({ ...options, onEvent: (event) => port.onEvent(event) }),
    );
    const folder = await Deno.makeTempDir({ prefix: "utmost-desktop-" });
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    const port = stack.use(new VirtioPort(`${folder}/virtio`, peer));

    const server = stack.use(
      new Process("sh", [
        "-c",
        `exec Xvfb -displayfd 3 -screen 0 2048x1536x24 -nolisten tcp 3>"$1/display"`,
        "sh",
        folder,
      ]),
    );
    const display = await retry("X server", async () => {
      const number = (await Deno.readTextFile(`${folder}/display`)).trim();
      if (number === "") throw new Error(`Xvfb says nothing: ${server.output}`);
      return `:${number}`;
    }, SETTLE);

    await Deno.writeTextFile(`${folder}/uinput`, "");
    const daemon = stack.use(
      new Process("/usr/sbin/spice-vdagentd", [
        ...["-x", "-d", "-X", "-f", "-u", `${folder}/uinput`],
        ...["-s", `${folder}/virtio`, "-S", `${folder}/agents`],
      ]),
    );
    await retry("spice-vdagentd", async () => {
      try {
        await Deno.stat(`${folder}/agents`);
      } catch (cause) {
        throw new Error(`spice-vdagentd does not listen: ${daemon.output}`, { cause });
      }
    }, SETTLE);
    return new GuestDesktop(peer, stack.move(), display, folder);
  }

  /** Starts the session's agent, which opens the virtio port. */
  startAgent(): void {
    this.#agent = new Process(
      "spice-vdagent",
      ["-x", "-d", "-s", `${this.#folder}/virtio`, "-S", `${this.#folder}/agents`],
      { DISPLAY: this.#display },
    );
    this.#stack.use(this.#agent);
  }

  /** Ends the session's agent, as a logout does. */
  async stopAgent(): Promise<void> {
    await this.#agent?.[Symbol.asyncDispose]();
  }

  /** Copies something in the guest; it is there once the selection is owned. */
  async copy(data: Uint8Array | string, selection = "clipboard", target?: string): Promise<void> {
    const file = `${this.#folder}/${crypto.randomUUID()}`;
    await Deno.writeFile(file, typeof data === "string" ? new TextEncoder().encode(data) : data);
    this.#stack.use(
      new Process(
        "xclip",
        ["-quiet", "-selection", selection, ...target ? ["-t", target] : [], "-i", file],
        { DISPLAY: this.#display },
      ),
    );
  }

  /** Pastes in the guest. */
  async paste(selection = "clipboard", target = "UTF8_STRING"): Promise<Uint8Array> {
    const { stdout } = await this.#run("xclip", "-selection", selection, "-t", target, "-o");
    return stdout;
  }

  /** The guest's resolution, as "800x600". */
  async resolution(): Promise<string> {
    const { stdout } = await this.#run("xrandr");
    return /current (\d+) x (\d+)/.exec(new TextDecoder().decode(stdout))?.slice(1).join("x") ?? "";
  }

  async #run(command: string, ...args: string[]): Promise<Deno.CommandOutput> {
    const child = new Deno.Command(command, {
      args,
      env: { DISPLAY: this.#display },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    try {
      return await withDeadline(command, () => child.output(), { timeoutMs: 20_000 });
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

/** A child whose output is kept; ended by disposing it. */
class Process implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  /** The last of what it has said on stderr. */
  output = "";

  constructor(command: string, args: readonly string[], env: Record<string, string> = {}) {
    this.#child = new Deno.Command(command, {
      args: [...args],
      env,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      this.output = (this.output + text).slice(-64 * 1024);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGTERM");
    } catch { /* it has ended already */ }
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 5_000);
    await this.#child.status;
    clearTimeout(timer);
    await this.#reading;
  }
}

/**
 * The guest's virtio port as spice-vdagentd sees it: a Unix socket in place of the device. The
 * server has the device for as long as the daemon has the socket open, as with QEMU.
 */
class VirtioPort implements AsyncDisposable {
  readonly #listener: Deno.UnixListener;
  readonly #peer: SpicePeer;
  readonly #serving: Promise<void>;
  #conn: Deno.UnixConn | undefined;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(path: string, peer: SpicePeer) {
    this.#listener = Deno.listen({ transport: "unix", path });
    this.#peer = peer;
    this.#serving = this.#serve();
  }

  /** Takes an event of the peer: bytes for the guest. */
  onEvent(event: string): void {
    const [kind, name, what, hex] = event.split(" ");
    const conn = this.#conn;
    if (!conn || kind !== "chardev" || name !== DEVICE || what !== "data" || !hex) return;
    const bytes = Uint8Array.fromHex(hex);
    this.#writing = this.#writing.then(async () => {
      for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
    }).catch(() => {}); // the daemon has closed it
  }

  async #serve(): Promise<void> {
    for await (const conn of this.#listener) {
      this.#conn = conn;
      await this.#peer.addDevice("vdagent", DEVICE);
      const buffer = new Uint8Array(16 * 1024);
      for (let count; (count = await conn.read(buffer).catch(() => null)) !== null;) {
        await this.#peer.sendFromGuest(DEVICE, buffer.subarray(0, count));
      }
      this.#conn = undefined;
      await this.#writing;
      conn.close();
      await this.#peer.command(`chardev remove ${DEVICE}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#serving.catch(() => {}); // accepting was cut off
  }
}
