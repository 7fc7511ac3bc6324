import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { BundleError, HostError, UsageError } from "../../lib/base/errors.ts";
import { all, changes, DIRECTORY, homebrew, linux, plan, qemu } from "./adapt_fixtures.ts";
import { display, drive, serial } from "./argv_fixtures.ts";

const system = { cpu: "qemu64" };

Deno.test("buildPlan gives QMP, agent and terminals a socket each", () => {
  const result = plan({ system, serials: [serial(), serial()] });
  assertEquals(result.sockets, [
    { id: "org.qemu.monitor.qmp", kind: "qmp", path: `${DIRECTORY}/qmp` },
    { id: "term0", kind: "serial", path: `${DIRECTORY}/term0`, serial: 0 },
    { id: "term1", kind: "serial", path: `${DIRECTORY}/term1`, serial: 1 },
    { id: "org.qemu.guest_agent", kind: "agent", path: `${DIRECTORY}/qga` },
  ]);
  assertEquals(result.spice, `${DIRECTORY}/spice`);
  assertEquals(
    all(result, "-chardev")[1],
    `socket,id=term0,path=${DIRECTORY}/term0,server=on,wait=off`,
  );
});

Deno.test("buildPlan lets QEMU connect where the supervisor listens", () => {
  const result = plan({ system }, { listener: "supervisor" });
  assertEquals(
    all(result, "-chardev")[0],
    `socket,id=org.qemu.monitor.qmp,path=${DIRECTORY}/qmp,server=off`,
  );
  assertEquals(all(result, "-mon"), ["chardev=org.qemu.monitor.qmp,mode=control"]);
});

Deno.test("buildPlan refuses a folder whose sockets would have too long paths", () => {
  const directory = (bytes: number) => "/" + "d".repeat(bytes - 1);
  const at = (bytes: number, host = linux()) =>
    plan({ system }, { directory: directory(bytes), host });
  assertEquals(at(107 - "/spice".length).spice?.length, 107);
  const error = assertThrows(() => at(108 - "/spice".length), UsageError);
  assertStringIncludes(error.message, "expected at most 107");
  assertThrows(() => at(104 - "/qmp".length, homebrew()), UsageError, "expected at most 103");
});

Deno.test("buildPlan does not let serial ports of the bundle hold QEMU up", () => {
  const result = plan({
    system,
    serials: [
      serial({ mode: "TcpServer", waitForConnection: true }),
      serial({ mode: "TcpClient", tcpHostAddress: "127.0.0.1" }),
    ],
  });
  assertEquals(all(result, "-chardev").filter((it) => it.includes("id=term")), [
    "socket,id=term0,port=1234,host=127.0.0.1,server=on,wait=off",
    "socket,id=term1,port=1234,host=127.0.0.1,server=off,reconnect=1",
  ]);
  assertEquals(changes(result), ["Serial[0].WaitForConnection: on -> off"]);
});

Deno.test("buildPlan puts the controller in front of a virtio serial port", () => {
  const result = plan({
    system,
    serials: [serial({ target: "Manual", hardware: "virtserialport" })],
  });
  const devices = all(result, "-device").map((it) => it.split(",")[0]);
  assertEquals(devices, ["virtio-serial", "virtserialport", "virtserialport"]);
});

Deno.test("buildPlan replaces UTM's own display and drops memory it cannot have", () => {
  const ramfb = plan({ system, displays: [display("virtio-ramfb")] });
  assertEquals(changes(ramfb), ["Display[0].Hardware: virtio-ramfb -> virtio-vga"]);
  const vga = plan({ system, displays: [display("VGA", 32), display("qxl", 16)] });
  assertEquals(all(vga, "-device").slice(0, 2), ["VGA,vgamem_mb=32", "virtio-vga"]);
});

Deno.test("buildPlan without a display shows none", () => {
  assertEquals(all(plan({ system }), "-display"), ["none"]);
  assertEquals(plan({ system }).argv.includes("-nographic"), false);
});

Deno.test("buildPlan without SPICE opens a window of QEMU's own on request", () => {
  const more = { host: homebrew(), options: { display: "window" as const } };
  assertEquals(all(plan({ system, displays: [display("VGA")] }, more), "-display"), ["cocoa"]);
});

Deno.test("buildPlan pairs floppies on the controller that is there", () => {
  const floppies = ["A", "B"].map((identifier) =>
    drive({ interface: "Floppy", identifier, imageName: `${identifier}.img` })
  );
  const devices = (target: string) =>
    all(plan({ system: { ...system, target }, drives: floppies }), "-device")
      .filter((it) => /floppy|fdc/.test(it));
  assertEquals(devices("pc"), ["floppy,unit=0,drive=driveA", "floppy,unit=1,drive=driveB"]);
  assertEquals(devices("q35"), [
    "isa-fdc,id=fdc0,bootindexA=0",
    "floppy,unit=0,bus=fdc0.0,drive=driveA",
    "floppy,unit=1,bus=fdc0.0,drive=driveB",
  ]);
});

Deno.test("buildPlan refuses drives for which the machine has no bus, and says what would do", () => {
  const disk = drive({ interface: "IDE", imageName: "a.img" });
  const error = assertThrows(
    () => plan({ system: { ...system, target: "microvm" }, drives: [disk] }),
    BundleError,
  );
  assertStringIncludes(error.message, "Drive[0]");
  assertStringIncludes(error.message, "expected VirtIO");
  const five = ["a", "b", "c", "d", "e"].map((identifier) => ({ ...disk, identifier }));
  const pc = { ...system, target: "pc" };
  assertThrows(() => plan({ system: pc, drives: five }), BundleError, "Drive[4]");
});

Deno.test("buildPlan leaves out an empty CD drive on VirtIO", () => {
  const result = plan({ system, drives: [drive({ imageType: "CD", external: true })] });
  assertEquals([all(result, "-drive"), changes(result)], [[], ["Drive[0]: virtio-blk-pci -> "]]);
});

Deno.test("buildPlan adds a bus for a USB disk of a bundle without USB", () => {
  const result = plan({ system, drives: [drive({ interface: "USB", imageName: "a.img" })] });
  assertEquals(all(result, "-device")[0], "nec-usb-xhci,id=usb-bus");
  assertEquals(changes(result), ["Input.UsbBusSupport: Disabled -> nec-usb-xhci"]);
});

Deno.test("buildPlan plays through SPICE, else through what the host has", () => {
  const sounds = [{ hardware: "virtio-sound-pci" }];
  const result = plan({ system, sounds });
  assertEquals(all(result, "-audiodev"), ["spice,id=audio0"]);
  assertEquals(changes(result), ["Sound[0].Hardware: virtio-sound-pci -> intel-hda"]);
  const mac = plan({ system, sounds: [{ hardware: "AC97" }] }, { host: homebrew() });
  assertEquals(all(mac, "-audiodev"), ["coreaudio,id=audio0"]);
});

Deno.test("buildPlan writes -audio none only for a QEMU that knows it", () => {
  assertEquals(all(plan({ system }), "-audio"), []);
  assertEquals(all(plan({ system }, { host: homebrew() }), "-audio"), ["none"]);
});

Deno.test("buildPlan takes the newest machine of a family for a version that is missing", () => {
  const result = plan({ system: { ...system, target: "pc-q35-10.0" } });
  assertEquals(all(result, "-machine")[0]?.split(",")[0], "q35");
  assertEquals(changes(result), ["System.Target: pc-q35-10.0 -> q35"]);
  assertThrows(() => plan({ system: { ...system, target: "raspi4b" } }), HostError, "raspi4b");
});

Deno.test("buildPlan drops machine properties that QEMU was seen not to have", () => {
  const host = linux({ qemu: qemu({ machineProperties: { "pc-q35-7.2": ["hpet"] } }) });
  const result = plan({ system }, { host });
  assertEquals(all(result, "-machine"), ["q35,hpet=off"]);
  assertEquals(changes(result), ["System.Target: vmport=off -> "]);
});

Deno.test("buildPlan never rewrites the user's own arguments", () => {
  const result = plan({
    system,
    qemu: { additionalArguments: ["-device virtio-ramfb -netdev vmnet-shared,id=x -S"] },
  }, { options: { extraArguments: ["-chardev", "spiceport,id=org.qemu.monitor.qmp"] } });
  assertEquals(result.argv.slice(-7), [
    "-device",
    "virtio-ramfb",
    "-netdev",
    "vmnet-shared,id=x",
    "-S",
    "-chardev",
    "spiceport,id=org.qemu.monitor.qmp",
  ]);
});

Deno.test("buildPlan plans without a QEMU as for a stock one", () => {
  const result = plan({ system, displays: [display("virtio-ramfb")] }, {
    host: linux({ qemu: null }),
  });
  assertEquals(result.binary, "qemu-system-x86_64");
  assertEquals(changes(result), ["Display[0].Hardware: virtio-ramfb -> virtio-vga"]);
});
