/**
 * Our SPICE client beside libspice-client-glib: full-screen updates of 1920×1080 from the same real
 * server, and what a screen costs on which only a cursor blinks.
 *
 * ```text
 * deno run -A tests/bench/spice_bench.ts [--rounds N] [--json]
 * ```
 *
 * Both are programs that draw what comes into memory of their own (`spice_client.ts` here,
 * `tests/rigs/spice_glib_client.c`). They take turns, and begin with another one each round, so
 * that a machine that slows down meanwhile slows both down. Rates are counted by the clients, from
 * half a second into the flood to its end. At the end the picture is compared with the server's.
 */
import { parseArgs } from "@std/cli/parse-args";
import { fromFileUrl, join } from "@std/path";
import { pause, retry } from "../../lib/base/deadline.ts";
import { median, spread } from "./figures.ts";
import { LineClient } from "../e2e/line_client.ts";
import { buildRig, SpicePeer } from "../e2e/spice_peer.ts";

const HERE = fromFileUrl(new URL(".", import.meta.url));
const WIDTH = 1920;
const HEIGHT = 1080;
/** QEMU cuts updates into columns of this many pixels; 0: the whole screen at once. */
const COLUMNS = 32;
const FLOOD_S = 3;
const WARM_UP_MS = 500;
const IDLE_MS = 10_000;
const DEFAULT_ROUNDS = 4;
/** The goals: updates per second beside the library's, and the share of a core when idle. */
const RATE_GOAL = 1;
const IDLE_GOAL = 0.01;

/** Counts of a client since its start. */
interface Counts {
  /** Draws. */
  updates: number;
  /** Received on the display channel. */
  bytes: number;
  /** SHA-256 of the picture; ours only. */
  picture?: string;
}

/** One measurement under a flood. */
interface Rate {
  /** Full screens per second. */
  frames: number;
  /** MB per second on the display channel. */
  megabytes: number;
  /** Processor time of the client per full screen. */
  cpuMsPerFrame: number;
  mostMiB: number;
}

/** A client by the command that starts it on a socket. */
interface Contender {
  name: string;
  command(path: string): readonly [string, ...string[]];
}

/** Floods a fresh client from a fresh server. */
async function flood(contender: Contender, columns: number): Promise<Rate> {
  await using peer = await SpicePeer.start();
  await peer.primary(WIDTH, HEIGHT);
  await using client = await LineClient.start<Counts>(contender.command(pathOf(peer)));
  // The same things happen to both before the clock starts, so that compilers have seen them.
  await peer.command(`flood 0.5 ${columns}`);
  const flooding = peer.command(`flood ${FLOOD_S} ${columns}`);
  await pause(WARM_UP_MS);
  const [before, cpuBefore, start] = [
    await client.ask(),
    await client.cpuMs(),
    performance.now(),
  ];
  await pause(FLOOD_S * 1000 - 2 * WARM_UP_MS);
  const [after, cpuAfter, end] = [await client.ask(), await client.cpuMs(), performance.now()];
  await flooding;
  const seconds = (end - start) / 1000;
  const perFrame = columns > 0 ? Math.ceil(WIDTH / columns) : 1;
  const frames = (after.updates - before.updates) / perFrame;
  await comparePictures(peer, client);
  return {
    frames: frames / seconds,
    megabytes: (after.bytes - before.bytes) / seconds / 1e6,
    cpuMsPerFrame: (cpuAfter - cpuBefore) / frames,
    mostMiB: (await client.memoryMiB()).most,
  };
}

/** Fails unless the client's picture is the server's, as soon as all has come. */
async function comparePictures(peer: SpicePeer, client: LineClient<Counts>): Promise<void> {
  const wanted = await sha256(await peer.expect());
  for (let n = 0; n < 100; n++) {
    const { picture } = await client.ask();
    if (picture === undefined || picture === wanted) return;
    await pause(50);
  }
  throw new Error("Cannot compare: the client's picture is not the server's");
}

async function sha256(words: Uint32Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new Uint32Array(words));
  return new Uint8Array(digest).toHex();
}

function pathOf(peer: SpicePeer): string {
  if (!("path" in peer.target)) throw new Error("Cannot compare over TCP");
  return peer.target.path;
}

/** One measurement of a guest that only blinks. */
interface Idle {
  /** Share of a core. */
  cores: number;
  memoryMiB: number;
}

/** A real QEMU whose firmware found nothing to boot, and lets its cursor blink. */
async function idle(contender: Contender): Promise<Idle> {
  const folder = await Deno.makeTempDir({ prefix: "utmost-bench-" });
  const path = join(folder, "spice.sock");
  await using qemu = new Deno.Command("qemu-system-x86_64", {
    // deno-fmt-ignore
    args: [
      "-machine", "q35", "-accel", "tcg", "-m", "64", "-nodefaults", "-display", "none",
      "-vga", "std",
      "-spice", `unix=on,addr=${path},disable-ticketing=on,image-compression=off,streaming-video=off`,
    ],
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  try {
    await retry("QEMU's SPICE socket", () => Deno.stat(path), {
      timeoutMs: 20_000,
      canSucceedLater: (error) => error instanceof Deno.errors.NotFound,
    });
    await pause(3000); // the firmware gives up
    await using client = await LineClient.start<Counts>(contender.command(path));
    await pause(2000); // attaching is over
    const [before, start] = [await client.cpuMs(), performance.now()];
    await pause(IDLE_MS);
    const cores = (await client.cpuMs() - before) / (performance.now() - start);
    return { cores, memoryMiB: (await client.memoryMiB()).now };
  } finally {
    qemu.kill("SIGKILL");
    await qemu.status;
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  const args = parseArgs(Deno.args, { string: ["rounds"], boolean: ["json"] });
  const rounds = args.rounds === undefined ? DEFAULT_ROUNDS : Number(args.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new RangeError(`Cannot run ${args.rounds} rounds: expected a whole number of at least 1`);
  }
  const library = await buildRig("spice_glib_client");
  const contenders: readonly Contender[] = [
    {
      name: "utmost",
      command: (path) => [Deno.execPath(), "run", "-A", join(HERE, "spice_client.ts"), path],
    },
    { name: "libspice-client-glib", command: (path) => [library, `spice+unix://${path}`] },
  ];
  const modes = [{ name: `columns of ${COLUMNS} pixels`, columns: COLUMNS }, {
    name: "whole screens",
    columns: 0,
  }];

  const results = modes.map(({ name }) => ({
    name,
    rates: contenders.map((): Rate[] => []),
    ratio: NaN,
  }));
  for (let round = 0; round < rounds; round++) {
    for (const [mode, { columns }] of modes.entries()) {
      for (let turn = 0; turn < contenders.length; turn++) {
        const index = (round + turn) % contenders.length;
        results[mode]!.rates[index]!.push(await flood(contenders[index]!, columns));
      }
    }
  }
  for (const result of results) {
    const [ours = [], theirs = []] = result.rates;
    result.ratio = median(ours.map(({ frames }, round) => frames / theirs[round]!.frames));
  }
  const idles: Idle[] = [];
  for (const contender of contenders) idles.push(await idle(contender));

  if (args.json === true) {
    const names = contenders.map(({ name }) => name);
    console.log(
      JSON.stringify({ rounds, goals: { RATE_GOAL, IDLE_GOAL }, names, results, idles }),
    );
  } else {
    console.log(`Full-screen updates of ${WIDTH}×${HEIGHT}, ${rounds} rounds; medians\n`);
    for (const { name, rates, ratio } of results) {
      console.log(`  ${name}`);
      for (const [index, of] of rates.entries()) {
        const per = (pick: (rate: Rate) => number) => median(of.map(pick));
        console.log(
          `    ${contenders[index]!.name.padEnd(24)}` +
            `${spread(of.map(({ frames }) => frames))} per second, ` +
            `${per(({ megabytes }) => megabytes).toFixed(0)} MB/s, ` +
            `${per(({ cpuMsPerFrame }) => cpuMsPerFrame).toFixed(2)} ms of CPU each, ` +
            `${per(({ mostMiB }) => mostMiB).toFixed(0)} MiB at most`,
        );
      }
      console.log(`    times the library: ${ratio.toFixed(2)} (goal: at least ${RATE_GOAL})\n`);
    }
    console.log(`  a text screen with a blinking cursor (QEMU), ${IDLE_MS / 1000} s`);
    for (const [index, { cores, memoryMiB }] of idles.entries()) {
      console.log(
        `    ${contenders[index]!.name.padEnd(24)}${(100 * cores).toFixed(2)} % of a core, ` +
          `${memoryMiB.toFixed(0)} MiB`,
      );
    }
    console.log(`    goal: at most ${100 * IDLE_GOAL} % of a core`);
  }
}
