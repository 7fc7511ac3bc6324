/**
 * A real QEMU whose screens are looked at twice: as SPICE brings them to us, and as QEMU's own
 * `screendump` has them. Also the QEMUs that there are to do this with.
 */
import { pause } from "../../lib/base/deadline.ts";
import { loadDecoders } from "../../lib/display/load_decoders.ts";
import type { SerialPort } from "../../lib/guest/serial.ts";
import type { QmpClient } from "../../lib/qmp/client.ts";
import { SpiceSession } from "../../lib/spice/session.ts";
import type { DisplayReport } from "../../lib/vm/screen.ts";
import { Screens } from "../../lib/vm/screens.ts";
import { freePort } from "./free_port.ts";
import { LiveGuest } from "./live_guest.ts";
import { whyNoBackportsHere } from "../../tools/backports.ts";
import { hasNewerQemu, NEWER_QEMU } from "../../tools/newer_qemu.ts";

/** A QEMU to test with. */
export interface TestQemu {
  /** For names of tests. */
  name: string;
  binary: string;
  /** Why there is none here; its tests are skipped then, and counted. */
  missing?: string;
}

/** The installed QEMU, and a newer one beside it. */
export async function testQemus(): Promise<TestQemu[]> {
  const newer: TestQemu = { name: "QEMU 10", binary: NEWER_QEMU };
  const why = await whyNoBackportsHere();
  if (why !== undefined) newer.missing = why;
  else if (!await hasNewerQemu()) newer.missing = "deno task setup fetches it";
  return [{ name: "the installed QEMU", binary: "qemu-system-x86_64" }, newer];
}

/** A picture: 0x00RRGGBB each, top-down. */
export interface PlainPicture {
  width: number;
  height: number;
  pixels: Uint32Array;
}

/** What a comparison came to. */
export interface Match {
  width: number;
  height: number;
  /** How many colours there are: 1 is an empty screen. */
  colors: number;
  /** How long it took until both were the same, in milliseconds. */
  ms: number;
}

/** How long both pictures may differ: QEMU sends what has changed every 30 ms. */
const MATCH_MS = 8_000;

/** Pixels of earlier images that GLZ may refer to. */
const GLZ_PIXELS = 1 << 22;

/** Options of {@linkcode ScreenRig.start}. */
export interface RigOptions {
  qemu: TestQemu;
  /** Arguments of the machine: devices, kernel. */
  args: readonly string[];
  /**
   * How images are compressed (`image-compression`): over TCP, since a server compresses nothing on
   * a Unix socket. Not at all when left out.
   */
  compression?: string;
}

/** A paused QEMU, attached to; owns the process and its folder. */
export class ScreenRig implements AsyncDisposable {
  readonly folder: string;
  readonly qmp: QmpClient;
  readonly serial: SerialPort;
  readonly screens: Screens;
  readonly session: SpiceSession;
  /** Every mode set so far. */
  readonly modes: DisplayReport[];
  /** What could not be drawn. */
  readonly warnings: string[];
  readonly #stack: AsyncDisposableStack;
  #dumps = 0;

  private constructor(
    parts: Pick<
      ScreenRig,
      "folder" | "qmp" | "serial" | "screens" | "session" | "modes" | "warnings"
    >,
    stack: AsyncDisposableStack,
  ) {
    this.folder = parts.folder;
    this.qmp = parts.qmp;
    this.serial = parts.serial;
    this.screens = parts.screens;
    this.session = parts.session;
    this.modes = parts.modes;
    this.warnings = parts.warnings;
    this.#stack = stack;
  }

  /** Starts QEMU and attaches to it; the guest does not run yet. */
  static async start({ qemu, args, compression }: RigOptions): Promise<ScreenRig> {
    await using stack = new AsyncDisposableStack();
    const folder = await Deno.makeTempDir({ prefix: "utmost-screens-" });
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    const takesCompression = compression !== undefined;
    const target = takesCompression ? { host: "127.0.0.1", port: freePort() } : undefined;
    const guest = stack.use(
      await LiveGuest.start({
        binary: qemu.binary,
        spice: target === undefined,
        argv: [
          ...["-machine", "q35", "-S", ...args],
          ...target === undefined ? [] : [
            "-spice",
            `addr=${target.host},port=${target.port},disable-ticketing=on,` +
            `image-compression=${compression},jpeg-wan-compression=never,streaming-video=off`,
          ],
        ],
      }),
    );
    const { qmp, serial } = guest;
    const modes: DisplayReport[] = [];
    const warnings: string[] = [];
    const screens = stack.use(
      new Screens({
        decoders: await loadDecoders(),
        onMode: (display) => modes.push(display),
        onWarning: (text) => warnings.push(text),
      }),
    );
    const session = stack.use(
      await SpiceSession.connect(target ?? guest.spice, {
        onDisplay: screens.onDisplay,
        takesCompression,
        caches: takesCompression ? { glzWindowSize: GLZ_PIXELS } : {},
      }),
    );
    screens.attached(session);
    screens.complete();
    return new ScreenRig({ folder, qmp, serial, screens, session, modes, warnings }, stack.move());
  }

  /** Lets the guest run. */
  async cont(): Promise<void> {
    await this.qmp.execute("cont");
  }

  /** Pauses the guest. */
  async stop(): Promise<void> {
    await this.qmp.execute("stop");
  }

  /** QEMU's own picture of a display; `device` is the id of its adapter. */
  async screendump(device?: string): Promise<PlainPicture> {
    const filename = `${this.folder}/dump-${++this.#dumps}.ppm`;
    await this.qmp.executeRaw({
      execute: "screendump",
      arguments: device === undefined ? { filename } : { filename, device, head: 0 },
    });
    const picture = parsePpm(await Deno.readFile(filename));
    await Deno.remove(filename);
    return picture;
  }

  /** Our picture of a display; undefined while there is none. */
  picture(display = 0): PlainPicture | undefined {
    const shown = this.screens.pixels(display);
    if (shown === undefined) return undefined;
    const { width, height, pixels } = shown;
    return { width, height, pixels: pixels.map((pixel) => pixel & 0xffffff) };
  }

  /**
   * Compares both pictures of a paused guest, pixel by pixel, until they are the same.
   *
   * @throws {Error} when they still differ after 8 s; it says where.
   */
  async match(options: { display?: number; device?: string } = {}): Promise<Match> {
    const { display = 0, device } = options;
    const start = performance.now();
    for (;;) {
      const theirs = await this.screendump(device);
      const ours = this.picture(display);
      const difference = differenceOf(ours, theirs);
      const ms = performance.now() - start;
      if (difference === undefined) {
        const { width, height, pixels } = theirs;
        return { width, height, colors: new Set(pixels).size, ms };
      }
      if (ms > MATCH_MS) throw new Error(`display ${display}: ${difference}`);
      await pause(20);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/**
 * How two pictures differ, or undefined if they do not.
 *
 * @param tolerance By how much a channel may differ.
 */
export function differenceOf(
  ours: PlainPicture | undefined,
  theirs: PlainPicture,
  tolerance = 0,
): string | undefined {
  if (ours === undefined) return "there is no picture";
  if (ours.width !== theirs.width || ours.height !== theirs.height) {
    return `it is ${ours.width}×${ours.height}, expected ${theirs.width}×${theirs.height}`;
  }
  let count = 0;
  let first = -1;
  for (let i = 0; i < theirs.pixels.length; i++) {
    if (ours.pixels[i] === theirs.pixels[i]) continue;
    if (tolerance > 0 && isNear(ours.pixels[i]!, theirs.pixels[i]!, tolerance)) continue;
    count++;
    if (first < 0) first = i;
  }
  if (count === 0) return undefined;
  const [x, y] = [first % ours.width, Math.floor(first / ours.width)];
  const hex = (pixel: number | undefined) => (pixel ?? 0).toString(16).padStart(6, "0");
  return `${count} pixels differ, the first at ${x},${y}: ${hex(ours.pixels[first])}, ` +
    `expected ${hex(theirs.pixels[first])}`;
}

/** Whether no channel of two pixels, 0xRRGGBB, differs by more than `tolerance`. */
function isNear(a: number, b: number, tolerance: number): boolean {
  return [16, 8, 0].every((shift) =>
    Math.abs((a >> shift & 0xff) - (b >> shift & 0xff)) <= tolerance
  );
}

/** Reads a picture of the kind "P6". Source: netpbm, ppm(5). */
export function parsePpm(bytes: Uint8Array): PlainPicture {
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, 64));
  const match = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(head);
  if (match === null) throw new Error(`not a picture: ${head.slice(0, 20)}`);
  const [width, height] = [Number(match[1]), Number(match[2])];
  const pixels = new Uint32Array(width * height);
  for (let i = 0, at = match[0].length; i < pixels.length; i++, at += 3) {
    pixels[i] = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
  }
  return { width, height, pixels };
}
