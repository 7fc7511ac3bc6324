/** Which QEMU arguments and machine properties of a bundle are harmless, so that they need no grant. */

/** Devices that tell the host something and reach nothing. */
const HARMLESS_DEVICES = ["pvpanic", "pvpanic-pci", "isa-debug-exit"];

/** Machine properties that change the guest's hardware and reach nothing of the host. */
const HARMLESS_MACHINE_PROPERTIES = new Set([
  "acpi",
  "aes-key-wrap",
  "compact-highmem",
  "dea-key-wrap",
  "fd-bootchk",
  "gic-version",
  "graphics",
  "highmem",
  "highmem-ecam",
  "highmem-mmio",
  "highmem-redists",
  "hmat",
  "hpet",
  "i8042",
  "ic-mode",
  "its",
  "kernel-irqchip",
  "kernel_irqchip",
  "loadparm",
  "max-cpu-compat",
  "max-ram-below-4g",
  "mem-merge",
  "mte",
  "nvdimm",
  "pit",
  "ras",
  "sata",
  "secure",
  "smbus",
  "smm",
  "suppress-vmdesc",
  "usb",
  "via",
  "virtualization",
  "vmport",
  "vsmt",
]);

/** Splits the words of arguments into options with their values, and says which need the grant `args`. */
export function riskyArguments(words: readonly string[]): string[] {
  const risky: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? "";
    const value = words[i + 1];
    // QEMU takes an option with one dash or two.
    switch (word.replace(/^--/, "-")) {
      case "-no-reboot":
        continue;
      case "-append":
        if (value === undefined) break;
        i++;
        continue;
      case "-boot":
        // The splash picture is a file, whose content the guest can read.
        if (value === undefined || /(^|,)\s*splash=/.test(value)) break;
        i++;
        continue;
      case "-device":
        if (value === undefined || !isHarmlessDevice(value)) break;
        i++;
        continue;
    }
    const takesValue = value !== undefined && !value.startsWith("-");
    risky.push(takesValue && word.startsWith("-") ? `${word} ${value}` : word);
    if (takesValue && word.startsWith("-")) i++;
  }
  return risky;
}

function isHarmlessDevice(text: string): boolean {
  const [name = "", ...properties] = text.split(",");
  return HARMLESS_DEVICES.includes(name) &&
    properties.every((property) => /^[a-z0-9_-]+=[\w.-]+$/.test(property));
}

/** The properties of a machine override that need the grant `args`. */
export function riskyMachineProperties(override: string): string[] {
  return override.split(",").filter((property) => {
    const [name = "", value = ""] = property.split("=");
    if (property === "") return false;
    return !HARMLESS_MACHINE_PROPERTIES.has(name.trim()) || value.includes("/");
  });
}

/** Names of devices that reach hardware, files or services of the host. */
const HOST_DEVICES =
  /^(vfio-|vhost-|ivshmem|u2f-|usb-host$|usb-mtp$|loader$|guest-loader$|scsi-generic$|scsi-block$|ccid-card-(passthru|emulated)$|tpm-passthrough$|xen-|pci-assign|kvm-pci-assign|virtio-pmem|nvdimm$|pc-dimm$|igd-passthrough|amd-iommu-host|smbus-host|usb-ccid$|canokey|usb-bt-dongle|x-remote|virtio-iommu-host)/;

/** Whether a hardware name stands for something of the host, so that it needs the grant `devices`. */
export function isHostDevice(hardware: string): boolean {
  return HOST_DEVICES.test(hardware);
}
