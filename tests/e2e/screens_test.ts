/**
 * What SPICE brings of a guest's screen is what QEMU itself takes for it, pixel by pixel: the
 * firmware, the kernel on what the firmware has set up, the kernel's own drivers.
 */
import { assertEquals, assertGreater, assertGreaterOrEqual } from "@std/assert";
import { pause, retry } from "../../lib/base/deadline.ts";
import { bootDisk } from "./boot_sector.ts";
import {
  type Match,
  type PlainPicture,
  ScreenRig,
  type TestQemu,
  testQemus,
} from "./screen_rig.ts";
import { CONSOLE_READY, DRIVER_READY, makeSmallLinux } from "./small_linux.ts";

/** An adapter, and what brings a picture to it before a driver does. */
interface Adapter {
  device: string;
  /**
   * `bios`: SeaBIOS, and a VBE mode for the kernel. `uefi`: OVMF, for an adapter without VGA modes;
   * its kernel has a framebuffer where the adapter has one that needs no driver.
   */
  firmware: "bios" | "uefi";
}

const ADAPTERS: readonly Adapter[] = [
  { device: "VGA", firmware: "bios" },
  { device: "virtio-vga", firmware: "bios" },
  { device: "qxl-vga", firmware: "bios" },
  { device: "cirrus-vga", firmware: "bios" },
  { device: "virtio-gpu-pci", firmware: "uefi" },
  { device: "ramfb", firmware: "uefi" },
  { device: "bochs-display", firmware: "uefi" },
];

const OVMF = { code: "/usr/share/OVMF/OVMF_CODE_4M.fd", vars: "/usr/share/OVMF/OVMF_VARS_4M.fd" };

const folder = await Deno.makeTempDir({ prefix: "utmost-screens-guests-" });
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const linux = await makeSmallLinux(folder);
const qemus = await testQemus();
const present = qemus.filter(({ missing }) => missing === undefined);

for (const { name, missing } of qemus) {
  if (missing === undefined) continue;
  Deno.test({ name: `e2e: screens: ${name} (${missing})`, ignore: true, fn() {} });
}

/** Does something with every QEMU that there is, at the same time. */
async function withEach(work: (qemu: TestQemu) => Promise<void>): Promise<void> {
  const outcomes = await Promise.allSettled(present.map(work));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

for (const adapter of ADAPTERS) {
  Deno.test(`e2e: screens: ${adapter.device}, at three moments of a boot`, {
    timeout: 180_000,
    ignore: linux === undefined,
  }, () => withEach((qemu) => watchBoot(qemu, adapter)));
}

for (const compression of ["quic", "lz", "glz", "auto_glz"]) {
  Deno.test(`e2e: screens: VGA compressed by ${compression}, at three moments of a boot`, {
    timeout: 180_000,
    ignore: linux === undefined,
  }, () => withEach((qemu) => watchBoot(qemu, { device: "VGA", firmware: "bios" }, compression)));
}

async function watchBoot(
  qemu: TestQemu,
  { device, firmware }: Adapter,
  compression?: string,
): Promise<void> {
  const { kernel, initrd } = linux!;
  await using rig = await ScreenRig.start({
    qemu,
    args: [
      ...["-m", "256", "-device", device, "-kernel", kernel, "-initrd", initrd],
      ...firmwareArguments(firmware),
    ],
    ...(compression === undefined ? {} : { compression }),
  });
  const told: string[] = [];
  const look = async (moment: string) => {
    await rig.stop();
    const match = await rig.match();
    const { width, height, colors } = match;
    told.push(`${moment} ${width}×${height}, ${colors} colours`);
    await keep(`${device}-${compression ?? "plain"}-${moment}-${qemu.name}`, rig.picture());
    await rig.cont();
    return match;
  };
  await rig.cont();
  await firmwareShown(rig);
  const first = await look("firmware");
  assertGreater(first.colors, 1);
  await rig.serial.expect(new RegExp(CONSOLE_READY), { timeoutMs: 90_000 });
  const console_ = await look("console");
  await rig.serial.expect(new RegExp(DRIVER_READY), { timeoutMs: 90_000 });
  const driver = await look("driver");
  assertGreater(Math.max(console_.colors, driver.colors), 100, "pixels of all kinds");
  assertEquals(rig.warnings, []);
  console.log(`${device} of ${qemu.name}, ${compression ?? "plain"}: ${told.join("; ")}`);
}

function firmwareArguments(firmware: Adapter["firmware"]): string[] {
  const append = "console=tty0 rdinit=/init";
  if (firmware === "bios") {
    return ["-boot", "menu=on,splash-time=700", "-append", `${append} vga=791`];
  }
  return [
    ...["-append", append],
    ...["-drive", `if=pflash,format=raw,readonly=on,file=${OVMF.code}`],
    ...["-drive", `if=pflash,format=raw,snapshot=on,file=${OVMF.vars}`],
  ];
}

/** Waits until the firmware has set a mode of its own and shows something in it. */
async function firmwareShown(rig: ScreenRig): Promise<void> {
  await retry("a picture of the firmware", () => {
    const colors = new Set(rig.picture()?.pixels).size;
    if (rig.modes.length > 1 && colors > 1) return Promise.resolve();
    return Promise.reject(new Deno.errors.NotFound());
  }, {
    timeoutMs: 60_000,
    firstMs: 50,
    canSucceedLater: (error) => error instanceof Deno.errors.NotFound,
  });
}

/** Keeps a picture to look at where `UTMOST_TEST_PICTURES` names a folder. */
async function keep(name: string, picture: PlainPicture | undefined): Promise<void> {
  const to = Deno.env.get("UTMOST_TEST_PICTURES");
  if (to === undefined || picture === undefined) return;
  const { savePng } = await import("../../lib/display/png.ts");
  await savePng(`${to}/${name.replaceAll(" ", "-")}.png`, picture);
}

Deno.test("e2e: screens: two displays at a time, each with its own picture", {
  timeout: 180_000,
  ignore: linux === undefined,
}, () =>
  withEach(async (qemu) => {
    const { kernel, initrd } = linux!;
    await using rig = await ScreenRig.start({
      qemu,
      args: [
        ...["-m", "256", "-device", "virtio-vga,id=first", "-device", "virtio-gpu-pci,id=second"],
        ...["-kernel", kernel, "-initrd", initrd, ...firmwareArguments("bios")],
      ],
    });
    assertEquals(rig.screens.displays().map(({ id }) => id), [0, 1]);
    await rig.cont();
    await rig.serial.expect(new RegExp(DRIVER_READY), { timeoutMs: 90_000 });
    await rig.stop();
    const matches: Match[] = [];
    for (const [display, device] of ["first", "second"].entries()) {
      matches.push(await rig.match({ display, device }));
      await keep(`two-${device}-${qemu.name}`, rig.picture(display));
    }
    for (const { width, height, colors } of matches) {
      assertEquals([width, height], [1280, 800]);
      assertGreater(colors, 1);
    }
  }));

Deno.test("e2e: screens: every video mode from text to 32 bits per pixel", {
  timeout: 120_000,
}, async () => {
  const disk = await bootDisk("video_modes", folder);
  await withEach(async (qemu) => {
    for (const device of ["VGA", "cirrus-vga"]) {
      const drive = `file=${disk},format=raw,if=ide,snapshot=on`;
      await using rig = await ScreenRig.start({
        qemu,
        args: ["-m", "64", "-device", device, "-drive", drive],
      });
      await rig.cont();
      const sizes: string[] = [];
      for (let mode = 0; mode < 10; mode++) {
        await rig.serial.expect(/!/, { timeoutMs: 30_000 });
        const { width, height } = await rig.match();
        sizes.push(`${width}×${height}`);
        await rig.serial.write(Uint8Array.of(0x20));
      }
      console.log(`${device} of ${qemu.name}: ${sizes.join(" ")}`);
      assertGreaterOrEqual(new Set(sizes).size, 3);
    }
  });
});

Deno.test("e2e: screens: a guest that changes its resolution while it draws", {
  timeout: 120_000,
}, async () => {
  const disk = await bootDisk("restless_modes", folder);
  await withEach(async (qemu) => {
    for (const device of ["VGA", "virtio-vga", "qxl-vga"]) {
      const drive = `file=${disk},format=raw,if=ide,snapshot=on`;
      await using rig = await ScreenRig.start({
        qemu,
        args: ["-m", "64", "-device", device, "-drive", drive],
      });
      await rig.cont();
      await firmwareShown(rig);
      const sizes = new Set<string>();
      for (let look = 0; look < 12; look++) {
        await pause(100 + 37 * look);
        await rig.stop(); // anywhere, also in the middle of a mode set
        const { width, height } = await rig.match();
        sizes.add(`${width}×${height}`);
        if (look === 11) await keep(`restless-${device}-${qemu.name}`, rig.picture());
        await rig.cont();
      }
      console.log(`${device} of ${qemu.name}: ${rig.modes.length} mode sets, ${[...sizes]}`);
      assertGreater(rig.modes.length, 5);
      assertEquals(rig.warnings, []);
    }
  });
});
