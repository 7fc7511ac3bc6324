import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import fc from "fast-check";
import { BundleError } from "../../lib/base/errors.ts";
import { parseConfig } from "../../lib/utm/config.ts";
import type { Config } from "../../lib/utm/model.ts";
import { parsePlist, type PlistValue } from "../../lib/utm/plist.ts";
import { change, configPlist, type Dict, dict } from "../fakes/config_plist.ts";

const CONTEXT = { bundleName: "Bundle", bundlePath: "/vm/Bundle.utm", hostArchitecture: "x86_64" };
const parse = (plist: Dict) => parseConfig(plist, CONTEXT);
const parseChanged = (path: string, value?: PlistValue) =>
  parse(change(configPlist(), path, value));
/** The value that a camel-case key path leads to in the model. */
const look = (config: Config, path: string): unknown =>
  path.split(/[.[\]]+/).filter(Boolean).reduce(
    (at, key) => (at as Record<string, unknown>)[key],
    config as unknown,
  );

Deno.test("parseConfig turns a whole file into the model", async () => {
  const { config, warnings, unknownKeys } = await parse(configPlist());
  assertEquals(warnings, []);
  assertEquals(unknownKeys, []);
  assertEquals(config, {
    sourceVersion: 4,
    dataFolder: "Data",
    information: {
      name: "Test",
      iconCustom: false,
      uuid: "6F5D5C1B-2E0C-4B7A-9C55-8C1C0B6A7E01",
    },
    system: {
      architecture: "x86_64",
      target: "q35",
      cpu: "default",
      cpuFlagsAdd: [],
      cpuFlagsRemove: [],
      cpuCount: 2,
      forceMulticore: false,
      memorySize: 1024,
      jitCacheSize: 0,
    },
    qemu: {
      debugLog: false,
      uefiBoot: false,
      rngDevice: true,
      balloonDevice: false,
      tpmDevice: false,
      hypervisor: true,
      tso: false,
      rtcLocalTime: false,
      ps2Controller: false,
      additionalArguments: [],
    },
    input: { usbBusSupport: "3.0", usbSharing: true, maximumUsbShare: 3 },
    sharing: { directoryShareMode: "None", directoryShareReadOnly: false, clipboardSharing: true },
    displays: [{
      hardware: "virtio-vga",
      dynamicResolution: true,
      upscalingFilter: "Nearest",
      downscalingFilter: "Linear",
      nativeResolution: false,
    }],
    drives: [
      {
        imageName: "disk.qcow2",
        imageType: "Disk",
        interface: "VirtIO",
        interfaceVersion: 1,
        identifier: "disk",
        readOnly: false,
        external: false,
      },
      {
        imageType: "CD",
        interface: "USB",
        interfaceVersion: 1,
        identifier: "cd",
        readOnly: true,
        external: true,
      },
    ],
    networks: [{
      mode: "Emulated",
      hardware: "e1000",
      macAddress: "52:54:00:12:34:56",
      isolateFromHost: false,
      portForward: [{ protocol: "TCP", hostPort: 2222, guestPort: 22 }],
    }],
    serials: [{
      mode: "Terminal",
      target: "Auto",
      waitForConnection: false,
      remoteConnectionAllowed: false,
    }],
    sounds: [{ hardware: "intel-hda" }],
  });
});

const DEFAULTS: [missing: string, model: string, value: unknown][] = [
  ["Information.Name", "information.name", "Bundle"],
  ["Information.IconCustom", "information.iconCustom", false],
  ["System.CPU", "system.cpu", "default"],
  ["System.CPUFlagsAdd", "system.cpuFlagsAdd", []],
  ["System.CPUCount", "system.cpuCount", 0],
  ["System.MemorySize", "system.memorySize", 512],
  ["System.JITCacheSize", "system.jitCacheSize", 0],
  ["QEMU.UEFIBoot", "qemu.uefiBoot", false],
  ["QEMU.AdditionalArguments", "qemu.additionalArguments", []],
  ["Input.UsbBusSupport", "input.usbBusSupport", "2.0"],
  ["Input.MaximumUsbShare", "input.maximumUsbShare", 3],
  ["Sharing.DirectoryShareMode", "sharing.directoryShareMode", "None"],
  ["Display[0].DynamicResolution", "displays[0].dynamicResolution", true],
  ["Display[0].UpscalingFilter", "displays[0].upscalingFilter", "Nearest"],
  ["Drive[0].Identifier", "drives[0].identifier", "0"],
  ["Network[0].PortForward", "networks[0].portForward", []],
  ["Network[0].MacAddress", "networks[0].macAddress", "8E:1C:0B:6A:7E:01"],
  ["Input", "input.usbBusSupport", "2.0"],
  ["Sharing", "sharing.clipboardSharing", false],
  ["QEMU", "qemu.rngDevice", false],
  ["Sound", "sounds", []],
];

for (const [missing, model, value] of DEFAULTS) {
  Deno.test(`parseConfig does without ${missing} and says so`, async () => {
    const { config, warnings } = await parseChanged(missing);
    assertEquals(look(config, model), value);
    assertEquals(warnings.map(({ key }) => key), [missing]);
    assertMatch(warnings[0]!.message, /is missing, .+ (is|are) used$/);
    assert(warnings[0]!.message.startsWith(missing));
  });
}

Deno.test("parseConfig derives a UUID from the path when there is none", async () => {
  const uuidAt = async (bundlePath: string) => {
    const plist = change(configPlist(), "Information.UUID", undefined);
    return (await parseConfig(plist, { ...CONTEXT, bundlePath })).config.information.uuid;
  };
  assertMatch(
    await uuidAt("/a"),
    /^[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$/,
  );
  assertEquals(await uuidAt("/a"), await uuidAt("/a"));
  assert(await uuidAt("/a") !== await uuidAt("/b"));
});

const ERRORS: [path: string, value: PlistValue | undefined, message: string, hint?: string][] = [
  ["System", undefined, "Cannot read System: it is missing, expected a dictionary"],
  ["System.Architecture", undefined, "it is missing, expected one of alpha, arm"],
  ["System.Architecture", "x86-64", 'the string "x86-64", expected one of', '"x86_64"?'],
  ["System.Architecture", "cris", 'the string "cris", expected one of'],
  ["System.Target", undefined, "System.Target: it is missing, expected a QEMU machine name"],
  ["System.Target", "q35,accel=kvm", "expected a QEMU machine name"],
  ["System.CPU", "max,x=y", "expected a QEMU CPU name"],
  [
    "System.CPUFlagsAdd",
    ["+avx"],
    'System.CPUFlagsAdd[0]: it is the string "+avx", expected a CPU',
  ],
  ["System.CPUFlagsRemove", "avx", "expected an array of strings"],
  ["System.MemorySize", 0, "the integer 0, expected an integer from 1 to"],
  ["System.MemorySize", 1.5, "the real number 1.5, expected an integer"],
  ["System.MemorySize", 2n ** 63n, "the integer 9223372036854775808, expected an integer"],
  ["System.MemorySize", "many", 'the string "many", expected an integer'],
  ["System.CPUCount", true, "the boolean true, expected an integer"],
  ["Information.UUID", "none", 'the string "none", expected a UUID'],
  ["Information.Name", 5, "the integer 5, expected a string"],
  ["Information.Name", "a\0b", "expected text without NUL characters"],
  ["QEMU.UEFIBoot", 2, "the integer 2, expected a boolean"],
  ["QEMU.UEFIBoot", "YES", 'the string "YES", expected a boolean'],
  ["QEMU.AdditionalArguments", ["-S", 5], "QEMU.AdditionalArguments[1]: it is the integer 5"],
  ["Input.UsbBusSupport", "1.1", "expected one of Disabled, 2.0, 3.0"],
  ["Input.MaximumUsbShare", 1000000, "expected an integer from 0 to 64"],
  ["Sharing.DirectoryShareMode", "virtfs", "expected one of None", '"VirtFS"?'],
  ["Display", dict({}), "Cannot read Display: it is a dictionary, expected an array of dict"],
  ["Display[0]", "VGA", 'Cannot read Display[0]: it is the string "VGA", expected a dictionary'],
  ["Display[0].Hardware", undefined, "Display[0].Hardware: it is missing, expected a QEMU device"],
  ["Display[0].Hardware", "VGA,romfile=/etc/passwd", "expected a QEMU device name"],
  ["Display[0].UpscalingFilter", "Cubic", "expected one of Linear, Nearest"],
  ["Drive[0].Interface", "Virtio", "Drive[0].Interface: it is", '"VirtIO"?'],
  ["Drive[0].ImageType", undefined, "expected one of None, Disk, CD"],
  ["Drive[1].Identifier", "disk", 'Drive[1].Identifier: it is "disk", which Drive[0] has too'],
  ["Network[0].Mode", "NAT", "expected one of Emulated, Shared, Host, Bridged"],
  ["Network[0].MacAddress", "52:54:00:12:34", "expected a MAC address"],
  ["Network[0].MacAddress", "52:54:00:12:34:56,netdev=x", "expected a MAC address"],
  ["Network[0].BridgeInterface", "en0,x", "expected the name of a network interface"],
  ["Network[0].VlanGuestAddress", "10.0.2.0/33", "expected an IPv4 network"],
  ["Network[0].VlanHostAddress", "10.0.2.256", "expected an IPv4 address"],
  ["Network[0].VlanDnsServerAddressIPv6", "10.0.2.3", "expected an IPv6 address"],
  ["Network[0].VlanDhcpDomain", "a b", "expected a domain name"],
  ["Network[0].HostNetUuid", "x", "expected a UUID"],
  ["Network[0].PortForward[0].Protocol", "tcp", "expected one of TCP, UDP", '"TCP"?'],
  ["Network[0].PortForward[0].HostPort", 65536, "expected an integer from 0 to 65535"],
  ["Network[0].PortForward[0].GuestPort", 0, "expected an integer from 1 to 65535"],
  ["Network[0].PortForward[0].HostAddress", "::1-:1", "expected an IPv4 or IPv6 address"],
  ["Serial[0].Mode", "Tcp", "expected one of Terminal, TcpClient"],
  ["Serial[0].Target", "Manual", "Serial[0].Hardware: it is missing, expected a QEMU device name"],
  ["Serial[0].TcpPort", 0, "expected an integer from 1 to 65535"],
  ["Serial[0].TcpHostAddress", "a,server=on", "expected a host name or an address"],
  ["Sound[0].Hardware", "", "it is an empty string, expected a QEMU device name"],
  ["Backend", "qemu", "expected one of QEMU, Apple", '"QEMU"?'],
  ["Backend", undefined, 'Backend: it is missing, expected "QEMU" in a file of version 4'],
  ["ConfigurationVersion", 3, "ConfigurationVersion: it is 3, expected 4", "test version"],
  ["ConfigurationVersion", undefined, "ConfigurationVersion: it is 0, expected 4"],
  ["ConfigurationVersion", 5, "it is 5, expected 4", "newer UTM"],
  ["ConfigurationVersion", "new", 'the string "new", expected an integer'],
];

for (const [path, value, message, hint] of ERRORS) {
  const shown = value === undefined ? "absent" : typeof value === "object" ? "another" : `${value}`;
  Deno.test(`parseConfig refuses ${path} ${JSON.stringify(shown)}`, async () => {
    const error = await assertRejects(() => parseChanged(path, value), BundleError, message);
    assertEquals(error.exitCode, 3);
    if (hint !== undefined) assert(error.hint?.includes(hint), error.hint);
  });
}

const TAKEN: [path: string, value: PlistValue, model: string, taken: unknown, warns: boolean][] = [
  ["QEMU.UEFIBoot", 1, "qemu.uefiBoot", true, true],
  ["System.MemorySize", " 2048 ", "system.memorySize", 2048, true],
  ["System.CPUCount", -1, "system.cpuCount", 0, false],
  ["System.CPU", "Fujitsu-MB86904     ", "system.cpu", "Fujitsu-MB86904", false],
  ["System.CPU", "", "system.cpu", "default", false],
  ["System.Target", "leon3_generic", "system.target", "leon3_generic", false],
  ["Display[0].VgaRamMib", 0, "displays[0].vgaRamMib", undefined, false],
  ["Drive[0].Identifier", "a,b", "drives[0].identifier", "a_b", true],
  ["Drive[0].Identifier", "", "drives[0].identifier", "0", true],
  ["Drive[1].ReadOnly", false, "drives[1].readOnly", false, false],
  ["Network[0].MacAddress", "", "networks[0].macAddress", "8E:1C:0B:6A:7E:01", true],
  ["Network[0].VlanGuestAddress", "", "networks[0].vlanGuestAddress", undefined, false],
  [
    "Network[0].VlanGuestAddress",
    "10.1.0.0/255.255.0.0",
    "networks[0].vlanGuestAddress",
    "10.1.0.0/255.255.0.0",
    false,
  ],
  [
    "Network[0].VlanGuestAddressIPv6",
    "fd00::/64",
    "networks[0].vlanGuestAddressIPv6",
    "fd00::/64",
    false,
  ],
  [
    "Network[0].HostNetUuid",
    "6f5d5c1b-2e0c-4b7a-9c55-8c1c0b6a7e01",
    "networks[0].hostNetUuid",
    "6F5D5C1B-2E0C-4B7A-9C55-8C1C0B6A7E01",
    false,
  ],
  ["Network[0].PortForward[0].HostPort", 0, "networks[0].portForward[0].hostPort", 0, false],
  [
    "Network[0].PortForward[0].HostAddress",
    "",
    "networks[0].portForward[0].hostAddress",
    undefined,
    false,
  ],
  ["Serial[0].Terminal", 5, "serials[0].mode", "Terminal", false],
];

for (const [path, value, model, taken, warns] of TAKEN) {
  Deno.test(`parseConfig takes ${path} ${JSON.stringify(value)}`, async () => {
    const { config, warnings } = await parseChanged(path, value);
    assertEquals(look(config, model), taken);
    assertEquals(warnings.map(({ key }) => key), warns ? [path] : []);
  });
}

Deno.test("parseConfig reads the old spelling of a forward, but no mixture", async () => {
  const forward = { protocol: "UDP", hostAddress: "127.0.0.1", hostPort: 1, guestPort: 2 };
  const { config } = await parseChanged("Network[0].PortForward", [dict(forward)]);
  assertEquals(config.networks[0]!.portForward, [{ ...forward, protocol: "UDP" }]);
  const mixed = dict({ Protocol: "UDP", hostPort: 1, guestPort: 2 });
  await assertRejects(
    () => parseChanged("Network[0].PortForward", [mixed]),
    BundleError,
    "HostPort",
  );
});

Deno.test("parseConfig keeps mapped identifiers apart from stored ones", async () => {
  const plist = change(configPlist(), "Drive[0].Identifier", "a b");
  const { config } = await parse(change(plist, "Drive[1].Identifier", "a_b"));
  assertEquals(config.drives.map((drive) => drive.identifier), ["a_b-2", "a_b"]);
});

Deno.test("parseConfig lists keys that UTM does not know", async () => {
  const plist = change(configPlist(), "Drive[0].Discard", true);
  const { unknownKeys, warnings } = await parse(change(plist, "Future", dict({ a: 1 })));
  assertEquals(unknownKeys.sort(), ["Drive[0].Discard", "Future"]);
  assertEquals(warnings, []);
});

Deno.test("parseConfig makes hostile text in messages printable", async () => {
  const error = await assertRejects(
    () => parseChanged("Sound[0].Hardware", "\x1b[2J\n"),
    BundleError,
  );
  // deno-lint-ignore no-control-regex
  assert(!/[\u0000-\u001f]/.test(error.message), error.message);
});

Deno.test("parseConfig takes versions 1 to 3 of Apple's backend for what they are", async () => {
  const old = (version: number) => dict({ isAppleVirtualization: true, version });
  await assertRejects(() => parse(old(3)), BundleError, "Virtualization framework");
  await assertRejects(() => parse(old(1)), BundleError, "Virtualization framework");
  await assertRejects(() => parse(old(4)), BundleError, "version: it is 4");
  await assertRejects(
    () => parseChanged("Backend", "Apple"),
    BundleError,
    "Virtualization framework",
  );
});

/** Every key path in a property list. */
function paths(value: PlistValue, at = ""): string[] {
  const inner = Array.isArray(value)
    ? value.flatMap((item, index) => paths(item, `${at}[${index}]`))
    : value instanceof Map
    ? [...value].flatMap(([key, item]) => paths(item, at === "" ? key : `${at}.${key}`))
    : [];
  return at === "" ? inner : [at, ...inner];
}

const junk = fc.constantFrom<PlistValue | undefined>(
  undefined,
  "",
  "a,b=c",
  "\0",
  "-1",
  "__proto__",
  "é".repeat(300),
  -1,
  0,
  1,
  99999,
  2n ** 64n,
  0.5,
  NaN,
  true,
  new Date(0),
  new Uint8Array(4),
  [],
  [[]],
  [""],
  new Map(),
  new Map([["constructor", "x"]]),
);

Deno.test("parseConfig answers any change of a valid file with a model or a BundleError", async () => {
  const folder = fromFileUrl(new URL("../fixtures/bundles/", import.meta.url));
  const files = [...Deno.readDirSync(folder)].map(({ name }) =>
    Deno.readFileSync(`${folder}${name}/config.plist`)
  );
  let models = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...files),
      fc.array(fc.tuple(fc.nat(), junk), { minLength: 1, maxLength: 3 }),
      async (file, changes) => {
        const plist = new Map(await parsePlist(file, "config.plist"));
        for (const [at, value] of changes) {
          const all = paths(plist);
          // A copy: a later change may reach into it, and put it into itself.
          if (all.length > 0) change(plist, all[at % all.length]!, structuredClone(value));
        }
        try {
          const { warnings } = await parse(plist);
          models++;
          for (const { key, message } of warnings) assert(message.startsWith(key), message);
        } catch (error) {
          if (!(error instanceof BundleError)) throw error;
          assertMatch(error.message, /^Cannot (read|run) [^\n]+(: .+, expected .+)/);
        }
      },
    ),
    { numRuns: 1000 },
  );
  // About 70 are, give or take 10; none would mean that only errors were looked at.
  assert(models > 10, `only ${models} of 1000 changed files were still valid`);
});
