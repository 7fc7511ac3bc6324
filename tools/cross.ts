/**
 * Builds the native library and `utmost-qemu-host` for every system, checks what the files say of
 * themselves, and runs the C tests of those that can run here: Linux on x86_64 as it is, on arm64 in
 * Debian's `qemu-user`. What is built lies in `.cache/cross` afterwards.
 *
 * `deno task native:cross` calls it. The last line is `cross: N passed, N failed, N skipped`.
 */
import { fromFileUrl, join, relative } from "@std/path";
import { UtmostError } from "../lib/base/errors.ts";
import { SHIM_ABI } from "../ffi/load.ts";
import {
  type Check,
  checkLibrary,
  checkProgram,
  constantOf,
  CROSS_TARGETS,
  type CrossTarget,
  readImage,
  same,
  symbolsOf,
} from "./cross_checks.ts";
import { isPresent } from "./setup.ts";
import { type Counts, parseSummary, sum, verdict } from "./suite_summary.ts";
import { fetchZig, whyNoZigHere, type Zig } from "./zig.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));
const SOURCES = join(ROOT, "native");
const FOLDER = join(ROOT, ".cache/cross");

/** The glibc that tests are built for: they make memfds by a function that 2.17 has not. */
const TEST_GLIBC = "2.28";

/** Where Debian's cross packages put the libraries of arm64. */
const ARM64_ROOT = "/usr/aarch64-linux-gnu";
/** Runs programs for Linux on arm64. */
const RUN_ARM64 = ["qemu-aarch64", "-L", ARM64_ROOT];
const NEEDED_FOR_ARM64 = ["qemu-aarch64", `${ARM64_ROOT}/lib/ld-linux-aarch64.so.1`];

/** Tests that cannot be built or run, and why. */
const LEFT_OUT: Record<CrossTarget["architecture"], Record<string, string>> = {
  x86_64: {
    dmabuf: "zig's linker cannot put the test's own system calls in place of the system's",
  },
  aarch64: {
    dmabuf: "zig's linker cannot put the test's own system calls in place of the system's",
    host: "it starts programs for arm64, which only qemu-user itself can",
    gl: "no Mesa for arm64 is installed",
  },
};

/** Unit tests of what is called through FFI. */
const BINDING_TESTS = ["shim_test.ts", "scanout_test.ts", "fd_connection_test.ts"];

/** Frames that a soak of EGL draws here; `deno task test:native` draws more. */
const SOAK_FRAMES = 300;

function say(line: string): void {
  console.log(`cross: ${line}`);
}

/** Copies a folder, without what has been built in it. */
async function copySources(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (from === SOURCES && name === "build") continue;
    const [source, target] = [join(from, name), join(to, name)];
    await (isDirectory ? copySources(source, target) : Deno.copyFile(source, target));
  }
}

/** What a command printed, and how it ended. */
interface Result {
  code: number;
  output: string;
}

async function run(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Result> {
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    env,
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, output: text(stdout) + text(stderr) };
}

/** `make` in a target's folder. */
function make(
  zig: Zig,
  target: CrossTarget,
  triple: string,
  args: readonly string[],
  runner: string,
) {
  const folder = join(FOLDER, target.triple);
  const variables = [`PLATFORM=${target.platform}`, `CC=${zig.cc(triple)}`, "HOST_SIGN="];
  return run("make", ["-s", "-C", folder, ...variables, ...args], {
    ...zig.env,
    TEST_RUNNER: runner,
  });
}

/** Prints checks, and counts them. */
function report(target: CrossTarget, file: string, checks: readonly Check[]): Counts {
  const faults = checks.filter(({ fault }) => fault !== undefined);
  for (const { what, fault } of faults) say(`FAILED: ${target.triple}: ${file}: ${what}: ${fault}`);
  return { passed: checks.length - faults.length, failed: faults.length, skipped: 0 };
}

/** Builds for one target, and looks at what came of it. */
async function build(zig: Zig, target: CrossTarget): Promise<Counts> {
  const folder = join(FOLDER, target.triple);
  await Deno.remove(folder, { recursive: true }).catch(() => {}); // by another compiler, maybe
  await copySources(SOURCES, folder);
  const extra = target.platform === "linux" ? ["build/print_abi"] : [];
  const { code, output } = await make(zig, target, target.triple, ["all", ...extra], "");
  if (code !== 0) {
    console.log(output.trim());
    return report(target, "native", [{ what: "build", fault: `make ended with ${code}` }]);
  }
  const suffix = target.platform === "darwin" ? "dylib" : "so";
  const name = `libutm_shim.${suffix}`;
  const library = await Deno.readFile(join(folder, "build", name));
  const program = await Deno.readFile(join(folder, "build/utmost-qemu-host"));
  const symbols = symbolsOf(await Deno.readTextFile(join(SOURCES, "utm_shim.h")));
  const counts = sum([
    report(target, name, checkLibrary(readImage(library), target, symbols)),
    report(target, "utmost-qemu-host", checkProgram(readImage(program), target)),
    await checkAbi(target, join(folder, "build", name), library),
  ]);
  say(`${target.triple}: ${counts.passed} checks of ${relative(ROOT, folder)}/build passed`);
  return counts;
}

/** The library's ABI number: asked where it can run, read from its code elsewhere. */
async function checkAbi(target: CrossTarget, path: string, bytes: Uint8Array): Promise<Counts> {
  if (target.platform === "darwin") {
    const abi = constantOf(bytes, "utm_shim_abi");
    return report(target, "ABI, read from the code", [same("number", abi, SHIM_ABI)]);
  }
  const runner = await runnerOf(target);
  if (runner === undefined) return skipped(target, "asking for the ABI number", NO_ARM64);
  const [command, ...args] = [...runner, join(FOLDER, target.triple, "build/print_abi"), path];
  const { output } = await run(command!, args);
  return report(target, "ABI, as it answers", [same("number", output.trim(), `${SHIM_ABI}`)]);
}

const NO_ARM64 = "qemu-user or libc6-arm64-cross is not installed";

/** What is put in front of a program of the target; undefined where it cannot run here. */
async function runnerOf({ architecture }: CrossTarget): Promise<readonly string[] | undefined> {
  if (architecture === "x86_64") return [];
  const present = await Promise.all(NEEDED_FOR_ARM64.map(isPresent));
  return present.includes(false) ? undefined : RUN_ARM64;
}

function skipped(target: CrossTarget, what: string, why: string): Counts {
  say(`skipped: ${target.triple}: ${what}: ${why}`);
  return { passed: 0, failed: 0, skipped: 1 };
}

/** Builds and runs the C tests of a target for Linux. */
async function test(zig: Zig, target: CrossTarget): Promise<Counts> {
  const runner = await runnerOf(target);
  if (runner === undefined) return skipped(target, "C tests", NO_ARM64);
  const leftOut = LEFT_OUT[target.architecture];
  const skips = Object.entries(leftOut).map(([name, why]) =>
    skipped(target, `the tests "${name}"`, why)
  );
  const triple = target.triple.replace(/gnu\.[\d.]+$/, `gnu.${TEST_GLIBC}`);
  const { code, output } = await make(zig, target, triple, [
    "SANITIZE=", // zig brings no AddressSanitizer
    `LEFT_OUT=${Object.keys(leftOut).join(" ")}`,
    `EGL_FRAMES=${SOAK_FRAMES}`,
    `ANGLE=${join(ROOT, ".cache/angle")}`,
    `NEWER_MESA=${join(ROOT, ".cache/mesa-25")}`,
    "test",
  ], runner.join(" "));
  return sum([told({ code, output }), ...skips]);
}

/** Has Deno use the library that was built for this system: the same calls, by another compiler. */
async function testBinding(target: CrossTarget): Promise<Counts> {
  const UTMOST_SHIM = join(FOLDER, target.triple, "build/libutm_shim.so");
  const tests = BINDING_TESTS.map((name) => join(ROOT, "tests/unit", name));
  const env = { UTMOST_SHIM, NO_COLOR: "1" };
  return told(await run(Deno.execPath(), ["test", "-A", "--quiet", ...tests], env));
}

/** Prints what tests have printed, and counts them. */
function told({ code, output }: Result): Counts {
  let counts: Counts | undefined;
  for (const line of output.trim().split("\n")) {
    console.log(line);
    counts = parseSummary(line) ?? counts;
  }
  return verdict(counts, code);
}

if (import.meta.main) {
  const why = whyNoZigHere();
  let total: Counts = { passed: 0, failed: 0, skipped: 0 };
  if (why !== undefined) {
    say(`skipped: ${why}`);
    total.skipped = 1;
  } else {
    try {
      say("fetching zig into .cache, unless it is there (395 MB on disk)");
      const zig = await fetchZig();
      for (const target of CROSS_TARGETS) total = sum([total, await build(zig, target)]);
      for (const target of CROSS_TARGETS.filter(({ platform }) => platform === "linux")) {
        total = sum([total, await test(zig, target)]);
        if (target.architecture === Deno.build.arch) {
          total = sum([total, await testBinding(target)]);
        }
      }
    } catch (error) {
      if (!(error instanceof UtmostError)) throw error;
      say(`FAILED: ${error.message}`);
      total.failed++;
    }
  }
  say(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  Deno.exit(total.failed === 0 ? 0 : 1);
}
