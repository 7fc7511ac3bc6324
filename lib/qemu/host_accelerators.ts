/**
 * Whether KVM and Hypervisor.framework can be used, found out in steps: what can be read first, and
 * a QEMU that makes a virtual CPU only when nothing speaks against it.
 */
import { printable } from "../base/text.ts";
import { DeadlineError } from "../base/errors.ts";
import type { HostAccess, RunOptions } from "./host_access.ts";
import type { AcceleratorFinding } from "./host_model.ts";
import { isAnswered, lastLine, parseAnswers, questionText } from "./host_qmp.ts";

/** The guests that a processor runs by itself. */
const NATIVE_GUESTS: Record<string, string[]> = {
  x86_64: ["x86_64", "i386"],
  aarch64: ["aarch64", "arm"], // arm: where the cores still have 32-bit EL1, which the trial finds out
  ppc64: ["ppc64", "ppc"],
  riscv64: ["riscv64"],
  s390x: ["s390x"],
  loongarch64: ["loongarch64"],
};

/** A machine on which a trial makes one virtual CPU, by guest architecture. */
const TRIAL_MACHINES: Record<string, string> = {
  aarch64: "virt,gic-version=max", // hosts with a GICv3 alone refuse the default, GICv2
  arm: "virt,gic-version=max",
  i386: "q35",
  x86_64: "q35",
  loongarch64: "virt",
  ppc: "pseries",
  ppc64: "pseries",
  riscv64: "virt",
  s390x: "s390-ccw-virtio",
};

/** How much of /proc/cpuinfo is read: the first processor's entry is enough, hundreds are slow. */
const CPUINFO_BYTES = 8192;

/** Whether the processor can run guests of `guest` by itself. */
function isNative(access: HostAccess, guest: string): boolean {
  return (NATIVE_GUESTS[access.architecture] ?? [access.architecture]).includes(guest);
}

/**
 * What speaks against KVM for guests of `guest` without starting anything; null when nothing does.
 *
 * An open /dev/kvm is no proof: in a virtual machine without nested virtualization it may open
 * while the CPU has neither `vmx` nor `svm`, and a guest's kernel then hangs at its first lines.
 */
export function kvmObstacle(access: HostAccess, guest: string): string | null {
  if (access.os !== "linux") return "KVM is Linux's";
  if (!isNative(access, guest)) {
    return `this ${access.architecture} processor cannot run ${guest} guests by itself`;
  }
  switch (access.openError("/dev/kvm")) {
    case "absent":
      return "there is no /dev/kvm";
    case "denied":
      return "/dev/kvm may not be opened by this user";
    case "busy":
      return "/dev/kvm does not open";
  }
  if (access.architecture === "x86_64" && !hasVirtualization(access)) {
    return "/dev/kvm opens, but the CPU has neither vmx nor svm";
  }
  return null;
}

/** What the user can do about an obstacle to KVM; undefined: nothing. */
export function kvmHint(why: string): string | undefined {
  if (why.includes("may not be opened")) {
    return "Add yourself to the group that owns /dev/kvm (usually kvm) and log in again";
  }
  if (why.includes("no /dev/kvm")) {
    return "Turn on virtualization in the firmware's setup, then load kvm_intel or kvm_amd";
  }
  if (why.includes("neither vmx nor svm")) {
    return "Turn on nested virtualization where this virtual machine is run";
  }
  return undefined;
}

/** Whether the first processor of /proc/cpuinfo has `vmx` (Intel) or `svm` (AMD). */
function hasVirtualization(access: HostAccess): boolean {
  const flags = /^flags\s*:(.*)$/m.exec(access.readText("/proc/cpuinfo", CPUINFO_BYTES) ?? "");
  return / (?:vmx|svm)(?: |$)/.test(flags?.[1] ?? "");
}

/** A finding, and whether it is worth remembering until the next boot. */
export interface TrialResult {
  finding: AcceleratorFinding;
  lasting: boolean;
}

/**
 * Starts `binary` with `accelerator` and one virtual CPU, paused, and ends it as soon as it answers.
 * Never throws for what QEMU does: a trial that fails or takes too long is a finding.
 *
 * @throws the signal's reason when the caller's signal is aborted.
 */
export async function tryAccelerator(
  access: HostAccess,
  accelerator: "kvm" | "hvf",
  binary: string,
  guest: string,
  options: RunOptions,
): Promise<TrialResult> {
  const machine = TRIAL_MACHINES[guest] ?? "none";
  // i386 and arm guests are run by a 64-bit host CPU with its extensions off.
  const cpu = guest === "arm" ? "host,aarch64=off" : "host";
  const args = ["-machine", machine, "-accel", accelerator, "-cpu", cpu, "-m", "64"];
  args.push("-nodefaults", "-display", "none", "-S", "-qmp", "stdio");
  const questions = { status: { execute: "query-status" } };
  let result;
  try {
    result = await access.run(binary, args, {
      ...options,
      stdin: questionText(questions),
      isComplete: isAnswered,
    });
  } catch (error) {
    options.signal?.throwIfAborted();
    const why = error instanceof DeadlineError
      ? `a trial run of ${accelerator} did not end within ${options.timeoutMs} ms`
      : `a trial run of ${accelerator} did not start`;
    return { finding: { usable: false, why }, lasting: false };
  }
  if (parseAnswers(result.stdout, questions)?.returned.status !== undefined) {
    return {
      finding: { usable: true, why: `a trial run of ${accelerator} worked` },
      lasting: true,
    };
  }
  const said = printable(lastLine(result.stderr) ?? `status ${result.code}`, 200);
  return {
    finding: { usable: false, why: `a trial run of ${accelerator} ended: ${said}` },
    lasting: true,
  };
}
