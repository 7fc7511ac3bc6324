import { assertEquals, assertThrows } from "@std/assert";
import { BundleError } from "../../lib/base/errors.ts";
import { assumedQemu } from "../../lib/qemu/adapt_capabilities.ts";
import { cleanName } from "../../lib/qemu/argv_identity.ts";
import type { Serial } from "../../lib/utm/model.ts";
import {
  built,
  config,
  type ConfigParts,
  display,
  drive,
  lines,
  mac,
  serial,
} from "./argv_fixtures.ts";

const SPARC = { architecture: "sparc", target: "SS-5" };
const Q800 = { architecture: "m68k", target: "q800" };
const MAC99 = { architecture: "ppc", target: "mac99" };

Deno.test("startOptions: GL in SPICE, and no -nodefaults on SPARC", () => {
  const start = (parts: ConfigParts) => lines(config(parts), "").slice(0, 7);
  assertEquals(start({ displays: [display("virtio-vga-gl")] })[2]?.endsWith(",gl=es"), true);
  assertEquals(start({}).slice(5), ["-nodefaults", "-vga none"]);
  assertEquals(start({ system: SPARC }).includes("-nodefaults"), false);
});

Deno.test("displayOptions", () => {
  const displays = (parts: ConfigParts) => lines(config(parts), "Display");
  assertEquals(displays({}), ["-nographic"]);
  assertEquals(displays({ displays: [display("VGA", 64), display("qxl"), display("qxl", 32)] }), [
    "-device VGA,vgamem_mb=64",
    "-device qxl",
    "-device qxl,vgamem_mb=32",
  ]);
  assertEquals(displays({ displays: [display("virtio-gpu-gl-pci", 8)] }), [
    "-device virtio-gpu-gl-pci,vgamem_mb=8,hostmem=256M,blob=true,venus=true",
  ]);
  assertEquals(displays({ system: SPARC, displays: [display("tcx", 8), display("cg3")] }), [
    "-vga tcx",
  ]);
  assertEquals(displays({ system: Q800, displays: [display("nubus-macfb")] }), []);
  assertEquals(displays({ system: MAC99, displays: [display("VGA", 16), display("ati")] }), [
    "-device VGA,vgamem_mb=16,edid=on",
    "-device ati",
  ]);
});

Deno.test("displayOptions: UTM's QEMU gets video memory only where a device has it", () => {
  const utm = mac("aarch64", { qemu: assumedQemu("x86_64") });
  const vm = config({ displays: [display("virtio-vga-gl", 64), display("qxl-vga", 64)] });
  assertEquals(lines(vm, "Display", { host: utm }), [
    "-device virtio-vga-gl,hostmem=256M,blob=true,venus=true",
    "-device qxl-vga,vgamem_mb=64",
  ]);
});

Deno.test("serialOptions: modes", () => {
  const chardev = (parts: Partial<Serial>) =>
    lines(config({ serials: [serial(parts)] }), "Serial")[0];
  assertEquals(chardev({}), "-chardev spiceport,id=term0,name=com.utmapp.terminal.0");
  assertEquals(chardev({ mode: "Ptty" }), "-chardev pty,id=term0");
  assertEquals(
    chardev({ mode: "TcpClient" }),
    "-chardev socket,id=term0,port=1234,host=example.com,server=off",
  );
  assertEquals(
    chardev({ mode: "TcpClient", tcpHostAddress: "h,server=on", tcpPort: 5 }),
    "-chardev socket,id=term0,port=5,host=h,,server=on,server=off",
  );
  assertEquals(
    chardev({ mode: "TcpServer", tcpHostAddress: "ignored" }),
    "-chardev socket,id=term0,port=1234,host=127.0.0.1,server=on,wait=off",
  );
  assertEquals(
    chardev({ mode: "TcpServer", remoteConnectionAllowed: true, waitForConnection: true }),
    "-chardev socket,id=term0,port=1234,host=0.0.0.0,server=on,wait=on",
  );
});

Deno.test("serialOptions: targets", () => {
  const vm = config({
    serials: [
      serial(),
      serial({ target: "Manual", hardware: "isa-serial" }),
      serial({ target: "Monitor" }),
      serial({ target: "GDB" }),
    ],
  });
  assertEquals(lines(vm, "Serial").filter((line) => !line.startsWith("-chardev")), [
    "-serial chardev:term0",
    "-device isa-serial,chardev=term1",
    "-mon chardev=term2,mode=readline",
    "-gdb chardev:term3",
  ]);
  const error = assertThrows(
    () => built(config({ serials: [serial({ target: "Manual" })] })),
    BundleError,
  );
  assertEquals(
    error.message,
    "Cannot connect Serial[0]: Hardware is missing, expected a QEMU device for target Manual",
  );
});

Deno.test("firmwareOptions: the flash pair", () => {
  const flash = (architecture: string, parts: ConfigParts = {}) =>
    lines(
      config({
        ...parts,
        system: { architecture, target: "virt", ...parts.system },
        qemu: { uefiBoot: true, ...parts.qemu },
      }),
      "QEMU.UEFIBoot",
    );
  const pair = (name: string) => [
    `-drive if=pflash,format=raw,unit=0,file.filename=/res/edk2-${name}-code.fd,` +
    "file.locking=off,readonly=on",
    "-drive if=pflash,format=raw,unit=1,file.filename=/vm/Test.utm/Data/efi_vars.fd",
  ];
  assertEquals(flash("aarch64"), pair("aarch64"));
  assertEquals(flash("riscv64"), pair("riscv"));
  assertEquals(flash("x86_64", { qemu: { tpmDevice: true } }), pair("x86_64-secure"));
  assertEquals(flash("arm", { qemu: { tpmDevice: true } }), pair("arm"));
  assertEquals(flash("ppc64"), []);
  assertEquals(flash("constructor"), []);
  assertEquals(flash("aarch64", { qemu: { uefiBoot: false } }), []);
  assertEquals(flash("aarch64", { drives: [drive({ imageType: "LinuxKernel" })] }), []);
});

Deno.test("firmwareOptions: what an architecture needs, and the memory", () => {
  const extras = (parts: ConfigParts, memoryMiB?: number) =>
    built(config(parts), memoryMiB === undefined ? {} : { options: { memoryMiB } })
      .filter((option) => ["-global", "-prom-env", "-m"].includes(option.flag))
      .map((option) => `${option.flag} ${option.text}`);
  assertEquals(extras({}), [
    "-global PIIX4_PM.disable_s3=1",
    "-global ICH9-LPC.disable_s3=1",
    "-m 512",
  ]);
  assertEquals(extras({ system: MAC99 }), ["-prom-env boot-command=init-program go", "-m 512"]);
  assertEquals(extras({ system: SPARC }, 64), ["-m 64"]);
  assertEquals(lines(config({ system: Q800 }), "System.Target"), [
    "-machine q800",
    "-device nubus-virtio-mmio,romfile=/res/m68k-declrom",
  ]);
  assertEquals(
    lines(config({ system: MAC99 }), "System.Target")[1],
    [
      "-device loader,addr=0x4000000,file=/res/ppc-ndrvloader",
    ].join(),
  );
});

Deno.test("soundOptions", () => {
  const sound = (...hardware: string[]) =>
    lines(config({ sounds: hardware.map((name) => ({ hardware: name })) }), "Sound");
  const spice = "-audiodev spice,id=audio0";
  assertEquals(sound(), ["-audio none", spice]);
  assertEquals(sound("AC97"), [spice, "-device AC97,audiodev=audio0"]);
  assertEquals(sound("ich9-intel-hda"), [
    spice,
    "-device ich9-intel-hda",
    "-device hda-duplex,audiodev=audio0",
  ]);
  assertEquals(sound("screamer"), ["-audio coreaudio", spice]);
  assertEquals(sound("pcspk", "sb16"), [
    "-audiodev coreaudio,id=audio1",
    spice,
    "-device sb16,audiodev=audio0",
  ]);
  assertEquals(sound("asc"), [spice]);
});

Deno.test("usbOptions: bus and input devices", () => {
  const bus = (parts: ConfigParts) =>
    lines(config({ input: { usbBusSupport: "2.0" }, ...parts }), "Input");
  const tablet = "-device usb-tablet,bus=usb-bus.0";
  const others = ["-device usb-mouse,bus=usb-bus.0", "-device usb-kbd,bus=usb-bus.0"];
  assertEquals(bus({}), ["-usb", tablet, ...others]);
  assertEquals(bus({ qemu: { ps2Controller: true } }), ["-usb", tablet]);
  assertEquals(bus({ system: { architecture: "aarch64", target: "virt" } }), [
    "-device nec-usb-xhci,id=usb-bus",
    tablet,
    ...others,
  ]);
  assertEquals(bus({ system: MAC99 }), ["-usb", ...others, "-device virtio-tablet-pci"]);
  assertEquals(bus({ system: Q800 }), ["-device virtio-tablet-device"]);
  assertEquals(bus({ input: { usbBusSupport: "Disabled" } }), []);
});

Deno.test("usbOptions: redirection, three slots a controller", () => {
  const redirection = (parts: ConfigParts) => lines(config(parts), "Input.MaximumUsbShare");
  const slot = (i: number, controller: number) => [
    `-chardev spicevmc,name=usbredir,id=usbredirchardev${i}`,
    `-device usb-redir,chardev=usbredirchardev${i},id=usbredirdev${i},bus=usb-controller-${controller}.0`,
  ];
  assertEquals(redirection({ input: { usbBusSupport: "3.0", maximumUsbShare: 4 } }), [
    "-device nec-usb-xhci,id=usb-controller-0",
    "-device nec-usb-xhci,id=usb-controller-1",
    ...slot(0, 0),
    ...slot(1, 0),
    ...slot(2, 0),
    ...slot(3, 1),
  ]);
  const virt = { architecture: "aarch64", target: "virt" };
  assertEquals(
    redirection({ system: virt, input: { usbBusSupport: "3.0", maximumUsbShare: 1 } })[0],
    "-device qemu-xhci,id=usb-controller-0",
  );
  const uhci = (n: number) =>
    `-device ich9-usb-uhci${n},masterbus=usb-controller-0.0,firstport=${
      2 * (n - 1)
    },multifunction=on`;
  assertEquals(redirection({ input: { usbBusSupport: "2.0", maximumUsbShare: 1 } }), [
    "-device ich9-usb-ehci1,id=usb-controller-0",
    uhci(1),
    uhci(2),
    uhci(3),
    ...slot(0, 0),
  ]);
});

Deno.test("sharingOptions: agents", () => {
  const ports = (parts: ConfigParts) =>
    built(config(parts)).filter((option) => option.head === "virtserialport")
      .map((option) => option.properties?.at(-1)?.[1]);
  assertEquals(ports({}), ["org.qemu.guest_agent.0"]);
  assertEquals(ports({ sharing: { directoryShareMode: "WebDAV" } }), [
    "org.qemu.guest_agent.0",
    "com.redhat.spice.0",
    "org.spice-space.webdav.0",
  ]);
  assertEquals(ports({ system: MAC99, sharing: { directoryShareMode: "WebDAV" } }), []);
  assertEquals(
    lines(config({ sharing: { directoryShareMode: "WebDAV" } }), "Sharing.DirectoryShareMode"),
    [
      "-device virtserialport,chardev=charchannel1,id=channel1,name=org.spice-space.webdav.0",
      "-chardev spiceport,name=org.spice-space.webdav.0,id=charchannel1",
    ],
  );
});

Deno.test("sharingOptions: a directory by 9p", () => {
  const shared = (parts: ConfigParts, readOnly = false) =>
    lines(config(parts), "Sharing.DirectoryShareMode", {
      files: { share: { path: "/a,b", readOnly } },
    });
  const fsdev = "-fsdev local,id=virtfs0,path=/a,,b,security_model=mapped-xattr";
  const device = (name: string, tag: string) => `-device ${name},fsdev=virtfs0,mount_tag=${tag}`;
  assertEquals(shared({}), [fsdev, device("virtio-9p-pci", "share")]);
  assertEquals(shared({ system: Q800 }), [fsdev, device("virtio-9p-device", "share_1")]);
  assertEquals(shared({ system: MAC99 })[1], device("virtio-9p-pci", "share_1"));
  assertEquals(
    shared({ system: { architecture: "s390x", target: "x" } })[1],
    [
      device("virtio-9p-ccw", "share"),
    ].join(),
  );
  assertEquals(shared({}, true)[0], `${fsdev},readonly=on`);
  assertEquals(shared({ sharing: { directoryShareReadOnly: true } })[0], `${fsdev},readonly=on`);
  assertEquals(shared({ system: SPARC }), []);
  assertEquals(lines(config({ sharing: { directoryShareMode: "VirtFS" } }), "Sharing."), []);
});

Deno.test("identityOptions: name, UUID and small devices by the machine's bus", () => {
  const information = { name: "a,b\u0301 \u00a0\u4e2d\t1\n!", uuid: "0a-b" };
  const vm = (architecture: string) =>
    config({
      information,
      system: { architecture, target: "x" },
      qemu: { rtcLocalTime: true, rngDevice: true, balloonDevice: true },
    });
  const identity = (architecture: string) =>
    built(vm(architecture), { options: { disposable: true } })
      .filter((option) => /^(Information|--disposable|QEMU\.(RTC|RNG|Balloon))/.test(option.from))
      .map((option) => [option.flag, option.head ?? option.text ?? ""].join(" "));
  assertEquals(identity("x86_64"), [
    "-name ab\u0301 \u00a0\u4e2d\t1",
    "-snapshot ",
    "-uuid 0A-B",
    "-rtc ",
    "-device virtio-rng-pci",
    "-device virtio-balloon-pci",
  ]);
  assertEquals(identity("s390x").slice(-2), [
    "-device virtio-rng-ccw",
    "-device virtio-balloon-ccw",
  ]);
  assertEquals(identity("m68k").at(-1), "-device virtio-balloon-device");
});

Deno.test("identityOptions: a machine called help is a machine", () => {
  assertEquals(
    lines(config({ information: { name: "help!" } }), "Information.Name"),
    ["-name guest=help"],
  );
  assertEquals(cleanName("!?"), "");
});

Deno.test("identityOptions: the TPM", () => {
  const device = (architecture: string, target: string) =>
    lines(
      config({ system: { architecture, target }, qemu: { tpmDevice: true } }),
      "QEMU.TPMDevice",
    );
  assertEquals(device("x86_64", "q35"), [
    "-chardev socket,id=chrtpm0,path=0A1B2C3D-0000-4000-8000-00000000ABCD.swtpm",
    "-tpmdev emulator,id=tpm0,chardev=chrtpm0",
    "-device tpm-tis,tpmdev=tpm0",
  ]);
  assertEquals(device("aarch64", "virt")[2], "-device tpm-crb-device,tpmdev=tpm0");
  assertEquals(device("ppc64", "pseries")[2], "-device tpm-spapr,tpmdev=tpm0");
});

Deno.test("userOptions: the user's words, as they are and last", () => {
  const vm = config({
    qemu: { additionalArguments: ['-append "a b" -S', "", "x,y=z -no-reboot"] },
  });
  const options = built(vm, { options: { extraArguments: ["-device", "foo,bar", "-"] } });
  assertEquals(options.slice(-6), [
    { flag: "-append", text: "a b", from: "QEMU.AdditionalArguments[0]" },
    { flag: "-S", from: "QEMU.AdditionalArguments[0]" },
    { flag: "x,y=z", from: "QEMU.AdditionalArguments[2]" },
    { flag: "-no-reboot", from: "QEMU.AdditionalArguments[2]" },
    { flag: "-device", text: "foo,bar", from: "--" },
    { flag: "-", from: "--" },
  ]);
});
