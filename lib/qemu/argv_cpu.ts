/** The CPU model and how many there are. */
import type { SystemSection } from "../utm/model.ts";
import { checkedName } from "./argv_checks.ts";
import type { RuleInput } from "./facts.ts";
import type { QemuOption } from "./option.ts";

/** Architectures whose `-cpu` takes `+feature` and `-feature`; others take `feature=on` only. */
const SIGNED_FEATURES = ["x86_64", "i386", "sparc", "sparc64"];

/** `-cpu` and `-smp`. */
export function cpuOptions(input: RuleInput): QemuOption[] {
  const { physical, logical } = input.facts.processors;
  const cores = Math.max(1, physical);
  // Processors with cores of two kinds have logical counts that no topology yields: round down.
  const threads = Math.max(1, Math.floor(logical / cores));
  return [
    ...model(input),
    {
      flag: "-smp",
      properties: [
        ["cpus", String(cores * threads)],
        ["sockets", "1"],
        ["cores", String(cores)],
        ["threads", String(threads)],
      ],
      from: "System.CPUCount",
    },
  ];
}

function model(input: RuleInput): QemuOption[] {
  const { system } = input.config;
  const from = "System.CPU";
  const name = system.cpu.trim();
  if (name === "default") {
    const chosen = defaultModel(input);
    return chosen === undefined ? [] : [{ flag: "-cpu", head: chosen, from }];
  }
  return [{ flag: "-cpu", head: checkedName(name, from), ...features(system), from }];
}

/** The model that stands for `default`; undefined: QEMU's own choice. Features do not apply to it. */
function defaultModel({ config, host, facts }: RuleInput): string | undefined {
  const { architecture } = config.system;
  const intelMac = host.flavor === "utm" && host.architecture === "x86_64";
  if (facts.hypervisor) return intelMac ? host.intelCpuModel : "host";
  switch (architecture) {
    case "aarch64":
      return "cortex-a72";
    case "arm":
      return "cortex-a15";
    case "x86_64":
      return intelMac ? host.intelCpuModel : "Skylake-Client";
  }
}

/** The features behind a model, removed ones last. */
function features(system: SystemSection): Pick<QemuOption, "properties" | "suffix"> {
  const added = system.cpuFlagsAdd.map((name, index) =>
    checkedName(name, `System.CPUFlagsAdd[${index}]`)
  );
  const removed = system.cpuFlagsRemove.map((name, index) =>
    checkedName(name, `System.CPUFlagsRemove[${index}]`)
  );
  if (added.length + removed.length === 0) return {};
  if (SIGNED_FEATURES.includes(system.architecture)) {
    return {
      suffix: [...added.map((name) => `+${name}`), ...removed.map((name) => `-${name}`)].join(","),
    };
  }
  return {
    properties: [
      ...added.map((name) => [name, "on"] as const),
      ...removed.map((name) => [name, "off"] as const),
    ],
  };
}
