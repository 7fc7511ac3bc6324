import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { HostError, UsageError } from "../../lib/base/errors.ts";
import { all, changes, homebrew, linux, plan, qemu } from "./adapt_fixtures.ts";

const noKvm = linux({
  accelerators: {
    kvm: { usable: false, why: "the CPU has neither vmx nor svm" },
    hvf: { usable: false, why: "" },
  },
});
const hypervisor = { qemu: { hypervisor: true } };

Deno.test("buildPlan uses KVM for a hypervisor bundle without a word about it", () => {
  const result = plan(hypervisor);
  assertEquals(all(result, "-accel"), ["kvm"]);
  assertEquals(all(result, "-cpu"), ["host"]);
  assertEquals(result.accelerator, { name: "kvm", why: "/dev/kvm works" });
  assertEquals(result.substitutions, []);
});

Deno.test("buildPlan falls back to TCG and says why", () => {
  const result = plan(hypervisor, { host: noKvm });
  assertEquals(all(result, "-accel"), ["tcg,tb-size=128"]);
  assertEquals(all(result, "-cpu"), ["max"]);
  assertEquals(result.accelerator.why, "the CPU has neither vmx nor svm");
  assertEquals(changes(result)[0], "QEMU.Hypervisor: kvm -> tcg");
});

Deno.test("buildPlan keeps TCG where the bundle has its hypervisor off", () => {
  const result = plan({ system: { cpu: "qemu64" } });
  assertEquals(result.accelerator, { name: "tcg", why: "the bundle has its hypervisor off" });
  assertEquals(result.substitutions, []);
});

Deno.test("buildPlan runs an i386 guest under KVM on x86_64", () => {
  const result = plan({ system: { architecture: "i386" }, ...hypervisor });
  assertEquals(all(result, "-accel"), ["kvm"]);
  assertEquals(all(result, "-cpu"), ["host"]);
});

Deno.test("buildPlan with --accel kvm overrules the bundle", () => {
  assertEquals(all(plan({}, { options: { accel: "kvm" } }), "-accel"), ["kvm"]);
});

Deno.test("buildPlan with --accel hvf on Linux is TCG with a reason", () => {
  const result = plan({}, { options: { accel: "hvf" } });
  assertEquals(result.accelerator, { name: "tcg", why: "hvf is of macOS only" });
  assertEquals(changes(result)[0], "--accel: hvf -> tcg");
});

Deno.test("buildPlan with --require-accel fails where it would fall back", () => {
  const error = assertThrows(
    () => plan(hypervisor, { host: noKvm, options: { requireAccel: true } }),
    HostError,
  );
  assertStringIncludes(error.message, "neither vmx nor svm");
  assertThrows(
    () => plan({}, { options: { requireAccel: true, accel: "tcg" } }),
    UsageError,
  );
});

Deno.test("buildPlan names a QEMU that is built without the accelerator", () => {
  const result = plan(hypervisor, { host: linux({ qemu: qemu({ accelerators: ["tcg"] }) }) });
  assertEquals(result.accelerator.why, "QEMU 7.2.22 is built without kvm");
});

Deno.test("buildPlan drops what only UTM's hvf knows", () => {
  const host = homebrew({ architecture: "aarch64" });
  const result = plan({
    system: { architecture: "aarch64", target: "pc-q35-7.2" },
    qemu: { hypervisor: true, tso: true },
  }, { host });
  assertEquals(all(result, "-accel"), ["hvf"]);
  assertEquals(changes(result).includes("QEMU.TSO: on -> off"), true);
});

Deno.test("buildPlan replaces CPU models by what the accelerator has", () => {
  const cpu = (model: string, host = linux(), architecture = "x86_64") =>
    all(
      plan({
        system: { cpu: model, architecture, cpuFlagsAdd: ["avx2"] },
        qemu: { hypervisor: host !== noKvm },
      }, { host }),
      "-cpu",
    );
  assertEquals(cpu("host", noKvm), ["max,+avx2"]);
  assertEquals(cpu("EPYC-Genoa", noKvm), ["max,+avx2"]);
  assertEquals(cpu("EPYC-Genoa"), ["host,+avx2"]);
  assertEquals(cpu("Penryn"), ["Penryn,+avx2"]);
  const arm = linux({ architecture: "aarch64" });
  assertEquals(cpu("cortex-a57", arm, "aarch64"), ["host,avx2=on"]);
});

Deno.test("buildPlan leaves -cpu out where QEMU has neither the model nor max", () => {
  const host = linux({ ...noKvm, qemu: qemu({ cpus: ["qemu64"] }) });
  const result = plan({ system: { cpu: "Penryn" } }, { host });
  assertEquals(all(result, "-cpu"), []);
  assertEquals(changes(result), ["System.CPU: Penryn -> "]);
});

Deno.test("buildPlan caps processors at what the machine takes", () => {
  const result = plan({ system: { cpuCount: 8, target: "isapc", cpu: "qemu64" } });
  assertEquals(all(result, "-smp"), ["cpus=1,sockets=1,cores=1,threads=1"]);
  assertEquals(changes(result), ["System.CPUCount: 8 -> 1"]);
});

Deno.test("buildPlan fails where the guest has more memory than the host", () => {
  const error = assertThrows(() => plan({ system: { memorySize: 65536 } }), HostError);
  assertStringIncludes(error.hint ?? "", "--memory");
});
