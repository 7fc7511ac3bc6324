import { assertEquals, assertThrows } from "@std/assert";
import { BundleError } from "../../lib/base/errors.ts";
import type { Drive } from "../../lib/utm/model.ts";
import { driveIds } from "../../lib/qemu/argv_drives.ts";
import { config, type ConfigParts, drive, lines } from "./argv_fixtures.ts";

/** Disks with an image each, named A, B, …, with `parts` for each. */
function drives(...parts: Partial<Drive>[]): Drive[] {
  return parts.map((part, index) => {
    const identifier = String.fromCharCode(65 + index);
    return drive({ identifier, imageName: `${identifier}.qcow2`, ...part });
  });
}

/** The `-device` arguments of a machine's drives, without the flag. */
function devices(parts: ConfigParts): string[] {
  return lines(config(parts), "Drive").filter((line) => line.startsWith("-device "))
    .map((line) => line.slice("-device ".length));
}

/** The `-drive` of one drive, without flag, interface, kind and id. */
function image(parts: Partial<Drive>): string | undefined {
  const vm = config({ drives: [drive(parts)] });
  return lines(vm, "Drive").find((line) => line.startsWith("-drive "))?.slice("-drive ".length);
}

const CD = { imageType: "CD" } as const;

Deno.test("driveOptions: files that QEMU loads by itself", () => {
  const vm = config({
    drives: drives(
      { imageType: "BIOS", imageName: "a,b.bin" },
      { imageType: "LinuxKernel" },
      { imageType: "LinuxInitrd" },
      { imageType: "LinuxDTB" },
      { imageType: "None" },
    ),
  });
  assertEquals(lines(vm, "Drive"), [
    "-bios /vm/Test.utm/Data/a,b.bin",
    "-kernel /vm/Test.utm/Data/B.qcow2",
    "-initrd /vm/Test.utm/Data/C.qcow2",
    "-dtb /vm/Test.utm/Data/D.qcow2",
  ]);
  assertEquals(lines(config({ drives: [drive({ imageType: "BIOS" })] }), "Drive"), []);
});

Deno.test("driveOptions: IDE units", () => {
  const ide = (target: string, interfaceVersion: number, count: number, architecture = "x86_64") =>
    devices({
      system: { architecture, target },
      drives: drives(
        ...Array.from({ length: count }, () => ({ interface: "IDE", interfaceVersion }) as const),
      ),
    }).map((device) => device.replace(/^ide-hd,|,drive=.*/g, ""));
  assertEquals(ide("q35", 1, 3), ["bus=ide.0", "bus=ide.1", "bus=ide.2"]);
  assertEquals(ide("pc-q35-7.2", 1, 2), ["bus=ide.0", "bus=ide.1"]);
  assertEquals(ide("pc", 1, 2), ["bus=ide.0", "bus=ide.1"]);
  assertEquals(ide("pc", 0, 3), ["bus=ide.0,unit=0", "bus=ide.0,unit=1", "bus=ide.1,unit=0"]);
  assertEquals(ide("g3beige", 1, 3, "ppc"), [
    "bus=ide.0,unit=0",
    "bus=ide.0,unit=1",
    "bus=ide.1,unit=0",
  ]);
  assertEquals(ide("g3beige", 0, 2, "ppc"), ["bus=ide.0", "bus=ide.1"]);
  assertEquals(ide("xlnx-zcu102", 1, 2, "aarch64"), ["bus=ide.0", "bus=ide.1"]);
});

Deno.test("driveOptions: SCSI controllers", () => {
  const scsi = (architecture: string, target: string) =>
    devices({
      system: { architecture, target },
      drives: drives({ interface: "SCSI" }, { interface: "SCSI", ...CD }),
    });
  assertEquals(scsi("x86_64", "q35"), [
    "lsi53c895a,id=scsi0",
    "scsi-hd,bus=scsi0.0,channel=0,scsi-id=0,drive=driveA,bootindex=0",
    "scsi-cd,bus=scsi0.0,channel=0,scsi-id=1,drive=driveB,bootindex=1",
  ]);
  const onBoard = [
    "scsi-hd,bus=scsi.0,channel=0,scsi-id=0,drive=driveA,bootindex=0",
    "scsi-cd,bus=scsi.0,channel=0,scsi-id=1,drive=driveB,bootindex=1",
  ];
  assertEquals(scsi("sparc", "SS-5"), onBoard);
  assertEquals(scsi("m68k", "q800"), onBoard);
  assertEquals(scsi("m68k", "virt")[0], "virtio-scsi-device,id=scsi0");
});

Deno.test("driveOptions: VirtIO and NVMe carry a serial number", () => {
  const identifier = "0a1b2c3d-0000-4000-8000-00000000abcd";
  const disk = (architecture: string, interface_: "VirtIO" | "NVMe") =>
    devices({
      system: { architecture, target: "x" },
      drives: [drive({ identifier, interface: interface_ })],
    })[0];
  const link = `drive=drive${identifier}`;
  const serial = "serial=0a1b2c3d000040008000";
  assertEquals(disk("x86_64", "VirtIO"), `virtio-blk-pci,${link},${serial},bootindex=0`);
  assertEquals(disk("s390x", "VirtIO"), `virtio-blk-ccw,${link},${serial},bootindex=0`);
  assertEquals(disk("m68k", "VirtIO"), `virtio-blk-device,${link},${serial},bootindex=0`);
  assertEquals(disk("x86_64", "NVMe"), `nvme,${link},serial=${identifier},bootindex=0`);
});

Deno.test("driveOptions: USB", () => {
  const usb = (target: string, usbBusSupport: "Disabled" | "3.0", parts: Partial<Drive> = {}) =>
    devices({
      system: { architecture: "aarch64", target },
      input: { usbBusSupport },
      drives: [drive({ interface: "USB", ...parts })],
    })[0];
  assertEquals(
    usb("virt", "3.0"),
    "usb-storage,drive=driveA,removable=false,bootindex=0,bus=usb-bus.0",
  );
  assertEquals(usb("raspi3b", "3.0", CD), "usb-storage,drive=driveA,removable=true,bootindex=0");
  assertEquals(
    usb("virt", "Disabled", { external: true }),
    "usb-storage,drive=driveA,removable=true,bootindex=0",
  );
});

Deno.test("driveOptions: floppies get a controller each on a PC, and are the machine's elsewhere", () => {
  const floppies = drives({ interface: "Floppy" }, { interface: "Floppy", ...CD });
  assertEquals(lines(config({ drives: floppies }), "Drive"), [
    "-device isa-fdc,id=fdc0,bootindexA=0",
    "-device floppy,unit=0,bus=fdc0.0,drive=driveA",
    "-drive if=none,media=disk,id=driveA,format=qcow2,file.filename=/vm/Test.utm/Data/A.qcow2," +
    "discard=unmap,detect-zeroes=unmap",
    "-device isa-fdc,id=fdc1,bootindexA=1",
    "-device floppy,unit=0,bus=fdc1.0,drive=driveB",
    "-drive if=none,media=disk,id=driveB,format=qcow2,file.filename=/vm/Test.utm/Data/B.qcow2," +
    "discard=unmap,detect-zeroes=unmap",
  ]);
  const ppc = { architecture: "ppc", target: "prep" };
  assertEquals(
    lines(config({ system: ppc, drives: floppies }), "Drive[0]"),
    [
      "-drive if=floppy,media=disk,id=driveA,format=qcow2," +
      "file.filename=/vm/Test.utm/Data/A.qcow2,discard=unmap,detect-zeroes=unmap",
    ],
  );
});

Deno.test("driveOptions: boot indices follow the list over all interfaces", () => {
  const vm: ConfigParts = {
    drives: drives(
      { interface: "USB", ...CD },
      { interface: "PFlash" },
      { interface: "VirtIO" },
      { imageType: "LinuxInitrd" },
      { interface: "IDE" },
    ),
  };
  const indices = (parts: ConfigParts) =>
    devices(parts).map((device) => /bootindex=(\d+)/.exec(device)?.[1]);
  assertEquals(indices(vm), ["0", "1", "2"]);
  const openFirmware = {
    ...vm,
    system: { architecture: "ppc", target: "mac99" },
    qemu: { additionalArguments: ["-prom-env boot-device=cd:"] },
  };
  assertEquals(indices(openFirmware), [undefined, undefined, undefined]);
});

Deno.test("driveOptions: images", () => {
  const none = "if=none,media=disk,id=driveA,";
  const path = "format=qcow2,file.filename=/vm/Test.utm/Data/x.qcow2,";
  const imageName = "x.qcow2";
  assertEquals(image({ imageName }), `${none}${path}discard=unmap,detect-zeroes=unmap`);
  assertEquals(
    image({ imageName, readOnly: true }),
    `${none}${path}file.locking=off,readonly=on`,
  );
  assertEquals(
    image({}),
    `${none}format=raw,file.filename=/dev/null,discard=unmap,detect-zeroes=unmap`,
  );
  assertEquals(image({ readOnly: true }), `${none}format=raw,file.filename=/dev/null,readonly=on`);
  assertEquals(image(CD), "if=none,media=cdrom,id=driveA,readonly=on");
  assertEquals(
    image({ ...CD, imageName }),
    `if=none,media=cdrom,id=driveA,${path}file.locking=off,readonly=on`,
  );
  for (const name of ["SD", "MTD", "PFlash", "None"] as const) {
    assertEquals(image({ interface: name })?.split(",")[0], `if=${name.toLowerCase()}`);
  }
});

Deno.test("driveIds maps what QEMU does not allow in an id, and refuses doubles", () => {
  const ids = (...identifiers: string[]) =>
    driveIds(config({ drives: identifiers.map((identifier) => drive({ identifier })) }));
  assertEquals(ids("1", "a b,c=ä", "A-b._"), ["drive1", "drivea_b_c__", "driveA-b._"]);
  const error = assertThrows(() => ids("x", "a b", "a,b"), BundleError);
  assertEquals(
    error.message,
    'Cannot use Drive[2].Identifier: it is "a,b" as in Drive[1], expected one of its own',
  );
  assertEquals(
    driveIds(config({ drives: [drive(), drive({ imageType: "BIOS" })] })),
    ["driveA", "driveA"],
  );
});
