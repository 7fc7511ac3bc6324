/** A session with a server that hands over scanouts, its display in a thread without a GPU. */
import { assert } from "@std/assert";
import { checked } from "../../ffi/errno.ts";
import { OwnedFd } from "../../ffi/fd.ts";
import type { Shim } from "../../ffi/load.ts";
import { createMemory } from "../../ffi/memory.ts";
import { pause } from "../../lib/base/deadline.ts";
import { SpiceSession } from "../../lib/spice/session.ts";
import type { ThreadOptions } from "../../lib/vm/display_thread.ts";
import { DisplayThreads } from "../../lib/vm/display_threads.ts";
import type { DisplayReport } from "../../lib/vm/screen.ts";
import { Screens } from "../../lib/vm/screens.ts";
import { type FdConn, listenForFds } from "../fakes/fd_listener.ts";
import {
  channelsList,
  type FakeConnection,
  FakeSpiceServer,
  framed,
  INIT,
  join,
  le,
} from "../fakes/spice_server.ts";

const GL_DRAW_DONE = 104;
const SET_ACK = framed(3, le([4, 1], [4, 20]));

/** Waits until something is so. */
export async function until(what: string, isSo: () => boolean, timeoutMs = 10_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!isSo()) {
    assert(performance.now() < end, `not in time: ${what}`);
    await pause(2);
  }
}

/** The server's end of a display. */
export class GlPeer {
  /** Acknowledgements that have come. */
  dones = 0;
  /** Ids of all other requests. */
  readonly requests: number[] = [];
  readonly #shim: Shim;
  readonly #connection: FakeConnection;

  constructor(shim: Shim, connection: FakeConnection) {
    this.#shim = shim;
    this.#connection = connection;
  }

  /** Which display. */
  get id(): number {
    return this.#connection.link.id;
  }

  /** Collects what the client says until it leaves. */
  async listen(): Promise<void> {
    for (;;) {
      const { type } = await this.#connection.receive();
      if (type === GL_DRAW_DONE) this.dones++;
      else this.requests.push(type);
    }
  }

  /** Sends a message. */
  async send(type: number, body?: Uint8Array): Promise<void> {
    await this.#connection.send(type, body);
  }

  /** GL_SCANOUT_UNIX with a descriptor, as libspice-server sends it. */
  scanout(width: number, height = 1): void {
    using memory = createMemory(this.#shim, 4096);
    const conn = this.#connection.conn as FdConn;
    const fourcc = 0x34325258;
    conn.send(framed(320, le([4, width], [4, height], [4, width * 4], [4, fourcc], [4, 0])));
    conn.send(Uint8Array.of(0x40), memory);
  }

  /** GL_DRAW. */
  async draw(x = 0): Promise<void> {
    await this.send(321, le([4, x], [4, 0], [4, 1], [4, 1]));
  }

  /** A draw, and the wait for its acknowledgement. */
  async drawn(x = 0): Promise<void> {
    const before = this.dones;
    await this.draw(x);
    await until("an acknowledgement", () => this.dones > before);
  }

  /** MONITORS_CONFIG with one screen, or none. */
  async monitors(width?: number, height = 1): Promise<void> {
    if (width === undefined) return await this.send(317, le([2, 0], [2, 1]));
    const head = le([4, 0], [4, 0], [4, width], [4, height], [4, 0], [4, 0], [4, 0]);
    await this.send(317, join(le([2, 1], [2, 1]), head));
  }

  /** A surface of this size, drawn on. */
  async surface(width: number, height: number): Promise<void> {
    await this.send(315, le([4, 0]));
    await this.send(314, le([4, 0], [4, width], [4, height], [4, 32], [4, 1]));
    await this.send(102);
  }

  /** Leaves. */
  close(): void {
    this.#connection.close();
  }
}

/** A socket where connections are taken, and nobody says anything. */
export class SilentListener implements Disposable {
  readonly path: string;
  readonly #folder = Deno.makeTempDirSync({ prefix: "spice-silent-" });
  readonly #listener: OwnedFd;

  constructor(shim: Shim) {
    this.path = `${this.#folder}/spice`;
    const name = new TextEncoder().encode(`${this.path}\0`);
    this.#listener = new OwnedFd(shim, checked(shim.symbols.utm_shim_listen(name, 4), "listen"));
  }

  [Symbol.dispose](): void {
    this.#listener[Symbol.dispose]();
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

/** The parts of the rig; owns all of them. */
export class GlDisplayRig implements AsyncDisposable {
  readonly modes: string[] = [];
  readonly warnings: string[] = [];
  readonly guards: string[] = [];
  readonly defects: unknown[] = [];
  readonly events: string[] = [];
  /** Is told what the session leaves out. */
  onWarning: (text: string) => void = () => {};
  readonly screens: Screens;
  readonly threads: DisplayThreads;
  /** The displays' servers, in the order in which they came. */
  readonly peers: readonly GlPeer[];
  readonly #server: FakeSpiceServer;
  #session: SpiceSession | undefined;

  private constructor(server: FakeSpiceServer, peers: readonly GlPeer[], options: ThreadOptions) {
    this.#server = server;
    this.peers = peers;
    this.threads = DisplayThreads.start(options);
    this.screens = new Screens({
      threads: this.threads,
      onMode: ({ kind, width, height }) => this.modes.push(`${kind} ${width}×${height}`),
      onWarning: (text) => this.warnings.push(text),
      onGuard: (text) => this.guards.push(text),
      onDefect: (error) => this.defects.push(error),
    });
  }

  /** The threads run a stand-in without a GPU, unless `options.entry` is another module. */
  static async start(
    shim: Shim,
    { displays = 1, ...options }: ThreadOptions & { displays?: number } = {},
  ): Promise<GlDisplayRig> {
    const entry = new URL("../fakes/stand_in_worker.ts", import.meta.url);
    const peers: GlPeer[] = [];
    const server = await FakeSpiceServer.start({
      listen: (path) => listenForFds(shim, path),
      main: async (connection) => {
        await connection.write(INIT);
        await connection.receive();
        const ids = Array.from({ length: displays }, (_, id) => [2, id] as [number, number]);
        await connection.write(channelsList(...ids));
        await connection.drain();
      },
      display: async (connection) => {
        await connection.receive(); // INIT
        await connection.write(SET_ACK);
        const peer = new GlPeer(shim, connection);
        peers.push(peer);
        await peer.listen();
      },
    });
    const self = new GlDisplayRig(server, peers, { entry, ...options });
    try {
      await self.attach();
      return self;
    } catch (error) {
      await self[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Attaches; once more after `detach`. */
  async attach(): Promise<void> {
    this.#session = await SpiceSession.connect(this.#server.target, {
      ...this.screens.sessionOptions,
      onWarning: ({ text }) => this.onWarning(text),
      onEvent: ({ channel, id, state, reason }) => {
        this.events.push(`${channel} ${id} ${state}${reason === undefined ? "" : `: ${reason}`}`);
      },
    });
    this.screens.attached(this.#session);
  }

  /** Ends the session. */
  async detach(): Promise<void> {
    await this.#session?.[Symbol.asyncDispose]();
  }

  /** Where the server is. */
  get path(): string {
    const { target } = this.#server;
    return "path" in target ? target.path : "";
  }

  get session(): SpiceSession {
    return this.#session!;
  }

  /** The display's server, the last that came. */
  get peer(): GlPeer {
    return this.peers.at(-1)!;
  }

  get report(): DisplayReport {
    return this.screens.displays()[0]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.detach();
    this.screens[Symbol.dispose]();
    await this.threads[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
  }
}
