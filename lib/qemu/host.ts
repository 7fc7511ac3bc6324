/** Probes the machine at hand: what a command line can be built for. */
import { HostError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import { kvmObstacle, tryAccelerator } from "./host_accelerators.ts";
import { type HostAccess, type RunOptions, systemAccess } from "./host_access.ts";
import { findBinary, findProgram, type FoundBinary } from "./host_binaries.ts";
import { cacheFile, programKey, qemuKey, readCache, writeCache } from "./host_cache.ts";
import type { ProbedBinary } from "./host_capabilities.ts";
import { DARWIN_CORE_KEYS, darwinCores, linuxCores } from "./host_cores.ts";
import type { AcceleratorFinding, Firmware, Host, QemuCapabilities } from "./host_model.ts";
import { findAudio, findRenderNodes } from "./host_services.ts";
import { together } from "./together.ts";
import { swtpmLibrary, throughHostProgram, utmFirmware } from "./utm_app.ts";

export { missingQemuHint } from "./host_binaries.ts";

/** How long one question to QEMU may take, on a busy machine. */
const DEFAULT_TIMEOUT_MS = 20_000;

/** How long the trial of an accelerator may take; a working one needs some 50 ms. */
const TRIAL_TIMEOUT_MS = 5_000;

/** What to probe. */
export interface ProbeOptions {
  /** The guest's architecture: the suffix of `qemu-system-…`. */
  architecture: string;
  /** The machine whose properties will be asked for, by name or alias. */
  machine?: string;
  /** `--qemu`: a binary, or a folder with `qemu-system-*`. Without it `UTMOST_QEMU` counts. */
  qemu?: string;
  /** `--rendernode`: the only one that counts, where it is given. */
  renderNode?: string;
  /** Looks for firmware; else {@linkcode Host.firmware} is empty. */
  firmware?: boolean;
  /** Where findings are kept: `places().cache`. */
  cacheDirectory: string;
  signal?: AbortSignal;
  /** Milliseconds for each question to QEMU. */
  timeoutMs?: number;
}

/** What is kept for each QEMU binary. */
interface StoredBinary extends ProbedBinary {
  /** Full names of machines by the names that were asked for; null: this QEMU has none such. */
  machines: Record<string, string | null>;
  /** Trials of accelerators, with the boot they hold for. */
  trials: Record<string, { boot: string; finding: AcceleratorFinding }>;
}

/** What is kept for the host. */
interface StoredHost {
  /** Output of `sysctl`, on macOS. */
  sysctl?: Record<string, string>;
  swtpm?: { key: unknown; version: [number, number] | null };
}

/**
 * Probes this machine for guests of one architecture.
 *
 * What needs a program to be started is kept in the cache, keyed by the program: a second call
 * starts none.
 *
 * @returns A host with `qemu: null` where there is no QEMU for the architecture; see
 * {@linkcode missingQemuHint}.
 * @throws {HostError} when the given QEMU is not there, cannot be executed, or emulates another
 * architecture, and when a QEMU does not answer.
 */
export async function probeHost(
  options: ProbeOptions,
  access: HostAccess = systemAccess(),
): Promise<Host> {
  const { architecture, cacheDirectory, signal, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  signal?.throwIfAborted();
  const run: RunOptions = { timeoutMs, ...(signal && { signal }) };
  const binary = findBinary(access, architecture, options.qemu);
  const renderNodes = findRenderNodes(access, options.renderNode);

  const utm = binary?.utm;
  const asked = utm === undefined ? access : throughHostProgram(access, utm);

  const [system, qemu] = await together(signal, (signal) => [
    probeSystem(access, cacheDirectory, { ...run, signal }),
    binary === null ? null : probeQemu(asked, binary, options, { ...run, signal }),
  ]);
  const tpm = utm === undefined ? undefined : swtpmLibrary(access, utm);
  return {
    os: access.os,
    architecture: access.architecture,
    flavor: "stock",
    cores: access.os === "darwin" ? darwinCores(system.sysctl) : linuxCores(access),
    ...(access.memoryBytes !== undefined &&
      { memoryMiB: Math.floor(access.memoryBytes / (1024 * 1024)) }),
    accelerators: {
      kvm: qemu?.kvm ?? without(kvmObstacle(access, architecture)),
      hvf: hvfFinding(access, architecture, system.sysctl, qemu?.capabilities),
    },
    qemu: qemu?.capabilities ?? null,
    firmware: options.firmware ? await findAllFirmware(access, architecture, binary) : [],
    renderNodes,
    audio: findAudio(access),
    swtpm: tpm ?? system.swtpm,
    ...(tpm === undefined && system.swtpmVersion && { swtpmVersion: system.swtpmVersion }),
    ...(utm && { utm, resources: utm.resources }),
  };
}

/** UTM's firmware, where its QEMU is used, then that of the host. */
async function findAllFirmware(
  access: HostAccess,
  architecture: string,
  binary: FoundBinary | null,
): Promise<Firmware[]> {
  const { findFirmware } = await import("./firmware.ts");
  const { found } = findFirmware(access, architecture, binary?.path);
  const utm = binary?.utm;
  return utm === undefined
    ? found
    : [...utmFirmware(access, utm.resources, architecture), ...found];
}

/** The QEMU at `binary` and whether it can use KVM, from the cache or by asking. */
async function probeQemu(
  access: HostAccess,
  binary: FoundBinary,
  { architecture, machine, cacheDirectory }: ProbeOptions,
  run: RunOptions,
): Promise<{ capabilities: QemuCapabilities; kvm: AcceleratorFinding }> {
  const key = qemuKey(access, binary.path);
  const file = cacheFile(cacheDirectory, key?.path ?? binary.path);
  const cached = readCache<StoredBinary>(access, file, key);
  let changed = cached === undefined;

  const askMachine = machine !== undefined &&
    (cached === undefined || !Object.hasOwn(cached.machines, machine));
  // Loaded where there is something to ask, which is once for each QEMU.
  const ask = cached === undefined || askMachine
    ? await import("./host_capabilities.ts")
    : undefined;
  const [probed, properties] = await together(run.signal, (signal) => [
    cached ?? ask!.probeBinary(access, binary.path, { ...run, signal }),
    askMachine ? ask!.probeMachine(access, binary.path, machine, { ...run, signal }) : undefined,
  ]);
  const stored: StoredBinary = cached ?? { ...probed, machines: {}, trials: {} };
  stored.capabilities.binary = binary.path; // a link to it may have been used the last time
  if (properties !== undefined && machine !== undefined) {
    stored.machines[machine] = properties?.name ?? null;
    if (properties) stored.capabilities.machineProperties[properties.name] = properties.properties;
    changed = true;
  }
  if (binary.from === "--qemu" || binary.from === "UTMOST_QEMU") {
    checkTarget(stored.target, architecture, binary);
  }

  let kvm = without(kvmObstacle(access, architecture));
  if (kvm.usable) {
    const boot = bootId(access);
    const before = stored.trials.kvm;
    if (!stored.capabilities.accelerators.includes("kvm")) {
      kvm = { usable: false, why: "this QEMU has no KVM" };
    } else if (before?.boot === boot) {
      kvm = before.finding;
    } else {
      const timeoutMs = Math.min(run.timeoutMs, TRIAL_TIMEOUT_MS);
      const trial = await tryAccelerator(access, "kvm", binary.path, architecture, {
        ...run,
        timeoutMs,
      });
      kvm = trial.finding;
      if (trial.lasting) {
        stored.trials.kvm = { boot, finding: trial.finding };
        changed = true;
      }
    }
  }
  if (changed && key !== null) writeCache(file, key, stored);
  return { capabilities: stored.capabilities, kvm };
}

function checkTarget(target: string, architecture: string, binary: FoundBinary): void {
  if (target === architecture || target === "") return;
  throw new HostError(
    `Cannot use ${binary.from} ${quoted(binary.path)}: it emulates ${quoted(target)}, ` +
      `expected ${architecture}`,
    { hint: `Give the path of qemu-system-${architecture}, or of a folder that holds it` },
  );
}

/** What belongs to the host and needs a program to be found out. */
interface System {
  sysctl: Map<string, string>;
  swtpm: string | null;
  swtpmVersion: [number, number] | null;
}

async function probeSystem(
  access: HostAccess,
  cacheDirectory: string,
  run: RunOptions,
): Promise<System> {
  const file = `${cacheDirectory}/host.json`;
  const key = { os: access.osRelease };
  const stored = readCache<StoredHost>(access, file, key) ?? {};
  let changed = false;

  const swtpm = findProgram(access, "swtpm");
  const swtpmKey = swtpm === null ? null : programKey(access, swtpm);
  const [sysctl, version] = await together(run.signal, (signal) => [
    access.os !== "darwin" || stored.sysctl !== undefined
      ? undefined
      : readSysctl(access, { ...run, signal }),
    swtpm === null || JSON.stringify(stored.swtpm?.key) === JSON.stringify(swtpmKey)
      ? undefined
      : readSwtpmVersion(access, swtpm, { ...run, signal }),
  ]);
  if (sysctl !== undefined) [stored.sysctl, changed] = [sysctl, true];
  if (version !== undefined) [stored.swtpm, changed] = [{ key: swtpmKey, version }, true];
  if (changed) writeCache(file, key, stored);
  return {
    sysctl: new Map(Object.entries(stored.sysctl ?? {})),
    swtpm,
    swtpmVersion: swtpm === null ? null : stored.swtpm?.version ?? null,
  };
}

/** `sysctl` fails as a whole when one name is unknown, but prints the others. */
async function readSysctl(access: HostAccess, run: RunOptions): Promise<Record<string, string>> {
  const names = ["kern.hv_support", ...DARWIN_CORE_KEYS];
  const result = await access.run("/usr/sbin/sysctl", names, run).catch(() => null);
  const values: Record<string, string> = {};
  for (const match of (result?.stdout ?? "").matchAll(/^([\w.]+):\s*(.*)$/gm)) {
    const [, name, value] = match;
    if (name !== undefined && value !== undefined) values[name] = value.trim();
  }
  return values;
}

async function readSwtpmVersion(
  access: HostAccess,
  swtpm: string,
  run: RunOptions,
): Promise<[number, number] | null> {
  const result = await access.run(swtpm, ["--version"], run).catch(() => null);
  return parseSwtpmVersion(result?.stdout ?? "");
}

/** Reads `TPM emulator version 0.7.1, Copyright …`. */
export function parseSwtpmVersion(text: string): [number, number] | null {
  const match = /version (\d+)\.(\d+)/.exec(text);
  return match && [Number(match[1]), Number(match[2])];
}

/** Hypervisor.framework needs no trial: the kernel says whether it is there. */
function hvfFinding(
  access: HostAccess,
  guest: string,
  sysctl: Map<string, string>,
  qemu: QemuCapabilities | undefined,
): AcceleratorFinding {
  if (access.os !== "darwin") return { usable: false, why: "hvf is macOS's" };
  if (guest !== access.architecture) { // QEMU's hvf has no 32-bit guests
    return {
      usable: false,
      why: `this ${access.architecture} processor cannot run ${guest} guests by itself`,
    };
  }
  if (sysctl.get("kern.hv_support") !== "1") {
    return { usable: false, why: "the kernel says that it has no hypervisor (kern.hv_support)" };
  }
  if (qemu !== undefined && !qemu.accelerators.includes("hvf")) {
    return { usable: false, why: "this QEMU has no hvf" };
  }
  return { usable: true, why: "the kernel has a hypervisor (kern.hv_support)" };
}

/** A finding from what speaks against it. */
function without(obstacle: string | null): AcceleratorFinding {
  return obstacle === null
    ? { usable: true, why: "nothing speaks against it" }
    : { usable: false, why: obstacle };
}

/** Names this boot of the kernel: modules, nesting and rights may be others after the next one. */
function bootId(access: HostAccess): string {
  return access.readText("/proc/sys/kernel/random/boot_id")?.trim() ?? access.osRelease;
}
