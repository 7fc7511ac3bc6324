/** What this host offers, for `doctor`: data for scripts, and findings with a hint each for people. */
import type { ShimOrigin } from "../../ffi/find.ts";
import type { Places } from "../base/places.ts";
import { LONGEST_SOCKET_PATH } from "../base/socket_path.ts";
import { findFirmware, type FirmwareFault } from "./firmware.ts";
import { guardCommand, type GuardKind } from "./guard.ts";
import { probeHost } from "./host.ts";
import { kvmHint } from "./host_accelerators.ts";
import type { HostAccess } from "./host_access.ts";
import { findArchitectures, findProgram, missingQemuHint } from "./host_binaries.ts";
import { displayFindings, type GlReport, reportGl } from "./host_report_display.ts";
import type { AcceleratorFinding, Firmware, Host, QemuCapabilities } from "./host_model.ts";
import { findUtmApp, qemuLibrary } from "./utm_app.ts";

/** One thing that was looked at. */
export interface Finding {
  /** A heading: `QEMU`, `firmware`. */
  topic: string;
  /** `missing`: something cannot be done; `note`: it is done in a lesser way. */
  status: "ok" | "note" | "missing";
  /** One clause. */
  text: string;
  /** What to do about it. */
  hint?: string;
}

/** One QEMU. */
export interface QemuReport {
  architecture: string;
  binary: string | null;
  version: [number, number, number] | null;
  spice: boolean;
  /** SPICE takes `gl=on`, and there is a device that draws with OpenGL. */
  spiceGl: boolean;
  accelerators: string[];
  /** Why it cannot be used; null when it can. */
  error: string | null;
}

/** Everything that `doctor` says; `--json` prints it as it is. */
export interface HostReport {
  host: Pick<Host, "os" | "architecture" | "cores" | "memoryMiB">;
  qemu: QemuReport[];
  /** For guests of the processor's own architecture. */
  accelerators: Record<"kvm" | "hvf", AcceleratorFinding>;
  firmware: { architecture: string; found: Firmware[]; faults: FirmwareFault[] }[];
  /** UTM.app; null where there is none. */
  utmApp: UtmAppReport | null;
  renderNodes: string[];
  /** With the QEMU for the processor's own architecture. */
  gl: GlReport;
  audio: string[];
  swtpm: { path: string; version: [number, number] | null } | null;
  /** How children are tied to us, and the program for it where one is used. */
  guard: { kind: GuardKind; setpriv: string | null };
  nativeShim: ShimReport;
  runtime: RuntimeReport;
  findings: Finding[];
}

/** The native library, which takes GL scanouts. */
export interface ShimReport {
  /** Whether it opens, and fits this utmost. */
  present: boolean;
  /** Null where it is not used. */
  path: string | null;
  /** What led to it; null where it is not used. */
  from: ShimOrigin | null;
  /** The number of its interface; null where it is not used. */
  abi: number | null;
  /** Why it is not used; null where it is. */
  why: string | null;
  /** What to do about that, where something is known. */
  hint?: string;
}

/** A UTM.app. */
export interface UtmAppReport {
  path: string;
  version: string | null;
  /** Whether its QEMU is the one in use. */
  used: boolean;
  /** Why not; null where it is. */
  why: string | null;
}

/** The folder for sockets. */
export interface RuntimeReport {
  path: string;
  exists: boolean;
  /** Octal, such as `0700`; null when it does not exist yet. */
  mode: string | null;
  /** Bytes of the longest socket path in it, and the most that this system takes. */
  longestPathBytes: number;
  pathLimitBytes: number;
}

/** What to report on. */
export interface ReportOptions {
  /** `--qemu`. */
  qemu?: string;
  places: Places;
  /** What was found of the native shim. */
  nativeShim?: ShimReport;
  signal?: AbortSignal;
}

/** Guests that UEFI firmware is looked for. */
const FIRMWARE_ARCHITECTURES = ["x86_64", "aarch64"];

/** The longest name below an instance's folder, whose own name has 8 digits. */
const LONGEST_SOCKET = "/00000000/org.qemu.guest_agent";

/** How many QEMUs are asked at a time. */
const AT_ONCE = 4;

/**
 * Looks at everything that a launch may need.
 *
 * @throws {HostError} when the QEMU that was given cannot be used.
 */
export async function reportHost(access: HostAccess, options: ReportOptions): Promise<HostReport> {
  const { qemu, places, signal } = options;
  const nativeShim = options.nativeShim ?? noShim("it was not looked for");
  const probe = (architecture: string) =>
    probeHost({
      architecture,
      cacheDirectory: places.cache,
      ...(qemu !== undefined && { qemu }),
      ...(signal && { signal }),
    }, access);

  const architectures = findArchitectures(access, qemu);
  const reports: QemuReport[] = [];
  let native: Host | null = null;
  for (let index = 0; index < architectures.length; index += AT_ONCE) {
    const some = architectures.slice(index, index + AT_ONCE);
    const results = await Promise.allSettled(some.map(probe));
    signal?.throwIfAborted();
    results.forEach((result, offset) => {
      const architecture = some[offset] ?? "";
      if (result.status === "rejected") reports.push(brokenQemu(architecture, result.reason));
      else {
        reports.push(qemuReport(architecture, result.value.qemu));
        if (architecture === access.architecture) native = result.value;
      }
    });
  }
  // Without a QEMU of the processor's own architecture the rest of the host can still be seen.
  const host: Host = native ?? await probeHost({
    architecture: access.architecture,
    cacheDirectory: places.cache,
    ...(signal && { signal }),
  }, access);
  const binary = reports.find((it) => it.binary !== null)?.binary ?? undefined;
  const setpriv = findProgram(access, "setpriv");
  const { os, architecture, cores, memoryMiB } = host;
  const report: HostReport = {
    host: { os, architecture, cores, ...(memoryMiB !== undefined && { memoryMiB }) },
    qemu: reports,
    accelerators: host.accelerators,
    firmware: FIRMWARE_ARCHITECTURES.map((it) => ({
      architecture: it,
      ...findFirmware(access, it, binary),
    })),
    utmApp: reportUtmApp(access, host),
    renderNodes: host.renderNodes,
    gl: reportGl(access, host, nativeShim),
    audio: host.audio,
    swtpm: host.swtpm === null ? null : { path: host.swtpm, version: host.swtpmVersion ?? null },
    guard: { kind: guardCommand("/bin/sh", []).kind, setpriv },
    nativeShim,
    runtime: runtimeReport(access, places.runtime),
    findings: [],
  };
  report.findings = findingsOf(report, access);
  return report;
}

/** What is reported where the native shim cannot be used. */
export function noShim(why: string, hint?: string): ShimReport {
  return {
    ...{ present: false, path: null, from: null, abi: null, why },
    ...(hint === undefined ? {} : { hint }),
  };
}

function reportUtmApp(access: HostAccess, host: Host): UtmAppReport | null {
  const found = findUtmApp(access);
  if (found === undefined) return null;
  const used = host.utm?.app === found.app;
  const why = used
    ? null
    : found.program === undefined
    ? "utmost-qemu-host, which runs it, is not built"
    : qemuLibrary(access, found, host.architecture) === undefined
    ? `it has no QEMU for ${host.architecture}`
    : "another QEMU was named";
  return { path: found.app, version: found.version ?? null, used, why };
}

function qemuReport(architecture: string, qemu: QemuCapabilities | null): QemuReport {
  return {
    architecture,
    binary: qemu?.binary ?? null,
    version: qemu?.version ?? null,
    spice: (qemu?.spiceOptions.length ?? 0) > 0,
    spiceGl: (qemu?.spiceOptions.includes("gl") ?? false) &&
      (qemu?.devices.some((name) => /-gl(-|$)/.test(name)) ?? false),
    accelerators: qemu?.accelerators ?? [],
    error: null,
  };
}

function brokenQemu(architecture: string, reason: unknown): QemuReport {
  return {
    ...qemuReport(architecture, null),
    error: reason instanceof Error ? reason.message : String(reason),
  };
}

function runtimeReport(access: HostAccess, path: string): RuntimeReport {
  const stat = access.stat(path);
  return {
    path,
    exists: stat !== undefined,
    mode: stat === undefined ? null : stat.mode.toString(8).padStart(4, "0"),
    longestPathBytes: new TextEncoder().encode(path + LONGEST_SOCKET).length,
    pathLimitBytes: LONGEST_SOCKET_PATH[access.os],
  };
}

/** The findings that follow from a report, in the order in which they are printed. */
export function findingsOf(report: HostReport, access: Pick<HostAccess, "env">): Finding[] {
  return [
    ...qemuFindings(report),
    ...utmAppFindings(report),
    acceleratorFinding(report),
    ...report.firmware.flatMap(firmwareFindings),
    ...displayFindings(report),
    soundFinding(report),
    tpmFinding(report),
    guardFinding(report),
    ...runtimeFindings(report, access),
  ];
}

/** QEMUs of one folder, version and kind in one line each. */
function qemuFindings({ host, qemu }: HostReport): Finding[] {
  const groups = new Map<string, string[]>();
  const findings: Finding[] = [];
  for (const { architecture, binary, version, error } of qemu) {
    if (error !== null) {
      findings.push({
        topic: "QEMU",
        status: "missing",
        text: `${architecture}: ${error}`,
        hint: `Reinstall it. ${missingQemuHint(architecture, host.os)}`,
      });
    } else if (binary !== null && version !== null) {
      const group = `${version.join(".")} in ${binary.replace(/\/[^/]*$/, "") || "/"}`;
      groups.set(group, [...groups.get(group) ?? [], architecture]);
    }
  }
  for (const [group, architectures] of groups) {
    findings.push({ topic: "QEMU", status: "ok", text: `${group}: ${architectures.join(", ")}` });
  }
  if (!qemu.some((it) => it.architecture === host.architecture)) {
    findings.push({
      topic: "QEMU",
      status: qemu.length === 0 ? "missing" : "note",
      text: `there is no qemu-system-${host.architecture}`,
      hint: missingQemuHint(host.architecture, host.os),
    });
  }
  return findings;
}

function utmAppFindings({ utmApp }: HostReport): Finding[] {
  if (utmApp === null) return [];
  const { path, version, used, why } = utmApp;
  const name = `UTM.app${version === null ? "" : ` ${version}`} at ${path}`;
  if (used) return [{ topic: "UTM", status: "ok", text: `${name}: its QEMU is used` }];
  const isBuilt = !why?.includes("not built");
  return [{
    topic: "UTM",
    status: "note",
    text: `${name} is not used: ${why}`,
    ...(isBuilt ? {} : { hint: "Build it: deno task native" }),
  }];
}

function acceleratorFinding({ host, accelerators }: HostReport): Finding {
  const name = host.os === "darwin" ? "hvf" : "kvm";
  const { usable, why } = accelerators[name];
  const hint = usable ? undefined : kvmHint(why);
  return {
    topic: "accelerator",
    status: usable ? "ok" : "note",
    text: usable ? `${name}: ${why}` : `tcg, not ${name}: ${why}`,
    ...(hint !== undefined && { hint }),
  };
}

function firmwareFindings({ architecture, found, faults }: HostReport["firmware"][number]) {
  const findings: Finding[] = [];
  const plain = found.find((it) => !it.secureBoot && it.device === "flash") ?? found[0];
  findings.push(
    plain !== undefined
      ? { topic: "firmware", status: "ok", text: `UEFI for ${architecture}: ${plain.code}` }
      : {
        topic: "firmware",
        status: "note",
        text: `there is no UEFI firmware for ${architecture}`,
        hint: architecture === "aarch64"
          ? "Install qemu-efi-aarch64 (Debian, Ubuntu) or edk2-aarch64 (Fedora, Arch)"
          : "Install ovmf (Debian, Ubuntu) or edk2-ovmf (Fedora, Arch)",
      },
  );
  const secure = found.some((it) => it.secureBoot);
  findings.push({
    topic: "firmware",
    status: secure ? "ok" : "note",
    text: `Secure Boot for ${architecture}: ${secure ? "yes" : "no firmware for it"}`,
  });
  for (const { source, why } of faults) {
    findings.push({
      topic: "firmware",
      status: "note",
      text: `${source} is ignored: ${why}`,
      hint: "Nothing to do while other firmware is found",
    });
  }
  return findings;
}

function soundFinding({ audio }: HostReport): Finding {
  return audio.length > 0
    ? { topic: "sound", status: "ok", text: audio.join(", ") }
    : { topic: "sound", status: "note", text: "no sound server and no sound card is there" };
}

function tpmFinding({ swtpm, host }: HostReport): Finding {
  if (swtpm === null) {
    return {
      topic: "TPM",
      status: "note",
      text: "there is no swtpm: guests with a TPM cannot start",
      hint: host.os === "darwin" ? "Install it with: brew install swtpm" : "Install swtpm",
    };
  }
  const version = swtpm.version?.join(".") ?? "of unknown version";
  return { topic: "TPM", status: "ok", text: `swtpm ${version} at ${swtpm.path}` };
}

function guardFinding({ guard }: HostReport): Finding {
  const text: Record<GuardKind, string> = {
    native: "QEMU ends with its supervisor, by utmost-qemu-host",
    setpriv: `QEMU ends with its supervisor, by ${guard.setpriv ?? "setpriv"}`,
    shell: "QEMU ends with its supervisor, by a watching shell",
    none: "QEMU may outlive its supervisor",
  };
  return { topic: "guard", status: guard.kind === "none" ? "note" : "ok", text: text[guard.kind] };
}

function runtimeFindings({ runtime }: HostReport, access: Pick<HostAccess, "env">): Finding[] {
  const { path, exists, mode, longestPathBytes, pathLimitBytes } = runtime;
  const hint = "Set XDG_RUNTIME_DIR to a folder of your own with a short path";
  if (longestPathBytes > pathLimitBytes) {
    return [{
      topic: "sockets",
      status: "missing",
      text: `${path} is too long: a socket in it has ${longestPathBytes} bytes, ` +
        `expected at most ${pathLimitBytes}`,
      hint,
    }];
  }
  if (mode !== null && mode !== "0700") {
    return [{
      topic: "sockets",
      status: "note",
      text: `${path} has mode ${mode}, expected 0700: the next run sets it`,
    }];
  }
  const lasting = access.env("XDG_RUNTIME_DIR") ? "" : ", as XDG_RUNTIME_DIR is not set";
  const text = `${path}${exists ? `, mode ${mode}` : ", made when it is needed"}${lasting}; ` +
    `longest path ${longestPathBytes} of ${pathLimitBytes} bytes`;
  return [{ topic: "sockets", status: "ok", text }];
}
