/** The machine, its chipset's globals, and the helpers of classic Macs. */
import { type Adapting, substitute } from "./adapt_context.ts";
import { isAtLeast, qemuName } from "./adapt_capabilities.ts";
import type { Property, QemuOption } from "./option.ts";

/** QEMU's version from which a machine has a property, where the machine was not asked. */
const SINCE: Readonly<Record<string, readonly [major: number, minor: number]>> = {
  "q800.audiodev": [8, 2],
  "pc.i8042": [7, 0],
  "pc.hpet": [5, 2],
};

/** `-machine`: a machine of this QEMU, with properties that it has. */
export function adaptMachine(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  return options.map((option) => {
    if (option.flag !== "-machine") return option;
    const { name } = at.machine;
    if (name !== option.head) {
      const why = `${qemuName(at.qemu)} does not have that version`;
      substitute(at, "System.Target", option.head ?? "", name, why);
    }
    const properties = (option.properties ?? []).flatMap((it) => machineProperty(it, at));
    return { ...option, head: name, properties };
  });
}

function machineProperty(property: Property, at: Adapting): Property[] {
  const [key, value] = property;
  const accelerated = at.accelerator.name !== "tcg";
  if (key === "virtualization" && accelerated) return []; // of TCG only, and UTM means it so
  if (key === "gic-version" && at.accelerator.name === "kvm") {
    const why = "KVM has the interrupt controller of the host";
    substitute(at, "System.Target", `${key}=${value}`, `${key}=max`, why);
    return [[key, "max"]];
  }
  if (hasMachineProperty(key, at)) return [property];
  const why = `the machine ${at.machine.name} of ${qemuName(at.qemu)} has no such property`;
  substitute(at, "System.Target", `${key}=${value}`, "", why);
  return [];
}

function hasMachineProperty(key: string, { qemu, machine, config }: Adapting): boolean {
  if (qemu.everything) return true;
  const known = qemu.machineProperties[machine.fullName];
  if (known !== undefined) return known.includes(key);
  const x86 = config.system.architecture === "x86_64" || config.system.architecture === "i386";
  const since = SINCE[`${x86 ? "pc" : machine.name}.${key}`];
  return since === undefined || isAtLeast(qemu, ...since);
}

/** `-global` of the chipset: only for the one that the machine has, or QEMU warns. */
export function adaptGlobals(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  const { floppy, pci, ide } = at.buses;
  const chipset = floppy && pci ? "PIIX4_PM." : ide.buses === 6 ? "ICH9-LPC." : undefined;
  return options.filter((option) =>
    option.flag !== "-global" || !/^(PIIX4_PM|ICH9-LPC)\./.test(option.text ?? "") ||
    (chipset !== undefined && option.text?.startsWith(chipset))
  );
}

/**
 * The helpers of classic Macs: drivers that UTM brings along, and the devices which need them. The
 * machines start without.
 */
export function adaptClassicMacs(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  if (at.host.utm !== undefined) return [...options];
  return options.filter((option) => {
    const tablet = option.from === "Input" && option.head?.startsWith("virtio-tablet");
    const helper = option.from === "System.Target" &&
      (option.flag === "-device" || option.flag === "-prom-env");
    if (tablet || helper) {
      const from = option.head ?? option.text ?? "";
      substitute(at, option.from, from, "", "it needs a driver that comes with UTM only");
    }
    return !tablet && !helper;
  });
}
