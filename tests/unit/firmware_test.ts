import { assertEquals } from "@std/assert";
import { findFirmware, parseDescriptor } from "../../lib/qemu/firmware.ts";
import { fakeHost } from "../fakes/host.ts";

/** A descriptor as Debian ships it. */
function descriptor(code: string, vars: string | null, more: Record<string, unknown> = {}): string {
  return JSON.stringify({
    description: "UEFI",
    "interface-types": ["uefi"],
    mapping: {
      device: "flash",
      executable: { filename: code, format: "raw" },
      ...(vars !== null && { "nvram-template": { filename: vars, format: "raw" } }),
      ...(vars === null && { mode: "stateless" }),
    },
    targets: [{ architecture: "x86_64", machines: ["pc-q35-*", "pc-i440fx-*"] }],
    features: ["acpi-s3"],
    tags: [],
    ...more,
  });
}

const BYTES = { bytes: 3653632 };

Deno.test("findFirmware sorts descriptors by file name over all folders", () => {
  const host = fakeHost({
    env: { HOME: "/home/ann" },
    files: {
      "/usr/share/qemu/firmware/60-plain.json": descriptor("/f/plain.fd", "/f/vars.fd"),
      "/etc/qemu/firmware/50-mine.json": descriptor("/f/mine.fd", null),
      "/usr/share/qemu/firmware/40-secure.json": descriptor("/f/secure.fd", "/f/vars.fd", {
        features: ["secure-boot", "requires-smm", "enrolled-keys"],
      }),
      "/usr/share/qemu/firmware/README": "no descriptor",
      "/f/plain.fd": BYTES,
      "/f/mine.fd": BYTES,
      "/f/secure.fd": BYTES,
      "/f/vars.fd": { bytes: 540672 },
    },
  });
  const { found, faults } = findFirmware(host, "x86_64");
  assertEquals(faults, []);
  assertEquals(found.map((it) => it.code), ["/f/secure.fd", "/f/mine.fd", "/f/plain.fd"]);
  assertEquals(found[0], {
    source: "/usr/share/qemu/firmware/40-secure.json",
    architectures: ["x86_64"],
    machines: ["pc-q35-*", "pc-i440fx-*"],
    code: "/f/secure.fd",
    codeFormat: "raw",
    codeBytes: 3653632,
    varsTemplate: "/f/vars.fd",
    varsTemplateBytes: 540672,
    varsFormat: "raw",
    device: "flash",
    secureBoot: true,
    requiresSmm: true,
    enrolledKeys: true,
  });
  assertEquals(found[1]?.varsTemplate, undefined);
  assertEquals(findFirmware(host, "aarch64").found, []);
});

Deno.test("findFirmware lets an earlier folder hide or switch off a descriptor", () => {
  const host = fakeHost({
    env: { XDG_CONFIG_HOME: "/c" },
    files: {
      "/c/qemu/firmware/60-plain.json": descriptor("/f/mine.fd", "/f/vars.fd"),
      "/etc/qemu/firmware/40-off.json": "",
      "/etc/qemu/firmware/41-off.json": { link: "/dev/null" },
      "/dev/null": { kind: "device", text: "" },
      "/usr/share/qemu/firmware/40-off.json": descriptor("/f/off.fd", "/f/vars.fd"),
      "/usr/share/qemu/firmware/41-off.json": descriptor("/f/off.fd", "/f/vars.fd"),
      "/usr/share/qemu/firmware/60-plain.json": descriptor("/f/plain.fd", "/f/vars.fd"),
      "/f/mine.fd": BYTES,
      "/f/off.fd": BYTES,
      "/f/plain.fd": BYTES,
      "/f/vars.fd": { bytes: 540672 },
    },
  });
  assertEquals(findFirmware(host, "x86_64").found.map((it) => it.code), ["/f/mine.fd"]);
});

Deno.test("findFirmware reports descriptors of no use, and goes on", () => {
  const host = fakeHost({
    files: {
      "/etc/qemu/firmware/1.json": "{",
      "/etc/qemu/firmware/2.json": descriptor("/f/gone.fd", "/f/vars.fd"),
      "/etc/qemu/firmware/3.json": descriptor("/f/code.fd", "/f/gone-vars.fd"),
      "/etc/qemu/firmware/4.json": "[]",
      "/f/code.fd": BYTES,
    },
  });
  assertEquals(findFirmware(host, "x86_64"), {
    found: [],
    faults: [
      { source: "/etc/qemu/firmware/1.json", why: "it is not JSON" },
      { source: "/etc/qemu/firmware/2.json", why: "/f/gone.fd does not exist" },
      { source: "/etc/qemu/firmware/3.json", why: "/f/gone-vars.fd does not exist" },
    ],
  });
});

Deno.test("findFirmware falls back to the usual places, and to what came with QEMU", () => {
  const host = fakeHost({
    files: {
      "/usr/share/OVMF/OVMF_CODE_4M.fd": BYTES,
      "/usr/share/OVMF/OVMF_VARS_4M.fd": { bytes: 540672 },
      "/usr/share/OVMF/OVMF_CODE.fd": { bytes: 1966080 }, // without variables
      "/opt/homebrew/share/qemu/edk2-x86_64-code.fd": BYTES,
      "/opt/homebrew/share/qemu/edk2-i386-vars.fd": { bytes: 540672 },
    },
  });
  const { found } = findFirmware(host, "x86_64", "/opt/homebrew/bin/qemu-system-x86_64");
  assertEquals(found.map((it) => [it.code, it.codeBytes, it.varsTemplateBytes]), [
    ["/usr/share/OVMF/OVMF_CODE_4M.fd", 3653632, 540672],
    ["/opt/homebrew/share/qemu/edk2-x86_64-code.fd", 3653632, 540672],
  ]);
});

Deno.test("findFirmware names one image once", () => {
  const host = fakeHost({
    files: {
      "/etc/qemu/firmware/60.json": descriptor("/link.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
      "/link.fd": { link: "/usr/share/OVMF/OVMF_CODE_4M.fd" },
      "/usr/share/OVMF/OVMF_CODE_4M.fd": BYTES,
      "/usr/share/OVMF/OVMF_VARS_4M.fd": { bytes: 540672 },
    },
  });
  assertEquals(findFirmware(host, "x86_64").found.map((it) => it.code), ["/link.fd"]);
});

Deno.test("parseDescriptor reads memory images, and leaves other firmware alone", () => {
  const memory = parseDescriptor(
    JSON.stringify({
      "interface-types": ["uefi"],
      mapping: { device: "memory", filename: "/f/OVMF.fd" },
      targets: [{ architecture: "x86_64", machines: ["pc-*"] }],
      features: [],
    }),
    "x",
  );
  assertEquals(typeof memory === "object" && memory?.device, "memory");
  assertEquals(typeof memory === "object" && memory?.code, "/f/OVMF.fd");
  assertEquals(parseDescriptor(JSON.stringify({ "interface-types": ["bios"] }), "x"), null);
  assertEquals(parseDescriptor(descriptor("/f/a", "/f/b", { mapping: {} }), "x"), null);
  assertEquals(
    parseDescriptor(
      descriptor("/f/a", "/f/b", {
        mapping: { device: "flash", executable: { filename: "/f/a", format: "vmdk" } },
      }),
      "x",
    ),
    "its image is neither raw nor qcow2",
  );
});
