/**
 * UTM.app: a QEMU with SPICE and GL scanouts for macOS, whose QEMU and swtpm are libraries. They are
 * not started but opened, by `utmost-qemu-host` (`native/`).
 *
 * Source: the folder of UTM 5.0.3, and its QEMULauncher.
 */
import { HostError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import type { HostAccess } from "./host_access.ts";
import type { Firmware, UtmApp } from "./host_model.ts";

/** A UTM.app that was found; it is of use where there is a `program` to run its libraries. */
export interface FoundUtmApp extends Omit<UtmApp, "program"> {
  /** Absolute path of `utmost-qemu-host`; absent where it is not built. */
  program?: string;
  /** How it was found: `UTMOST_UTM_APP`, or the folder that holds it. */
  from: string;
}

/** What an app has to have: a folder of libraries, and of QEMU's data. */
const FRAMEWORKS = "Contents/Frameworks";
const RESOURCES = "Contents/Resources/qemu";

/** A framework with a QEMU in it. */
const QEMU_FRAMEWORK = /^qemu-([a-z0-9_]+)-softmmu\.framework$/;

/**
 * Finds UTM.app: what `UTMOST_UTM_APP` names, on any system; else, on macOS, where apps are.
 *
 * @returns undefined when there is none.
 * @throws {HostError} when `UTMOST_UTM_APP` names something else.
 */
export function findUtmApp(access: HostAccess): FoundUtmApp | undefined {
  const given = access.env("UTMOST_UTM_APP");
  if (given) {
    const app = access.realPath(given);
    const found = app === undefined ? undefined : readApp(access, app, "UTMOST_UTM_APP");
    if (found !== undefined) return found;
    const what = app === undefined
      ? "there is no such folder"
      : `it has no QEMU in ${FRAMEWORKS}, or no ${RESOURCES}`;
    throw new HostError(`Cannot use UTMOST_UTM_APP ${quoted(given)}: ${what}, expected a UTM.app`, {
      hint: "Name the folder UTM.app itself, or unset the variable",
    });
  }
  if (access.os !== "darwin") return undefined;
  const home = access.env("HOME");
  const folders = ["/Applications", ...(home?.startsWith("/") ? [`${home}/Applications`] : [])];
  for (const folder of folders) {
    const found = readApp(access, `${folder}/UTM.app`, folder);
    if (found !== undefined) return found;
  }
  return undefined;
}

function readApp(access: HostAccess, app: string, from: string): FoundUtmApp | undefined {
  const frameworks = `${app}/${FRAMEWORKS}`;
  const resources = `${app}/${RESOURCES}`;
  const hasQemu = access.list(frameworks).some((name) => QEMU_FRAMEWORK.test(name));
  if (!hasQemu || access.stat(resources)?.kind !== "directory") return undefined;
  // A binary property list has its own format; the version is for people alone.
  const info = access.readText(`${app}/Contents/Info.plist`) ?? "";
  const version = /<key>CFBundleShortVersionString<\/key>\s*<string>([\w.]+)<\/string>/
    .exec(info)?.[1];
  const program = access.hostProgram();
  return {
    app,
    frameworks,
    resources,
    from,
    ...(version === undefined ? {} : { version }),
    ...(program === undefined ? {} : { program }),
  };
}

/** The architectures that an app has a QEMU for, sorted. */
export function utmArchitectures(access: HostAccess, { frameworks }: FoundUtmApp): string[] {
  return access.list(frameworks)
    .flatMap((name) => QEMU_FRAMEWORK.exec(name)?.[1] ?? [])
    .filter((architecture) => qemuLibrary(access, { frameworks }, architecture) !== undefined)
    .sort();
}

/** Path of an app's QEMU for `architecture`; undefined where it has none. */
export function qemuLibrary(
  access: HostAccess,
  { frameworks }: Pick<UtmApp, "frameworks">,
  architecture: string,
): string | undefined {
  return frameworkLibrary(access, frameworks, `qemu-${architecture}-softmmu`);
}

/** Path of an app's swtpm; undefined where it has none. */
export function swtpmLibrary(
  access: HostAccess,
  { frameworks }: Pick<UtmApp, "frameworks">,
): string | undefined {
  return frameworkLibrary(access, frameworks, "swtpm.0");
}

function frameworkLibrary(access: HostAccess, frameworks: string, name: string) {
  const path = `${frameworks}/${name}.framework/Versions/A/${name}`;
  return access.stat(path)?.kind === "file" ? path : undefined;
}

/**
 * The command that runs `file` with `args`: through the host program where it is one of UTM.app's
 * libraries, else as it is.
 */
export function runnable(
  utm: UtmApp | undefined,
  file: string,
  args: readonly string[],
): [program: string, ...args: string[]] {
  return utm !== undefined && file.startsWith(`${utm.frameworks}/`)
    ? [utm.program, "--library", file, "--", ...args]
    : [file, ...args];
}

/** A way to the host on which an app's libraries can be run as if they were programs. */
export function throughHostProgram(access: HostAccess, utm: UtmApp): HostAccess {
  return {
    ...access,
    run(command, args, options) {
      const [program, ...words] = runnable(utm, command, args);
      return access.run(program, words, options);
    },
  };
}

/** How UTM calls the code, and the variables that go with it, by architecture. */
const FIRMWARE: Readonly<Record<string, readonly [code: string, vars: string]>> = {
  arm: ["arm", "arm"],
  aarch64: ["aarch64", "arm"],
  i386: ["i386", "i386"],
  x86_64: ["x86_64", "i386"],
  riscv64: ["riscv", "riscv"],
  loongarch64: ["loongarch64", "loongarch64"],
};

/** Path of UTM's template for the variables of a guest; undefined where there is no UEFI. */
export function utmVariables(
  resources: string,
  architecture: string,
  secure: boolean,
): string | undefined {
  const vars = FIRMWARE[architecture]?.[1];
  return vars && `${resources}/edk2-${vars}${secure ? "-secure" : ""}-vars.fd`;
}

/** The firmware in UTM's resources, as UTM uses it: without System Management Mode. */
export function utmFirmware(
  access: HostAccess,
  resources: string,
  architecture: string,
): Firmware[] {
  const code = FIRMWARE[architecture]?.[0];
  if (code === undefined) return [];
  return [false, true].flatMap((secure): Firmware[] => {
    const path = `${resources}/edk2-${code}${secure ? "-secure" : ""}-code.fd`;
    const vars = utmVariables(resources, architecture, secure);
    const codeBytes = access.stat(path)?.bytes;
    const varsBytes = vars === undefined ? undefined : access.stat(vars)?.bytes;
    if (codeBytes === undefined || vars === undefined || varsBytes === undefined) return [];
    return [{
      source: path,
      architectures: [architecture],
      machines: [],
      code: path,
      codeFormat: "raw",
      codeBytes,
      varsTemplate: vars,
      varsTemplateBytes: varsBytes,
      varsFormat: "raw",
      device: "flash",
      secureBoot: secure,
      requiresSmm: false,
      enrolledKeys: secure,
    }];
  });
}
