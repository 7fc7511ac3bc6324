/**
 * Records sessions with the SPICE server of the installed QEMU, for tests that replay them:
 * `deno run -A tools/record_spice.ts [SCENE…]`, all scenes when none is named. The README beside
 * the recordings says what each scene needs.
 *
 * `deno run -A tools/record_spice.ts --proxy LISTEN SERVER OUTPUT MADE` records whatever client
 * connects to the socket LISTEN, until it is interrupted; SERVER is a socket's path or HOST:PORT.
 */
import { pause } from "../lib/base/deadline.ts";
import { connectQmp } from "../lib/qmp/connect.ts";
import type { QmpClient } from "../lib/qmp/client.ts";
import type { ChannelSetup } from "../lib/spice/channel_link.ts";
import type { Codec } from "../lib/spice/codec.ts";
import type { DisplayOptions } from "../lib/spice/display_channel.ts";
import { type OpenChannel, SpiceSession } from "../lib/spice/session.ts";
import { SpiceRecorder } from "../tests/fakes/spice_recorder.ts";
import { encodeRecording, hashRgb, recordingUrl } from "../tests/fakes/spice_recording.ts";
import { type Scene, SCENES } from "./record_spice_scenes.ts";

const QEMU = "qemu-system-x86_64";
const QUIET_MS = 500;
const SETTLE_MS = 20_000;
const OFF = "image-compression=off,streaming-video=off,playback-compression=off";
/** Channels that are linked beside main and the displays, where the server has them. */
const FURTHER: readonly ChannelSetup[] = [
  { type: 3, caps: [], maxBytes: 64, routes: () => new Map() }, // inputs
  { type: 4, caps: [], maxBytes: 1 << 22, routes: () => new Map() }, // cursor
];

/** What a scene can do: it starts before the guest runs and before a client is connected. */
export class Stage implements AsyncDisposable {
  readonly qmp: QmpClient;
  readonly #dir: string;
  readonly #child: Deno.ChildProcess;
  readonly #target: Deno.ConnectOptions | Deno.UnixConnectOptions;
  #recorder: SpiceRecorder | undefined;
  #session: SpiceSession | undefined;
  #inputs: OpenChannel | undefined;
  #serial: Deno.Conn | undefined;
  #serialText = "";

  private constructor(
    dir: string,
    child: Deno.ChildProcess,
    qmp: QmpClient,
    target: Deno.ConnectOptions | Deno.UnixConnectOptions,
  ) {
    this.#dir = dir;
    this.#child = child;
    this.qmp = qmp;
    this.#target = target;
  }

  /** Starts a paused QEMU with a SPICE server, on a Unix socket unless it `compresses`. */
  static async set(
    dir: string,
    args: readonly string[],
    { spice = OFF, compresses = false }: Pick<Scene, "spice" | "compresses"> = {},
  ): Promise<Stage> {
    const target = compresses
      ? { hostname: "127.0.0.1", port: freePort() }
      : { transport: "unix", path: `${dir}/spice` } as const;
    const where = "port" in target
      ? `addr=${target.hostname},port=${target.port}`
      : `unix=on,addr=${target.path}`;
    const child = new Deno.Command(QEMU, {
      args: [
        ...["-accel", "tcg", "-m", "512", "-nodefaults", "-display", "none", "-S"],
        ...["-qmp", `unix:${dir}/qmp,server=on,wait=off`],
        ...["-chardev", `socket,id=serial,path=${dir}/serial,server=on,wait=off`],
        ...["-serial", "chardev:serial"],
        ...["-spice", `${where},disable-ticketing=on,${spice}`],
        ...args,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    const stage = new Stage(dir, child, await connectQmp(`${dir}/qmp`), target);
    stage.#serial = await Deno.connect({ transport: "unix", path: `${dir}/serial` });
    void stage.#readSerial(stage.#serial);
    return stage;
  }

  async #readSerial(conn: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(4096);
    const decoder = new TextDecoder();
    try {
      for (let read; (read = await conn.read(buffer)) !== null;) {
        this.#serialText += decoder.decode(buffer.subarray(0, read), { stream: true });
      }
    } catch { /* closed */ }
  }

  /** Connects a client; from now on it is recorded. */
  async connect(options: DisplayOptions = {}): Promise<void> {
    const path = `${this.#dir}/proxy`;
    this.#recorder = new SpiceRecorder(path, this.#target);
    this.#session = await SpiceSession.connect({ path }, options);
    for (const { type, id } of this.#session.offered) {
      const setup = FURTHER.find((it) => it.type === type);
      if (setup === undefined) continue;
      const channel = await this.#session.open(setup, id);
      if (type === 3) this.#inputs = channel;
    }
    await pause(QUIET_MS);
  }

  /** Lets the guest run. */
  async cont(): Promise<void> {
    await this.qmp.execute("cont");
  }

  /** Sends a message on the inputs channel. */
  input<T>(id: number, body: Codec<T>, value: T): void {
    this.#inputs?.send({ id, body }, value);
  }

  /** Waits for `text` on the serial port, `timeoutMs` at most. */
  async serial(text: string, timeoutMs = 120_000): Promise<void> {
    const end = performance.now() + timeoutMs;
    while (!this.#serialText.includes(text)) {
      if (performance.now() > end) {
        throw new Error(`no ${JSON.stringify(text)} in ${JSON.stringify(this.#serialText)}`);
      }
      await pause(10);
    }
  }

  /** Types on the serial port. */
  async type(text: string): Promise<void> {
    await this.#serial?.write(new TextEncoder().encode(text));
  }

  /**
   * Notes what `device` shows on display `display`, once all has come. The guest is paused before,
   * unless it `runs` on: qxl in its native mode draws nothing into a screendump of a paused guest.
   */
  async moment(
    options: { device?: string; display?: number; runs?: boolean } = {},
  ): Promise<void> {
    const { device, display = 0, runs = false } = options;
    const recorder = this.#recorder;
    if (recorder === undefined) throw new Error("no client is connected");
    if (!runs) await this.qmp.execute("stop");
    for (let before = -1, waited = 0; recorder.bytes !== before; waited += QUIET_MS) {
      if (waited > SETTLE_MS) throw new Error("the display never rests");
      before = recorder.bytes;
      await pause(QUIET_MS);
    }
    const filename = `${this.#dir}/screen.ppm`;
    await this.qmp.executeRaw({
      execute: "screendump",
      arguments: { filename, ...device === undefined ? {} : { device } },
    });
    const keep = Deno.env.get("KEEP");
    if (keep) {
      await this.qmp.executeRaw({
        execute: "screendump",
        arguments: { filename: `${keep}-${recorder.moments.length}.png`, format: "png" },
      });
    }
    const { width, height, rgb } = readPpm(await Deno.readFile(filename));
    recorder.note({ display, width, height, sha256: await hashRgb(rgb) });
  }

  /** Ends the recording and returns its file's bytes. */
  async end(made: string): Promise<Uint8Array> {
    const recorder = this.#recorder;
    if (recorder === undefined) throw new Error("no client is connected");
    await this.#session?.[Symbol.asyncDispose]();
    await recorder[Symbol.asyncDispose]();
    const { qemu } = await this.qmp.executeRaw({ execute: "query-version" }) as {
      qemu: { major: number; minor: number; micro: number };
    };
    const { connections, moments, blocks } = recorder;
    return await encodeRecording({
      head: {
        version: 1,
        server: `QEMU ${qemu.major}.${qemu.minor}.${qemu.micro}`,
        made,
        connections,
        moments,
      },
      blocks,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session?.[Symbol.asyncDispose]();
    await this.#recorder?.[Symbol.asyncDispose]();
    this.#serial?.close();
    await this.qmp.close();
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }
}

/** Returns a TCP port that nothing listens on. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Reads a PPM as QEMU writes it: P6, width, height, 255, then R, G, B bytes. */
function readPpm(bytes: Uint8Array<ArrayBuffer>): {
  width: number;
  height: number;
  rgb: Uint8Array<ArrayBuffer>;
} {
  const [head = "", width, height] =
    /^P6\s(\d+)\s(\d+)\s255\s/.exec(new TextDecoder("latin1").decode(bytes.subarray(0, 64))) ?? [];
  if (head === "") throw new Error("not a PPM");
  return { width: Number(width), height: Number(height), rgb: bytes.slice(head.length) };
}

async function record(names: readonly string[]): Promise<void> {
  for (const [name, scene] of Object.entries(SCENES)) {
    if (names.length > 0 && !names.includes(name)) continue;
    const dir = await Deno.makeTempDir({ prefix: "spice-record-" });
    try {
      await using stage = await Stage.set(dir, await scene.args(dir), scene);
      await scene.play(stage);
      const bytes = await stage.end(scene.made);
      await Deno.writeFile(recordingUrl(name), bytes);
      console.error(`${name}: ${bytes.length} bytes`);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  }
}

async function proxy(listen: string, server: string, output: string, made: string): Promise<void> {
  const [, hostname, port] = /^([^/]+):(\d+)$/.exec(server) ?? [];
  await using recorder = new SpiceRecorder(
    listen,
    hostname === undefined ? { transport: "unix", path: server } : { hostname, port: Number(port) },
  );
  const interrupted = Promise.withResolvers<void>();
  Deno.addSignalListener("SIGINT", () => interrupted.resolve());
  Deno.addSignalListener("SIGTERM", () => interrupted.resolve());
  await interrupted.promise;
  await recorder[Symbol.asyncDispose]();
  const { connections, moments, blocks } = recorder;
  const head = { version: 1, server: "libspice-server", made, connections, moments } as const;
  await Deno.writeFile(output, await encodeRecording({ head, blocks }));
  Deno.exit();
}

if (import.meta.main) {
  const [first, listen, server, output, made] = Deno.args;
  if (first !== "--proxy") await record(Deno.args);
  else if (listen && server && output && made) await proxy(listen, server, output, made);
  else throw new Error("expected --proxy LISTEN SERVER OUTPUT MADE");
}
