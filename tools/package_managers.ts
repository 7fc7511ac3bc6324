/** The two package managers that `tools/setup.ts` can drive. */
import { HostError } from "../lib/base/errors.ts";

/** What setup asks of a package manager. */
export interface PackageManager {
  /** What it is called. */
  name: string;
  /** Those of `packages` that it can install. */
  known(packages: readonly string[]): Promise<Set<string>>;
  /** Whether it has lists at all; a fresh container's apt has none. */
  hasLists(): Promise<boolean>;
  /** Fetches its lists anew. */
  update(): Promise<void>;
  /** The download and the disk space that `packages` take, in its own words, if it tells. */
  size(packages: readonly string[]): Promise<string | undefined>;
  /** Installs `packages`, its output going to ours. Asks nothing. */
  install(packages: readonly string[]): Promise<void>;
}

/** Nobody sees a prompt of apt's: it must not come up. Its words are read, so they are English. */
const QUIET = { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C", HOMEBREW_NO_AUTO_UPDATE: "1" };

/** Runs a command and returns what it printed; a failure is not an error here. */
async function output(command: string, args: readonly string[]): Promise<string> {
  const { stdout } = await new Deno.Command(command, {
    args: [...args],
    env: QUIET,
    stdin: "null",
    stderr: "null",
  }).output();
  return new TextDecoder().decode(stdout);
}

/**
 * Runs a command whose output is for the person at the terminal.
 *
 * @throws {HostError} It failed.
 */
async function run(command: string, args: readonly string[]): Promise<void> {
  const { code } = await new Deno.Command(command, { args: [...args], env: QUIET, stdin: "null" })
    .spawn().status;
  if (code === 0) return;
  throw new HostError(`Cannot run ${[command, ...args].join(" ")}: it ended with status ${code}`);
}

/** Whether a command is there and ends well. */
async function succeeds(command: string, ...args: string[]): Promise<boolean> {
  try {
    const options = { args, stdin: "null", stdout: "null", stderr: "null" } as const;
    return (await new Deno.Command(command, options).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Reads "Need to get 12.3 MB of archives." and the line after it in apt-get's plan. */
export function aptSize(plan: string): string | undefined {
  // "Need to get 1,234 kB/56.7 MB of archives" when part of it is in apt's cache already.
  const download = /^Need to get ([\d.,]+ \w+)/m.exec(plan)?.[1];
  const disk = /^After this operation, ([\d.,]+ \w+) of additional disk space/m.exec(plan)?.[1];
  if (download === undefined) return undefined;
  return `${download} to download` + (disk === undefined ? "" : `, ${disk} on disk`);
}

/** Reads the packages with a candidate out of what `apt-cache policy` prints. */
export function aptCandidates(policy: string): Set<string> {
  const known = new Set<string>();
  for (const [, name, candidate] of policy.matchAll(/^(\S+):\n.*\n\s+Candidate: (\S+)/gm)) {
    if (name !== undefined && candidate !== "(none)") known.add(name);
  }
  return known;
}

/** Lists are files with `_Packages` in their names, compressed or not. */
async function aptHasLists(): Promise<boolean> {
  for await (const { name } of Deno.readDir("/var/lib/apt/lists")) {
    if (name.includes("_Packages")) return true;
  }
  return false;
}

/** apt-get, as root or through sudo. */
function apt(become: readonly string[]): PackageManager {
  const get = (...args: string[]): [string, string[]] => {
    // Another apt (a first-boot service, a colleague) may hold the lock for a while.
    // Through env, because sudo drops the variable.
    const [command = "env", ...rest] = [...become, "env", "DEBIAN_FRONTEND=noninteractive"];
    return [command, [...rest, "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", "-y", ...args]];
  };
  return {
    name: "apt-get",
    known: async (packages) => aptCandidates(await output("apt-cache", ["policy", ...packages])),
    hasLists: aptHasLists,
    update: () => run(...get("update")),
    size: async (packages) =>
      aptSize(
        await output("apt-get", ["install", "--no-install-recommends", "--assume-no", ...packages]),
      ),
    // Recommended packages are left out: for QEMU they are a desktop's worth of libraries.
    install: (packages) =>
      run(...get("-o", "Dpkg::Use-Pty=0", "install", "--no-install-recommends", ...packages)),
  };
}

/** Homebrew. */
const brew: PackageManager = {
  name: "brew",
  known: (packages) => Promise.resolve(new Set(packages)), // brew install says what it lacks
  hasLists: () => Promise.resolve(true),
  update: () => run("brew", ["update", "--quiet"]),
  size: () => Promise.resolve(undefined),
  install: (packages) => run("brew", ["install", ...packages]),
};

/**
 * The package manager of this host, ready to install.
 *
 * @throws {HostError} There is none, or it may not be used; the message says which.
 */
export async function packageManager(): Promise<PackageManager> {
  if (Deno.build.os === "darwin") {
    if (await succeeds("brew", "--version")) return brew;
    throw new HostError("there is no Homebrew here", { hint: "Homebrew is at https://brew.sh." });
  }
  if (!await succeeds("apt-get", "--version")) throw new HostError("there is no apt-get here");
  if (Deno.uid() === 0) return apt([]);
  // Without a terminal sudo must not ask for a password; with one it may.
  if (await succeeds("sudo", "-n", "true")) return apt(["sudo", "-n"]);
  if (Deno.stdin.isTerminal() && await succeeds("sudo", "--version")) return apt(["sudo"]);
  throw new HostError("apt-get needs root, and sudo is not there or asks for a password");
}
