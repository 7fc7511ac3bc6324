import { assertEquals } from "@std/assert";
import { config, type ConfigParts, display, lines, mac } from "./argv_fixtures.ts";

const intel = { host: mac("x86_64") };

/** The only option of a machine that comes from `from`. */
function only(from: string, parts: ConfigParts, circumstances = {}): string | undefined {
  return lines(config(parts), from, circumstances)[0];
}

/** A Mac with that many processors. */
function withCores(physical: number, logical: number): { host: ReturnType<typeof mac> } {
  return {
    host: mac("x86_64", {
      cores: {
        physical,
        logical,
        performancePhysical: physical,
        performanceLogical: logical,
      },
    }),
  };
}

Deno.test("cpuOptions: the default model by guest and host", () => {
  const model = (architecture: string, hypervisor: boolean, circumstances = {}) =>
    only(
      "System.CPU",
      {
        system: { architecture, target: "x", cpuFlagsAdd: ["ignored"] },
        qemu: { hypervisor },
      },
      circumstances,
    )?.replace(/^-smp.*/, "none");
  assertEquals(model("aarch64", true), "-cpu host");
  assertEquals(model("aarch64", false), "-cpu cortex-a72");
  assertEquals(model("arm", true), "-cpu cortex-a15");
  assertEquals(model("x86_64", true), "-cpu Skylake-Client");
  assertEquals(model("i386", true), "none");
  assertEquals(model("ppc", false), "none");
  assertEquals(model("x86_64", true, intel), "-cpu Icelake-Server");
  assertEquals(model("x86_64", false, intel), "-cpu Icelake-Server");
  assertEquals(model("aarch64", true, intel), "-cpu cortex-a72");
  const linux = {
    host: mac("x86_64", {
      flavor: "stock",
      os: "linux",
      accelerators: { kvm: { usable: true, why: "" }, hvf: { usable: false, why: "" } },
    }),
  };
  assertEquals(model("x86_64", true, linux), "-cpu host");
  assertEquals(model("x86_64", false, linux), "-cpu Skylake-Client");
});

Deno.test("cpuOptions: features in the spelling of the architecture, removed ones last", () => {
  const model = (architecture: string, cpu: string) =>
    only("System.CPU", {
      system: { architecture, target: "x", cpu, cpuFlagsAdd: ["a", "b"], cpuFlagsRemove: ["c"] },
    });
  assertEquals(model("x86_64", "qemu64"), "-cpu qemu64,+a,+b,-c");
  assertEquals(model("sparc", "TI-SuperSparc-II "), "-cpu TI-SuperSparc-II,+a,+b,-c");
  assertEquals(model("aarch64", "max"), "-cpu max,a=on,b=on,c=off");
  assertEquals(only("System.CPU", { system: { cpu: "max" } }), "-cpu max");
});

Deno.test("cpuOptions: -smp", () => {
  const smp = (circumstances: object, parts: ConfigParts = {}) =>
    only("System.CPUCount", parts, circumstances);
  assertEquals(smp(withCores(4, 8)), "-smp cpus=8,sockets=1,cores=4,threads=2");
  assertEquals(
    smp(withCores(4, 8), { system: { cpuCount: 3 } }),
    "-smp cpus=3,sockets=1,cores=3,threads=1",
  );
  assertEquals(smp(withCores(0, 0)), "-smp cpus=1,sockets=1,cores=1,threads=1");
  assertEquals(
    smp(withCores(14, 20)),
    "-smp cpus=14,sockets=1,cores=14,threads=1",
    "QEMU refuses 20 processors on 14 cores of one thread",
  );
});

Deno.test("machineOptions: properties that UTM adds", () => {
  const machine = (parts: ConfigParts, circumstances = {}) =>
    only("System.Target", parts, circumstances);
  const usb = { usbBusSupport: "2.0" } as const;
  assertEquals(machine({ input: usb }), "-machine q35,vmport=off,i8042=off,hpet=off");
  assertEquals(machine({}), "-machine q35,vmport=off,hpet=off");
  assertEquals(
    machine({ input: usb, qemu: { ps2Controller: true }, sounds: [{ hardware: "pcspk" }] }),
    "-machine q35,vmport=off,pcspk-audiodev=audio1,hpet=off",
  );
  assertEquals(machine({ system: { target: "microvm" } }), "-machine microvm");
  const virt = { architecture: "aarch64", target: "virt-10.0" };
  assertEquals(machine({ system: virt }), "-machine virt-10.0,virtualization=on");
  assertEquals(machine({ system: virt, qemu: { hypervisor: true } }), "-machine virt-10.0");
  assertEquals(
    machine({ system: { ...virt, cpuCount: 9 }, qemu: { hypervisor: true } }),
    "-machine virt-10.0,gic-version=3",
  );
  assertEquals(
    machine({ system: { architecture: "riscv64", target: "virt" } }),
    "-machine virt",
  );
  assertEquals(
    machine({
      system: { architecture: "m68k", target: "q800" },
      sounds: [{ hardware: "asc" }],
    }),
    "-machine q800,audiodev=audio0",
  );
  assertEquals(
    machine({ system: { architecture: "ppc64", target: "mac99" } }),
    "-machine mac99,via=pmu",
  );
});

Deno.test("machineOptions: an override takes the place of the property with the whole key", () => {
  const machine = (machinePropertyOverride: string) =>
    only("System.Target", {
      input: { usbBusSupport: "2.0" },
      qemu: { machinePropertyOverride },
    });
  assertEquals(machine(""), "-machine q35,vmport=off,i8042=off,hpet=off");
  assertEquals(machine("hpet=on"), "-machine q35,vmport=off,i8042=off,hpet=on");
  assertEquals(machine("xi8042=on"), "-machine q35,vmport=off,i8042=off,hpet=off,xi8042=on");
  assertEquals(
    machine("oem=a,,hpet=on,vmport=on"),
    "-machine q35,i8042=off,hpet=off,oem=a,,hpet=on,vmport=on",
  );
});

Deno.test("machineOptions: accelerators", () => {
  const accel = (parts: ConfigParts, circumstances = {}) =>
    only("QEMU.Hypervisor", parts, circumstances);
  const arm = { architecture: "aarch64", target: "virt" };
  assertEquals(accel({ system: { memorySize: 1023 } }), "-accel tcg,tb-size=255");
  assertEquals(
    accel({ system: { jitCacheSize: 64, forceMulticore: true } }),
    "-accel tcg,thread=multi,tb-size=64",
  );
  assertEquals(accel({}, { options: { memoryMiB: 4096 } }), "-accel tcg,tb-size=1024");
  assertEquals(accel({ system: arm, qemu: { hypervisor: true } }), "-accel hvf");
  assertEquals(
    accel({
      system: arm,
      qemu: { hypervisor: true, tso: true },
      displays: [display("virtio-gpu-gl-pci")],
    }),
    "-accel hvf,tso=on,ipa-granule-size=0x1000",
  );
  assertEquals(accel({ qemu: { hypervisor: true, tso: true } }, intel), "-accel hvf");
});
