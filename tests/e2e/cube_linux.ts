/**
 * A Linux with OpenGL: the kernel of Debian's installer, and an initrd with this host's own Mesa and
 * kmscube, which turns a cube on the whole screen. With virtio-gpu and virgl the cube is rendered by
 * the host. It does what it is told on its serial port, one command a line.
 */
import { type ArchiveFile, makeInitrd, program } from "./initrd.ts";
import { type Guest, makeGuest } from "./make_guest.ts";
import { MODULES, type SmallLinux, takeLinux } from "./small_linux.ts";

/** What the guest prints when it waits for a command. */
export const CUBE_PROMPT = "cube-guest> ";

/**
 * The commands. `cube N`: shows N frames, prints kmscube's own count at the end. `spin N`: the same
 * beside other commands. `off`, `on`: the display is switched off and on. `panic`: the kernel dies.
 */
const INIT = `#!/bin/sh
b=/bin/busybox
$b mkdir -p /proc /dev /sys /tmp /run
$b mount -t devtmpfs none /dev
$b mount -t proc none /proc
$b mount -t sysfs none /sys
exec < /dev/ttyS0 > /dev/ttyS0 2>&1
$b stty -echo
export LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu:/lib/x86_64-linux-gnu
for m in ${MODULES.join(" ")}; do $b insmod /m/$m.ko; done 2>/dev/null
$b dmesg | $b grep virgl
# No cursor, which blinks, and nothing of the firmware: a picture that is the same in each boot.
echo -ne "\\033[?25l\\033[2J\\033[H" > /dev/tty0
i=0
while [ $i -lt 14 ]; do
  echo -e "\\033[3$((i % 7 + 1))mline $i: the quick brown fox\\033[0m" > /dev/tty0
  i=$((i + 1))
done
while true; do
  echo -n "${CUBE_PROMPT}"
  read command count || exit
  case $command in
    cube) kmscube -c $count;;
    spin) kmscube -c $count < /dev/ttyS0 &;; # it ends when there is input on what is no terminal
    off) echo 1 > /sys/class/graphics/fb0/blank;;
    on) echo 0 > /sys/class/graphics/fb0/blank;;
    panic) echo c > /proc/sysrq-trigger;;
  esac
done
`;

/** What a program and Mesa open by name, so that no list of libraries names it. */
const OPENED = [
  "/usr/lib/x86_64-linux-gnu/libEGL_mesa.so.0",
  "/usr/lib/x86_64-linux-gnu/dri/virtio_gpu_dri.so",
  "/usr/lib/x86_64-linux-gnu/gbm/dri_gbm.so", // Mesa 24 and later
  "/lib/x86_64-linux-gnu/libresolv.so.2", // the installer's busybox
];
const KMSCUBE = "/usr/bin/kmscube";
const EGL_VENDOR = "/usr/share/glvnd/egl_vendor.d/50_mesa.json";

/** Makes the guest in `folder`, or returns what is missing here. */
export async function makeCubeLinux(folder: string): Promise<SmallLinux | { missing: string }> {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") {
    return { missing: "its programs are those of a Linux host for x86_64" };
  }
  if (!await isFile(KMSCUBE)) return { missing: "kmscube is not installed" };
  const linux = await takeLinux();
  if (linux === undefined) return { missing: "Debian's installer is not installed" };
  const programs = [KMSCUBE];
  for (const path of OPENED) if (await isFile(path)) programs.push(path);
  const paths = new Set([...programs, ...await librariesOf(programs)]);
  const files: ArchiveFile[] = [];
  for (const path of paths) files.push(program(path.slice(1), await Deno.readFile(path)));
  files.push(program(EGL_VENDOR.slice(1), await Deno.readFile(EGL_VENDOR)));
  const initrd = `${folder}/initrd`;
  const init = program("init", new TextEncoder().encode(INIT));
  // The host's C library comes last, and so in place of the installer's.
  await Deno.writeFile(initrd, makeInitrd([...linux.files, ...files, init]));
  return { kernel: linux.kernel, initrd };
}

/**
 * Makes a bundle of the guest.
 *
 * @param display Its adapter; the cube takes one with `-gl`.
 */
export async function makeCubeGuest(linux: SmallLinux, display = "virtio-vga-gl"): Promise<Guest> {
  return await makeGuest({
    name: "cube",
    architecture: "x86_64",
    memoryMiB: 768, // the initrd twice, while the kernel unpacks it
    images: [
      { path: linux.kernel, type: "LinuxKernel" },
      { path: linux.initrd, type: "LinuxInitrd" },
    ],
    arguments: ['-append "console=tty0 quiet"'],
    uefi: false,
    display,
  });
}

/** The libraries that programs name, and those that these name, by the paths they are found at. */
async function librariesOf(programs: readonly string[]): Promise<string[]> {
  const { stdout } = await new Deno.Command("ldd", { args: [...programs] }).output();
  const lines = new TextDecoder().decode(stdout).split("\n");
  return lines.flatMap((line) => /^\t(?:\S+ => )?(\/\S+) \(/.exec(line)?.[1] ?? []);
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}
