/** Drives, and files that QEMU loads by itself. */
import { BundleError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import type { Config, Drive, Medium } from "../utm/model.ts";
import { isDisk, type RuleInput } from "./facts.ts";
import type { Property, QemuOption } from "./option.ts";

/** Options that load a file, by image type. */
const LOADED = {
  BIOS: "-bios",
  LinuxKernel: "-kernel",
  LinuxInitrd: "-initrd",
  LinuxDTB: "-dtb",
} as const;

/** Machines besides PCs whose IDE buses take one drive each. */
const ONE_DRIVE_PER_IDE_BUS = ["microvm", "cubieboard", "highbank", "midway", "xlnx-zcu102"];

/** What QEMU opens in place of a disk that has no image: it is empty. */
const EMPTY_DISK: Medium = { path: "/dev/null", format: "raw" };

/** Longest serial number of a virtio disk. Source: virtio specification, 5.2.6. */
const VIRTIO_SERIAL_LENGTH = 20;

/** Counters that go through the list of drives. */
interface Counters {
  /** Places in the boot order. */
  boot: number;
  /** Units of each interface. */
  units: Map<string, number>;
}

/** For each drive its controller, device and image, in the order of the list. */
export function driveOptions(input: RuleInput): QemuOption[] {
  const ids = driveIds(input.config);
  const counters: Counters = { boot: 0, units: new Map() };
  return input.config.drives.flatMap((drive, index) => {
    const medium = input.files.media[index];
    const from = `Drive[${index}]`;
    if (!isDisk(drive)) return loaded(drive, medium, from);
    const id = ids[index] ?? "";
    return [...devices(input, drive, id, from, counters), image(input, drive, id, medium, from)];
  });
}

/**
 * Returns QEMU's id of each drive: `drive` and the identifier, in which characters that QEMU does not
 * allow in an id become `_`.
 *
 * @throws {BundleError} Two disks would have the same id.
 */
export function driveIds(config: Config): string[] {
  const owners = new Map<string, number>();
  return config.drives.map((drive, index) => {
    const id = `drive${drive.identifier.replace(/[^A-Za-z0-9._-]/g, "_")}`;
    const owner = owners.get(id);
    if (isDisk(drive)) {
      if (owner !== undefined) {
        throw new BundleError(
          `Cannot use Drive[${index}].Identifier: it is ${quoted(drive.identifier)} as in ` +
            `Drive[${owner}], expected one of its own`,
        );
      }
      owners.set(id, index);
    }
    return id;
  });
}

/** `-kernel` and the like. */
function loaded(drive: Drive, medium: Medium | undefined, from: string): QemuOption[] {
  const type = drive.imageType;
  if (medium === undefined || type === "None" || type === "Disk" || type === "CD") return [];
  return [{ flag: LOADED[type], text: medium.path, from }];
}

/** The `-device` options of one drive, its controller first where it needs one. */
function devices(
  input: RuleInput,
  drive: Drive,
  id: string,
  from: string,
  counters: Counters,
): QemuOption[] {
  const { config, facts } = input;
  const { architecture } = config.system;
  const unit = counters.units.get(drive.interface) ?? 0;
  const cd = drive.imageType === "CD";
  const link: Property = ["drive", id];
  const device = (head: string, properties: Property[]): QemuOption => ({
    flag: "-device",
    head,
    properties,
    from,
  });
  /** Takes the next place in the boot order, which counts even where it is not written. */
  const boot = (key = "bootindex"): Property[] => {
    const place = counters.boot++;
    return facts.bootIndex ? [[key, String(place)]] : [];
  };
  counters.units.set(drive.interface, unit + 1);
  switch (drive.interface) {
    case "IDE":
      return [device(cd ? "ide-cd" : "ide-hd", [...ideBus(input, drive, unit), link, ...boot()])];
    case "SCSI": {
      const controller = unit === 0 ? scsiController(input) : undefined;
      const own = scsiController(input) !== undefined;
      return [
        ...(controller === undefined ? [] : [device(controller, [["id", "scsi0"]])]),
        device(cd ? "scsi-cd" : "scsi-hd", [
          ["bus", own ? "scsi0.0" : "scsi.0"],
          ["channel", "0"],
          ["scsi-id", String(unit)],
          link,
          ...boot(),
        ]),
      ];
    }
    case "VirtIO": {
      const serial = drive.identifier.replaceAll("-", "").slice(0, VIRTIO_SERIAL_LENGTH);
      return [device(virtioDevice("virtio-blk", architecture), [
        link,
        ["serial", serial],
        ...boot(),
      ])];
    }
    case "NVMe":
      return [device("nvme", [link, ["serial", drive.identifier], ...boot()])];
    case "USB":
      return [device("usb-storage", [
        link,
        ["removable", String(cd || drive.external)],
        ...boot(),
        ...(facts.usb && facts.virtLike ? [["bus", "usb-bus.0"] as const] : []),
      ])];
    case "Floppy":
      if (!facts.pc) return [];
      return [
        device("isa-fdc", [["id", `fdc${unit}`], ...boot("bootindexA")]),
        device("floppy", [["unit", "0"], ["bus", `fdc${unit}.0`], link]),
      ];
    case "SD":
    case "MTD":
    case "PFlash":
    case "None":
      return [];
  }
}

/** The name of a virtio device on the bus that machines of an architecture have. */
export function virtioDevice(name: string, architecture: string): string {
  if (architecture === "s390x") return `${name}-ccw`;
  return architecture === "m68k" ? `${name}-device` : `${name}-pci`;
}

/** Where an IDE drive sits. */
function ideBus({ config, facts }: RuleInput, drive: Drive, unit: number): Property[] {
  const pair: Property[] = [
    ["bus", `ide.${Math.floor(unit / 2)}`],
    ["unit", String(unit % 2)],
  ];
  if (facts.pc && !facts.q35) {
    // UTM gives every drive a bus of its own, but a PC without AHCI has two, for two drives each.
    const drives = config.drives.filter((other) => isDisk(other) && other.interface === "IDE");
    return drives.length > 2 ? pair : [["bus", `ide.${unit}`]];
  }
  const single = facts.pc || ONE_DRIVE_PER_IDE_BUS.includes(config.system.target);
  return drive.interfaceVersion >= 1 && !single ? pair : [["bus", `ide.${unit}`]];
}

/** The SCSI controller to add, or undefined where the machine has one. */
function scsiController({ config, facts }: RuleInput): string | undefined {
  if (facts.sparc) return undefined;
  if (config.system.architecture !== "m68k") return "lsi53c895a";
  return config.system.target === "virt" ? "virtio-scsi-device" : undefined;
}

/** The `-drive` of one drive. */
function image(
  { facts }: RuleInput,
  drive: Drive,
  id: string,
  medium: Medium | undefined,
  from: string,
): QemuOption {
  const cd = drive.imageType === "CD" && drive.interface !== "Floppy";
  const opened = medium ?? (cd ? undefined : EMPTY_DISK);
  const properties: Property[] = [
    ["if", backEnd(drive, facts.pc)],
    ["media", cd ? "cdrom" : "disk"],
    ["id", id],
  ];
  if (opened) properties.push(["format", opened.format], ["file.filename", opened.path]);
  if (drive.readOnly || cd) {
    if (medium) properties.push(["file.locking", "off"]);
    properties.push(["readonly", "on"]);
  } else {
    properties.push(["discard", "unmap"], ["detect-zeroes", "unmap"]);
  }
  return { flag: "-drive", properties, from };
}

/** The interface that a `-drive` names: `none` where a `-device` does. */
function backEnd(drive: Drive, pc: boolean): string {
  switch (drive.interface) {
    case "SD":
    case "MTD":
    case "PFlash":
      return drive.interface.toLowerCase();
    case "Floppy":
      return pc ? "none" : "floppy";
    default:
      return "none";
  }
}
