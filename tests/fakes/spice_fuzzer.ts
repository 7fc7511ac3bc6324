/**
 * Mutates recorded messages and feeds them to the client: framing, channels, layouts, drawing,
 * decoders, cursors, the agent. Everything it does follows from a seed.
 */
import process from "node:process";
import { SpiceError } from "../../lib/base/errors.ts";
import { GuestCursor } from "../../lib/display/cursor.ts";
import { GuestDisplay } from "../../lib/display/guest_display.ts";
import type { ImageDecoders } from "../../lib/display/decoders.ts";
import { loadDecoders } from "../../lib/display/load_decoders.ts";
import { SpiceAgent } from "../../lib/spice/agent.ts";
import type { ChannelSetup } from "../../lib/spice/channel_link.ts";
import { routes } from "../../lib/spice/message_routes.ts";
import { SpiceChannel } from "../../lib/spice/channel.ts";
import { cursorSetup } from "../../lib/spice/cursor_channel.ts";
import { displaySetup } from "../../lib/spice/display_channel.ts";
import { DISPLAY_REQUESTS } from "../../lib/spice/display_messages.ts";
import { MessageSplitter } from "../../lib/spice/framing.ts";
import { INPUTS_MAX_BYTES, INPUTS_MESSAGES } from "../../lib/spice/inputs_messages.ts";
import { mainSetup } from "../../lib/spice/main_channel.ts";
import { MessageMemory } from "../../lib/spice/memory.ts";
import { PORT_MAX_BYTES, PORT_MESSAGES } from "../../lib/spice/port_messages.ts";
import { SpiceStream } from "../../lib/spice/transport.ts";
import { readRecording, recordedChannel, recordingNames } from "./spice_recording.ts";
import { FedConnection } from "./spice_replay.ts";

/** A recorded message. */
interface Seed {
  type: number;
  body: Uint8Array;
}

/** What came of a run. */
export interface FuzzReport {
  /** Messages that were mutated. */
  mutated: number;
  /** Messages fed, unchanged ones included. */
  fed: number;
  /** Sessions that a message ended, as it should. */
  ended: number;
  /** Messages that were left out as broken. */
  malformed: number;
  /** The slowest message. */
  slowest: { ms: number; what: string };
  /** The most memory of the process beyond that at the start, in bytes. */
  peakBytes: number;
  ms: number;
}

/** Options of {@linkcode fuzz}. */
export interface FuzzOptions {
  seed: number;
  /** Messages to mutate. */
  count: number;
  /** Milliseconds that one message may take, of time or of the processor, whichever is less. */
  limitMs: number;
}

/** What one channel's messages are fed to; made anew whenever a message has ended it. */
interface Target {
  setup(): ChannelSetup;
  seeds: Seed[];
}

/** How often each target is chosen: displays have by far the most code. */
const WEIGHTS: Readonly<Record<number, number>> = { 1: 2, 2: 12, 3: 1, 4: 3, 9: 1, 10: 1 };
/** Seeds of one kind of message; more of the same teach nothing. */
const SEEDS_OF_A_KIND = 40;
/** Larger bodies only cost time: what is decided is decided in their heads. */
const MAX_SEED_BYTES = 40_000;
/** Messages in the life of one session. */
const SESSION_MESSAGES = 400;

/**
 * Feeds `count` mutated messages. Ends normally only if each of them was handled, left out, or ended
 * its channel with a `SpiceError`.
 *
 * @throws {Error} with seed and message, for any other error and for a message that takes too long.
 */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const random = new Random(options.seed);
  const decoders = await loadDecoders();
  const targets = await loadTargets(decoders);
  const lottery = [...targets.keys()].flatMap((type) =>
    Array<number>(WEIGHTS[type] ?? 0).fill(type)
  );
  const started = performance.now();
  const baseBytes = Deno.memoryUsage().rss;
  const report: FuzzReport = {
    ...{ mutated: 0, fed: 0, ended: 0, malformed: 0, peakBytes: 0, ms: 0 },
    slowest: { ms: 0, what: "none" },
  };
  while (report.mutated < options.count) {
    const type = lottery[random.below(lottery.length)]!;
    runSession(type, targets.get(type)!, random, options, report);
    report.peakBytes = Math.max(report.peakBytes, Deno.memoryUsage().rss - baseBytes);
    await new Promise((resolve) => setTimeout(resolve, 0)); // what was sent leaves
  }
  report.ms = performance.now() - started;
  return report;
}

/** Feeds one session until it has ended or is old. */
function runSession(
  type: number,
  target: Target,
  random: Random,
  { seed, count, limitMs }: FuzzOptions,
  report: FuzzReport,
): void {
  const memory = new MessageMemory();
  const { maxBytes, waitsBefore, trailers, routes } = target.setup();
  const channel = new SpiceChannel(new SpiceStream(new FedConnection()), {
    ...{ name: `${type}.0`, maxBytes, memory, routes },
    ...waitsBefore ? { waitsBefore } : {},
    ...trailers ? { trailers } : {},
  });
  const splitter = new MessageSplitter(channel, memory);
  // The seeds follow one another as they came, now and then from elsewhere: most have the surfaces,
  // pictures and palettes that they are about.
  let at = random.below(target.seeds.length);
  if (type === DISPLAY_TYPE && random.below(20) === 0) splitter.feed(largeSurface(random));
  for (let i = 0; i < SESSION_MESSAGES && report.mutated < count; i++) {
    if (random.below(60) === 0) at = random.below(target.seeds.length);
    const original = target.seeds[at++ % target.seeds.length]!;
    const isMutated = random.below(3) > 0;
    const bytes = isMutated ? mutate(original, target.seeds, random) : framed(original);
    const cpuBefore = cpuMs();
    const before = performance.now();
    let problem: unknown;
    try {
      feed(splitter, bytes, random);
    } catch (error) {
      problem = error;
    }
    // On a busy machine a message may wait for others; then what it takes of the processor counts.
    const ms = Math.min(performance.now() - before, cpuMs() - cpuBefore);
    report.fed++;
    if (isMutated) report.mutated++;
    const what = () =>
      `channel ${type}, message ${original.type}, ${report.mutated} of seed ${seed}: ` +
      bytes.subarray(0, 300).toHex();
    if (ms > report.slowest.ms) report.slowest = { ms, what: what() };
    if (ms > limitMs) throw new Error(`${Math.round(ms)} ms for one message: ${what()}`);
    if (problem === undefined) continue;
    if (!(problem instanceof SpiceError)) {
      throw new Error(`an error that is not ours: ${what()}`, { cause: problem });
    }
    report.ended++;
    break;
  }
  report.malformed += channel.stats.malformed;
  splitter.release();
  channel.close("the session is over");
  if (memory.taken !== 0) throw new Error(`${memory.taken} bytes are not given back`);
}

/** Milliseconds of processor time of this process so far. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Feeds bytes at once or in a few pieces. */
function feed(splitter: MessageSplitter, bytes: Uint8Array, random: Random): void {
  if (random.below(4) > 0) return void splitter.feed(bytes);
  const cut = random.below(bytes.length + 1);
  splitter.feed(bytes.subarray(0, cut));
  splitter.feed(bytes.subarray(cut));
}

function framed({ type, body }: Seed, size = body.length): Uint8Array {
  const trailer = type === GL_SCANOUT ? [0x40] : [];
  const bytes = new Uint8Array(6 + body.length + trailer.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, type, true);
  view.setUint32(2, size, true);
  bytes.set(body, 6);
  bytes.set(trailer, 6 + body.length);
  return bytes;
}

/** Numbers at the edges of what fields can hold. */
const EDGES = [0, 1, 2, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

const DISPLAY_TYPE = 2;
const SURFACE_CREATE = 314;
const GL_SCANOUT = 320;
const GL_DRAW = 321;
/** Sides of large surfaces. */
const SIDES = [1, 640, 1920, 4096, 8192, 16384, 16385];

/** Returns a message that makes the primary surface a large one. */
function largeSurface(random: Random): Uint8Array {
  const body = new Uint8Array(20);
  const side = () => SIDES[random.below(SIDES.length - 2)]!;
  new Uint32Array(body.buffer).set([0, side(), side(), 32, 1]);
  return framed({ type: SURFACE_CREATE, body });
}

/** Returns a message like `seed`, and not like it. */
function mutate(seed: Seed, all: readonly Seed[], random: Random): Uint8Array {
  let { type } = seed;
  let body: Uint8Array = seed.body.slice();
  let size: number | undefined;
  for (let times = 1 + random.below(3); times > 0; times--) {
    const view = new DataView(body.buffer, body.byteOffset, body.length);
    // Heads decide more than pixels do.
    const near = random.below(4) > 0 ? Math.min(body.length, 120) : body.length;
    const place = (width: number) => random.below(Math.max(1, near - width + 1));
    switch (random.below(15)) {
      case 0:
      case 1:
        if (body.length > 0) body[place(1)]! ^= 1 << random.below(8);
        break;
      case 2:
        if (body.length > 0) body[place(1)] = random.below(256);
        break;
      case 3:
        if (body.length >= 2) view.setUint16(place(2), edge(random), true);
        break;
      case 4:
      case 5:
      case 6:
        if (body.length >= 4) view.setUint32(place(4), edge(random), true);
        break;
      case 7: { // one more or less
        if (body.length < 4) break;
        const at = place(4);
        view.setUint32(at, view.getUint32(at, true) + (random.below(2) ? 1 : -1), true);
        break;
      }
      case 8: // a link or a count that has to do with this message, a loop among them
        if (body.length >= 4) {
          const at = place(4);
          view.setUint32(at, [at, random.below(body.length), body.length][random.below(3)]!, true);
        }
        break;
      case 9:
        body = body.subarray(0, random.below(body.length + 1));
        break;
      case 10: { // bytes that are too many
        const longer = new Uint8Array(body.length + 1 + random.below(200));
        longer.set(body);
        for (let i = body.length; i < longer.length; i++) longer[i] = random.below(256);
        body = longer;
        break;
      }
      case 11: { // the head of this and the tail of another
        const { body: other } = all[random.below(all.length)]!;
        const head = random.below(body.length + 1);
        const tail = random.below(other.length + 1);
        const spliced = new Uint8Array(head + Math.min(tail, MAX_SEED_BYTES));
        spliced.set(body.subarray(0, head));
        spliced.set(other.subarray(other.length - (spliced.length - head)), head);
        body = spliced;
        break;
      }
      case 12: // another message's layout
        type = random.below(3) ? all[random.below(all.length)]!.type : random.below(330);
        break;
      case 14: // a large surface, and a draw on all of it
        if (type === SURFACE_CREATE && body.length >= 12 && random.below(4) === 0) {
          view.setUint32(4, SIDES[random.below(SIDES.length)]!, true);
          view.setUint32(8, SIDES[random.below(SIDES.length)]!, true);
        } else if (type !== SURFACE_CREATE && body.length >= 20) {
          for (const [at, side] of [[4, 0], [8, 0], [12, 16384], [16, 16384]] as const) {
            view.setUint32(at, side, true);
          }
        }
        break;
      case 13: // a header that lies: what follows is read as something else
        if (random.below(8) === 0) size = edge(random) % (body.length + 100);
        else if (random.below(40) === 0) size = edge(random);
        break;
    }
  }
  return framed({ type, body }, size ?? body.length);
}

function edge(random: Random): number {
  const kind = random.below(4);
  if (kind === 0) return random.below(2048);
  if (kind === 1) return random.next();
  return EDGES[random.below(EDGES.length)]!;
}

/** Collects what was recorded, and what each channel's messages are for. */
async function loadTargets(decoders: ImageDecoders): Promise<Map<number, Target>> {
  const table = (messages: Parameters<typeof routes>[0], maxBytes: number): ChannelSetup => ({
    ...{ type: 0, caps: [], maxBytes },
    routes: () =>
      routes(
        messages,
        Object.fromEntries(Object.values(messages).map((it) => [it.name, () => {}])),
      ),
  });
  const setups: Readonly<Record<number, () => ChannelSetup>> = {
    1: () =>
      mainSetup(
        { onSession() {}, onChannels() {}, onMouseMode() {}, onName() {}, onMigrate() {} },
        (link) => new SpiceAgent().handlers(link),
      ),
    2: () =>
      displaySetup({
        takesCompression: true,
        gl: true,
        onDisplay: (link) => ({
          ...new GuestDisplay({ decoders }).handlers(link),
          gl_scanout_unix: () => void link.takeFd()?.[Symbol.dispose](),
          gl_draw: () => link.send(DISPLAY_REQUESTS.gl_draw_done, {}),
        }),
      }),
    3: () => table(INPUTS_MESSAGES, INPUTS_MAX_BYTES),
    4: () => cursorSetup(() => new GuestCursor().handlers()),
    9: () => table(PORT_MESSAGES, PORT_MAX_BYTES),
    10: () => table(PORT_MESSAGES, PORT_MAX_BYTES),
  };
  const targets = new Map(
    Object.entries(setups).map(([type, setup]) => [Number(type), { setup, seeds: [] as Seed[] }]),
  );
  for (const name of recordingNames()) {
    const recording = await readRecording(name);
    for (const [number, { type }] of recording.head.connections.entries()) {
      const target = targets.get(type);
      if (target === undefined) continue;
      const ofKind = new Map<number, number>();
      for (const seed of messagesOf(recordedChannel(recording, number).messages)) {
        const known = ofKind.get(seed.type) ?? 0;
        if (seed.body.length > MAX_SEED_BYTES || known >= SEEDS_OF_A_KIND) continue;
        ofKind.set(seed.type, known + 1);
        target.seeds.push(seed);
      }
    }
  }
  // No recording has these: they were made without a GPU.
  for (let i = 0; i < SEEDS_OF_A_KIND; i++) targets.get(DISPLAY_TYPE)!.seeds.push(...glSeeds());
  return targets;
}

/** A scanout of 640 × 480 pixels, and a draw on all of it. */
function glSeeds(): Seed[] {
  const body = (...words: number[]) => new Uint8Array(Uint32Array.from(words).buffer);
  return [
    { type: GL_SCANOUT, body: body(640, 480, 2560, 0x3432_5258, 0) },
    { type: GL_DRAW, body: body(0, 0, 640, 480) },
  ];
}

function* messagesOf(bytes: Uint8Array): Generator<Seed> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 6 <= bytes.length;) {
    const end = at + 6 + view.getUint32(at + 2, true);
    if (end > bytes.length) return;
    yield { type: view.getUint16(at, true), body: bytes.slice(at + 6, end) };
    at = end;
  }
}

/** Random numbers that follow from a seed: Mulberry32. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A number of 32 bits. */
  next(): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ this.#state >>> 15, this.#state | 1);
    mixed = (mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61)) ^ mixed;
    return (mixed ^ mixed >>> 14) >>> 0;
  }

  /** A number from 0 up to and without `end`. */
  below(end: number): number {
    return Math.floor(this.next() / 2 ** 32 * end);
  }
}
