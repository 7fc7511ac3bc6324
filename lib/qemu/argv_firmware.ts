/** What an architecture needs besides: globals, firmware, helpers of classic Macs, memory. */
import { resourcePath } from "./argv_start.ts";
import type { RuleInput } from "./facts.ts";
import type { QemuOption } from "./option.ts";

/** Middle part of the name of UTM's UEFI images, by architecture. */
const UEFI_IMAGES: Readonly<Record<string, string>> = {
  arm: "arm",
  aarch64: "aarch64",
  i386: "i386",
  x86_64: "x86_64",
  riscv64: "riscv",
  loongarch64: "loongarch64",
};

/** `-global`, the flash pair, `-device` of classic Macs, `-m`. */
export function firmwareOptions(input: RuleInput): QemuOption[] {
  const { config, options, facts } = input;
  const result: QemuOption[] = [];
  if (config.system.architecture === "x86_64" || config.system.architecture === "i386") {
    // One chipset of the two is there; the other line does nothing.
    result.push(
      { flag: "-global", text: "PIIX4_PM.disable_s3=1", from: "" },
      { flag: "-global", text: "ICH9-LPC.disable_s3=1", from: "" },
    );
  }
  result.push(...flash(input));
  if (facts.q800) {
    result.push({
      flag: "-device",
      head: "nubus-virtio-mmio",
      properties: [["romfile", resourcePath(input, "m68k-declrom")]],
      from: "System.Target",
    });
  }
  if (facts.newWorld) {
    result.push({
      flag: "-device",
      head: "loader",
      properties: [["addr", "0x4000000"], ["file", resourcePath(input, "ppc-ndrvloader")]],
      from: "System.Target",
    }, { flag: "-prom-env", text: "boot-command=init-program go", from: "System.Target" });
  }
  const memory = options.memoryMiB ?? config.system.memorySize;
  return [...result, { flag: "-m", text: String(memory), from: "System.MemorySize" }];
}

/** The UEFI code and its variables, unless a drive replaces them. */
function flash(input: RuleInput): QemuOption[] {
  const { config, files, facts } = input;
  const image = Object.hasOwn(UEFI_IMAGES, config.system.architecture)
    ? UEFI_IMAGES[config.system.architecture]
    : undefined;
  if (!config.qemu.uefiBoot || image === undefined || facts.customBios) return [];
  const code = resourcePath(input, `edk2-${image}${facts.secureBoot ? "-secure" : ""}-code.fd`);
  const from = "QEMU.UEFIBoot";
  return [{
    flag: "-drive",
    properties: [
      ["if", "pflash"],
      ["format", "raw"],
      ["unit", "0"],
      ["file.filename", code],
      ["file.locking", "off"],
      ["readonly", "on"],
    ],
    from,
  }, {
    flag: "-drive",
    properties: [
      ["if", "pflash"],
      ["format", "raw"],
      ["unit", "1"],
      ["file.filename", files.efiVars],
    ],
    from,
  }];
}
