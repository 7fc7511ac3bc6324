/**
 * Six fixed hosts, for `argv --host` and for tests: nothing in them depends on the machine at hand.
 * Import this module only where such a host is asked for; it carries its data with it.
 *
 * - `utm-*`: UTM 5 on macOS 15, where every device is there, and UTM's own line comes out.
 * - `linux-*`: Debian 12 with KVM, SPICE, a render node and Debian's firmware. QEMU's lists were
 *   recorded from Debian's QEMU 7.2 for x86_64 hosts (`tools/record_qemu.ts`), firmware from its
 *   descriptors.
 * - `darwin-*`: Homebrew's QEMU 9.2, derived and not recorded: from the recorded lists, less what
 *   needs Linux, SPICE or virglrenderer, plus what Homebrew's formula and QEMU 8 to 9.2 add.
 */
import { UsageError } from "../base/errors.ts";
import { nearest, quoted } from "../base/text.ts";
import { assumedQemu } from "./adapt_capabilities.ts";
import recordedJson from "./described_qemu.json" with { type: "json" };
import type { Firmware, Host, MachineInfo, QemuCapabilities } from "./host_model.ts";

/** Names that some architectures have in common. */
export interface NamesOf {
  /** Architectures, with spaces between them. */
  of: string;
  /** Lines of names, with spaces between them. */
  names: string[];
}

/** The shape of `described_qemu.json`. */
export interface RecordedQemu {
  version: number[];
  spiceOptions: string[];
  audiodevs: string[];
  netdevs: string[];
  displays: string[];
  chardevs: string[];
  /** Display devices with the property `vgamem_mb`. */
  vgaMemory: string[];
  /** Devices without it. */
  noVgaMemory: string[];
  /** By architecture: lines of `name:cpuMax` or `name:cpuMax:alias`. */
  machines: Record<string, string[]>;
  devices: NamesOf[];
  cpus: NamesOf[];
}

/** The names of the described hosts. */
export const DESCRIBED_HOSTS = [
  "utm-aarch64",
  "utm-x86_64",
  "linux-x86_64",
  "linux-aarch64",
  "darwin-aarch64",
  "darwin-x86_64",
] as const;

/** The name of a described host. */
export type DescribedHost = typeof DESCRIBED_HOSTS[number];

const recorded: RecordedQemu = recordedJson;

/** Memory of each described host in MiB. */
const MEMORY_MIB = 32768;

/**
 * Returns a described host, with its QEMU for guests of `guest`.
 *
 * @param name One of {@linkcode DESCRIBED_HOSTS}.
 * @param guest The guest's architecture, by QEMU's name.
 * @throws {UsageError} There is no such host.
 */
export function describedHost(name: string, guest: string): Host {
  const known = DESCRIBED_HOSTS.find((it) => it === name);
  if (known === undefined) {
    const close = nearest(name, DESCRIBED_HOSTS);
    throw new UsageError(
      `Cannot build for the host ${quoted(name)}: it is not known, ` +
        `expected ${close === undefined ? `one of ${DESCRIBED_HOSTS.join(", ")}` : quoted(close)}`,
    );
  }
  const architecture = known.endsWith("-x86_64") ? "x86_64" : "aarch64";
  const host = baseHost(known, architecture);
  if (known.startsWith("utm-")) return utmHost(host, guest);
  return known.startsWith("linux-") ? linuxHost(host, guest) : darwinHost(host, guest);
}

/** What all of them have in common: four cores without SMT. */
function baseHost(described: DescribedHost, architecture: "x86_64" | "aarch64"): Host {
  const linux = described.startsWith("linux-");
  return {
    described,
    os: linux ? "linux" : "darwin",
    architecture,
    flavor: described.startsWith("utm-") ? "utm" : "stock",
    cores: { physical: 4, logical: 4, performancePhysical: 4, performanceLogical: 4 },
    memoryMiB: MEMORY_MIB,
    accelerators: {
      kvm: linux ? { usable: true, why: "KVM works" } : { usable: false, why: "KVM is Linux's" },
      hvf: linux ? { usable: false, why: "hvf is macOS's" } : { usable: true, why: "hvf works" },
    },
    qemu: null,
    firmware: [],
    renderNodes: linux ? ["/dev/dri/renderD128"] : [],
    audio: linux ? ["pa", "alsa"] : ["coreaudio"],
    swtpm: linux ? "/usr/bin/swtpm" : null,
    swtpmVersion: [0, 7],
  };
}

const UTM_APP = "/Applications/UTM.app/Contents";

function utmHost(host: Host, guest: string): Host {
  const qemu: QemuCapabilities = {
    ...assumedQemu(guest),
    binary:
      `${UTM_APP}/Frameworks/qemu-${guest}-softmmu.framework/Versions/A/qemu-${guest}-softmmu`,
    version: [10, 0, 2],
  };
  return {
    ...host,
    qemu,
    swtpm: `${UTM_APP}/Frameworks/swtpm.0.framework/Versions/A/swtpm.0`,
    resources: `${UTM_APP}/Resources/qemu`,
    // The newest family in UTM's table.
    ...(host.architecture === "x86_64" ? { intelCpuModel: "Icelake-Server" } : {}),
  };
}

function linuxHost(host: Host, guest: string): Host {
  const native = guest === host.architecture ||
    (guest === "i386" && host.architecture === "x86_64") ||
    (guest === "arm" && host.architecture === "aarch64");
  const qemu = recordedQemu(guest);
  return {
    ...host,
    qemu: qemu && { ...qemu, accelerators: native ? ["kvm", "tcg"] : ["tcg"] },
    firmware: DEBIAN_FIRMWARE.filter((it) => it.architectures.includes(guest)),
  };
}

/** The recorded QEMU for an architecture; null where Debian has none. */
function recordedQemu(guest: string): QemuCapabilities | null {
  const machines = Object.hasOwn(recorded.machines, guest) ? recorded.machines[guest] : undefined;
  if (machines === undefined) return null;
  const [major = 0, minor = 0, micro = 0] = recorded.version;
  return {
    binary: `/usr/bin/qemu-system-${guest}`,
    version: [major, minor, micro],
    machines: Object.fromEntries(words(machines).map(readMachine)),
    cpus: namesFor(recorded.cpus, guest),
    devices: namesFor(recorded.devices, guest),
    deviceProperties: Object.fromEntries([
      ...recorded.vgaMemory.map((device) => [device, ["vgamem_mb"]]),
      ...recorded.noVgaMemory.map((device) => [device, []]),
    ]),
    machineProperties: {},
    spiceOptions: recorded.spiceOptions,
    audiodevs: recorded.audiodevs,
    netdevs: recorded.netdevs,
    displays: recorded.displays,
    accelerators: [],
    chardevs: recorded.chardevs,
  };
}

function readMachine(text: string): [string, MachineInfo] {
  const [name = "", cpuMax, alias] = text.split(":");
  return [name, { cpuMax: Number(cpuMax), ...(alias === undefined ? {} : { alias }) }];
}

function namesFor(groups: readonly NamesOf[], architecture: string): string[] {
  return groups
    .filter(({ of }) => of.split(" ").includes(architecture))
    .flatMap(({ names }) => words(names));
}

function words(lines: readonly string[]): string[] {
  return lines.flatMap((line) => line.split(" "));
}

/** Sizes of edk2's images in bytes. */
const OVMF_4M = { codeBytes: 3653632, varsTemplateBytes: 540672 };
const ARM_FLASH = { codeBytes: 67108864, varsTemplateBytes: 67108864 };
const RISCV_FLASH = { codeBytes: 33554432, varsTemplateBytes: 33554432 };

const PLAIN = { secureBoot: false, requiresSmm: false, enrolledKeys: false };
const FLASH = { device: "flash", codeFormat: "raw", varsFormat: "raw" } as const;
const DESCRIPTORS = "/usr/share/qemu/firmware";

/** Debian's packages ovmf, ovmf-ia32, qemu-efi-aarch64 and qemu-efi-arm, in QEMU's order. */
const DEBIAN_FIRMWARE: readonly Firmware[] = [
  {
    source: `${DESCRIPTORS}/40-edk2-x86_64-secure-enrolled.json`,
    architectures: ["x86_64"],
    machines: ["pc-q35-*"],
    code: "/usr/share/OVMF/OVMF_CODE_4M.ms.fd",
    varsTemplate: "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
    ...FLASH,
    ...OVMF_4M,
    secureBoot: true,
    requiresSmm: true,
    enrolledKeys: true,
  },
  {
    source: `${DESCRIPTORS}/50-edk2-i386-secure.json`,
    architectures: ["i386"],
    machines: ["pc-q35-*"],
    code: "/usr/share/OVMF/OVMF32_CODE_4M.secboot.fd",
    varsTemplate: "/usr/share/OVMF/OVMF32_VARS_4M.fd",
    ...FLASH,
    ...OVMF_4M,
    secureBoot: true,
    requiresSmm: true,
    enrolledKeys: false,
  },
  {
    source: `${DESCRIPTORS}/50-edk2-x86_64-secure.json`,
    architectures: ["x86_64"],
    machines: ["pc-q35-*"],
    code: "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd",
    varsTemplate: "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ...FLASH,
    ...OVMF_4M,
    secureBoot: true,
    requiresSmm: true,
    enrolledKeys: false,
  },
  {
    source: `${DESCRIPTORS}/40-edk2-aarch64-secure-enrolled.json`,
    architectures: ["aarch64"],
    machines: ["virt-*"],
    code: "/usr/share/AAVMF/AAVMF_CODE.ms.fd",
    varsTemplate: "/usr/share/AAVMF/AAVMF_VARS.ms.fd",
    ...FLASH,
    ...ARM_FLASH,
    secureBoot: true,
    requiresSmm: false,
    enrolledKeys: true,
  },
  {
    source: `${DESCRIPTORS}/60-edk2-aarch64.json`,
    architectures: ["aarch64"],
    machines: ["virt-*"],
    code: "/usr/share/AAVMF/AAVMF_CODE.fd",
    varsTemplate: "/usr/share/AAVMF/AAVMF_VARS.fd",
    ...FLASH,
    ...ARM_FLASH,
    ...PLAIN,
  },
  {
    source: `${DESCRIPTORS}/60-edk2-arm.json`,
    architectures: ["arm"],
    machines: ["virt-*"],
    code: "/usr/share/AAVMF/AAVMF32_CODE.fd",
    varsTemplate: "/usr/share/AAVMF/AAVMF32_VARS.fd",
    ...FLASH,
    ...ARM_FLASH,
    ...PLAIN,
  },
  {
    source: `${DESCRIPTORS}/60-edk2-x86_64.json`,
    architectures: ["x86_64"],
    machines: ["pc-i440fx-*", "pc-q35-*"],
    code: "/usr/share/OVMF/OVMF_CODE_4M.fd",
    varsTemplate: "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ...FLASH,
    ...OVMF_4M,
    ...PLAIN,
  },
];

/** Releases of QEMU between the recorded one and Homebrew's; each brings machines of its version. */
const LATER_RELEASES = ["8.0", "8.1", "8.2", "9.0", "9.1", "9.2"];

/** Devices that need Linux, SPICE, usbredir or virglrenderer, none of which Homebrew's build has. */
const NOT_ON_DARWIN = /^(vfio|vhost|ivshmem|qxl|usb-redir|ccid|usb-ccid|pvrdma|virtio-.*-gl(-|$))/;

function darwinHost(host: Host, guest: string): Host {
  const qemu = recordedQemu(guest);
  const prefix = host.architecture === "aarch64" ? "/opt/homebrew" : "/usr/local";
  return {
    ...host,
    swtpm: `${prefix}/bin/swtpm`,
    firmware: homebrewFirmware(guest, `${prefix}/share/qemu`),
    qemu: qemu && {
      ...qemu,
      binary: `${prefix}/bin/qemu-system-${guest}`,
      version: [9, 2, 0],
      machines: laterMachines(qemu.machines),
      cpus: qemu.cpus.length === 0 ? [] : [...qemu.cpus, ...(LATER_CPUS[guest] ?? [])],
      devices: [
        ...qemu.devices.filter((device) => !NOT_ON_DARWIN.test(device)),
        ...(qemu.devices.includes("intel-hda") ? ["virtio-sound-pci"] : []),
      ],
      spiceOptions: [],
      audiodevs: ["coreaudio", "none", "wav"],
      netdevs: [
        ...["dgram", "hubport", "socket", "stream", "tap", "user", "vde"],
        ...["vmnet-bridged", "vmnet-host", "vmnet-shared"],
      ],
      displays: ["cocoa", "curses", "none"],
      accelerators: guest === host.architecture ? ["hvf", "tcg"] : ["tcg"],
    },
  };
}

/** CPU models that QEMU 8 to 9.2 add. Source: QEMU's change logs. */
const LATER_CPUS: Readonly<Record<string, string[]>> = {
  aarch64: ["cortex-a55", "cortex-a710", "neoverse-n2", "neoverse-v1"],
  x86_64: ["EPYC-Genoa", "GraniteRapids", "SapphireRapids", "SierraForest"],
};

/** Adds the machines of later releases; the newest has the alias. */
function laterMachines(machines: Record<string, MachineInfo>): Record<string, MachineInfo> {
  const result: Record<string, MachineInfo> = {};
  for (const [name, info] of Object.entries(machines)) {
    const [, family] = /^(.+)-7\.2$/.exec(name) ?? [];
    const { cpuMax } = info;
    if (family === undefined) {
      result[name] = info;
      continue;
    }
    result[name] = { cpuMax };
    for (const release of LATER_RELEASES) result[`${family}-${release}`] = { cpuMax };
    result[`${family}-${LATER_RELEASES.at(-1)}`] = info;
  }
  return result;
}

/** The images that QEMU itself brings along, each with a variable store of its kind. */
function homebrewFirmware(guest: string, folder: string): Firmware[] {
  const image = (
    code: string,
    vars: string,
    sizes: { codeBytes: number; varsTemplateBytes: number },
    secure = false,
  ): Firmware => ({
    source: folder,
    architectures: [guest],
    machines: [],
    code: `${folder}/edk2-${code}-code.fd`,
    varsTemplate: `${folder}/edk2-${vars}-vars.fd`,
    ...FLASH,
    ...sizes,
    secureBoot: secure,
    requiresSmm: secure,
    enrolledKeys: false,
  });
  switch (guest) {
    case "x86_64":
    case "i386":
      return [image(guest, "i386", OVMF_4M), image(`${guest}-secure`, "i386", OVMF_4M, true)];
    case "aarch64":
    case "arm":
      return [image(guest, "arm", ARM_FLASH)];
    case "riscv64":
      return [image("riscv", "riscv", RISCV_FLASH)];
    default:
      return [];
  }
}
