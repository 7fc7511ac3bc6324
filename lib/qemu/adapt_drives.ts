/** Drives: buses that the machine really has. Formats and pairs of IDE drives come from the rules. */
import { BundleError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import { virtioOn } from "./adapt_buses.ts";
import { type Adapting, indexIn, substitute } from "./adapt_context.ts";
import { property, type QemuOption } from "./option.ts";

/** Controllers and devices of drives, on buses that are there. */
export function adaptDrives(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  let floppies = 0;
  const empty = emptyDrives(options, at);
  return options.flatMap((option): QemuOption[] => {
    if (empty.has(option.from)) return [];
    if (option.flag !== "-device" || indexIn("Drive", option) === undefined) return [option];
    const head = option.head ?? "";
    switch (head) {
      case "isa-fdc":
        return floppyController(option, floppies, at);
      case "floppy":
        return [floppy(option, floppies++, at)];
      case "ide-hd":
      case "ide-cd":
        checkIde(option, at);
        return [option];
      case "lsi53c895a":
        return [scsiController(option, at)];
      case "nvme":
        if (!at.buses.pci) throw noBus(option, "PCI bus", at);
        return [option];
      case "usb-storage":
        if (at.buses.usb === "none") throw noBus(option, "USB bus", at);
        return [option];
    }
    if (!head.startsWith("virtio-blk")) return [option];
    const name = virtioOn(at.buses, head);
    if (name === undefined) throw noBus(option, "place for virtio devices", at);
    return [{ ...option, head: name }];
  });
}

/** The key paths of empty CD drives on VirtIO and NVMe, which have no removable media. */
function emptyDrives(options: readonly QemuOption[], at: Adapting): Set<string> {
  const empty = options.filter((option) => {
    const index = indexIn("Drive", option);
    return index !== undefined && option.flag === "-device" &&
      /^(virtio-blk|nvme)/.test(option.head ?? "") && at.files.media[index] === undefined &&
      at.config.drives[index]?.imageType === "CD";
  });
  for (const { from, head } of empty) {
    substitute(at, from, head ?? "", "", "it is empty, and this interface has no empty drives");
  }
  return new Set(empty.map(({ from }) => from));
}

/**
 * A machine with a floppy controller of its own takes no second one, and the controller that UTM adds
 * for each drive would be at the same ports.
 */
function floppyController(option: QemuOption, unit: number, at: Adapting): QemuOption[] {
  if (unit === 0 && !at.buses.floppy) return [option];
  const place = property(option, "bootindexA");
  if (place === undefined) return [];
  const text = `isa-fdc.bootindex${unit === 0 ? "A" : "B"}=${place}`;
  return [{ flag: "-global", text, from: option.from }];
}

function floppy(option: QemuOption, unit: number, at: Adapting): QemuOption {
  if (unit > 1) {
    throw new BundleError(
      `Cannot attach ${option.from}: it is the third floppy drive, expected at most two`,
      { hint: "Remove a floppy drive from the VM in UTM" },
    );
  }
  const properties = (option.properties ?? []).flatMap((it) => {
    const [key] = it;
    if (key === "unit") return [["unit", String(unit)] as const];
    if (key === "bus") return at.buses.floppy ? [] : [["bus", "fdc0.0"] as const];
    return [it];
  });
  return { ...option, properties };
}

function checkIde(option: QemuOption, at: Adapting): void {
  const { buses, units } = at.buses.ide;
  if (buses === 0) throw noBus(option, "IDE bus", at);
  const bus = Number(/^ide\.(\d+)$/.exec(property(option, "bus") ?? "")?.[1] ?? 0);
  if (bus < buses) return;
  throw new BundleError(
    `Cannot attach ${option.from}: it is IDE drive ${property(option, "bus")}, ` +
      `expected at most ${buses * units} drives on the machine ${quoted(at.machine.name)}`,
    { hint: "Change the drive's interface to VirtIO, SCSI or USB in UTM" },
  );
}

function scsiController(option: QemuOption, at: Adapting): QemuOption {
  if (at.buses.pci && at.buses.virtio === "pci") return option;
  const name = virtioOn(at.buses, "virtio-scsi");
  if (name === undefined) throw noBus(option, "bus for a SCSI controller", at);
  const why = `${at.machine.name} has no PCI bus for it`;
  substitute(at, `${option.from}.Interface`, option.head ?? "", name, why);
  return { ...option, head: name };
}

function noBus({ from }: QemuOption, what: string, { machine, config, buses }: Adapting): Error {
  const index = Number(/\d+/.exec(from)?.[0]);
  const kind = config.drives[index]?.interface ?? "";
  const advice = buses.virtio !== "none" ? "VirtIO" : buses.ide.buses > 0 ? "IDE" : "SCSI or SD";
  return new BundleError(
    `Cannot attach ${from}: its interface is ${kind} and the machine ${quoted(machine.name)} ` +
      `has no ${what}, expected ${advice}${buses.usb === "none" ? "" : " or USB"}`,
    { hint: "Change the drive's interface in UTM" },
  );
}
