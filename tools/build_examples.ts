/**
 * Builds the guests of `examples/` from `examples/src` with GNU binutils, byte for byte the same on
 * every host, and writes those that changed into their bundles.
 *
 * Run by `deno task examples`; with `--check` it writes nothing and fails where an image differs.
 */
import { parseArgs } from "@std/cli/parse-args";
import { fromFileUrl, join } from "@std/path";
import { HostError, UtmostError } from "../lib/base/errors.ts";

/** One guest: where it comes from, what builds it, where it goes. */
export interface Example {
  /** The assembler source, relative to `examples/src`. */
  source: string;
  /** The linker script, relative to `examples/src`. */
  script: string;
  /** The image, relative to `examples`. */
  image: string;
  /** Prefixes of the cross tools that will do, first found first: Debian's, then Homebrew's. */
  toolchains: readonly string[];
  /** Flags of the assembler. */
  assemblerFlags: readonly string[];
  /** Flags of the linker. */
  linkerFlags: readonly string[];
  /** The packages with these tools: Debian's and Homebrew's. */
  packages: { debian: string; homebrew: string };
}

/** Every guest that is built here. */
export const EXAMPLES: readonly Example[] = [
  {
    source: "hello_x86.S",
    script: "hello_x86.ld",
    image: "hello.utm/Data/hello.img",
    toolchains: ["x86_64-linux-gnu-", "x86_64-elf-"],
    assemblerFlags: ["--32"],
    linkerFlags: ["-m", "elf_i386"],
    packages: { debian: "binutils-x86-64-linux-gnu", homebrew: "x86_64-elf-binutils" },
  },
  {
    source: "hello_arm64.S",
    script: "hello_arm64.ld",
    image: "hello-arm64.utm/Data/hello.img",
    toolchains: ["aarch64-linux-gnu-", "aarch64-elf-"],
    assemblerFlags: [],
    linkerFlags: [],
    packages: { debian: "binutils-aarch64-linux-gnu", homebrew: "aarch64-elf-binutils" },
  },
];

/** The folder `examples` of this checkout. */
export const EXAMPLES_DIR: string = fromFileUrl(new URL("../examples", import.meta.url));

/**
 * Builds one guest in a temporary folder that is gone afterwards.
 *
 * @returns The bytes of the image.
 * @throws {HostError} No assembler and linker for the guest's architecture is installed.
 * @throws {UtmostError} The source does not build; the message has the tool's own words.
 */
export async function buildExample(example: Example): Promise<Uint8Array<ArrayBuffer>> {
  const source = join(EXAMPLES_DIR, "src", example.source);
  const script = join(EXAMPLES_DIR, "src", example.script);
  const prefix = await findToolchain(example);
  const folder = await Deno.makeTempDir({ prefix: "utmost-examples-" });
  try {
    const object = join(folder, "guest.o");
    const linked = join(folder, "guest.elf");
    const image = join(folder, "guest.img");
    await runTool(`${prefix}as`, [...example.assemblerFlags, "-o", object, source]);
    await runTool(`${prefix}ld`, [...example.linkerFlags, "-T", script, "-o", linked, object]);
    // ld for Arm refuses to write anything but ELF.
    await runTool(`${prefix}objcopy`, ["-O", "binary", linked, image]);
    return await Deno.readFile(image);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The first prefix whose assembler starts. */
async function findToolchain(example: Example): Promise<string> {
  for (const prefix of example.toolchains) {
    try {
      await runTool(`${prefix}as`, ["--version"]);
      return prefix;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  const names = example.toolchains.map((prefix) => `${prefix}as`).join(" or ");
  const { debian, homebrew } = example.packages;
  throw new HostError(`Cannot build ${example.source}: there is no assembler, expected ${names}`, {
    hint: `Install ${debian} (Debian) or ${homebrew} (Homebrew).`,
  });
}

/** Runs a tool to its end; its own words become the error. */
async function runTool(tool: string, args: string[]): Promise<void> {
  // A fixed locale and epoch: nothing of this host may reach the image.
  const env = { LC_ALL: "C", SOURCE_DATE_EPOCH: "0" };
  const { success, stderr } = await new Deno.Command(tool, { args, env, stdout: "null" }).output();
  if (success) return;
  const words = new TextDecoder().decode(stderr).trim();
  throw new UtmostError(`Cannot build the examples: ${tool} failed: ${words}`, 1);
}

/** Whether two images are the same. */
function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Builds every guest; returns the images that differ from the committed ones. */
async function main(check: boolean): Promise<string[]> {
  const changed: string[] = [];
  for (const example of EXAMPLES) {
    const path = join(EXAMPLES_DIR, example.image);
    const built = await buildExample(example);
    const committed = await Deno.readFile(path).catch((error: unknown) => {
      if (error instanceof Deno.errors.NotFound) return new Uint8Array();
      throw error;
    });
    if (equalBytes(built, committed)) continue;
    changed.push(example.image);
    if (!check) await Deno.writeFile(path, built, { mode: 0o644 });
  }
  return changed;
}

if (import.meta.main) {
  const check = parseArgs(Deno.args, { boolean: ["check"] }).check === true;
  try {
    const changed = await main(check);
    for (const image of changed) console.log(`${check ? "differs" : "built"}: examples/${image}`);
    if (changed.length === 0) console.log("examples: up to date");
    Deno.exit(check && changed.length > 0 ? 1 : 0);
  } catch (error) {
    if (!(error instanceof UtmostError)) throw error;
    console.error(error.message);
    if (error.hint !== undefined) console.error(error.hint);
    Deno.exit(error.exitCode);
  }
}
