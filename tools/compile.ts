/**
 * Makes the single binary `dist/utmost` (or `--output FILE`) with `deno compile`, and compares what
 * it prints with what the sources print.
 *
 * `deno compile` needs denort, the runtime without the tools, of the same Deno version. Where it
 * cannot be had, there is no binary; what can be shown without it is shown all the same: that every
 * module resolves, and that the files which the binary carries get in.
 */
import { parseArgs } from "@std/cli/parse-args";
import { dirname, fromFileUrl, join, relative, resolve } from "@std/path";
import { SHIM_FILE } from "../ffi/find.ts";
import { HostError, UsageError, UtmostError } from "../lib/base/errors.ts";
import { ExitCode } from "../lib/base/exit_code.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));

/** Runs of the binary that must print what the sources print: none of them needs QEMU. */
const PROBES: readonly (readonly string[])[] = [
  ["version"],
  ["help"],
  ["argv", "examples/hello.utm", "--host", "linux-x86_64", "--json"],
];

/** What a command came to. */
interface Result {
  success: boolean;
  stdout: string;
  stderr: string;
}

async function run(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Result> {
  const options: Deno.CommandOptions = { args: [...args], cwd: ROOT, env, stdin: "null" };
  const { success, stdout, stderr } = await new Deno.Command(command, options).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { success, stdout: text(stdout), stderr: text(stderr) };
}

/** The native library, which has another name on each system: relative to ROOT. */
const SHIM = `native/build/${SHIM_FILE}`;

/** Compiles `main.ts` into `output`, which carries {@linkcode embeddedFiles}. */
async function denoCompile(output: string, env: Record<string, string> = {}): Promise<Result> {
  const args = ["compile", "-A", "--include", SHIM, "-o", output, "main.ts"];
  return await run(Deno.execPath(), args, env);
}

/** The files that are put into the binary, relative to ROOT: those of `deno.json`, and the library. */
async function embeddedFiles(): Promise<string[]> {
  const config = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  return [SHIM, ...config.compile.include];
}

/** The modules of ours that `entry` imports, itself among them; absolute paths. */
async function modulesOf(entry: string): Promise<string[]> {
  const { success, stdout, stderr } = await run(Deno.execPath(), ["info", "--json", entry]);
  if (!success) throw new UtmostError(`Cannot compile: ${stderr.trim()}`, ExitCode.defect);
  const { modules } = JSON.parse(stdout) as { modules: { specifier: string }[] };
  return modules.map(({ specifier }) => specifier)
    .filter((specifier) => specifier.startsWith("file:"))
    .map((specifier) => fromFileUrl(specifier));
}

/** The modules that Workers alone import: nothing of `main.ts` brings them in. */
async function workerModules(): Promise<string[]> {
  const ofMain = new Set(await modulesOf("main.ts"));
  const ofWorkers = (await Promise.all((await workers()).map(modulesOf))).flat();
  return [...new Set(ofWorkers)].filter((path) => !ofMain.has(path));
}

/** Every Worker's entry; nothing imports them, so they must be named to get in. */
async function workers(): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of Deno.readDir(join(ROOT, "lib/vm"))) {
    if (name.endsWith("_worker.ts")) found.push(`lib/vm/${name}`);
  }
  return found.sort();
}

/** Whether `bytes` holds `part` somewhere. */
export function holds(bytes: Uint8Array, part: Uint8Array): boolean {
  const first = part[0];
  if (first === undefined) return true;
  for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1)) {
    if (at + part.length > bytes.length) return false;
    let same = 1;
    while (same < part.length && bytes[at + same] === part[same]) same++;
    if (same === part.length) return true;
  }
  return false;
}

/** The innermost cause in an error report of Deno's. */
function innermost(report: string): string {
  const causes = report.replace(/^Stack backtrace:[\s\S]*/m, "").matchAll(/^\s+\d+: (.+)$/gm);
  return [...causes].at(-1)?.[1] ?? report.trim();
}

/**
 * Compiles on top of a stub instead of denort, in a temporary folder, and looks into the result.
 *
 * @returns The files that are in it, beside the modules of `main.ts`.
 * @throws {UtmostError} A module does not resolve, or a file is not in the result.
 */
async function proveContents(): Promise<string[]> {
  const files = await embeddedFiles();
  for (const worker of await workers()) {
    if (files.includes(worker)) continue;
    throw new UtmostError(
      `Cannot compile: ${worker} is not under compile.include of deno.json, expected every Worker`,
      ExitCode.defect,
    );
  }
  const folder = await Deno.makeTempDir({ prefix: "utmost-compile-" });
  try {
    const output = join(folder, "utmost");
    const { success, stderr } = await denoCompile(output, { DENORT_BIN: await stub() });
    if (!success) {
      throw new UtmostError(`Cannot compile: ${stderr.trim()}`, ExitCode.defect);
    }
    const binary = await Deno.readFile(output);
    const modules = (await workerModules()).map((path) => relative(ROOT, path));
    const contents = [...new Set([...files, ...modules])];
    for (const file of contents) {
      if (holds(binary, await Deno.readFile(join(ROOT, file)))) continue;
      throw new UtmostError(`Cannot compile: ${file} is not in the result`, ExitCode.defect);
    }
    return contents;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A small program that stands in for the runtime; macOS keeps it elsewhere. */
async function stub(): Promise<string> {
  for (const path of ["/bin/true", "/usr/bin/true"]) {
    if (await Deno.stat(path).then((info) => info.isFile, () => false)) return path;
  }
  throw new HostError("Cannot prove the module graph: there is no true in /bin or /usr/bin");
}

/**
 * Runs the binary and the sources side by side.
 *
 * @throws {UtmostError} They differ: the binary is a stub, Deno itself, or lacks something.
 */
async function compare(binary: string): Promise<void> {
  for (const args of PROBES) {
    const source = await run(Deno.execPath(), ["run", "-A", "main.ts", ...args]);
    if (!source.success || source.stdout === "") {
      const words = source.stderr.trim();
      throw new UtmostError(`Cannot compare: main.ts ${args[0]} failed: ${words}`, ExitCode.defect);
    }
    const compiled = await run(binary, args);
    if (compiled.success && compiled.stdout === source.stdout) continue;
    throw new UtmostError(
      `Cannot use the result: ${binary} ${args[0]} printed "${compiled.stdout.trim()}", ` +
        `expected what the sources print, "${source.stdout.trim()}"`,
      ExitCode.defect,
      { hint: "Is DENORT_BIN set to something that is not denort?" },
    );
  }
}

/**
 * Has the binary open the native library that it carries.
 *
 * @throws {UtmostError} It does not.
 */
export async function expectShim(binary: string): Promise<void> {
  // Its status tells whether there is a QEMU, which there need not be.
  const { stdout, stderr } = await run(binary, ["doctor", "--json"], { UTMOST_SHIM: "" });
  let shim: { from?: unknown; why?: unknown } | undefined;
  try {
    shim = JSON.parse(stdout).nativeShim;
  } catch { /* it has printed something else */ }
  if (shim?.from === "carried") return;
  throw new UtmostError(
    `Cannot use the result: it does not open the native library that it carries: ` +
      `${shim?.why ?? shim?.from ?? stderr.trim()}`,
    ExitCode.defect,
  );
}

async function compile(binary: string): Promise<void> {
  const native = await run("make", ["-s", "-C", "native"]);
  if (!native.success) {
    throw new HostError(`Cannot build native/: ${native.stderr.trim()}`, {
      hint: "deno task setup installs what it takes.",
    });
  }
  const files = await proveContents();
  console.log(`compile: every module of main.ts resolves; embedded: ${files.join(", ")}`);

  await Deno.mkdir(dirname(binary), { recursive: true });
  const { success, stderr } = await denoCompile(binary);
  if (!success) {
    const { version } = Deno;
    throw new HostError(
      `Cannot make ${binary}: denort ${version.deno} is not to be had: ${innermost(stderr)}`,
      {
        hint: `Let this machine reach https://dl.deno.land, or unpack ` +
          `release/v${version.deno}/denort-${Deno.build.target}.zip of that server ` +
          `and set DENORT_BIN to the file in it.`,
      },
    );
  }
  try {
    await compare(binary);
    await expectShim(binary);
  } catch (error) {
    await Deno.remove(binary);
    throw error;
  }
  const { size } = await Deno.stat(binary);
  console.log(`compile: ${binary}, ${(size / 1e6).toFixed(1)} MB, prints what the sources print`);
}

if (import.meta.main) {
  try {
    const { output } = parseArgs(Deno.args, {
      string: ["output"],
      default: { output: join(ROOT, "dist/utmost") },
      unknown: (arg) => {
        throw new UsageError(`Cannot compile: unknown argument ${arg}, expected --output FILE`);
      },
    });
    await compile(resolve(String(output)));
  } catch (error) {
    if (!(error instanceof UtmostError)) throw error;
    console.error(`compile: ${error.message}`);
    if (error.hint !== undefined) console.error(`compile: ${error.hint}`);
    Deno.exit(error.exitCode);
  }
}
