/** The accelerator, which is settled before UTM's rules are applied, and the CPU that it can give. */
import { HostError, UsageError } from "../base/errors.ts";
import type { Config } from "../utm/model.ts";
import { type Adapting, substitute } from "./adapt_context.ts";
import { qemuName } from "./adapt_capabilities.ts";
import type { Host } from "./host_model.ts";
import type { CommandOptions, LaunchPlan, Substitution } from "./launch_options.ts";
import type { Property, QemuOption } from "./option.ts";

type AcceleratorName = LaunchPlan["accelerator"]["name"];

/** Settles the accelerator; a fall-back to TCG is a substitution. */
export function chooseAccelerator(
  config: Config,
  host: Host,
  options: CommandOptions,
  substitutions: Substitution[],
): LaunchPlan["accelerator"] {
  if (options.accel === "tcg") {
    if (options.requireAccel) {
      throw new UsageError("Cannot require an accelerator: --accel tcg asks for none", {
        hint: "Leave out one of --require-accel and --accel tcg",
      });
    }
    return { name: "tcg", why: "--accel tcg was given" };
  }
  const native = host.os === "linux" ? "kvm" : "hvf";
  if (options.accel === "auto" && !config.qemu.hypervisor) {
    return { name: "tcg", why: "the bundle has its hypervisor off" };
  }
  const wished = options.accel === "auto" ? native : options.accel;
  const obstacle = obstacleTo(wished, native, config.system.architecture, host);
  if (obstacle === undefined) return { name: wished, why: host.accelerators[wished].why };
  if (options.requireAccel) {
    throw new HostError(`Cannot use ${wished}: ${obstacle}, expected a usable accelerator`, {
      hint: "Leave out --require-accel to run the guest in TCG, which is slower",
    });
  }
  const key = options.accel === "auto" ? "QEMU.Hypervisor" : "--accel";
  substitute({ substitutions }, key, wished, "tcg", obstacle);
  return { name: "tcg", why: obstacle };
}

/** Why an accelerator cannot be used, or undefined. */
function obstacleTo(
  name: "kvm" | "hvf",
  native: "kvm" | "hvf",
  architecture: string,
  host: Host,
): string | undefined {
  if (name !== native) return `${name} is of ${name === "hvf" ? "macOS" : "Linux"} only`;
  const fits = architecture === host.architecture ||
    (name === "kvm" && architecture === "i386" && host.architecture === "x86_64");
  if (!fits) {
    return `the guest is for ${architecture}, and the processor of this host is ${host.architecture}`;
  }
  const { usable, why } = host.accelerators[name];
  if (!usable) return why;
  const { qemu } = host;
  if (qemu !== null && !qemu.everything && !qemu.accelerators.includes(name)) {
    return `${qemuName(qemu)} is built without ${name}`;
  }
  return undefined;
}

/** `-accel`: UTM's words for hvf mean nothing to KVM, and only UTM's QEMU knows some of them. */
export function adaptAccelerator(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  const { name } = at.accelerator;
  return options.map((option) => {
    if (option.flag !== "-accel" || name === "tcg") return option;
    if (name === "hvf" && at.host.utm !== undefined) return option;
    if (option.properties?.some(([key]) => key === "tso")) {
      substitute(at, "QEMU.TSO", "on", "off", "only UTM's QEMU orders memory as x86 does");
    }
    return { flag: "-accel", head: name, from: option.from };
  });
}

/** `-cpu`: a model that this QEMU has, under this accelerator. */
export function adaptCpu(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  const isDefault = at.config.system.cpu.trim() === "default";
  const index = options.findIndex((option) => option.flag === "-cpu");
  const old = options[index];
  const model = old?.head;
  const [wanted, why] = isDefault ? defaultModel(model, at) : namedModel(model, at);
  if (wanted === model) return [...options];
  if (why !== undefined) substitute(at, "System.CPU", model ?? "", wanted ?? "", why);
  const result = [...options];
  const place = index < 0 ? result.findIndex((option) => option.flag === "-smp") : index;
  const { suffix, properties } = old ?? {};
  const option: QemuOption[] = wanted === undefined ? [] : [{
    flag: "-cpu",
    head: wanted,
    ...(properties === undefined ? {} : { properties }),
    ...(suffix === undefined ? {} : { suffix }),
    from: "System.CPU",
  }];
  result.splice(Math.max(place, 0), index < 0 ? 0 : 1, ...option);
  return result;
}

type Choice = [model: string | undefined, why?: string];

/** What stands for `default`; the reason is absent where UTM would say the same. */
function defaultModel(model: string | undefined, at: Adapting): Choice {
  if (at.accelerator.name !== "tcg") return ["host"];
  if (model === "Skylake-Client" && knowsModel("max", at)) {
    return ["max", "TCG lacks features of that model; max is what TCG has"];
  }
  const arm = at.config.system.architecture === "arm" ||
    at.config.system.architecture === "aarch64";
  if (arm && !/^(virt|sbsa-ref)\b/.test(at.machine.name)) {
    return [undefined, `the board ${at.machine.name} has a processor of its own`];
  }
  return namedModel(model, at);
}

/** What stands for a model that the bundle names. */
function namedModel(model: string | undefined, at: Adapting): Choice {
  const { accelerator, config } = at;
  if (model === undefined) return [undefined];
  if (accelerator.name === "tcg") {
    if (model === "host") {
      return [knowsModel("max", at) ? "max" : undefined, "TCG has no processor of the host"];
    }
    if (knowsModel(model, at)) return [model];
    return [knowsModel("max", at) ? "max" : undefined, `${qemuName(at.qemu)} has no such model`];
  }
  if (model === "host" || model === "max") return [model];
  if (config.system.architecture === "aarch64") {
    return ["host", `${accelerator.name} offers aarch64 guests the host's own processor only`];
  }
  return knowsModel(model, at) ? [model] : ["host", `${qemuName(at.qemu)} has no such model`];
}

/** Architectures where a QEMU that was not asked has the model `max`. */
const HAVE_MAX = ["x86_64", "i386", "aarch64", "arm", "s390x", "riscv64", "riscv32"];

function knowsModel(model: string, { qemu, config }: Adapting): boolean {
  if (qemu.everything || qemu.cpus.length === 0) {
    return model !== "max" || HAVE_MAX.includes(config.system.architecture);
  }
  const name = model.toLowerCase();
  return qemu.cpus.some((known) => known.toLowerCase() === name);
}

/** `-smp`: not more processors than the machine takes. */
export function adaptProcessors(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  const cpuMax = at.machine.info?.cpuMax;
  return options.map((option) => {
    if (option.flag !== "-smp" || cpuMax === undefined || cpuMax < 1) return option;
    const cpus = Number(option.properties?.find(([key]) => key === "cpus")?.[1]);
    if (!(cpus > cpuMax)) return option;
    substitute(
      at,
      at.options.cpus === undefined ? "System.CPUCount" : "--cpus",
      String(cpus),
      String(cpuMax),
      `the machine ${at.machine.name} takes no more`,
    );
    const properties: Property[] = [
      ["cpus", String(cpuMax)],
      ["sockets", "1"],
      ["cores", String(cpuMax)],
      ["threads", "1"],
    ];
    return { ...option, properties };
  });
}

/** Fails where the guest's memory is more than the host has. */
export function checkMemory(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  const memory = Number(options.find((option) => option.flag === "-m")?.text);
  const { memoryMiB } = at.host;
  if (memoryMiB !== undefined && memory > memoryMiB) {
    throw new HostError(
      `Cannot give the guest ${memory} MiB of memory: the host has ${memoryMiB} MiB, ` +
        "expected more than System.MemorySize",
      { hint: "Give the guest less with --memory" },
    );
  }
  return [...options];
}
