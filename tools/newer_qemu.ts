/**
 * A newer QEMU beside the one that Debian 12 installs: the tests compare what both draw. It comes
 * from Debian's own backports.
 */
import { fromFileUrl, join } from "@std/path";
import { type Backport, hasFiles, LIBRARIES } from "./backports.ts";

/** Where it is, or would be. */
export const NEWER_QEMU_DIR: string = fromFileUrl(new URL("../.cache/qemu-10", import.meta.url));

/** Its x86 emulator: a wrapper that finds its modules and firmware, for `--qemu`. */
export const NEWER_QEMU: string = join(NEWER_QEMU_DIR, "bin", "qemu-system-x86_64");

/** The shell wrapper, which works wherever the folder is. */
const WRAPPER = `#!/bin/sh
root=$(dirname "$(dirname "$(readlink -f "$0")")")
export QEMU_MODULE_DIR="$root/${LIBRARIES}/qemu"
share="$root/usr/share"
exec "$root/usr/bin/qemu-system-x86_64" -L "$share/seabios" -L "$share/qemu" "$@"
`;

/** How to fetch it. */
export const NEWER_QEMU_BACKPORT: Backport = {
  what: "a newer QEMU",
  packages: [
    "qemu-system-x86",
    "qemu-system-common",
    "qemu-system-data",
    "qemu-system-modules-spice",
    "qemu-system-modules-opengl", // which the one of SPICE needs
    "seabios", // an older one hangs at this QEMU's AHCI
  ],
  folder: NEWER_QEMU_DIR,
  wrapper: { path: "bin/qemu-system-x86_64", text: WRAPPER },
  check: ["--version"],
};

/** Whether it is there, with all that it needs. */
export async function hasNewerQemu(): Promise<boolean> {
  const files = [`${LIBRARIES}/qemu/ui-opengl.so`, "usr/share/seabios/bios-256k.bin"];
  return await hasFiles(NEWER_QEMU_DIR, files);
}
