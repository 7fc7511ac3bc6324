/**
 * Packages of Debian's backports, unpacked into `.cache`: beside what is installed, with no change to
 * the system's apt, and without root.
 */
import { join } from "@std/path";
import { HostError } from "../lib/base/errors.ts";

/** Where Debian keeps the libraries of this architecture, below the root of a package. */
export const LIBRARIES = "usr/lib/x86_64-linux-gnu";

const RELEASE = "bookworm";
/** Where the archive is, if the system's own lists do not tell. */
const DEFAULT_ARCHIVE = "http://deb.debian.org/debian";

/**
 * Why a host cannot have what these backports have, or undefined where it can.
 *
 * @param osRelease The text of `/etc/os-release`.
 */
export function whyNoBackports(osRelease: string, architecture: string): string | undefined {
  const value = (key: string) => new RegExp(`^${key}="?([^"\n]*)"?$`, "m").exec(osRelease)?.[1];
  if (value("ID") !== "debian" || value("VERSION_ID") !== "12") {
    const name = value("PRETTY_NAME") ?? "this system";
    return `${name} is not Debian 12, whose backports have it`;
  }
  return architecture === "x86_64" ? undefined : `it is for x86_64, and this host is not`;
}

/** Why this very host cannot have them, or undefined where it can. */
export async function whyNoBackportsHere(): Promise<string | undefined> {
  const osRelease = await Deno.readTextFile("/etc/os-release").catch(() => "");
  return whyNoBackports(osRelease, Deno.build.arch);
}

/** Whether all of `files`, relative to `folder`, are there. */
export async function hasFiles(folder: string, files: readonly string[]): Promise<boolean> {
  const there = files.map((file) => Deno.stat(join(folder, file)));
  return (await Promise.allSettled(there)).every(({ status }) => status === "fulfilled");
}

/**
 * The archive's address among the lines that `apt-get indextargets --format '$(SITE) $(CODENAME)'`
 * prints: a mirror of the user's is taken again.
 */
export function archiveOf(indexTargets: string): string {
  for (const line of indexTargets.split("\n")) {
    const [site, codename] = line.split(" ");
    if (site !== undefined && codename === RELEASE) return site;
  }
  return DEFAULT_ARCHIVE;
}

/** What is fetched. */
export interface Backport {
  /** What it is, for errors. */
  what: string;
  packages: readonly string[];
  /** The root of the packages, once it is complete. */
  folder: string;
  /** A command to start it with: its path below the folder, and its text. */
  wrapper: { path: string; text: string };
  /** Arguments for the wrapper, with which it ends well if all is right. */
  check: readonly string[];
}

/**
 * Fetches and unpacks; a run that is cut short leaves nothing that counts as there.
 *
 * @throws {HostError} when apt or dpkg fails.
 */
export async function fetchBackport(backport: Backport): Promise<void> {
  const work = `${backport.folder}.new`;
  const run = (command: string, args: readonly string[], cwd?: string) =>
    output(backport.what, command, args, cwd);
  await remove(work);
  try {
    for (const folder of ["lists/partial", "archives/partial", "root/bin"]) {
      await Deno.mkdir(join(work, folder), { recursive: true });
    }
    const targets = await run("apt-get", ["indextargets", "--format", "$(SITE) $(CODENAME)"]);
    const sources = join(work, "sources.list");
    await Deno.writeTextFile(
      sources,
      `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ` +
        `${archiveOf(targets)} ${RELEASE}-backports main\n`,
    );
    const options = [
      `Dir::Etc::SourceList=${sources}`,
      "Dir::Etc::SourceParts=-",
      `Dir::State::Lists=${join(work, "lists")}`,
      `Dir::Cache=${work}`,
      "APT::Sandbox::User=", // else root's apt wants the folder open to a user of its own
    ].flatMap((option) => ["-o", option]);
    await run("apt-get", [...options, "-qq", "update"]);
    await run("apt-get", [...options, "-qq", "download", ...backport.packages], work);
    const root = join(work, "root");
    for await (const { name } of Deno.readDir(work)) {
      if (name.endsWith(".deb")) await run("dpkg", ["-x", join(work, name), root]);
    }
    const wrapper = join(root, backport.wrapper.path);
    await Deno.writeTextFile(wrapper, backport.wrapper.text, { mode: 0o755 });
    await run(wrapper, backport.check);
    await remove(backport.folder);
    await Deno.rename(root, backport.folder);
  } finally {
    await remove(work);
  }
}

/** Runs a command in plain English, and returns what it printed. */
async function output(
  what: string,
  command: string,
  args: readonly string[],
  cwd?: string,
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    env: { LC_ALL: "C" },
    stdin: "null",
    ...(cwd === undefined ? {} : { cwd }),
  }).output();
  const decoder = new TextDecoder();
  if (success) return decoder.decode(stdout);
  const last = decoder.decode(stderr).trim().split("\n").at(-1) ?? "";
  throw new HostError(`Cannot fetch ${what}: ${command} failed: ${last}`);
}

async function remove(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error: unknown) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
