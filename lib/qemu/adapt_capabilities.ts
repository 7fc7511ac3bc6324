/** Questions about a QEMU's capabilities, answered the same for probed and described hosts. */
import { HostError } from "../base/errors.ts";
import { nearest, quoted } from "../base/text.ts";
import type { Host, MachineInfo, QemuCapabilities } from "./host_model.ts";

/** Devices that only UTM's fork of QEMU has. Source: UTM's patches to QEMU 10.0. */
const UTM_ONLY: ReadonlySet<string> = new Set([
  "virtio-ramfb",
  "virtio-ramfb-gl",
  "nubus-virtio-mmio",
  "tpm-crb-device",
]);

/** Suffixes that QEMU adds to a virtio alias, by the architecture. Source: system/qdev-monitor.c. */
const ALIAS_SUFFIXES = ["", "-pci", "-ccw", "-device"];

/** Which adapters take `vgamem_mb`, where QEMU was not asked. Source: QEMU 7.2, `-device X,help`. */
const VGAMEM_DEVICES: ReadonlySet<string> = new Set([
  "VGA",
  "secondary-vga",
  "qxl",
  "qxl-vga",
  "vmware-svga",
  "cirrus-vga",
  "isa-vga",
  "isa-cirrus-vga",
  "ati-vga",
]);

/** A QEMU for `architecture` that is not there to be asked: everything is taken for granted. */
export function assumedQemu(architecture: string): QemuCapabilities {
  return {
    binary: `qemu-system-${architecture}`,
    version: [10, 0, 0],
    everything: true,
    machines: {},
    cpus: [],
    devices: [],
    deviceProperties: {},
    machineProperties: {},
    spiceOptions: [],
    audiodevs: [],
    netdevs: [],
    displays: [],
    accelerators: [],
    chardevs: [],
  };
}

/** How this QEMU is called in messages: `QEMU 7.2.22`. */
export function qemuName(qemu: QemuCapabilities): string {
  return `QEMU ${qemu.version.join(".")}`;
}

/** Whether the version is at least `major.minor`. */
export function isAtLeast(qemu: QemuCapabilities, major: number, minor: number): boolean {
  const [ourMajor, ourMinor] = qemu.version;
  return ourMajor > major || (ourMajor === major && ourMinor >= minor);
}

/** Whether `-device name` is there. */
export function hasDevice(qemu: QemuCapabilities, name: string): boolean {
  if (qemu.everything) return !UTM_ONLY.has(name);
  return ALIAS_SUFFIXES.some((suffix) => qemu.devices.includes(name + suffix));
}

/** Whether a list of names, such as audio back ends, holds one; an unasked QEMU has all. */
export function offers(
  qemu: QemuCapabilities,
  list: "audiodevs" | "netdevs" | "displays" | "accelerators" | "chardevs" | "spiceOptions",
  name: string,
): boolean {
  return qemu.everything === true || qemu[list].includes(name);
}

/** Whether a QEMU has a SPICE server; one that was not asked is taken for its system's usual one. */
export function hasSpice(host: Pick<Host, "os">, qemu: QemuCapabilities): boolean {
  return qemu.everything ? host.os === "linux" : qemu.spiceOptions.length > 0;
}

/** Whether a display adapter takes `vgamem_mb`. */
export function takesVgaMemory(qemu: QemuCapabilities, device: string): boolean {
  return qemu.deviceProperties[device]?.includes("vgamem_mb") ?? VGAMEM_DEVICES.has(device);
}

/** A machine of this QEMU. */
export interface FoundMachine {
  /** For `-machine`: what was asked for, or what stands in for it. */
  name: string;
  /** With its version, as firmware descriptors match it. */
  fullName: string;
  info?: MachineInfo;
}

/**
 * Finds a machine by its name or alias; for a version that is not there, the newest of its family.
 *
 * @throws {HostError} when there is nothing of that family.
 */
export function findMachine(qemu: QemuCapabilities, name: string): FoundMachine {
  const exact = Object.hasOwn(qemu.machines, name) ? qemu.machines[name] : undefined;
  if (exact) return { name, fullName: name, info: exact };
  const aliased = Object.entries(qemu.machines).find(([, info]) => info.alias === name);
  if (aliased) return { name, fullName: aliased[0], info: aliased[1] };
  if (qemu.everything) return { name, fullName: name };

  const family = name.replace(/-\d+(\.\d+)+$/, "");
  const relatives = Object.entries(qemu.machines)
    .filter(([candidate]) => candidate.replace(/-\d+(\.\d+)+$/, "") === family)
    .sort(([a], [b]) => compareVersions(b, a));
  const [newest] = relatives;
  if (newest) {
    const [fullName, info] = relatives.find(([, { alias }]) => alias !== undefined) ?? newest;
    return { name: info.alias ?? fullName, fullName, info };
  }
  const names = Object.entries(qemu.machines).flatMap(([full, { alias }]) => alias ?? full);
  const close = nearest(name, names);
  throw new HostError(
    `Cannot make the machine ${quoted(name)} of System.Target: ${qemuName(qemu)} does not have it` +
      (close ? `, expected one like ${quoted(close)}` : ", expected one of its own"),
    { hint: "Install a newer QEMU, or change the machine of the bundle in UTM" },
  );
}

/** Compares names by the version at their end. */
function compareVersions(a: string, b: string): number {
  const numbers = (name: string) => (/[\d.]+$/.exec(name)?.[0] ?? "").split(".").map(Number);
  const [left, right] = [numbers(a), numbers(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
