/** Finds the QEMU for a guest's architecture. */
import { HostError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import type { HostAccess } from "./host_access.ts";
import type { UtmApp } from "./host_model.ts";
import { findUtmApp, qemuLibrary, utmArchitectures } from "./utm_app.ts";

/** A QEMU binary and how it was found. */
export interface FoundBinary {
  /** Absolute path as it was found, links not followed: QEMU finds its data beside it. */
  path: string;
  /** `--qemu`, `UTMOST_QEMU`, `UTM.app`, `PATH`, or the folder that was tried. */
  from: string;
  /** The app whose library this is. */
  utm?: UtmApp;
}

/** Folders that are tried behind PATH: Homebrew on Apple silicon, on Intel and on Linux. */
const MORE_FOLDERS = ["/opt/homebrew/bin", "/usr/local/bin", "/home/linuxbrew/.linuxbrew/bin"];

/** Where Red Hat keeps its only QEMU, for the processor's own architecture. */
const NATIVE_ONLY = ["/usr/libexec/qemu-kvm", "/usr/bin/qemu-kvm"];

/**
 * Finds the QEMU for guests of `architecture`: `qemu`, else the environment's `UTMOST_QEMU`, else
 * UTM.app's (macOS's only one with SPICE and GL scanouts), else PATH, Homebrew's folders, and for
 * the native architecture Red Hat's `qemu-kvm`.
 *
 * @param qemu What the user gave as `--qemu`: a binary, or a folder with `qemu-system-*`.
 * @returns null when there is none; nothing was given then.
 * @throws {HostError} when what was given is not there or cannot be executed; so for
 * `UTMOST_UTM_APP`.
 */
export function findBinary(
  access: HostAccess,
  architecture: string,
  qemu?: string,
): FoundBinary | null {
  const name = `qemu-system-${architecture}`;
  if (qemu !== undefined) return givenBinary(access, name, qemu, "--qemu");
  const fromEnvironment = access.env("UTMOST_QEMU");
  if (fromEnvironment) return givenBinary(access, name, fromEnvironment, "UTMOST_QEMU");

  const library = findUtmQemu(access, architecture);
  if (library !== undefined) return library;
  for (const folder of (access.env("PATH") ?? "").split(":")) {
    if (!folder.startsWith("/")) continue; // "." would run a file of the folder we happen to be in
    const path = `${folder.replace(/\/+$/, "")}/${name}`;
    if (isProgram(access, path)) return { path, from: "PATH" };
  }
  for (const folder of MORE_FOLDERS) {
    const path = `${folder}/${name}`;
    if (isProgram(access, path)) return { path, from: folder };
  }
  if (architecture === access.architecture) {
    for (const path of NATIVE_ONLY) {
      if (isProgram(access, path)) return { path, from: path };
    }
  }
  return null;
}

/** UTM.app's QEMU, where there is one for the architecture and a program of ours to run it. */
function findUtmQemu(access: HostAccess, architecture: string): FoundBinary | undefined {
  const found = findUtmApp(access);
  if (found === undefined) return undefined;
  const { program, from, ...app } = found;
  const path = qemuLibrary(access, app, architecture);
  if (path === undefined) return undefined;
  if (program !== undefined) return { path, from: "UTM.app", utm: { ...app, program } };
  if (from !== "UTMOST_UTM_APP") return undefined; // doctor says so
  throw new HostError(
    `Cannot run the QEMU of UTMOST_UTM_APP ${quoted(app.app)}: there is no utmost-qemu-host, ` +
      "expected it in native/build",
    { hint: "Build it: deno task native" },
  );
}

/** Finds a program by name in PATH and in Homebrew's folders. */
export function findProgram(access: HostAccess, name: string): string | null {
  const folders = [...(access.env("PATH") ?? "").split(":"), ...MORE_FOLDERS];
  for (const folder of folders) {
    const path = `${folder.replace(/\/+$/, "")}/${name}`;
    if (path.startsWith("/") && isProgram(access, path)) return path;
  }
  return null;
}

/** The architectures that have a QEMU on this host, sorted. */
export function findArchitectures(access: HostAccess, qemu?: string): string[] {
  const given = qemu ?? (access.env("UTMOST_QEMU") || undefined);
  const folders = given !== undefined
    ? [access.stat(given)?.kind === "directory" ? given : given.replace(/\/[^/]*$/, "") || "."]
    : [
      ...(access.env("PATH") ?? "").split(":").filter((it) => it.startsWith("/")),
      ...MORE_FOLDERS,
    ];
  const names = new Set<string>();
  for (const folder of folders) {
    for (const name of access.list(folder)) {
      const architecture = /^qemu-system-([a-z0-9_]+)$/.exec(name)?.[1];
      if (architecture !== undefined && isProgram(access, `${folder}/${name}`)) {
        names.add(architecture);
      }
    }
  }
  if (given === undefined) {
    const app = findUtmApp(access);
    if (app?.program !== undefined) utmArchitectures(access, app).forEach((it) => names.add(it));
  }
  if (given === undefined && NATIVE_ONLY.some((path) => isProgram(access, path))) {
    names.add(access.architecture);
  }
  return [...names].sort();
}

function givenBinary(
  access: HostAccess,
  name: string,
  given: string,
  option: string,
): FoundBinary {
  const hint = `Give the path of ${name}, or of a folder that holds it`;
  const stat = access.stat(given);
  const cannot = `Cannot use ${option} ${quoted(given)}`;
  if (stat === undefined) {
    throw new HostError(`${cannot}: there is no such file, expected a QEMU binary or a folder`, {
      hint,
    });
  }
  const inFolder = stat.kind === "directory";
  const path = inFolder ? `${given.replace(/\/+$/, "")}/${name}` : given;
  if (inFolder && access.stat(path) === undefined) {
    throw new HostError(`${cannot}: the folder has no ${name}, expected one`, { hint });
  }
  if (!isProgram(access, path)) {
    const what = inFolder ? `${name} in it` : "it";
    throw new HostError(`${cannot}: ${what} cannot be executed, expected a program`, { hint });
  }
  return { path: absolute(access, path), from: option };
}

/** An absolute form of a path that exists, without following a link in its last part. */
function absolute(access: HostAccess, path: string): string {
  if (path.startsWith("/")) return path;
  const slash = path.lastIndexOf("/");
  const folder = access.realPath(slash < 0 ? "." : path.slice(0, slash) || "/");
  const name = path.slice(slash + 1);
  return folder === undefined ? path : `${folder === "/" ? "" : folder}/${name}`;
}

function isProgram(access: HostAccess, path: string): boolean {
  const stat = access.stat(path);
  return stat?.kind === "file" && (stat.mode & 0o111) !== 0;
}

/** Debian's packages that are not called after the architecture. */
const DEBIAN: Record<string, string> = {
  x86_64: "qemu-system-x86",
  i386: "qemu-system-x86",
  arm: "qemu-system-arm",
  aarch64: "qemu-system-arm",
  mips: "qemu-system-mips",
  mipsel: "qemu-system-mips",
  mips64: "qemu-system-mips",
  mips64el: "qemu-system-mips",
  ppc: "qemu-system-ppc",
  ppc64: "qemu-system-ppc",
  sparc: "qemu-system-sparc",
  sparc64: "qemu-system-sparc",
};

/** Fedora's and Arch's packages cover both kinds of x86. */
const X86 = new Set(["x86_64", "i386"]);

/**
 * What to install to get the QEMU for `architecture`: one sentence with the packages of the usual
 * systems.
 */
export function missingQemuHint(architecture: string, os?: "linux" | "darwin"): string {
  if ((os ?? Deno.build.os) === "darwin") {
    return "Install UTM.app, whose QEMU has SPICE and GL scanouts (deno task native builds what " +
      "runs it), or QEMU alone with: brew install qemu. Or name a binary with --qemu";
  }
  const debian = DEBIAN[architecture] ?? "qemu-system-misc";
  const own = X86.has(architecture) ? "qemu-system-x86" : `qemu-system-${architecture}`;
  return `Install ${debian} (Debian, Ubuntu) or ${own} (Fedora, Arch), or name a binary with --qemu`;
}
