/**
 * A newer QEMU beside the one that Debian 12 installs: the tests compare what both draw. It comes
 * from Debian's own backports, unpacked into `.cache`; nothing is installed, no list of the system's
 * apt changes, and root is not needed.
 */
import { fromFileUrl, join } from "@std/path";
import { HostError } from "../lib/base/errors.ts";

/** Where it is, or would be. */
export const NEWER_QEMU_DIR: string = fromFileUrl(new URL("../.cache/qemu-10", import.meta.url));

/** Its x86 emulator: a wrapper that finds its modules and firmware, for `--qemu`. */
export const NEWER_QEMU: string = join(NEWER_QEMU_DIR, "bin", "qemu-system-x86_64");

const PACKAGES = [
  "qemu-system-x86",
  "qemu-system-common",
  "qemu-system-data",
  "qemu-system-modules-spice",
  "qemu-system-modules-opengl", // virtio-gpu with OpenGL; the module of SPICE needs it, too
  "seabios", // an older one hangs at this QEMU's AHCI
];
/** Where QEMU finds its modules, below its folder. */
const MODULES = "usr/lib/x86_64-linux-gnu/qemu";
const RELEASE = "bookworm";
/** Where the archive is, if the system's own lists do not tell. */
const DEFAULT_ARCHIVE = "http://deb.debian.org/debian";

/**
 * Why this host cannot have it, or undefined where it can.
 *
 * @param osRelease The text of `/etc/os-release`.
 */
export function whyNoNewerQemu(osRelease: string, architecture: string): string | undefined {
  const value = (key: string) => new RegExp(`^${key}="?([^"\n]*)"?$`, "m").exec(osRelease)?.[1];
  if (value("ID") !== "debian" || value("VERSION_ID") !== "12") {
    const name = value("PRETTY_NAME") ?? "this system";
    return `${name} is not Debian 12, whose backports have it`;
  }
  return architecture === "x86_64" ? undefined : `it is for x86_64, and this host is not`;
}

/** Why this very host cannot have it, or undefined where it can. */
export async function whyNoNewerQemuHere(): Promise<string | undefined> {
  const osRelease = await Deno.readTextFile("/etc/os-release").catch(() => "");
  return whyNoNewerQemu(osRelease, Deno.build.arch);
}

/** Whether it is there, with all that it needs. */
export async function hasNewerQemu(): Promise<boolean> {
  const files = [`${MODULES}/ui-opengl.so`, "usr/share/seabios/bios-256k.bin"];
  const there = files.map((file) => Deno.stat(join(NEWER_QEMU_DIR, file)));
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

/** The shell wrapper, which works wherever the folder is. */
const WRAPPER = `#!/bin/sh
root=$(dirname "$(dirname "$(readlink -f "$0")")")
export QEMU_MODULE_DIR="$root/${MODULES}"
share="$root/usr/share"
exec "$root/usr/bin/qemu-system-x86_64" -L "$share/seabios" -L "$share/qemu" "$@"
`;

/**
 * Fetches and unpacks it; a run that is cut short leaves nothing that counts as there.
 *
 * @throws {HostError} when apt or dpkg fails.
 */
export async function fetchNewerQemu(): Promise<void> {
  const work = `${NEWER_QEMU_DIR}.new`;
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
    await run("apt-get", [...options, "-qq", "download", ...PACKAGES], work);
    const root = join(work, "root");
    for await (const { name } of Deno.readDir(work)) {
      if (name.endsWith(".deb")) await run("dpkg", ["-x", join(work, name), root]);
    }
    const wrapper = join(root, "bin", "qemu-system-x86_64");
    await Deno.writeTextFile(wrapper, WRAPPER, { mode: 0o755 });
    await run(wrapper, ["--version"]);
    await remove(NEWER_QEMU_DIR);
    await Deno.rename(root, NEWER_QEMU_DIR);
  } finally {
    await remove(work);
  }
}

async function run(command: string, args: readonly string[], cwd?: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    env: { LC_ALL: "C" },
    stdin: "null",
    ...(cwd === undefined ? {} : { cwd }),
  }).output();
  const decoder = new TextDecoder();
  if (success) return decoder.decode(stdout);
  const last = decoder.decode(stderr).trim().split("\n").at(-1) ?? "";
  throw new HostError(`Cannot fetch a newer QEMU: ${command} failed: ${last}`);
}

async function remove(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error: unknown) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
