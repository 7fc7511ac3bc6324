/**
 * Our client draws what the real SPICE server draws: random draws of every kind, compared pixel by
 * pixel with the server's own canvas and with the same draws made by pixman.
 *
 * A failure names the first draw behind which the pictures differ, as a command of the peer.
 */
import { assertEquals } from "@std/assert";
import { SpicePeer, type SpicePeerOptions, SURFACE_FORMATS } from "./spice_peer.ts";
import { differenceText, SpiceViewer, type ViewerOptions } from "./spice_viewer.ts";

const COUNT = 10_000;
const COUNT_PER_KIND = 600;
/** Draws between two comparisons: the server hides nothing from us for longer. */
const STEP = 500;
/** A server that loops for ever takes two minutes to be found out on a busy machine. */
const TIMEOUT_MS = 300_000;
const WIDTH = 320;
const HEIGHT = 240;
const FIXED_SEED = 20260101;
/** The seed of the tests that draw something else each time; can be given, to repeat a failure. */
const RANDOM_SEED = Number(
  Deno.env.get("UTMOST_DRAWS_SEED") ?? Math.floor(Math.random() * 2 ** 31),
);

/** Kinds that pixman can make without the server's canvas. */
const PLAIN_KINDS = [
  "fill",
  "opaque",
  "copy",
  "copy_bits",
  "blend",
  "blackness",
  "whiteness",
  "invers",
  "transparent",
  "alpha_blend",
  "composite",
];
const KINDS = [...PLAIN_KINDS, "rop3", "stroke", "text"];

/** What is drawn and compared. */
interface Plan {
  seed: number;
  count: number;
  kinds?: readonly string[];
  /** Compared with pixman, too; only draws that it can make. */
  plain?: boolean;
  /** The primary surface's format. */
  format?: number;
  /** Without off-screen surfaces. */
  alone?: boolean;
  /** Whether the server has failed before. */
  isRetry?: boolean;
}

/** What we have drawn is not what the server has drawn. */
class PictureError extends Error {}

/** The surfaces of a plan, black: one that is shown, and others of each kind. */
async function createSurfaces(peer: SpicePeer, { format, alone }: Plan): Promise<number[]> {
  const shown = format ?? SURFACE_FORMATS.xrgb;
  await peer.primary(WIDTH, HEIGHT, shown);
  if (alone) return [0];
  await peer.surface(1, 200, 200, shown);
  await peer.surface(2, 64, 400, SURFACE_FORMATS.argb);
  await peer.surface(3, 100, 100, SURFACE_FORMATS.a8);
  return [0, 1, 2, 3];
}

/** Compares all surfaces; returns what differs. */
async function compare(
  peer: SpicePeer,
  viewer: SpiceViewer,
  ids: readonly number[],
  { plain }: Plan,
): Promise<string | undefined> {
  await viewer.sync();
  for (const id of ids) {
    const oracles: [string, () => Promise<Uint32Array>][] = [["server", () => peer.expect(id)]];
    if (plain) oracles.push(["pixman", () => peer.expectPixman(id)]);
    for (const [oracle, picture] of oracles) {
      const difference = viewer.difference(await picture(), id);
      if (difference) return `surface ${id} beside ${oracle}: ${differenceText(difference)}`;
    }
  }
}

/** Finds the first draw behind which the pictures differ, of those up to `known`. */
async function firstBadDraw(
  peer: SpicePeer,
  viewer: SpiceViewer,
  plan: Plan,
  known: number,
): Promise<string> {
  let good = 0, bad = known, text = "";
  while (bad - good > 1 || text === "") {
    const count = bad - good > 1 ? Math.floor((good + bad) / 2) : bad;
    const ids = await createSurfaces(peer, plan);
    await peer.random(plan.seed, count, plan.kinds, plan.plain);
    const found = await compare(peer, viewer, ids, plan);
    if (found !== undefined) {
      bad = count;
      text = `draw ${count} of seed ${plan.seed}: ${found}\n  draw ${await peer.last()}`;
    } else if (count === bad) {
      return `nothing differs after ${bad} draws of seed ${plan.seed} made at once`;
    } else {
      good = count;
    }
  }
  return text;
}

/** How to draw the same again. What the server merges depends on its speed: it may take a few runs. */
function repeat({ seed }: Plan): string {
  return `To repeat: UTMOST_DRAWS_SEED=${seed} deno test -A tests/e2e/spice_draws_test.ts`;
}

/** Draws, and throws with the first draw that went wrong. */
async function run(peer: SpicePeer, viewer: SpiceViewer, plan: Plan): Promise<void> {
  const ids = await createSurfaces(peer, plan);
  for (let done = 0; done < plan.count; done += STEP) {
    const count = Math.min(STEP, plan.count - done);
    if (done === 0) await peer.random(plan.seed, count, plan.kinds, plan.plain);
    else await peer.more(count);
    const found = await compare(peer, viewer, ids, plan);
    if (found === undefined) continue;
    // Says why, where the client knows it; drawing again adds to it.
    const leftOut = Deno.inspect(Object.fromEntries(viewer.displays[0]!.stats.ignored));
    const first = await firstBadDraw(peer, viewer, plan, done + count)
      .catch(({ message }) => `the first bad draw was not found: ${message}`);
    throw new PictureError(
      `After ${done + count} draws, ${found}; left out: ${leftOut}\n${first}\n${repeat(plan)}`,
    );
  }
  assertEquals(viewer.malformed, 0, "messages that could not be read");
  const ignored = viewer.displays[0]!.stats.ignored;
  assertEquals(Object.fromEntries(ignored), {}, `draws that were left out\n${repeat(plan)}`);
}

/** Plans in which the server looped for ever. */
let loops = 0;

/**
 * Starts a peer, and draws on it. A server that loops for ever, which is its own fault, is told of,
 * and replaced by one that draws from another seed; one that does so again fails the test.
 */
async function onPeer(
  options: SpicePeerOptions,
  plan: Plan,
  draw: (peer: SpicePeer, plan: Plan) => Promise<void>,
): Promise<void> {
  const peer = await SpicePeer.start(options);
  try {
    await draw(peer, plan);
    return await peer[Symbol.asyncDispose]();
  } catch (error) {
    await peer[Symbol.asyncDispose]();
    if (error instanceof PictureError || !peer.hasLooped || plan.isRetry) throw error;
  }
  const seed = plan.seed + 1;
  console.log(
    `libspice-server looped for ever at seed ${plan.seed} (${++loops} so far); trying ${seed}`,
  );
  await onPeer(options, { ...plan, seed, isRetry: true }, draw);
}

/** A peer over Unix, without compression, and a client of it. */
async function unix(plan: Plan): Promise<void> {
  await onPeer({}, plan, async (peer, plan) => {
    await using viewer = await SpiceViewer.connect(peer);
    await run(peer, viewer, plan);
  });
}

for (const kind of KINDS) {
  const plain = PLAIN_KINDS.includes(kind);
  Deno.test(`e2e: draws: ${COUNT_PER_KIND} of ${kind}`, { timeout: TIMEOUT_MS }, async () => {
    for (const isPlain of plain ? [true, false] : [false]) {
      await unix({ seed: FIXED_SEED, count: COUNT_PER_KIND, kinds: [kind], plain: isPlain });
    }
  });
}

for (const seed of [FIXED_SEED, RANDOM_SEED]) {
  Deno.test(
    `e2e: draws: ${COUNT} that pixman makes too, seed ${seed}`,
    { timeout: TIMEOUT_MS },
    async () => {
      await unix({ seed, count: COUNT, kinds: PLAIN_KINDS, plain: true });
    },
  );
  Deno.test(
    `e2e: draws: ${COUNT} of all kinds, seed ${seed}`,
    { timeout: TIMEOUT_MS },
    async () => {
      await unix({ seed, count: COUNT, kinds: KINDS });
    },
  );
}

for (const name of ["argb", "rgb555", "rgb565"] as const) {
  Deno.test(`e2e: draws: 2000 on ${name}`, { timeout: TIMEOUT_MS }, async () => {
    await unix({
      seed: FIXED_SEED,
      count: 2000,
      kinds: KINDS,
      format: SURFACE_FORMATS[name],
    });
  });
}

Deno.test(
  "e2e: draws: 2000 with an image cache of the client's",
  { timeout: TIMEOUT_MS },
  async () => {
    await using peer = await SpicePeer.start();
    await using viewer = await SpiceViewer.connect(peer, { cachePixels: 4 << 20 });
    await run(peer, viewer, { seed: FIXED_SEED, count: 2000, kinds: KINDS });
    assertEquals(viewer.counts.has("inval_all_pixmaps"), false);
    await peer.command("reset_cache");
    await viewer.sync();
  },
);

/** Compressions that lose nothing. */
const COMPRESSIONS = ["off", "auto_glz", "auto_lz", "quic", "glz", "lz", "lz4"] as const;

for (const compression of COMPRESSIONS) {
  Deno.test(`e2e: draws: 2000 over TCP with ${compression}`, { timeout: TIMEOUT_MS }, async () => {
    await tcp(compression, { takesCompression: true });
    await tcp(compression, { takesCompression: true, cachePixels: 4 << 20, glzPixels: 4 << 20 });
  });
}

async function tcp(compression: string, options: ViewerOptions): Promise<void> {
  const plan = { seed: FIXED_SEED, count: 2000, kinds: KINDS };
  await onPeer({ transport: "tcp" }, plan, async (peer, plan) => {
    await peer.compression(compression);
    await peer.command("zlib_glz always");
    await using viewer = await SpiceViewer.connect(peer, options);
    await run(peer, viewer, plan);
  });
}
