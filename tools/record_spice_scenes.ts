/** The sessions that `record_spice.ts` records, and the guests in them. */
import { fromFileUrl, join } from "@std/path";
import { pause } from "../lib/base/deadline.ts";
import { struct, u16, u32, u8 } from "../lib/spice/codec.ts";
import { DISPLAY_REQUESTS, IMAGE_COMPRESSIONS } from "../lib/spice/display_messages.ts";
import type { Stage } from "./record_spice.ts";

/** One recorded session. */
export interface Scene {
  /** What is in it, for the recording's head. */
  made: string;
  /** Makes the guest in the folder `dir` and returns QEMU's arguments. */
  args(dir: string): Promise<string[]>;
  /** Further options of `-spice`; no compression and no streams when left out. */
  spice?: string;
  /** Whether the server listens on TCP: on a Unix socket it does not compress. */
  compresses?: boolean;
  /** Plays it, on a paused machine without a client. */
  play(stage: Stage): Promise<void>;
}

const RIGS = fromFileUrl(new URL("../tests/rigs/", import.meta.url));
const HELLO = fromFileUrl(new URL("../examples/hello.utm/Data/hello.img", import.meta.url));
const INSTALLER = "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64";

/** An unpacked package linux-image-*-amd64 (`dpkg -x`), for the scenes with a Linux of our own. */
function linuxFolder(): string {
  const folder = Deno.env.get("RECORD_LINUX");
  if (folder === undefined) throw new Error("RECORD_LINUX names no unpacked linux-image");
  return folder;
}

const disk = (image: string) => ["-drive", `file=${image},format=raw,if=ide,snapshot=on`];

const KEY = { down: 101, up: 102 };
const MOUSE = { motion: 111, press: 113, release: 114 };

/** Types scancodes of PC set 1 on the inputs channel. */
async function typeKeys(stage: Stage, codes: readonly number[]): Promise<void> {
  for (const code of codes) {
    stage.input(KEY.down, u32, code);
    stage.input(KEY.up, u32, code | 0x80);
    await pause(30);
  }
}
const HELP = [0x23, 0x12, 0x26, 0x19, 0x1c]; // h e l p Enter

/** A guest in text mode that answers what is typed. */
function hello(device: string): Pick<Scene, "args" | "play"> {
  return {
    args: () => Promise.resolve(["-machine", "q35", "-device", device, ...disk(HELLO)]),
    async play(stage) {
      await stage.connect();
      await stage.cont();
      await stage.serial("hello> ");
      await stage.moment();
      await stage.cont();
      await typeKeys(stage, HELP);
      await pause(500);
      await typeKeys(stage, [0x3a]); // caps lock, for the LEDs
      const motion = struct({ dx: u32, dy: u32, buttons: u16 });
      for (let i = 0; i < 12; i++) {
        stage.input(MOUSE.motion, motion, { dx: 3, dy: 1, buttons: 0 });
      }
      const button = struct({ button: u8, buttons: u16 });
      stage.input(MOUSE.press, button, { button: 1, buttons: 1 });
      stage.input(MOUSE.release, button, { button: 1, buttons: 0 });
      await pause(500);
      await stage.moment();
    },
  };
}

/** The guest that walks through video modes. */
function modes(device: string): Pick<Scene, "args" | "play"> {
  return {
    async args(dir) {
      await run("as", ["--32", join(RIGS, "video_modes.S"), "-o", `${dir}/modes.o`]);
      const output = ["--oformat", "binary", "-o", `${dir}/modes.img`];
      await run("ld", ["-m", "elf_i386", "-Ttext", "0x7c00", ...output, `${dir}/modes.o`]);
      await Deno.truncate(`${dir}/modes.img`, 1 << 20);
      return ["-machine", "q35", "-device", device, ...disk(`${dir}/modes.img`)];
    },
    async play(stage) {
      await stage.connect();
      await stage.cont();
      for (let i = 1; i <= 10; i++) {
        await stage.serial("!".repeat(i));
        await pause(300);
        await stage.moment();
        await stage.cont();
        await stage.type("x");
      }
    },
  };
}

/** A Linux with a shell on its serial port and the modules of `driver`. */
async function linux(
  dir: string,
  driver: string,
  files: readonly string[] = [],
): Promise<string[]> {
  const folder = linuxFolder();
  const [{ name: release } = { name: "" }] = Deno.readDirSync(`${folder}/lib/modules`);
  await run("depmod", ["-b", folder, release]);
  const shown = await run("modprobe", ["-d", folder, "-S", release, "--show-depends", driver]);
  const pci = await run("modprobe", ["-d", folder, "-S", release, "--show-depends", "virtio_pci"]);
  const modules = [...new Set(`${pci}\n${shown}`.match(/\/\S+\.ko/g))];
  const root = `${dir}/root`;
  await Deno.mkdir(`${root}/bin`, { recursive: true });
  await Deno.copyFile("/bin/busybox", `${root}/bin/busybox`);
  for (const file of [...modules, ...files]) {
    await Deno.copyFile(file, `${root}/${file.slice(file.lastIndexOf("/") + 1)}`);
  }
  const loads = modules.map((file) => `insmod ${file.slice(file.lastIndexOf("/"))}`);
  await Deno.writeTextFile(
    `${root}/init`,
    [
      "#!/bin/busybox sh",
      "/bin/busybox --install -s /bin; export PATH=/bin",
      "mkdir -p /proc /dev /sys; mount -t proc p /proc; mount -t sysfs s /sys",
      "mount -t devtmpfs d /dev",
      "exec </dev/ttyS0 >/dev/ttyS0 2>&1; stty -echo",
      "echo ready; read go",
      ...loads,
      "echo loaded; exec sh",
      "",
    ].join("\n"),
  );
  await Deno.chmod(`${root}/init`, 0o755);
  await run("sh", [
    "-c",
    `cd "$1" && find . | cpio -oH newc --quiet | gzip -1 >../initrd`,
    "",
    root,
  ]);
  return [
    ...["-kernel", `${folder}/boot/vmlinuz-${release}`, "-initrd", `${dir}/initrd`],
    ...["-append", "console=tty0 quiet loglevel=3 vt.global_cursor_default=0 rdinit=/init"],
  ];
}

async function run(command: string, args: readonly string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command(command, {
    args: [...args],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${command} failed`);
  return new TextDecoder().decode(stdout);
}

/** A Linux console with a driver of the kernel's: mode set, text, scrolling. */
function console(device: string, driver: string): Pick<Scene, "args" | "play"> {
  return {
    args: async (dir) => ["-machine", "q35", "-device", device, ...await linux(dir, driver)],
    async play(stage) {
      await stage.cont();
      await stage.serial("ready");
      await stage.connect();
      await stage.type("go\n");
      await stage.serial("loaded");
      await stage.type("seq 30 >/dev/tty0; echo done1\n");
      await stage.serial("done1");
      await stage.moment({ runs: true });
      await stage.type("seq 31 50 >/dev/tty0; echo done2\n");
      await stage.serial("done2");
      await stage.moment({ runs: true });
    },
  };
}

/** A boot splash and then text mode, compressed. */
function compressed(
  spice: string,
  options: { glzWindowSize?: number; prefers?: keyof typeof IMAGE_COMPRESSIONS } = {},
): Pick<Scene, "args" | "spice" | "compresses" | "play"> {
  const { glzWindowSize = 0, prefers } = options;
  const { preferred_compression } = DISPLAY_REQUESTS;
  return {
    compresses: true,
    spice: `${spice},jpeg-wan-compression=never,streaming-video=off,playback-compression=off`,
    async args(dir) {
      await Deno.writeFile(`${dir}/splash.bmp`, splash());
      return ["-device", "VGA", "-boot", `menu=on,splash=${dir}/splash.bmp,splash-time=8000`];
    },
    async play(stage) {
      await stage.connect({
        takesCompression: true,
        caches: { glzWindowSize },
        onDisplay(link) {
          if (prefers) {
            link.send(preferred_compression, { compression: IMAGE_COMPRESSIONS[prefers] });
          }
          return {};
        },
      });
      await stage.cont();
      await pause(4_000);
      await stage.moment();
      await stage.cont();
      await pause(15_000);
      await stage.moment();
    },
  };
}

/** A picture for SeaBIOS, 320 x 200, with gradients, tiles, stripes and rings, as a BMP file. */
function splash(): Uint8Array {
  const [width, height, headerBytes] = [320, 200, 54];
  const file = new Uint8Array(headerBytes + width * height * 3);
  const view = new DataView(file.buffer);
  file.set(new TextEncoder().encode("BM"));
  const fields = [[2, file.length], [10, headerBytes], [14, 40], [18, width], [22, height]];
  for (const [at = 0, value = 0] of fields) view.setUint32(at, value, true);
  view.setUint16(26, 1, true); // planes
  view.setUint16(28, 24, true); // bits
  for (let i = 0; i < width * height; i++) {
    const x = i % width, y = height - 1 - Math.floor(i / width);
    const color = x < 64 && y < 64
      ? [4 * x, 4 * y, 4 * (x ^ y)]
      : y < 100
      ? [40 + 50 * ((x >> 4) % 5), 40 + 30 * (y >> 4), 200]
      : x < 160
      ? (x * x + y * y) % 1985 < 397 ? [0, 0, 60] : [255, 255, 255]
      : [16 * Math.floor(8 + 7 * Math.sin(x / 17) * Math.cos(y / 13)), 64, 0];
    file.set(color, headerBytes + 3 * i);
  }
  return file;
}

/** All scenes by the name of their recording. */
export const SCENES: Readonly<Record<string, Scene>> = {
  "virtio-vga-hello": {
    made: "examples/hello.utm on virtio-vga: text mode, `help` typed over the inputs channel, " +
      "caps lock, relative motion, a button",
    ...hello("virtio-vga"),
  },
  "cirrus-hello": {
    made: "examples/hello.utm on cirrus-vga: the same in text mode",
    ...hello("cirrus-vga"),
  },
  "vga-modes": {
    made: "tests/rigs/video_modes.S on VGA: ten video modes, from text to 32 bits per pixel",
    ...modes("VGA"),
  },
  "qxl-vga-modes": {
    made: "tests/rigs/video_modes.S on qxl-vga: the same, in its VGA mode",
    ...modes("qxl-vga"),
  },
  "qxl-vga-console": {
    made:
      "Linux 6.1 on qxl-vga: from VGA text to the qxl driver's console, which draws with clip " +
      "rectangles; 50 lines, so that it scrolls",
    ...console("qxl-vga", "qxl"),
  },
  "virtio-vga-cursor": {
    made: "Linux 6.1 on virtio-vga: from VGA text to the virtio_gpu driver's console; " +
      "tests/rigs/drm_cursor.c shows, moves, changes and hides cursors",
    async args(dir) {
      const program = `${dir}/drm_cursor`;
      await run("cc", [
        "-static",
        "-O1",
        "-I/usr/include/libdrm",
        "-o",
        program,
        join(RIGS, "drm_cursor.c"),
      ]);
      return [
        ...["-machine", "q35", "-device", "virtio-vga,xres=640,yres=480"],
        ...await linux(dir, "virtio-gpu", [program]),
      ];
    },
    async play(stage) {
      await stage.cont();
      await stage.serial("ready");
      await stage.connect();
      await stage.type("go\n");
      await stage.serial("loaded");
      await stage.type("/drm_cursor\n");
      for (const step of ["white", "moved", "red", "hidden", "corner", "red again"]) {
        await stage.serial(`${step}\r\n`);
        await pause(100);
        await stage.type("\n");
      }
      await pause(300);
      await stage.moment();
    },
  },
  "virtio-vga-installer": {
    made: "Debian 12's installer on virtio-vga: from the firmware to its first dialogue",
    args: () =>
      Promise.resolve([
        ...["-machine", "q35", "-device", "virtio-vga,xres=800,yres=600"],
        ...["-kernel", `${INSTALLER}/linux`, "-initrd", `${INSTALLER}/initrd.gz`],
        ...["-append", "console=tty0 quiet vt.global_cursor_default=0"],
      ]),
    async play(stage) {
      await stage.connect();
      await stage.cont();
      await pause(45_000);
      await stage.moment();
    },
  },
  "vga-lz": {
    made: "SeaBIOS on VGA over TCP, a boot splash and text: LZ",
    ...compressed("image-compression=lz"),
  },
  "vga-glz": {
    made: "the same: GLZ without zlib",
    ...compressed("image-compression=glz,zlib-glz-wan-compression=never", {
      glzWindowSize: 1 << 22,
    }),
  },
  "vga-zlib-glz": {
    made: "the same: GLZ, within zlib where that is smaller",
    ...compressed("image-compression=glz,zlib-glz-wan-compression=always", {
      glzWindowSize: 1 << 22,
    }),
  },
  "vga-lz4": {
    made: "the same: LZ4, by PREFERRED_COMPRESSION",
    ...compressed("image-compression=lz", { prefers: "lz4" }),
  },
  "vga-quic": {
    made: "the same: QUIC",
    ...compressed("image-compression=quic"),
  },
};
