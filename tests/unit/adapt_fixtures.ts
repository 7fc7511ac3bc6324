/** Hosts and plans for tests of the host adaptation. */
import { buildPlan } from "../../lib/qemu/adapt.ts";
import type { Host, QemuCapabilities } from "../../lib/qemu/host_model.ts";
import type { CommandOptions, LaunchPlan } from "../../lib/qemu/launch_options.ts";
import type { BundleFiles } from "../../lib/utm/model.ts";
import { config, type ConfigParts, files, options } from "./argv_fixtures.ts";

/** Where the sockets of test plans are. */
export const DIRECTORY = "/run/user/1000/utmost/0badcafe";

/** A QEMU 7.2 with SPICE for x86_64 guests, and `parts`. */
export function qemu(parts: Partial<QemuCapabilities> = {}): QemuCapabilities {
  return {
    binary: "/usr/bin/qemu-system-x86_64",
    version: [7, 2, 22],
    machines: {
      "pc-i440fx-7.2": { alias: "pc", cpuMax: 255 },
      "pc-q35-7.1": { cpuMax: 288 },
      "pc-q35-7.2": { alias: "q35", cpuMax: 288 },
      isapc: { cpuMax: 1 },
      microvm: { cpuMax: 288 },
    },
    cpus: ["max", "host", "qemu64", "Skylake-Client", "Penryn"],
    devices: [
      "VGA",
      "virtio-vga",
      "virtio-vga-gl",
      "virtio-gpu-pci",
      "qxl-vga",
      "e1000",
      "ne2k_isa",
      "virtio-net-pci",
      "virtio-net-device",
      "virtio-serial-pci",
      "virtio-serial-device",
      "virtserialport",
      "virtio-blk-pci",
      "virtio-blk-device",
      "virtio-rng-pci",
      "virtio-rng-device",
      "virtio-balloon-pci",
      "virtio-9p-pci",
      "ide-hd",
      "ide-cd",
      "isa-fdc",
      "floppy",
      "lsi53c895a",
      "scsi-hd",
      "nvme",
      "usb-storage",
      "nec-usb-xhci",
      "usb-tablet",
      "usb-mouse",
      "usb-kbd",
      "usb-redir",
      "intel-hda",
      "hda-duplex",
      "AC97",
      "tpm-tis",
    ],
    deviceProperties: {},
    machineProperties: {},
    spiceOptions: [
      "addr",
      "unix",
      "gl",
      "rendernode",
      "disable-ticketing",
      "image-compression",
      "playback-compression",
      "streaming-video",
    ],
    audiodevs: ["none", "spice", "pa", "alsa"],
    netdevs: ["user", "bridge", "tap"],
    displays: ["none", "gtk"],
    accelerators: ["tcg", "kvm"],
    chardevs: ["socket", "qemu-vdagent"],
    ...parts,
  };
}

/** A Linux host on x86_64 with KVM, and `parts`. */
export function linux(parts: Partial<Host> = {}): Host {
  return {
    os: "linux",
    architecture: "x86_64",
    flavor: "stock",
    cores: { physical: 4, logical: 4, performancePhysical: 4, performanceLogical: 4 },
    memoryMiB: 16384,
    accelerators: {
      kvm: { usable: true, why: "/dev/kvm works" },
      hvf: { usable: false, why: "hvf is of macOS" },
    },
    qemu: qemu(),
    firmware: [],
    renderNodes: ["/dev/dri/renderD128"],
    audio: ["pa"],
    swtpm: "/usr/bin/swtpm",
    ...parts,
  };
}

/** A Mac with Homebrew's QEMU, which has no SPICE, and `parts`. */
export function homebrew(parts: Partial<Host> = {}): Host {
  return linux({
    os: "darwin",
    accelerators: {
      kvm: { usable: false, why: "KVM is of Linux" },
      hvf: { usable: true, why: "hvf works" },
    },
    qemu: qemu({
      version: [9, 2, 0],
      spiceOptions: [],
      audiodevs: ["none", "coreaudio"],
      netdevs: ["user", "vmnet-host", "vmnet-shared", "vmnet-bridged"],
      displays: ["none", "cocoa"],
      accelerators: ["tcg", "hvf"],
    }),
    renderNodes: [],
    audio: ["coreaudio"],
    ...parts,
  });
}

/** What else goes into a plan. */
export interface PlanParts {
  host?: Host;
  options?: Partial<CommandOptions>;
  files?: Partial<BundleFiles>;
  listener?: "qemu" | "supervisor";
  directory?: string;
}

/** The plan for a q35 machine with `parts`, on a Linux host with KVM unless told otherwise. */
export function plan(parts: ConfigParts = {}, more: PlanParts = {}): LaunchPlan {
  const vm = config(parts);
  return buildPlan(vm, files(vm, more.files), more.host ?? linux(), options(more.options), {
    directory: more.directory ?? DIRECTORY,
    listener: more.listener ?? "qemu",
  });
}

/** The arguments of every option called `flag`. */
export function all({ argv }: LaunchPlan, flag: string): string[] {
  return argv.flatMap((word, index) => word === flag ? [argv[index + 1] ?? ""] : []);
}

/** The substitutions as lines, without their reasons. */
export function changes({ substitutions }: LaunchPlan): string[] {
  return substitutions.map(({ key, from, to }) => `${key}: ${from} -> ${to}`);
}
