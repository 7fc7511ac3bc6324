import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { BundleError, HostError, RefusedError } from "../../lib/base/errors.ts";
import type { Bundle, ResolvedFiles } from "../../lib/utm/bundle.ts";
import { type Grant, GRANTS } from "../../lib/utm/grants.ts";
import { imageReferences, vmdkNames } from "../../lib/utm/image_references.ts";
import { checkGrants, makePassport, riskyEntries } from "../../lib/utm/passport.ts";
import {
  isHostDevice,
  riskyArguments,
  riskyMachineProperties,
} from "../../lib/utm/passport_arguments.ts";
import { forgetPassport, trustPassport, untrustedEntries } from "../../lib/vm/trust.ts";
import { config, type ConfigParts, drive, network, serial } from "./argv_fixtures.ts";

/** A bundle without any device, and what a test puts into it. */
function bundleWith(parts: ConfigParts): Bundle {
  return {
    path: "/x.utm",
    name: "x",
    dataFolder: "/x.utm/Data",
    config: config(parts),
    warnings: [],
    unknownKeys: [],
    device: 1,
    inode: 2,
    writable: true,
  };
}

const noFiles: ResolvedFiles = {
  bundle: "/x.utm",
  media: [],
  efiVars: "/x.utm/Data/efi_vars.fd",
  tpmState: "/x.utm/Data/tpmdata",
  images: [],
  outside: [],
  isShareOwn: false,
  warnings: [],
};

/** Key and grant of everything in a passport that needs one. */
async function risks(overrides: ConfigParts, files = noFiles): Promise<[string, Grant][]> {
  const passport = await makePassport(bundleWith(overrides), files);
  return riskyEntries(passport).map(({ key, grant }) => [key, grant]);
}

const forward = { protocol: "TCP", hostPort: 2222, guestPort: 22 } as const;

Deno.test("a bundle with its own files and user-mode networking needs no grant", async () => {
  const networks = [
    network({ mode: "Emulated", portForward: [forward] }),
    network({ mode: "Shared", portForward: [{ ...forward, hostAddress: "127.0.0.1" }] }),
  ];
  const serials = [
    serial({ mode: "Terminal", target: "Auto" }),
    serial({ mode: "TcpServer", target: "Auto" }),
    serial({ mode: "Ptty", target: "Auto" }),
  ];
  const qemu = { additionalArguments: ["-no-reboot"], machinePropertyOverride: "hpet=on" };
  assertEquals(await risks({ networks, serials, qemu }), []);
});

Deno.test("ports beyond loopback, networks of the host and TCP clients need their grants", async () => {
  const networks = [
    network({ mode: "Emulated", portForward: [{ ...forward, hostAddress: "0.0.0.0" }] }),
    network({ mode: "Bridged" }),
    network({ mode: "Host" }),
    network({ mode: "Shared", portForward: [{ ...forward, hostAddress: "127.0.0.1.x" }] }),
  ];
  const serials = [
    serial({ mode: "TcpServer", target: "Auto", remoteConnectionAllowed: true }),
    serial({ mode: "TcpClient", target: "Auto" }),
    serial({ mode: "Terminal", target: "Monitor" }),
    serial({ mode: "TcpServer", target: "GDB" }),
  ];
  assertEquals(await risks({ networks, serials }), [
    ["Network[0].PortForward[0]", "ports"],
    ["Network[1].Mode", "network"],
    ["Network[2].Mode", "network"],
    ["Network[3].PortForward[0]", "ports"],
    ["Serial[0].RemoteConnectionAllowed", "ports"],
    ["Serial[1].Mode", "network"],
    ["Serial[2].Target", "monitor"],
    ["Serial[3].Target", "monitor"],
  ]);
});

Deno.test("hardware that reaches the host needs the grant devices", async () => {
  for (const name of ["vfio-pci", "vhost-vsock-pci", "usb-host", "loader", "ivshmem-plain"]) {
    assertEquals(isHostDevice(name), true, name);
  }
  for (const name of ["virtio-net-pci", "usb-tablet", "e1000", "usb-storage", "generic-loader-x"]) {
    assertEquals(isHostDevice(name), false, name);
  }
  const networks = [network({ mode: "Emulated", hardware: "vfio-pci" })];
  const serials = [
    serial({ mode: "Ptty", target: "Manual", hardware: "u2f-passthru" }),
  ];
  assertEquals(await risks({ networks, serials }), [
    ["Network[0].Hardware", "devices"],
    ["Serial[0].Hardware", "devices"],
  ]);
});

Deno.test("riskyArguments lets only the harmless ones of the contract through", () => {
  const harmless = [
    ["-append", "root=/dev/vda -x", "-no-reboot", "-boot", "menu=on,order=c"],
    ["-device", "pvpanic", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"],
    ["--no-reboot", "--append", "-s"],
  ];
  for (const words of harmless) assertEquals(riskyArguments(words), [], words.join(" "));
  const risky: [string[], string[]][] = [
    [["-s"], ["-s"]],
    [["-append"], ["-append"]],
    [["-no-reboot", "-monitor", "stdio"], ["-monitor stdio"]],
    [["-boot", "order=c,splash=/etc/passwd"], ["-boot order=c,splash=/etc/passwd"]],
    [["-device", "pvpanic,romfile=/etc/shadow"], ["-device pvpanic,romfile=/etc/shadow"]],
    [["-device", "pvpanic2"], ["-device pvpanic2"]],
    [["-device", "-append", "x"], ["-device"]],
    [["/dev/sda"], ["/dev/sda"]],
    [["-drive", "file=/etc/passwd", "-append", "x"], ["-drive file=/etc/passwd"]],
  ];
  for (const [words, expected] of risky) {
    assertEquals(riskyArguments(words), expected, words.join(" "));
  }
});

Deno.test("riskyMachineProperties knows harmless names, and no value with a path", () => {
  assertEquals(riskyMachineProperties("vmport=off,hpet=on,smm=on,,gic-version=3"), []);
  assertEquals(riskyMachineProperties("hpet=on,dumpdtb=/tmp/x,firmware=a"), [
    "dumpdtb=/tmp/x",
    "firmware=a",
  ]);
  assertEquals(riskyMachineProperties("usb=/etc"), ["usb=/etc"]);
});

Deno.test("arguments are judged across strings, and named by their key", async () => {
  const argued = (additionalArguments: string[]) => risks({ qemu: { additionalArguments } });
  assertEquals(await argued(["-append", '"console=ttyS0 -s"']), []);
  assertEquals(await argued(["-no-reboot", "-nic tap"]), [[
    "QEMU.AdditionalArguments[1]",
    "args",
  ]]);
});

Deno.test("an image or state file outside the bundle needs the grant external", async () => {
  const image = {
    path: "/x.utm/Data/a.img",
    realPath: "/etc/passwd",
    format: "raw" as const,
    device: false,
    bytes: 1,
    escapes: true,
  };
  const drives = [drive({ external: false, imageName: "a.img" }), drive({ external: true })];
  const outside = [{
    key: "QEMU.UEFIBoot",
    path: "/x.utm/Data/efi_vars.fd",
    realPath: "/srv/v.fd",
  }];
  const files = { ...noFiles, images: [image, { ...image, escapes: true }], outside };
  assertEquals(await risks({ drives, qemu: { uefiBoot: true } }, files), [
    ["Drive[0].ImageName", "external"],
    ["QEMU.UEFIBoot", "external"],
  ]);
});

Deno.test("a directory that the bundle itself names needs the grant share", async () => {
  const share = { path: "/home/me", readOnly: true };
  assertEquals(await risks({}, { ...noFiles, share }), []);
  const own = { ...noFiles, share, isShareOwn: true };
  assertEquals(await risks({}, own), [["view.plist: SharedDirectoryPath", "share"]]);
});

Deno.test("checkGrants names the key, the risk and every missing --allow", async () => {
  const bundle = bundleWith({
    networks: [network({ mode: "Bridged" })],
    qemu: { additionalArguments: ["-s"] },
  });
  const passport = await makePassport(bundle, noFiles);
  const error = assertThrows(() => checkGrants(passport, new Set()), RefusedError);
  assertEquals(
    error.message,
    "Cannot run this bundle: Network[0].Mode asks for a bridge to the first interface: " +
      "the guest becomes a neighbour of this host on a network, " +
      "expected the grant network (the first of 2 such requests)",
  );
  assertEquals(error.exitCode, 4);
  assertEquals(error.hint?.includes("--allow network,args"), true);
  assertThrows(() => checkGrants(passport, new Set(["network"])), RefusedError, "Arguments[0]");
  checkGrants(passport, new Set(GRANTS));
});

Deno.test("trust holds until the bundle asks for something else", async () => {
  const state = await Deno.makeTempDir({ prefix: "utmost-trust-" });
  try {
    const asking = async (text: string) => {
      const bundle = bundleWith({ qemu: { additionalArguments: [text] } });
      return { bundle, passport: await makePassport(bundle, noFiles) };
    };
    const { bundle, passport } = await asking("-s");
    const left = async () => (await untrustedEntries(state, bundle, passport)).length;
    assertEquals(await left(), 1);
    assertEquals((await trustPassport(state, bundle, passport)).length, 1);
    assertEquals(await left(), 0);
    const changed = (await asking("-S -s")).passport;
    assertEquals((await untrustedEntries(state, bundle, changed)).map(({ what }) => what), [
      '"-S"',
    ]);
    const moved = { ...bundle, path: "/other.utm" };
    assertEquals((await untrustedEntries(state, moved, passport)).length, 1);
    assertEquals(await forgetPassport(state, bundle), true);
    assertEquals(await left(), 1);
    assertEquals(await forgetPassport(state, bundle), false);
  } finally {
    await Deno.remove(state, { recursive: true });
  }
});

/** The head of a qcow2 image of version 3, as far as it is looked at. */
function qcow2(options: { backing?: boolean; dataFile?: boolean }): Uint8Array {
  const head = new Uint8Array(512);
  const view = new DataView(head.buffer);
  view.setUint32(0, 0x514649fb);
  view.setUint32(4, 3);
  if (options.backing) view.setBigUint64(8, 104n);
  if (options.dataFile) view.setBigUint64(72, 4n);
  return head;
}

Deno.test("imageReferences asks qemu-img only about a qcow2 that names files", async () => {
  const folder = await Deno.makeTempDir({ prefix: "utmost-images-" });
  try {
    const path = join(folder, "a.qcow2");
    const refs = () => imageReferences(path, "qcow2", folder, { qemuImg: "/nonexistent/qemu-img" });
    await Deno.writeFile(path, qcow2({}));
    assertEquals(await refs(), []);
    for (const options of [{ backing: true }, { dataFile: true }]) {
      await Deno.writeFile(path, qcow2(options));
      await assertRejects(refs, HostError, "there is no qemu-img");
    }
    await Deno.writeFile(path, qcow2({}).subarray(0, 10));
    await assertRejects(refs, HostError);
    await Deno.writeTextFile(path, "QFI\u00fb raw content", {});
    assertEquals(await imageReferences(path, "raw", folder), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const DESCRIPTOR = `# Disk DescriptorFile
version=1
parentFileNameHint="../base.vmdk"
RW 4192256 SPARSE "self.vmdk"
RW 10 FLAT "/etc/passwd" 0
`;

Deno.test("vmdkNames finds extents and parents", () => {
  assertEquals(vmdkNames(new TextEncoder().encode(DESCRIPTOR)), [
    { role: "extent", name: "self.vmdk" },
    { role: "extent", name: "/etc/passwd" },
    { role: "parent", name: "../base.vmdk", format: "vmdk" },
  ]);
});

Deno.test("imageReferences tells inside from outside, and ends in a loop", async () => {
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "utmost-images-" }));
  try {
    const bundle = join(folder, "x.utm");
    await Deno.mkdir(bundle);
    const path = join(bundle, "self.vmdk");
    await Deno.writeTextFile(path, DESCRIPTOR);
    await Deno.writeTextFile(join(folder, "base.vmdk"), DESCRIPTOR);
    const found = await imageReferences(path, "vmdk", bundle);
    assertEquals(found.map(({ name, escapes }) => [name, escapes]), [
      ["self.vmdk", false],
      ["/etc/passwd", true],
      ["../base.vmdk", true],
    ]);
    await Deno.writeTextFile(path, 'parentFileNameHint="nbd://host/x"\n');
    assertEquals((await imageReferences(path, "vmdk", bundle))[0]?.escapes, true);
    for (let i = 0; i < 70; i++) {
      const next = `parentFileNameHint="${i + 1}.vmdk"\n`;
      await Deno.writeTextFile(join(bundle, `${i}.vmdk`), next);
    }
    await assertRejects(
      () => imageReferences(join(bundle, "0.vmdk"), "vmdk", bundle),
      BundleError,
      "have no end",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
