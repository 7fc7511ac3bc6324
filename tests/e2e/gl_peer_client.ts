/** Our client on a {@linkcode SpicePeer} whose guest has a GPU, beside what that should show. */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import type { SharedTexture } from "../../lib/display/gl_interfaces.ts";
import type { DisplayReport } from "../../lib/vm/screen.ts";
import { GlPeer } from "./gl_peer.ts";
import { LineClient } from "./line_client.ts";
import { differenceText } from "./spice_viewer.ts";
import { SpicePeer } from "./spice_peer.ts";

const CLIENT = fromFileUrl(new URL("gl_client.ts", import.meta.url));
const NATIVE = fromFileUrl(new URL("../../native", import.meta.url));

/** What Deno may take for itself at any time: a pair of sockets, a heap that is larger by chance. */
const OWN_FDS = 2;
const OWN_MIB = 48;

/** What the client says; each line has its own. */
interface Answer {
  displays: DisplayReport[];
  warnings: string[];
  width?: number;
  height?: number;
  why?: string;
  texture?: SharedTexture;
}

/** A client that runs; ended by disposing it. */
export class GlClient implements AsyncDisposable {
  readonly client: LineClient<Answer>;
  readonly #folder: string;

  private constructor(client: LineClient<Answer>, folder: string) {
    this.client = client;
    this.#folder = folder;
  }

  /** Starts one. @param shim Which native library; the local build when left out. */
  static async start(peer: SpicePeer, shim?: string): Promise<GlClient> {
    if (!("path" in peer.target)) throw new TypeError("Cannot attach over TCP");
    const command = [Deno.execPath(), "run", "-A", CLIENT, peer.target.path] as const;
    const env = shim === undefined ? {} : { UTMOST_SHIM: shim };
    return new GlClient(await LineClient.start(command, env), peer.folder);
  }

  /** What it has counted. */
  async report(): Promise<{ display: DisplayReport; warnings: string[] }> {
    const { displays: [display], warnings } = await this.client.ask();
    if (display === undefined) throw new Error("Cannot look at the client: it has no display");
    return { display, warnings };
  }

  /** Says whether somebody looks, so that every draw is copied. */
  async watch(isWatched: boolean): Promise<void> {
    await this.client.ask(isWatched ? "watch" : "unwatch");
  }

  /** What a viewer would be given. */
  async texture(): Promise<SharedTexture | undefined> {
    return (await this.client.ask("texture")).texture;
  }

  /** The picture, or why there is none. */
  async picture(
    display = 0,
  ): Promise<{ width: number; height: number; pixels: Uint32Array } | string> {
    const path = join(this.#folder, `${crypto.randomUUID()}.raw`);
    const { why, width = 0, height = 0 } = await this.client.ask(`picture ${display} ${path}`);
    if (why !== undefined) return why;
    const bytes = await Deno.readFile(path);
    await Deno.remove(path);
    return { width, height, pixels: new Uint32Array(bytes.buffer, 0, bytes.length / 4) };
  }

  /** Fails unless it shows exactly what is to be shown. */
  async expectPicture(gl: GlPeer, what: string, display = 0): Promise<void> {
    const [expected, picture] = [await gl.expect(), await this.picture(display)];
    assert(typeof picture !== "string", `${what}: there is no picture: ${picture}`);
    assertSamePixels(picture, expected, what);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
  }
}

/** Fails with the first pixel that differs in its colour: alpha means nothing on a screen. */
export function assertSamePixels(
  { width, pixels }: { width: number; pixels: Uint32Array },
  expected: Uint32Array,
  what: string,
): void {
  assertEquals(pixels.length, expected.length, `${what}: the size`);
  let difference: Parameters<typeof differenceText>[0] | undefined;
  for (let at = 0; at < expected.length; at++) {
    const [actual, wanted] = [pixels[at]! & 0xffffff, expected[at]! & 0xffffff];
    if (actual === wanted) continue;
    const [x, y] = [at % width, Math.floor(at / width)];
    difference ??= { count: 0, x, y, actual, expected: wanted };
    difference.count++;
  }
  assert(difference === undefined, difference && `${what}: ${differenceText(difference)}`);
}

/** What a client holds. */
export interface Footprint {
  fds: number;
  memoryMiB: number;
}

/** What a client holds now. */
export async function footprint({ client }: GlClient): Promise<Footprint> {
  return { fds: client.openFiles(), memoryMiB: (await client.memoryMiB()).now };
}

/** Fails if a client holds more than before, but for what Deno may take for itself meanwhile. */
export async function expectNoGrowth(client: GlClient, before: Footprint): Promise<void> {
  const after = await footprint(client);
  assert(after.fds <= before.fds + OWN_FDS, `${after.fds} descriptors, ${before.fds} before`);
  const grown = after.memoryMiB - before.memoryMiB;
  assert(grown < OWN_MIB, `${grown.toFixed(1)} MiB more memory`);
}

/** Builds the native library with IOSurface's stand-in, and returns its path. */
export async function standinShim(): Promise<string> {
  const { success, stderr } = await new Deno.Command("make", {
    args: ["-s", "-C", NATIVE, "standin"],
  }).output();
  if (!success) throw new Error(`Cannot build the stand-in: ${new TextDecoder().decode(stderr)}`);
  return join(NATIVE, "build", "standin", "libutm_shim.so");
}

/** A peer with its GPU and a client of ours on it. */
export class GlPeerRig implements AsyncDisposable {
  readonly peer: SpicePeer;
  readonly gl: GlPeer;
  readonly client: GlClient;

  private constructor(peer: SpicePeer, gl: GlPeer, client: GlClient) {
    this.peer = peer;
    this.gl = gl;
    this.client = client;
  }

  /** @param shim Which native library; the local build when left out. */
  static async start(shim?: string, displays = 1): Promise<GlPeerRig> {
    await using stack = new AsyncDisposableStack();
    const peer = stack.use(await SpicePeer.start({ displays }));
    const gl = new GlPeer(peer);
    await gl.scanout({ kind: shim === undefined ? "memory" : "pipe", width: 16, height: 16 });
    const client = stack.use(await GlClient.start(peer, shim));
    stack.move();
    return new GlPeerRig(peer, gl, client);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
    await this.peer[Symbol.asyncDispose]();
  }
}
