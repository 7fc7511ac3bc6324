/**
 * What UTM's rules derive from a configuration before they use it: kinds of machines, and what is
 * switched on in the end.
 *
 * Source: UTM 5.0.3, `UTMQemuConfiguration+Arguments.swift` and `QEMUConstant.swift`.
 */
import type { BundleFiles, Config, Drive } from "../utm/model.ts";
import type { Host } from "./host_model.ts";
import type { CommandOptions } from "./launch_options.ts";
import { splitWords } from "../base/words.ts";

/** Physical and logical processors. */
export interface Processors {
  physical: number;
  logical: number;
}

/** Derived facts. */
export interface Facts {
  /** 32- and 64-bit SPARC. */
  sparc: boolean;
  /** A Macintosh Quadra 800. */
  q800: boolean;
  /** A Power Macintosh of the New World. */
  newWorld: boolean;
  /** A PC with the devices of one: `microvm` is none. */
  pc: boolean;
  /** A PC whose IDE buses take one drive each, with ICH9. */
  q35: boolean;
  /** One of QEMU's `virt` machines. */
  virtLike: boolean;
  /** Some display draws by the host's GPU. */
  anyGl: boolean;
  /** The guest runs under the host's hypervisor. */
  hypervisor: boolean;
  /** There is a USB bus. */
  usb: boolean;
  /** The guest may have agents on virtio-serial. */
  agent: boolean;
  /** The SPICE agent is connected. */
  vdagent: boolean;
  /** The firmware enforces Secure Boot. */
  secureBoot: boolean;
  /** A drive replaces the firmware. */
  customBios: boolean;
  /** Drives say at which place they boot. */
  bootIndex: boolean;
  /** What `-smp` gets. */
  processors: Processors;
}

/** What every rule is given. */
export interface RuleInput {
  readonly config: Config;
  readonly files: BundleFiles;
  readonly host: Host;
  readonly options: CommandOptions;
  readonly facts: Facts;
}

const X86 = ["x86_64", "i386"];

/** Architectures without drivers for virtio-serial, so without agents. */
const WITHOUT_AGENT = [
  "avr",
  "m68k",
  "microblaze",
  "microblazeel",
  "ppc",
  "ppc64",
  "rx",
  "sparc",
  "sparc64",
  "tricore",
];

/** Guests whose memory model is as weak as an Arm host's, so that TCG may use several threads. */
const WEAKLY_ORDERED = [
  "alpha",
  "arm",
  "aarch64",
  "avr",
  "mips",
  "mipsel",
  "mips64",
  "mips64el",
  "ppc",
  "ppc64",
  "riscv32",
  "riscv64",
  "xtensa",
  "xtensaeb",
];

/** Whether a display device draws by the host's GPU. */
export function isGl(hardware: string): boolean {
  return hardware.endsWith("-gl") || hardware.includes("-gl-");
}

/** Whether a drive is a disk or a CD, rather than a file that QEMU loads by itself. */
export function isDisk(drive: Drive): boolean {
  return drive.imageType === "Disk" || drive.imageType === "CD";
}

/** Derives the facts; `--accel`, `--cpus` and `--` count as if the configuration said so. */
export function deriveFacts(config: Config, host: Host, options: CommandOptions): Facts {
  const { system, qemu, input, sharing, displays, drives } = config;
  const { architecture, target } = system;
  const x86 = X86.includes(architecture);
  const sparc = architecture === "sparc" || architecture === "sparc64";
  const pc = x86 && (target.startsWith("pc") || target === "q35" || target === "isapc");
  const agent = !WITHOUT_AGENT.includes(architecture) && target !== "isapc";
  return {
    sparc,
    q800: architecture === "m68k" && target === "q800",
    newWorld: (architecture === "ppc" || architecture === "ppc64") && target === "mac99",
    pc,
    q35: pc && (target === "q35" || target.startsWith("pc-q35-")),
    virtLike: target.startsWith("virt"),
    anyGl: displays.some((display) => isGl(display.hardware)),
    hypervisor: usesHypervisor(config, host, options),
    usb: input.usbBusSupport !== "Disabled" && !sparc && architecture !== "s390x" &&
      architecture !== "m68k" && target !== "isapc",
    agent,
    vdagent: agent && (sharing.clipboardSharing || sharing.directoryShareMode === "WebDAV" ||
      displays.some((display) => display.dynamicResolution)),
    secureBoot: qemu.tpmDevice && (x86 || architecture === "aarch64") && target !== "microvm",
    customBios: drives.some((drive) =>
      isDisk(drive)
        ? drive.interface === "PFlash"
        : drive.imageType === "BIOS" || drive.imageType === "LinuxKernel"
    ),
    bootIndex: !((architecture === "ppc" || architecture === "ppc64") &&
      setsBootDevice([...qemu.additionalArguments.flatMap(splitWords), ...options.extraArguments])),
    processors: countProcessors(config, host, options),
  };
}

/**
 * Whether the guest runs under a hypervisor: it is wished for, the architectures are the same, and
 * the host's hypervisor works. Otherwise the rules are those for emulation.
 */
function usesHypervisor(config: Config, host: Host, options: CommandOptions): boolean {
  if (config.system.architecture !== host.architecture) return false;
  const { kvm, hvf } = host.accelerators;
  switch (options.accel) {
    case "auto":
      return config.qemu.hypervisor && (kvm.usable || hvf.usable);
    case "kvm":
      return kvm.usable;
    case "hvf":
      return hvf.usable;
    case "tcg":
      return false;
  }
}

/** Whether Open Firmware is told what to boot, which boot indices would override. */
function setsBootDevice(words: readonly string[]): boolean {
  return words.some((word, index) =>
    word === "-prom-env" && words[index + 1]?.startsWith("boot-device=")
  );
}

/** The processors that the guest gets. */
function countProcessors(config: Config, host: Host, options: CommandOptions): Processors {
  const count = options.cpus ?? config.system.cpuCount;
  if (count > 0) return { physical: count, logical: count };
  const { architecture } = config.system;
  const { cores } = host;
  if (architecture === "sparc" || architecture === "sparc64") return { physical: 1, logical: 1 };
  if (host.architecture !== "aarch64") return cores;
  return WEAKLY_ORDERED.includes(architecture)
    ? { physical: cores.performancePhysical, logical: cores.performanceLogical }
    : { physical: 1, logical: 1 };
}
