/**
 * Runs every test suite, whatever becomes of the one before, and closes with one line for all of
 * them: `N passed, N failed, N skipped`.
 *
 * `deno task test` calls it, after the setup.
 */
import { type Counts, parseSummary, sum, verdict } from "./suite_summary.ts";
import { whyNoZigHere } from "./zig.ts";

/** One suite: a task of `deno.json`. */
interface Suite {
  task: string;
  /** Whether it prints a summary; else it counts as one test, which its exit status decides. */
  summary: boolean;
  /** Minutes after which it is ended and counts as failed. */
  minutes: number;
}

const SUITES: readonly Suite[] = [
  { task: "static", summary: false, minutes: 5 },
  { task: "test:native", summary: true, minutes: 5 },
  ...(whyNoZigHere() === undefined ? [{ task: "native:cross", summary: true, minutes: 10 }] : []),
  { task: "test:unit", summary: true, minutes: 5 },
  { task: "test:e2e", summary: true, minutes: 25 },
];

/** How long a suite's output may stay open once the suite has ended. */
const OUTPUT_GRACE_MS = 5_000;

/** Where lines go: our stdout or stderr. */
type Sink = Pick<typeof Deno.stdout, "writeSync">;

/** Passes a stream on to ours line by line, and hands each line to `see`. */
async function relay(
  from: ReadableStream<Uint8Array<ArrayBuffer>>,
  to: Sink,
  see: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const text of from.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      write(to, `${line}\n`);
      see(line);
    }
  }
  if (rest !== "") write(to, `${rest}\n`);
  see(rest);
}

function write(to: Sink, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) done += to.writeSync(bytes.subarray(done));
}

/** The suite that runs now, for the signal handlers. */
let current: Deno.ChildProcess | undefined;

/** Ends the suite that runs now with everything that it started. */
function endCurrent(): void {
  if (current === undefined) return;
  try {
    Deno.kill(-current.pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Runs one suite. */
async function runSuite({ task, summary, minutes }: Suite): Promise<Counts> {
  console.log(`\n--- ${task}`);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", task],
    env: { NO_COLOR: "1" }, // its lines are read
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true, // a process group of its own, so that all of it can be ended
  }).spawn();
  current = child;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    endCurrent();
  }, minutes * 60_000);

  let counts: Counts | undefined;
  const relays = Promise.all([
    relay(child.stdout, Deno.stdout, (line) => counts = parseSummary(line) ?? counts),
    relay(child.stderr, Deno.stderr, () => {}),
  ]);
  const { code } = await child.status;
  clearTimeout(timer);
  let grace: ReturnType<typeof setTimeout> | undefined;
  const closed = await Promise.race([
    relays.then(() => true),
    new Promise<false>((done) => grace = setTimeout(() => done(false), OUTPUT_GRACE_MS)),
  ]);
  clearTimeout(grace);
  current = undefined;

  if (late) console.log(`--- ${task}: ended after ${minutes} minutes`);
  if (!closed) console.log(`--- ${task}: left a process behind that holds its output open`);
  const own = closed ? counts : undefined; // what is left behind is a failure
  if (!summary) return verdict({ passed: code === 0 ? 1 : 0, failed: 0, skipped: 0 }, code);
  if (counts === undefined) console.log(`--- ${task}: printed no summary`);
  return verdict(own, code);
}

if (import.meta.main) {
  for (const [signal, number] of [["SIGINT", 2], ["SIGTERM", 15]] as const) {
    Deno.addSignalListener(signal, () => {
      endCurrent();
      Deno.exit(128 + number);
    });
  }
  const results: Counts[] = [];
  for (const suite of SUITES) results.push(await runSuite(suite));
  const { passed, failed, skipped } = sum(results);
  console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
  Deno.exit(failed === 0 ? 0 : 1);
}
