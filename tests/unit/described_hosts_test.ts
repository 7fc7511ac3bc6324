import { assert, assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../lib/base/errors.ts";
import { DESCRIBED_HOSTS, describedHost } from "../../lib/qemu/described_hosts.ts";
import { all, changes, plan } from "./adapt_fixtures.ts";

Deno.test("describedHost has four cores without SMT, and its name, on every host", () => {
  for (const name of DESCRIBED_HOSTS) {
    const host = describedHost(name, "x86_64");
    assertEquals(host.described, name);
    assertEquals(
      host.cores,
      { physical: 4, logical: 4, performancePhysical: 4, performanceLogical: 4 },
    );
  }
});

Deno.test("describedHost refuses another name and names the nearest", () => {
  const error = assertThrows(() => describedHost("linux-x86-64", "x86_64"), UsageError);
  assertEquals(error.message.endsWith('expected "linux-x86_64"'), true);
  assertThrows(() => describedHost("toString", "x86_64"), UsageError);
});

Deno.test("describedHost has no QEMU for a guest that Debian has none for", () => {
  assertEquals(describedHost("linux-x86_64", "vax").qemu, null);
  assertEquals(describedHost("darwin-aarch64", "constructor").qemu, null);
});

Deno.test("describedHost linux-* has Debian's QEMU with SPICE", () => {
  for (const guest of ["x86_64", "aarch64", "i386", "ppc", "m68k", "riscv64", "sparc", "s390x"]) {
    const { qemu } = describedHost("linux-x86_64", guest);
    assert(qemu !== null, guest);
    assertEquals(qemu.binary, `/usr/bin/qemu-system-${guest}`);
    assertEquals(qemu.version.slice(0, 2), [7, 2]);
    assert(qemu.spiceOptions.includes("gl"));
    assert(Object.keys(qemu.machines).length > 0);
    assert(qemu.devices.length > 0);
  }
  const { qemu } = describedHost("linux-x86_64", "x86_64");
  assertEquals(qemu?.machines["pc-q35-7.2"], { cpuMax: 288, alias: "q35" });
  assert(qemu?.devices.includes("virtio-vga-gl"));
  assertEquals(qemu?.accelerators, ["kvm", "tcg"]);
  assertEquals(describedHost("linux-aarch64", "x86_64").qemu?.accelerators, ["tcg"]);
});

Deno.test("describedHost darwin-* has no SPICE, and machines of its release", () => {
  const { qemu } = describedHost("darwin-aarch64", "aarch64");
  assertEquals(qemu?.spiceOptions, []);
  assertEquals(qemu?.machines["virt-9.2"]?.alias, "virt");
  assertEquals(qemu?.machines["virt-7.2"]?.alias, undefined);
  assertEquals(qemu?.devices.some((name) => /^qxl|^usb-redir|-gl/.test(name)), false);
});

Deno.test("buildPlan for utm-aarch64 is UTM's own line", () => {
  const result = plan({
    system: { architecture: "aarch64", target: "virt" },
    qemu: { hypervisor: true, tpmDevice: true, uefiBoot: true },
  }, { host: describedHost("utm-aarch64", "aarch64") });
  assertEquals(result.substitutions, []);
  assertEquals(result.sockets, []);
  assertEquals(result.argv.slice(0, 2), ["-L", "/Applications/UTM.app/Contents/Resources/qemu"]);
  assertEquals(all(result, "-accel"), ["hvf"]);
  assertEquals(result.spice, "0A1B2C3D-0000-4000-8000-00000000ABCD.spice");
  assertEquals(result.helpers[0]?.socket, "0A1B2C3D-0000-4000-8000-00000000ABCD.swtpm");
  assertEquals(
    result.efiVarsTemplate,
    "/Applications/UTM.app/Contents/Resources/qemu/edk2-arm-secure-vars.fd",
  );
});

Deno.test("buildPlan for darwin-aarch64 has neither SPICE nor redirection", () => {
  const result = plan({
    system: { architecture: "aarch64", target: "virt" },
    qemu: { hypervisor: true },
    input: { usbBusSupport: "3.0", maximumUsbShare: 3 },
    sharing: { clipboardSharing: true },
  }, { host: describedHost("darwin-aarch64", "aarch64") });
  assertEquals(result.spice, undefined);
  assertEquals(result.argv.some((word) => /spice|usb-redir|vdagent/.test(word)), false);
  assertEquals(all(result, "-display"), ["none"]);
  assertEquals(changes(result), [
    "-spice: on -> ",
    "Input.UsbSharing: 3 slots -> ",
    "Sharing: vdagent -> ",
  ]);
});
