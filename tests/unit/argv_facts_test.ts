import { assertEquals } from "@std/assert";
import { deriveFacts, type Facts } from "../../lib/qemu/facts.ts";
import { config, type ConfigParts, display, drive, mac, options } from "./argv_fixtures.ts";

/** Facts of a machine on a Mac with Apple's processor. */
function facts(parts: ConfigParts, extraArguments: string[] = []): Facts {
  return deriveFacts(config(parts), mac("aarch64"), options({ extraArguments }));
}

/** The kinds that a machine is of. */
function kinds(architecture: string, target: string): string {
  const { sparc, q800, newWorld, pc, q35, virtLike } = facts({ system: { architecture, target } });
  return Object.entries({ sparc, q800, newWorld, pc, q35, virtLike })
    .filter(([, holds]) => holds).map(([name]) => name).join(" ");
}

Deno.test("deriveFacts knows the kinds of machines", () => {
  const cases: [architecture: string, target: string, expected: string][] = [
    ["x86_64", "pc", "pc"],
    ["i386", "pc-i440fx-7.2", "pc"],
    ["x86_64", "isapc", "pc"],
    ["x86_64", "q35", "pc q35"],
    ["x86_64", "pc-q35-10.0", "pc q35"],
    ["x86_64", "microvm", ""],
    ["x86_64", "none", ""],
    ["aarch64", "q35", ""],
    ["aarch64", "virt-10.0", "virtLike"],
    ["m68k", "virt", "virtLike"],
    ["m68k", "q800", "q800"],
    ["ppc", "mac99", "newWorld"],
    ["ppc64", "mac99", "newWorld"],
    ["ppc", "g3beige", ""],
    ["sparc", "SS-5", "sparc"],
    ["sparc64", "sun4u", "sparc"],
  ];
  for (const [architecture, target, expected] of cases) {
    assertEquals(kinds(architecture, target), expected, `${architecture} ${target}`);
  }
});

Deno.test("deriveFacts sees GL in the name of a display", () => {
  const gl = (hardware: string) => facts({ displays: [display(hardware)] }).anyGl;
  assertEquals(["virtio-gpu-gl-pci", "virtio-vga-gl", "virtio-ramfb-gl"].map(gl), [
    true,
    true,
    true,
  ]);
  assertEquals(["virtio-glx", "gl", "virtio-vga"].map(gl), [false, false, false]);
});

Deno.test("deriveFacts uses the hypervisor for the host's architecture, if it works", () => {
  const hypervisor = (
    architecture: string,
    wish: boolean,
    accel: "auto" | "tcg" | "hvf" | "kvm" = "auto",
    usable = true,
  ) =>
    deriveFacts(
      config({ system: { architecture, target: "virt" }, qemu: { hypervisor: wish } }),
      mac("aarch64", {
        accelerators: { kvm: { usable: false, why: "" }, hvf: { usable, why: "" } },
      }),
      options({ accel }),
    ).hypervisor;
  assertEquals(hypervisor("aarch64", true), true);
  assertEquals(hypervisor("aarch64", false), false);
  assertEquals(hypervisor("x86_64", true), false);
  assertEquals(hypervisor("arm", true), false);
  assertEquals(hypervisor("aarch64", true, "auto", false), false);
  assertEquals(hypervisor("aarch64", true, "tcg"), false);
  assertEquals(hypervisor("aarch64", false, "hvf"), true);
  assertEquals(hypervisor("aarch64", true, "kvm"), false);
});

Deno.test("deriveFacts leaves USB out where there can be none", () => {
  const usb = (architecture: string, target: string, usbBusSupport: "Disabled" | "2.0" | "3.0") =>
    facts({ system: { architecture, target }, input: { usbBusSupport } }).usb;
  assertEquals(usb("x86_64", "q35", "2.0"), true);
  assertEquals(usb("x86_64", "q35", "Disabled"), false);
  assertEquals(usb("i386", "isapc", "3.0"), false);
  for (const architecture of ["s390x", "sparc", "sparc64", "m68k"]) {
    assertEquals(usb(architecture, "x", "3.0"), false, architecture);
  }
});

Deno.test("deriveFacts connects the SPICE agent for clipboard, WebDAV and dynamic resolution", () => {
  assertEquals(facts({}).vdagent, false);
  assertEquals(facts({ sharing: { clipboardSharing: true } }).vdagent, true);
  assertEquals(facts({ sharing: { directoryShareMode: "WebDAV" } }).vdagent, true);
  assertEquals(facts({ sharing: { directoryShareMode: "VirtFS" } }).vdagent, false);
  assertEquals(
    facts({ displays: [{ ...display("VGA"), dynamicResolution: true }] }).vdagent,
    true,
  );
  const ppc = facts({
    system: { architecture: "ppc", target: "mac99" },
    sharing: { clipboardSharing: true },
  });
  assertEquals([ppc.agent, ppc.vdagent], [false, false]);
});

Deno.test("deriveFacts sees drives that replace the firmware, and external ones too", () => {
  const custom = (parts: Parameters<typeof drive>[0]) =>
    facts({ drives: [drive(parts)] }).customBios;
  assertEquals(custom({ imageType: "BIOS" }), true);
  assertEquals(custom({ imageType: "LinuxKernel", external: true }), true);
  assertEquals(custom({ imageType: "Disk", interface: "PFlash" }), true);
  assertEquals(custom({ imageType: "LinuxInitrd", interface: "PFlash" }), false);
  assertEquals(custom({ imageType: "Disk" }), false);
});

Deno.test("deriveFacts drops boot indices where Open Firmware is told what to boot", () => {
  const bootIndex = (architecture: string, args: string[], extra: string[] = []) =>
    facts(
      { system: { architecture, target: "mac99" }, qemu: { additionalArguments: args } },
      extra,
    ).bootIndex;
  assertEquals(bootIndex("ppc", ["-prom-env boot-device=hd:,\\yaboot"]), false);
  assertEquals(bootIndex("ppc64", ["-prom-env", '"boot-device=cd:"']), false);
  assertEquals(bootIndex("ppc", [], ["-prom-env", "boot-device=cd:"]), false);
  assertEquals(bootIndex("ppc", ["-prom-env auto-boot?=true boot-device=cd:"]), true);
  assertEquals(bootIndex("sparc", ["-prom-env boot-device=cd:"]), true);
});

Deno.test("deriveFacts counts processors by the host and the guest's memory model", () => {
  const cores = { physical: 10, logical: 20, performancePhysical: 8, performanceLogical: 8 };
  const count = (host: "aarch64" | "x86_64", architecture: string, cpuCount = 0, cpus?: number) => {
    const { physical, logical } = deriveFacts(
      config({ system: { architecture, target: "x", cpuCount } }),
      mac(host, { cores }),
      options(cpus === undefined ? {} : { cpus }),
    ).processors;
    return [physical, logical];
  };
  assertEquals(count("aarch64", "aarch64"), [8, 8]);
  assertEquals(count("aarch64", "riscv64"), [8, 8]);
  assertEquals(count("aarch64", "x86_64"), [1, 1]);
  assertEquals(count("x86_64", "x86_64"), [10, 20]);
  assertEquals(count("x86_64", "aarch64"), [10, 20]);
  assertEquals(count("x86_64", "sparc64"), [1, 1]);
  assertEquals(count("aarch64", "x86_64", 3), [3, 3]);
  assertEquals(count("aarch64", "x86_64", -1), [1, 1]);
  assertEquals(count("aarch64", "aarch64", 3, 2), [2, 2]);
});
