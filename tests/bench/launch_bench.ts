/**
 * Launch time, from the exec of Deno to a running guest, beside two floors: C programs that start
 * the same QEMU command, with and without the two SPICE links (`tests/rigs/launch_floor.c`).
 *
 * ```text
 * deno task bench [--rounds N] [--json]
 * ```
 *
 * Every round runs each of them once, in turn and beginning with another one each time, so that a
 * machine that slows down meanwhile slows all of them down. All are measured alike: by the parent's
 * clock, from just before the spawn to the line that says that the guest runs.
 */
import { parseArgs } from "@std/cli/parse-args";
import { dirname, fromFileUrl, join } from "@std/path";
import { median, spread } from "./figures.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
const BUNDLE = "examples/hello.utm";
const FLOOR = "tests/rigs/build/launch_floor";
/** The goal of the project: at most this many times the floor with links. */
const GOAL = 1.5;
const DEFAULT_ROUNDS = 12;
/** A launch that takes longer has failed. */
const PATIENCE_MS = 30_000;

/** A line of the event stream, as far as it is of interest here. */
interface Event {
  t: number;
  event: string;
  to?: string;
  state?: string;
  channel?: string;
}

/** One run of one contender. */
interface Sample {
  /** Milliseconds from the spawn to the line that says "running". */
  wallMs: number;
  /** Marks on the contender's own clock, in order, in milliseconds. */
  marks: [name: string, ms: number][];
}

interface Contender {
  name: string;
  args: readonly [command: string, ...args: string[]];
  /** What a line of its output says: a mark, the end, or nothing of interest. */
  read(line: string): { marks?: Sample["marks"]; done: boolean };
}

/** Starts a contender and measures it; waits until it has gone. */
async function measure({ name, args: [command, ...args], read }: Contender): Promise<Sample> {
  const begin = performance.now();
  const child = new Deno.Command(command, {
    args,
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  const stderr = new Response(child.stderr).text();
  const marks: Sample["marks"] = [];
  let wallMs: number | undefined;
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const now = performance.now() - begin;
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (wallMs !== undefined) continue;
      const said = read(line);
      marks.push(...said.marks ?? []);
      if (said.done) wallMs = now;
    }
  }
  const { code } = await child.status;
  clearTimeout(timer);
  if (wallMs === undefined) {
    throw new Error(`Cannot measure ${name}: it ended with ${code}: ${(await stderr).trim()}`);
  }
  await stderr;
  return { wallMs, marks };
}

/** Marks of the event stream: each state, and each SPICE channel that is up. */
function readEvent(line: string): ReturnType<Contender["read"]> {
  if (!line.startsWith("{")) return { done: false };
  const { t, event, to, state, channel }: Event = JSON.parse(line);
  if (event === "state" && to !== undefined) {
    return { marks: [[to, t]], done: to === "running" };
  }
  if (event === "spice") return { marks: [[`SPICE ${channel} ${state}`, t]], done: false };
  return { marks: event === "launch" || event === "qemu" ? [[event, t]] : [], done: false };
}

/** The one line of `launch_floor`. */
function readFloor(line: string): ReturnType<Contender["read"]> {
  const { greeted, linked, running } = JSON.parse(line);
  return { marks: [["greeted", greeted], ["linked", linked], ["running", running]], done: true };
}

/** The command that `run` uses, with all of its sockets in `folder`. */
async function printedCommand(folder: string): Promise<[binary: string, ...argv: string[]]> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "main.ts", "argv", BUNDLE, "--json"],
    cwd: ROOT,
    stdin: "null",
  }).output();
  if (!success) throw new Error(`Cannot get the command: ${new TextDecoder().decode(stderr)}`);
  const { binary, argv } = JSON.parse(new TextDecoder().decode(stdout));
  const socket = argv.map((arg: string) => /,addr=([^,]+)/.exec(arg)?.[1]).find(Boolean);
  if (socket === undefined) throw new Error(`Cannot compare: ${binary} has no SPICE`);
  return [binary, ...argv.map((arg: string) => arg.replaceAll(dirname(socket), folder))];
}

/** Runs a program to its end, or fails. */
async function run([command = "", ...args]: readonly string[]): Promise<void> {
  const { code } = await new Deno.Command(command, { args, cwd: ROOT, stdin: "null" }).spawn()
    .status;
  if (code !== 0) throw new Error(`Cannot run ${command}: it ended with ${code}`);
}

/** Medians of the marks, in the order in which they came in the first run. */
function medianMarks(samples: readonly Sample[]): [name: string, ms: number][] {
  return (samples[0]?.marks ?? []).map(([name]) => {
    const values = samples.flatMap(({ marks }) => marks.filter((mark) => mark[0] === name));
    return [name, median(values.map(([, ms]) => ms))];
  });
}

/** The phases between marks, a line each. */
function phaseLines(samples: readonly Sample[]): string[] {
  let before = 0;
  return medianMarks(samples).toSorted((a, b) => a[1] - b[1]).map(([name, ms]) => {
    const line = `    ${name.padEnd(24)}${ms.toFixed(1).padStart(8)}${
      `+${(ms - before).toFixed(1)}`.padStart(9)
    }`;
    before = ms;
    return line;
  });
}

if (import.meta.main) {
  const args = parseArgs(Deno.args, { string: ["rounds"], boolean: ["json"] });
  const rounds = args.rounds === undefined ? DEFAULT_ROUNDS : Number(args.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new RangeError(`Cannot run ${args.rounds} rounds: expected a whole number of at least 1`);
  }
  await run(["make", "-s", "-C", "tests/rigs"]);
  const scratch = await Deno.makeTempDir({ prefix: "utmost-bench-" });
  const qemu = await printedCommand(scratch);
  const empty = join(scratch, "empty.ts");
  await Deno.writeTextFile(empty, `console.log("here");\n`);

  const deno = Deno.execPath();
  const product = ["run", "-A", "main.ts", "run", BUNDLE, "--headless", "--serial", "off"];
  const contenders: readonly Contender[] = [
    {
      name: "utmost: exec of deno to running",
      args: [deno, ...product, "--events", "-", "--then", "kill"],
      read: readEvent,
    },
    {
      name: "floor: the same in C",
      args: [join(ROOT, FLOOR), "--", ...qemu],
      read: readFloor,
    },
    {
      name: "floor: in C, without SPICE links",
      args: [join(ROOT, FLOOR), "--no-links", "--", ...qemu],
      read: readFloor,
    },
    {
      name: "deno run of one console.log",
      args: [deno, "run", empty],
      read: () => ({ done: true }),
    },
  ];

  const samples: Sample[][] = contenders.map(() => []);
  try {
    // One round for the caches: Deno's, the host probe's, the kernel's.
    for (const contender of contenders) await measure(contender);
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < contenders.length; turn++) {
        const index = (round + turn) % contenders.length;
        const contender = contenders[index];
        if (contender) samples[index]?.push(await measure(contender));
      }
    }
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }

  const [ours = [], floor = [], bare = []] = samples;
  const ratioTo = (other: readonly Sample[]) =>
    median(ours.map(({ wallMs }, round) => wallMs / (other[round]?.wallMs ?? NaN)));
  const ratios = { withLinks: ratioTo(floor), withoutLinks: ratioTo(bare) };
  if (args.json === true) {
    const results = contenders.map(({ name }, index) => ({ name, samples: samples[index] }));
    console.log(JSON.stringify({ rounds, goal: GOAL, ratios, results }));
  } else {
    console.log(`Launch of ${BUNDLE}, ${rounds} rounds; medians in ms (least to most)\n`);
    for (const [index, { name }] of contenders.entries()) {
      console.log(
        `  ${name.padEnd(34)}${spread((samples[index] ?? []).map(({ wallMs }) => wallMs))}`,
      );
    }
    console.log(`\n  times the floor: ${ratios.withLinks.toFixed(2)} (goal: at most ${GOAL})`);
    console.log(`  times the floor without links: ${ratios.withoutLinks.toFixed(2)}`);
    console.log(`\n  utmost, by its own clock (ms since exec):`);
    for (const line of phaseLines(ours)) console.log(line);
    console.log(`\n  the floor with links, by its own clock (ms since the fork of QEMU):`);
    for (const line of phaseLines(floor)) console.log(line);
  }
}
