/** The machine and its accelerator. */
import { checkedName } from "./argv_checks.ts";
import type { RuleInput } from "./facts.ts";
import type { Property, QemuOption } from "./option.ts";

/** `-machine` and `-accel`. */
export function machineOptions(input: RuleInput): QemuOption[] {
  return [machine(input), accelerator(input)];
}

function machine(input: RuleInput): QemuOption {
  const { system, qemu } = input.config;
  const override = qemu.machinePropertyOverride ?? "";
  const overridden = overriddenKeys(override);
  return {
    flag: "-machine",
    head: checkedName(system.target, "System.Target"),
    properties: defaultProperties(input).filter(([key]) => !overridden.has(key)),
    ...(override === "" ? {} : { suffix: override }),
    from: "System.Target",
  };
}

/** The keys that a user's text sets, taken apart as QEMU does: `,,` is a comma inside a value. */
function overriddenKeys(text: string): Set<string> {
  return new Set(
    text.replaceAll(",,", "").split(",").map((part) => part.slice(0, indexOrEnd(part, "="))),
  );
}

function indexOrEnd(text: string, mark: string): number {
  const index = text.indexOf(mark);
  return index < 0 ? text.length : index;
}

/** The properties that UTM adds where the user has not set them. */
function defaultProperties({ config, facts }: RuleInput): Property[] {
  const { architecture, target } = config.system;
  const hasSound = (name: string) => config.sounds.some((sound) => sound.hardware === name);
  const properties: Property[] = [];
  if (facts.pc) {
    properties.push(["vmport", "off"]);
    // With a USB keyboard and mouse the PS/2 ones are in the way.
    if (facts.usb && !config.qemu.ps2Controller) properties.push(["i8042", "off"]);
    if (hasSound("pcspk")) properties.push(["pcspk-audiodev", "audio1"]);
    // Some systems misbehave with an HPET, and it costs time.
    properties.push(["hpet", "off"]);
  }
  if ((target === "virt" || target.startsWith("virt-")) && architecture === "aarch64") {
    // Windows on Arm needs it to boot under emulation.
    if (!facts.hypervisor) properties.push(["virtualization", "on"]);
    // Version 2 of the interrupt controller serves eight processors.
    if (facts.processors.physical > 8) properties.push(["gic-version", "3"]);
  }
  if (facts.q800 && hasSound("asc")) properties.push(["audiodev", "audio0"]);
  if (facts.newWorld) properties.push(["via", "pmu"]);
  return properties;
}

function accelerator({ config, facts, options }: RuleInput): QemuOption {
  const { qemu, system } = config;
  const from = "QEMU.Hypervisor";
  if (facts.hypervisor) {
    const properties: Property[] = [];
    // Memory ordering of x86, which only Apple's Arm processors have.
    if (qemu.tso && system.architecture === "aarch64") properties.push(["tso", "on"]);
    // Vulkan in the guest needs host memory mapped in pages of 4 KiB.
    if (facts.anyGl) properties.push(["ipa-granule-size", "0x1000"]);
    return { flag: "-accel", head: "hvf", properties, from };
  }
  const memory = options.memoryMiB ?? system.memorySize;
  const cache = system.jitCacheSize > 0 ? system.jitCacheSize : Math.floor(memory / 4);
  return {
    flag: "-accel",
    head: "tcg",
    properties: [
      ...(system.forceMulticore ? [["thread", "multi"] as const] : []),
      ["tb-size", String(cache)],
    ],
    from,
  };
}
