/**
 * GL draws: round trips from GL_DRAW to GL_DRAW_DONE at 1920×1080 through the real libspice-server,
 * ours through the product's own path beside libspice-client-glib, which acknowledges at once and
 * shows nothing.
 *
 * ```text
 * deno run -A tests/bench/gl_bench.ts [--rounds N] [--json]
 * ```
 *
 * The picture is a memfd, since there need not be a GPU: where somebody looks, each draw uploads what
 * it has changed to a texture, which a GPU's own buffers do without the CPU. The contenders take
 * turns, and begin with another one each round, so that a machine that slows down meanwhile slows all
 * of them down; each has a server of its own. Times are the server's: from its call until the
 * acknowledgement is there.
 *
 * Without a GPU, what a viewer is lent is shared memory as well, which is read back for each frame
 * that the viewer is told of: the cost of lending, whatever the viewer does with it.
 */
import { parseArgs } from "@std/cli/parse-args";
import { fromFileUrl } from "@std/path";
import { pause } from "../../lib/base/deadline.ts";
import type { SharedTexture } from "../../lib/display/gl_interfaces.ts";
import type { DisplayReport } from "../../lib/vm/screen.ts";
import { type GlArea, GlPeer, type GlTimes } from "../e2e/gl_peer.ts";
import { LineClient } from "../e2e/line_client.ts";
import { buildRig, SpicePeer } from "../e2e/spice_peer.ts";
import { median, spread } from "./figures.ts";

const CLIENT = fromFileUrl(new URL("../e2e/gl_client.ts", import.meta.url));
const WIDTH = 1920;
const HEIGHT = 1080;
const FRAME_BYTES = WIDTH * HEIGHT * 4;
const DEFAULT_ROUNDS = 5;
/** Long enough for the compiler of our client to have seen it all. */
const WARM_UP_S = 1;
const MEASURED_S = 1;
const HERTZ = 60;
/** QEMU cuts updates into columns of this many pixels. */
const COLUMNS = 32;
const SETTLE_MS = 200;
/** The goals: round trips per second beside the library's, and the time of the slowest of a hundred. */
const RATIO_GOAL = 1;
const P99_GOAL_MICROS = 1000;
/** What a text cursor or a line of a terminal changes. */
const SMALL: GlArea = { x: 640, y: 400, w: 64, h: 64 };

/** What our client answers. */
interface Answer {
  displays?: DisplayReport[];
  texture?: SharedTexture;
}

/** Whose round trips are measured. */
interface Contender {
  name: string;
  /** What each draw changes; everything when left out. */
  area?: GlArea;
  /** Ours: whether somebody looks at it. Not ours when left out. */
  look?: "nobody" | "copies" | "presents" | "stopped";
}

const CONTENDERS = [
  { name: "libspice-client-glib" },
  { name: "utmost, nobody looks", look: "nobody" },
  { name: "utmost, copies 64×64", look: "copies", area: SMALL },
  { name: `utmost, copies 64×64, a viewer at ${HERTZ} Hz`, look: "presents", area: SMALL },
  { name: "utmost, copies 64×64, a viewer that is stopped", look: "stopped", area: SMALL },
  { name: "utmost, copies everything", look: "copies" },
  { name: `utmost, copies everything, a viewer at ${HERTZ} Hz`, look: "presents" },
  { name: "utmost, copies everything, a viewer that is stopped", look: "stopped" },
] as const satisfies readonly Contender[];

/** One measurement. */
interface Measured extends GlTimes {
  /** Bytes that the CPU has copied for each draw, by our ledger. */
  cpuBytes: number;
  /** Frames that the viewer has shown each second. */
  viewerHertz: number;
}

/** As many draws as take about `seconds`. */
async function drawsFor(gl: GlPeer, seconds: number, perSecond: number, area?: GlArea) {
  const count = Math.max(20, Math.round(seconds * perSecond));
  return await gl.draws(count, area === undefined ? {} : { area });
}

async function measure({ look, area }: Contender): Promise<Measured> {
  await using stack = new AsyncDisposableStack();
  const peer = stack.use(await SpicePeer.start());
  if (!("path" in peer.target)) throw new TypeError("Cannot measure over TCP");
  const { path } = peer.target;
  const gl = new GlPeer(peer);
  await gl.scanout({ width: WIDTH, height: HEIGHT, seed: 1 });
  const client = stack.use(
    await LineClient.start<Answer>(
      look === undefined
        ? [await buildRig("spice_glib_client"), `spice+unix://${path}`]
        : [Deno.execPath(), "run", "-A", CLIENT, path],
    ),
  );
  let viewer: LineClient<{ frames: number }> | undefined;
  if (look !== undefined && look !== "nobody") await client.ask("watch");
  if (look === "presents" || look === "stopped") {
    const { texture } = await client.ask("texture");
    if (texture === undefined) throw new Error("Cannot look: our client lends no picture");
    const { fd, stride, height } = texture;
    viewer = stack.use(
      await LineClient.start([
        await buildRig("gl_viewer"),
        `/proc/${client.pid}/fd/${fd}`,
        String(stride * height),
        String(HERTZ),
      ]),
    );
    if (look === "stopped") await viewer.stop();
  }
  const { perSecond } = await drawsFor(gl, WARM_UP_S, 100, area);
  const warm = await drawsFor(gl, WARM_UP_S, perSecond, area);
  const bytesBefore = await cpuBytes(client, look);
  const framesBefore = look === "presents" ? (await viewer?.ask())?.frames ?? 0 : 0;
  const start = performance.now();
  const times = await drawsFor(gl, MEASURED_S, warm.perSecond, area);
  const frames = look === "presents" ? ((await viewer?.ask())?.frames ?? 0) - framesBefore : 0;
  const seconds = (performance.now() - start) / 1000;
  const bytes = await cpuBytes(client, look) - bytesBefore;
  return { ...times, cpuBytes: bytes / times.draws, viewerHertz: frames / seconds };
}

async function cpuBytes(client: LineClient<Answer>, look: Contender["look"]): Promise<number> {
  return look === undefined ? 0 : (await client.ask()).displays?.[0]?.gl.cpuBytes ?? 0;
}

/** Bytes on the socket for a frame that comes as 2D messages, in columns as QEMU cuts them. */
async function surfaceBytes(): Promise<number> {
  await using peer = await SpicePeer.start();
  if (!("path" in peer.target)) throw new TypeError("Cannot measure over TCP");
  await peer.primary(WIDTH, HEIGHT);
  await using client = await LineClient.start<Answer>([
    Deno.execPath(),
    "run",
    "-A",
    CLIENT,
    peer.target.path,
  ]);
  const bytes = async () => (await client.ask()).displays?.[0]?.surface.bytes ?? 0;
  await peer.sync();
  const before = await bytes();
  const frames = Number(await peer.command(`flood ${WARM_UP_S} ${COLUMNS}`));
  await peer.sync();
  let [last, after] = [-1, await bytes()];
  while (after !== last) { // what is on its way
    await pause(SETTLE_MS);
    [last, after] = [after, await bytes()];
  }
  return (after - before) / frames;
}

/** A step that moves a frame's bytes. */
interface Step {
  what: string;
  bytes: number;
  how: "counted in the source" | "measured here";
}

/**
 * What QEMU's `-display egl-headless` with a plain SPICE display moves for a changed frame of 1080p,
 * until a viewer has it in a texture. Source: QEMU, ui/egl-headless.c and ui/spice-display.c.
 *
 * @param socketBytes What the frame takes on the socket.
 */
function eglHeadless(socketBytes: number): Step[] {
  const counted = (what: string): Step => ({
    what,
    bytes: FRAME_BYTES,
    how: "counted in the source",
  });
  return [
    counted("the GPU's picture, read back into QEMU's surface"),
    counted("changed blocks, copied to QEMU's mirror"),
    counted("the mirror, copied to a bitmap for each block"),
    { what: "the bitmaps, written to the socket", bytes: socketBytes, how: "measured here" },
    { what: "the socket, read by the client", bytes: socketBytes, how: "measured here" },
    counted("the messages, drawn on the client's surface"),
    counted("the surface, uploaded to a viewer's texture"),
  ];
}

if (import.meta.main) {
  const args = parseArgs(Deno.args, { string: ["rounds"], boolean: ["json"] });
  const rounds = args.rounds === undefined ? DEFAULT_ROUNDS : Number(args.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new RangeError(`Cannot run ${args.rounds} rounds: expected a whole number of at least 1`);
  }
  const results = CONTENDERS.map((): Measured[] => []);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < CONTENDERS.length; turn++) {
      const index = (round + turn) % CONTENDERS.length;
      results[index]!.push(await measure(CONTENDERS[index]!));
    }
  }
  const rates = (index: number) => results[index]!.map(({ perSecond }) => perSecond);
  /** The median of what each round says: neighbours in time are compared. */
  const ratio = (index: number, to: number) =>
    median(rates(index).map((rate, round) => rate / rates(to)[round]!));
  const indexOf = (name: string) => CONTENDERS.findIndex((contender) => contender.name === name);
  const summary = CONTENDERS.map((contender, index) => ({
    name: contender.name,
    perSecond: median(rates(index)),
    p50: median(results[index]!.map(({ p50 }) => p50)),
    p99: median(results[index]!.map(({ p99 }) => p99)),
    timesTheLibrary: ratio(index, 0),
    cpuBytes: median(results[index]!.map(({ cpuBytes }) => cpuBytes)),
    viewerHertz: median(results[index]!.map(({ viewerHertz }) => viewerHertz)),
  }));
  const bytesOf = (name: string) => summary[indexOf(name)]!.cpuBytes;
  const headless = eglHeadless(await surfaceBytes());

  if (args.json === true) {
    const goals = { RATIO_GOAL, P99_GOAL_MICROS };
    console.log(JSON.stringify({ rounds, goals, summary, results, headless }));
  } else {
    console.log(`GL draws of ${WIDTH}×${HEIGHT}, ${rounds} rounds; medians\n`);
    for (const [index, { name, p50, p99, timesTheLibrary, viewerHertz }] of summary.entries()) {
      console.log(
        `  ${name.padEnd(53)}${spread(rates(index), 0)} per second, ` +
          `p50 ${p50.toFixed(0)} µs, p99 ${p99.toFixed(0)} µs, ` +
          `${timesTheLibrary.toFixed(2)} times the library` +
          (viewerHertz > 0 ? `; the viewer: ${viewerHertz.toFixed(0)} Hz` : ""),
      );
    }
    console.log(`\n  goals, nobody looking: at least ${RATIO_GOAL.toFixed(2)} times the library,`);
    console.log(`  p99 at most ${P99_GOAL_MICROS} µs; and the same with any viewer as without one`);
    for (const what of ["copies 64×64", "copies everything"]) {
      const alone = indexOf(`utmost, ${what}`);
      const [presents, stopped] = [
        indexOf(`utmost, ${what}, a viewer at ${HERTZ} Hz`),
        indexOf(`utmost, ${what}, a viewer that is stopped`),
      ];
      console.log(
        `    ${what}: ${
          ratio(presents, alone).toFixed(2)
        } times as many with a viewer at ${HERTZ} Hz, ` +
          `${ratio(stopped, alone).toFixed(2)} with one that is stopped`,
      );
    }
    const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`.padStart(9);
    console.log(`\n  copied by the CPU for a frame of ${WIDTH}×${HEIGHT} (${FRAME_BYTES} bytes)`);
    console.log(`   ${megabytes(bytesOf("utmost, nobody looks"))}  nobody looks: our ledger`);
    console.log(
      `   ${
        megabytes(bytesOf("utmost, copies everything"))
      }  somebody looks at a memfd, as here: our ledger`,
    );
    console.log(
      `   ${megabytes(bytesOf(`utmost, copies everything, a viewer at ${HERTZ} Hz`))}` +
        "  and a viewer has it in shared memory, as here: our ledger",
    );
    console.log(
      `   ${megabytes(0)}  a dmabuf or an IOSurface: no step touches pixels (not measured: no GPU)`,
    );
    const all = headless.reduce((sum, { bytes }) => sum + bytes, 0);
    console.log(`   ${megabytes(all)}  QEMU's egl-headless, a 2D display for the client:`);
    for (const { what, bytes, how } of headless) {
      console.log(`     ${megabytes(bytes)}  ${what} (${how})`);
    }
  }
}
