import { assertEquals, assertRejects } from "@std/assert";
import { BundleError } from "../../lib/base/errors.ts";
import { parseConfig } from "../../lib/utm/config.ts";
import { KNOWN_TARGETS, LEGACY_DEFAULT_TARGETS } from "../../lib/utm/legacy_targets.ts";
import { ARCHITECTURES } from "../../lib/utm/enums.ts";
import type { PlistValue } from "../../lib/utm/plist.ts";
import { dict } from "../fakes/config_plist.ts";

const CONTEXT = { bundleName: "Old", bundlePath: "/vm/Old.utm", hostArchitecture: "aarch64" };
/** Parses a file that holds all sections, as UTM wrote them, with keys of one of them. */
const parse = (sections: Record<string, PlistValue>) => {
  const empty = ["System", "Display", "Input", "Networking", "Sound", "Sharing", "Debug", "Info"];
  const all = Object.fromEntries(empty.map((name) => [name, dict({})]));
  return parseConfig(dict({ ...all, ConfigurationVersion: 2, ...sections }), CONTEXT);
};
const system = async (keys: Record<string, PlistValue>) =>
  (await parse({ System: dict(keys) })).config;
const drives = async (...entries: Record<string, PlistValue>[]) =>
  (await parse({ Drives: entries.map(dict) })).config.drives;
const network = async (keys: Record<string, PlistValue>) =>
  (await parse({ Networking: dict(keys) })).config.networks;

Deno.test("an empty old file is UTM's initial machine", async () => {
  const { config, warnings } = await parseConfig(dict({}), CONTEXT);
  assertEquals(warnings, []);
  assertEquals(config.sourceVersion, 0);
  assertEquals(config.dataFolder, "Images");
  assertEquals(config.information.name, "Old");
  assertEquals(config.system.architecture, "x86_64");
  assertEquals(config.system.target, "q35");
  assertEquals(Object.entries(config.qemu).filter(([, value]) => value === true), []);
  assertEquals(config.input, { usbBusSupport: "2.0", usbSharing: false, maximumUsbShare: 3 });
  assertEquals(config.displays.map((display) => display.hardware), ["virtio-vga"]);
  assertEquals([config.networks, config.sounds, config.serials, config.drives], [[], [], [], []]);
});

Deno.test("sections without keys get the defaults of their time", async () => {
  const { config, warnings } = await parse({});
  assertEquals(warnings, []);
  assertEquals(config.system.target, "q35");
  assertEquals(config.system.memorySize, 512);
  const { rngDevice, ps2Controller, uefiBoot, rtcLocalTime, hypervisor } = config.qemu;
  assertEquals({ rngDevice, ps2Controller, uefiBoot, rtcLocalTime, hypervisor }, {
    rngDevice: true,
    ps2Controller: true,
    uefiBoot: false,
    rtcLocalTime: true,
    hypervisor: false,
  });
  assertEquals(config.displays, [{
    hardware: "qxl-vga",
    dynamicResolution: false,
    upscalingFilter: "Linear",
    downscalingFilter: "Linear",
    nativeResolution: false,
  }]);
  assertEquals(config.input.usbSharing, true);
});

Deno.test("defaults follow the machine", async () => {
  const { config } = await parse({ System: dict({ Architecture: "aarch64", Target: "" }) });
  assertEquals(config.system.target, "virt");
  assertEquals(config.qemu.uefiBoot, true);
  assertEquals(config.qemu.rngDevice, true);
  assertEquals(config.qemu.ps2Controller, false);
  assertEquals(config.qemu.hypervisor, true);
  assertEquals(config.input.usbBusSupport, "3.0");
  assertEquals(config.displays[0]!.hardware, "virtio-ramfb");
  const ppc = await system({ Architecture: "ppc" });
  assertEquals(ppc.system.target, "g3beige");
  assertEquals(ppc.displays[0]!.hardware, "VGA");
  assertEquals(ppc.input.usbBusSupport, "2.0");
});

Deno.test("defaults look at a machine before UTM replaces it", async () => {
  const { config, warnings } = await parse({ System: dict({ Target: "pc-0.12" }) });
  assertEquals(config.system.target, "q35");
  assertEquals(config.qemu.ps2Controller, true);
  assertEquals(warnings.map(({ key }) => key), ["System.Target"]);
  // The old default is no machine of today either, and nobody asked for it.
  const hppa = await parse({ System: dict({ Architecture: "hppa" }) });
  assertEquals(hppa.config.system.target, "B160L");
  assertEquals(hppa.warnings, []);
});

Deno.test("an architecture that is gone becomes x86_64, as in UTM, with a warning", async () => {
  const { config, warnings } = await parse({ System: dict({ Architecture: "cris" }) });
  assertEquals(config.system.architecture, "x86_64");
  assertEquals(warnings.map(({ key }) => key), ["System.Architecture"]);
});

Deno.test("old texts, flags and arguments are taken apart", async () => {
  const config = await system({
    CPUFlags: ["+avx", "-hle", "sse4.2"],
    AddArgs: "-no-reboot -boot c",
    Memory: "256",
    BootUefi: 1,
    SystemUUID: "00000031-7a51-4e0b-9c3d-5f0e1d2c3b4a",
    MachineProperties: "hpet=off",
  });
  assertEquals(config.system.cpuFlagsAdd, ["avx", "sse4.2"]);
  assertEquals(config.system.cpuFlagsRemove, ["hle"]);
  assertEquals(config.qemu.additionalArguments, ["-no-reboot -boot c"]);
  assertEquals(config.qemu.machinePropertyOverride, "hpet=off");
  assertEquals(config.system.memorySize, 256);
  assertEquals(config.qemu.uefiBoot, true);
  assertEquals(config.information.uuid, "00000031-7A51-4E0B-9C3D-5F0E1D2C3B4A");
  assertEquals((await system({ AddArgs: ["-S", "-s"] })).qemu.additionalArguments, ["-S", "-s"]);
  assertEquals((await system({ AddArgs: "" })).qemu.additionalArguments, []);
});

Deno.test("a malformed UUID is replaced with a warning, a missing one in silence", async () => {
  const { config, warnings } = await parse({ System: dict({ SystemUUID: "x" }) });
  assertEquals(warnings.map(({ key }) => key), ["System.SystemUUID"]);
  assertEquals(config.information.uuid, (await system({})).information.uuid);
});

Deno.test("drives are numbered anew as soon as one name is missing or odd", async () => {
  const names = async (...values: (string | undefined)[]) =>
    (await drives(...values.map((name) => name === undefined ? {} : { DriveName: name })))
      .map((drive) => drive.identifier);
  assertEquals(await names("drive0", "cd", "drive-x"), ["0", "cd", "-x"]);
  assertEquals(await names("hda", undefined), ["0", "1"]);
  assertEquals(await names("hda", "1st"), ["0", "1"]);
  assertEquals(await names("hda", ""), ["hda", "unnamed1"]);
  assertEquals(await names("drive", "drive1"), ["unnamed0", "1"]);
  await assertRejects(() => names("a", "a"), BundleError, 'Drives[1].DriveName: it is "a"');
  await assertRejects(() => names("drivea", "a"), BundleError, "Drives[1].DriveName");
});

Deno.test("the old variable store is no drive, and the numbers keep their gap", async () => {
  const found = await drives(
    { ImagePath: "a.img", InterfaceType: "ide" },
    { ImagePath: "efi_vars.fd", InterfaceType: "pflash" },
    { ImagePath: "b.iso", InterfaceType: "ide", Cdrom: true },
  );
  assertEquals(
    found.map(({ identifier, imageName, imageType }) => [identifier, imageName, imageType]),
    [
      ["0", "a.img", "Disk"],
      ["2", "b.iso", "CD"],
    ],
  );
});

const DRIVES: [keys: Record<string, PlistValue>, model: Record<string, unknown>][] = [
  [{ ImageType: "kernel", ImagePath: "Image" }, { imageType: "LinuxKernel", interface: "None" }],
  [{ InterfaceType: "nvme" }, { interface: "NVMe", external: false, readOnly: false }],
  [{ InterfaceType: "virtio", Removable: true, ImagePath: "x.iso" }, {
    interface: "VirtIO",
    external: true,
    readOnly: true,
    imageName: undefined,
  }],
  [{ InterfaceType: "VirtIO" }, { interface: "None" }],
  [{ ImageType: "cd", ImagePath: "x.iso" }, {
    imageType: "CD",
    imageName: "x.iso",
    external: false,
  }],
  [{ ImagePath: "" }, { imageName: undefined, external: false, interfaceVersion: 0 }],
];

for (const [keys, model] of DRIVES) {
  Deno.test(`an old drive ${JSON.stringify(keys)} is migrated`, async () => {
    const [drive] = await drives({ DriveName: "drive0", ...keys });
    const picked = Object.keys(model).map((key) => [key, drive![key as keyof typeof drive]]);
    assertEquals(Object.fromEntries(picked), model);
  });
}

Deno.test("NetworkEnabled of version 1 beats NetworkMode", async () => {
  assertEquals(await network({}), []);
  assertEquals(await network({ NetworkMode: "none" }), []);
  assertEquals(await network({ NetworkEnabled: false, NetworkMode: "shared" }), []);
  assertEquals((await network({ NetworkEnabled: 1 }))[0]!.mode, "Emulated");
  const [card] = await network({
    NetworkMode: "bridged",
    NetworkBridgeInterface: "en0",
    IPSubnet: "10.0.5.0/24",
    DHCPHost: "10.0.5.2",
    DNSSearch: "example.org",
  });
  assertEquals(card, {
    mode: "Bridged",
    hardware: "rtl8139",
    macAddress: card!.macAddress,
    isolateFromHost: false,
    portForward: [],
    bridgeInterface: "en0",
    vlanGuestAddress: "10.0.5.0/24",
    vlanDnsSearchDomain: "example.org",
  });
});

Deno.test("an old forward keeps its own host port, as text or number", async () => {
  const forward = async (keys: Record<string, PlistValue>) =>
    (await network({ NetworkMode: "emulated", PortForward: [dict(keys)] }))[0]!.portForward[0];
  assertEquals(
    await forward({ Protocol: "udp", HostPort: "2222", GuestPort: 22, HostAddress: "" }),
    {
      protocol: "UDP",
      hostPort: 2222,
      guestPort: 22,
    },
  );
  assertEquals(await forward({ GuestPort: "80" }), {
    protocol: "TCP",
    hostPort: 80,
    guestPort: 80,
  });
});

const SOUNDS: [keys: Record<string, PlistValue>, hardware: string[]][] = [
  [{}, []],
  [{ SoundCard: "hda" }, []],
  [{ SoundEnabled: true }, ["AC97"]],
  [{ SoundEnabled: 1, SoundCard: "hda" }, ["intel-hda"]],
  [{ SoundEnabled: true, SoundCard: "ac97" }, ["AC97"]],
  [{ SoundEnabled: true, SoundCard: "pcspk" }, []],
  [{ SoundEnabled: true, SoundCard: "ES1370" }, ["ES1370"]],
];

for (const [keys, hardware] of SOUNDS) {
  Deno.test(`old sound ${JSON.stringify(keys)} is ${JSON.stringify(hardware)}`, async () => {
    const { config } = await parse({ Sound: dict(keys) });
    assertEquals(config.sounds.map((sound) => sound.hardware), hardware);
  });
}

Deno.test("a console takes the place of the display", async () => {
  const { config } = await parse({ Display: dict({ ConsoleOnly: true, ConsoleFontSize: 12 }) });
  assertEquals(config.displays, []);
  assertEquals(config.serials.map(({ mode, target }) => [mode, target]), [["Terminal", "Auto"]]);
});

Deno.test("sharing and input are renamed", async () => {
  const { config } = await parse({
    Sharing: dict({ DirectorySharing: 1, DirectoryReadOnly: true, UsbRedirectMax: 5 }),
    Input: dict({ InputLegacy: true }),
    Display: dict({ DisplayUpscaler: "nearest", DisplayDownscaler: "cubic", DisplayRetina: 1 }),
  });
  assertEquals(config.sharing, {
    directoryShareMode: "WebDAV",
    directoryShareReadOnly: true,
    clipboardSharing: false,
  });
  assertEquals(config.input, { usbBusSupport: "Disabled", usbSharing: true, maximumUsbShare: 5 });
  assertEquals(config.displays[0], {
    hardware: "qxl-vga",
    dynamicResolution: true,
    upscalingFilter: "Nearest",
    downscalingFilter: "Linear",
    nativeResolution: true,
  });
});

Deno.test("errors in old files name the old key", async () => {
  await assertRejects(() => system({ Memory: "lots" }), BundleError, "Cannot read System.Memory");
  await assertRejects(
    () => network({ NetworkMode: "emulated", NetworkCard: "e1000,romfile=/x" }),
    BundleError,
    "Cannot read Networking.NetworkCard",
  );
});

Deno.test("every architecture has its machines, and a default among them", () => {
  assertEquals(Object.keys(KNOWN_TARGETS).sort(), [...ARCHITECTURES].sort());
  for (const [name, { defaultTarget, targets }] of Object.entries(KNOWN_TARGETS)) {
    assertEquals(targets.split(" ").includes(defaultTarget), true, name);
    // loongarch64 came after the old format.
    if (name !== "loongarch64") assertEquals(typeof LEGACY_DEFAULT_TARGETS[name], "string", name);
  }
});
