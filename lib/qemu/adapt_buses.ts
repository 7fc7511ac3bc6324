/**
 * Which buses a machine has for the devices that UTM adds. QEMU cannot be asked without starting the
 * machine, so this is a table.
 *
 * Source: `info qtree` of every machine of QEMU 7.2, without and with `-usb`. A machine that is not
 * in the table is taken to have what a device asks for: then QEMU's own message decides.
 */

/** Buses of a machine. */
export interface Buses {
  /** What virtio devices sit on; `none`: there is no place for them. */
  virtio: "pci" | "ccw" | "mmio" | "none";
  pci: boolean;
  /** Virtio devices may also sit on transports of the board, besides PCI. */
  mmio?: true;
  /** IDE buses, and how many drives each takes. */
  ide: { buses: number; units: number };
  /** How a bus called `usb-bus` comes about; `none`: not at all. */
  usb: "option" | "controller" | "none";
  /** A floppy controller of its own, even with `-nodefaults`. */
  floppy: boolean;
}

const NO_IDE = { buses: 0, units: 0 };
const PCI: Buses = { virtio: "pci", pci: true, ide: NO_IDE, usb: "controller", floppy: false };
const NOTHING: Buses = { virtio: "none", pci: false, ide: NO_IDE, usb: "none", floppy: false };
const PAIRS = { buses: 2, units: 2 };

/** By family: the machine's name without its version. */
const MACHINES: Readonly<Record<string, Buses>> = {
  pc: { ...PCI, ide: PAIRS, usb: "option", floppy: true },
  "pc-i440fx": { ...PCI, ide: PAIRS, usb: "option", floppy: true },
  q35: { ...PCI, ide: { buses: 6, units: 1 }, usb: "option" },
  "pc-q35": { ...PCI, ide: { buses: 6, units: 1 }, usb: "option" },
  isapc: { ...NOTHING, ide: PAIRS, floppy: true },
  microvm: { ...NOTHING, virtio: "mmio", usb: "option" },
  "s390-ccw-virtio": { ...NOTHING, virtio: "ccw", pci: true },
  pseries: { ...PCI, usb: "option" },
  mac99: { ...PCI, ide: PAIRS, usb: "option" },
  g3beige: { ...PCI, ide: PAIRS, usb: "option" },
  pegasos2: { ...PCI, ide: PAIRS, usb: "option", floppy: true },
  fuloong2e: { ...PCI, ide: PAIRS, usb: "option", floppy: true },
  malta: { ...PCI, ide: PAIRS, usb: "option", floppy: true },
  clipper: { ...PCI, ide: PAIRS, floppy: true },
  sun4u: { ...PCI, ide: PAIRS, floppy: true },
  sun4v: { ...PCI, ide: PAIRS, floppy: true },
  r2d: { ...PCI, ide: { buses: 1, units: 2 }, usb: "option" },
  "sbsa-ref": { ...PCI, ide: { buses: 6, units: 1 }, usb: "option" },
  sam460ex: { ...PCI, usb: "option" },
  "realview-eb": { ...PCI, usb: "option" },
  "realview-eb-mpcore": { ...PCI, usb: "option" },
  versatileab: { ...PCI, usb: "option" },
  versatilepb: { ...PCI, usb: "option" },
  virt: { ...PCI, mmio: true },
  "xlnx-versal-virt": { ...NOTHING, virtio: "mmio", usb: "option" },
  "xlnx-zcu102": { ...NOTHING, ide: { buses: 2, units: 1 }, usb: "option" },
  "vexpress-a9": { ...NOTHING, virtio: "mmio" },
  "vexpress-a15": { ...NOTHING, virtio: "mmio" },
  highbank: { ...NOTHING, ide: { buses: 1, units: 1 } },
  midway: { ...NOTHING, ide: { buses: 1, units: 1 } },
  cubieboard: { ...NOTHING, ide: { buses: 1, units: 1 }, usb: "option" },
  q800: NOTHING,
  "next-cube": NOTHING,
};

/** Boards without PCI and IDE that have USB built in. */
const USB_ONLY =
  /^(raspi\w*|orangepi-pc|sabrelite|imx25-pdk|mcimx6ul-evk|n8[01]0|nuri|smdkc210|\w+(-\w+)*-bmc|ast2[56]00-evb)$/;

/** Boards with none of these buses, or with SCSI of their own only. */
const NO_BUSES =
  /^(SS-\w+|LX|Voyager|SPARC\w+|mps[23]-\w+|musca-\w+|netduino\w*|integratorcp|lm3s\w+|microbit|collie|kzm|musicpal|tosa|stm32vldiscovery|or1k-sim|mipssim|magnum|pica61|ref405ep|virtex-ml507|sifive_\w|shakti_c|spike|opentitan)$/;

/** Architectures of microcontrollers and boards without buses. */
const NO_BUS_ARCHITECTURES = [
  "avr",
  "cris",
  "microblaze",
  "microblazeel",
  "nios2",
  "rx",
  "tricore",
];

/** Returns the buses of a machine, given its name with or without a version. */
export function busesOf(architecture: string, machine: string): Buses {
  const family = machine.replace(/-\d+(\.\d+)+$/, "");
  if (family === "virt" && architecture === "m68k") return { ...NOTHING, virtio: "mmio" };
  if (Object.hasOwn(MACHINES, family)) return MACHINES[family] ?? PCI;
  if (USB_ONLY.test(family)) return { ...NOTHING, usb: "option" };
  if (NO_BUSES.test(family) || NO_BUS_ARCHITECTURES.includes(architecture)) return NOTHING;
  return { ...PCI, ide: { buses: Infinity, units: 2 }, usb: "option" };
}

/** The name of a virtio device on this machine, given any of its names; undefined: no place for it. */
export function virtioOn(buses: Buses, name: string): string | undefined {
  const base = name.replace(/-(pci|ccw|device)$/, "");
  if (buses.mmio && name.endsWith("-device")) return name;
  switch (buses.virtio) {
    case "pci":
      return `${base}-pci`;
    case "ccw":
      return `${base}-ccw`;
    case "mmio":
      return `${base}-device`;
    case "none":
      return undefined;
  }
}
