/**
 * A Linux that is up in seconds even without hardware virtualisation: the kernel of Debian's
 * installer, and an initrd with the few of its files that a test wants, and a script.
 */
import { type ArchiveFile, makeInitrd, program, readInitrd } from "./initrd.ts";
import { findInstaller } from "./make_guest.ts";

/** What is taken of the installer: a shell with its tools, their library, drivers of displays. */
const WANTED = new RegExp(
  "^(bin/(busybox|sh)|lib/x86_64-linux-gnu|lib64|lib/x86_64-linux-gnu/(libc\\.so\\.6|libresolv.*|" +
    "ld-linux-x86-64\\.so\\.2)|lib64/ld-linux-x86-64\\.so\\.2|lib/ld-linux.*|" +
    "lib/modules/.*/(drm|drm_kms_helper|drm_shmem_helper|drm_ttm_helper|drm_vram_helper|ttm|bochs|" +
    "cirrus|virtio-gpu|virtio_dma_buf|virtio|virtio_ring|virtio_pci|virtio_pci_modern_dev|" +
    "virtio_pci_legacy_dev)\\.ko)$",
);

/** Drivers of displays with what they need, in the order in which they can be loaded. */
export const MODULES: readonly string[] = [
  "virtio",
  "virtio_ring",
  "virtio_pci_legacy_dev",
  "virtio_pci_modern_dev",
  "virtio_pci",
  "virtio_dma_buf",
  "drm",
  "drm_kms_helper",
  "drm_shmem_helper",
  "ttm",
  "drm_ttm_helper",
  "drm_vram_helper",
  "bochs",
  "cirrus",
  "virtio-gpu",
];

/** What the guest prints on its serial port: on its console as the firmware left it, … */
export const CONSOLE_READY = "utmost-test: console";
/** … and once its own drivers show it. */
export const DRIVER_READY = "utmost-test: driver";

/** Shows text in colours, and the bytes of a program for pixels of all kinds. */
const INIT = `#!/bin/sh
b=/bin/busybox
say() { echo "$1" > /dev/ttyS0; }
$b mkdir -p /proc /dev /sys
$b mount -t devtmpfs none /dev
$b mount -t proc none /proc
$b mount -t sysfs none /sys
show() {
  i=0
  while [ $i -lt 14 ]; do
    echo -e "\\033[3$((i % 7 + 1))m$1 $i: the quick brown fox\\033[0m" > /dev/tty0
    i=$((i + 1))
  done
  for fb in /dev/fb0 /dev/fb1; do
    [ -c $fb ] && $b dd if=/bin/busybox of=$fb bs=1024 seek=1100 count=300 2>/dev/null
  done
}
show console
say "${CONSOLE_READY}"
$b sleep 1
for m in ${MODULES.join(" ")}; do
  $b insmod /m/$m.ko 2>/dev/null
done
# The second framebuffer has no console, so nobody but us sets its mode.
if [ -e /sys/class/graphics/fb1 ]; then
  read mode < /sys/class/graphics/fb1/modes
  echo "$mode" > /sys/class/graphics/fb1/mode
fi
show driver
say "${DRIVER_READY}"
i=0
while true; do echo "tick $i" > /dev/tty0; i=$((i + 1)); $b sleep 1; done
`;

/** A kernel and an initrd to boot with `-kernel` and `-initrd`. */
export interface SmallLinux {
  kernel: string;
  /** In the folder that was given. */
  initrd: string;
}

/** A kernel, and the files of an initrd for it. */
export interface LinuxParts {
  kernel: string;
  /** The shell, its tools and library, and the drivers of displays as `m/NAME.ko`. */
  files: ArchiveFile[];
}

/** Takes Debian's installer to pieces; undefined where it is not there. */
export async function takeLinux(): Promise<LinuxParts | undefined> {
  const installer = await findInstaller("amd64");
  if (installer === undefined) return undefined;
  const files = await readInitrd(installer.initrd, (path) => WANTED.test(path));
  const flat = files.map((file) => {
    const module = /[^/]+\.ko$/.exec(file.path);
    return module === null ? file : { ...file, path: `m/${module[0]}` };
  });
  return { kernel: installer.kernel, files: flat };
}

/** Makes the initrd in `folder`; undefined where Debian's installer is not there. */
export async function makeSmallLinux(folder: string): Promise<SmallLinux | undefined> {
  const linux = await takeLinux();
  if (linux === undefined) return undefined;
  const initrd = `${folder}/initrd`;
  const init = program("init", new TextEncoder().encode(INIT));
  await Deno.writeFile(initrd, makeInitrd([...linux.files, init]));
  return { kernel: linux.kernel, initrd };
}
