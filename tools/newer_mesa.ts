/**
 * A newer Mesa beside the one that Debian 12 installs, from Debian's own backports: its software
 * renderer imports what can be mapped as if it were a dmabuf, which a machine without a GPU has not.
 */
import { fromFileUrl, join } from "@std/path";
import { type Backport, hasFiles, LIBRARIES } from "./backports.ts";

/** Where it is, or would be. */
export const NEWER_MESA_DIR: string = fromFileUrl(new URL("../.cache/mesa-25", import.meta.url));

/** A command that runs another with this Mesa: `with-mesa COMMAND ARG...`. */
export const WITH_NEWER_MESA: string = join(NEWER_MESA_DIR, "bin", "with-mesa");

/** The file that leads the system's libEGL to this Mesa; it holds a path, so it is made each time. */
const WRAPPER = `#!/bin/sh
root=$(dirname "$(dirname "$(readlink -f "$0")")")
libraries="$root/${LIBRARIES}"
vendor="$root/egl_vendor.json"
printf '{"file_format_version": "1.0.0", "ICD": {"library_path": "%s"}}\\n' \\
  "$libraries/libEGL_mesa.so.0" >"$vendor.$$" && mv "$vendor.$$" "$vendor" || exit 1
export LD_LIBRARY_PATH="$libraries\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export __EGL_VENDOR_LIBRARY_FILENAMES="$vendor"
exec "$@"
`;

/** How to fetch it. Its LLVM is that of Debian 12, which Mesa's packages there have installed. */
export const NEWER_MESA_BACKPORT: Backport = {
  what: "a newer Mesa",
  packages: [
    "libegl-mesa0",
    "mesa-libgallium",
    "libgbm1",
    "libdrm2",
    "libdrm-amdgpu1",
    "libdrm-intel1",
  ],
  folder: NEWER_MESA_DIR,
  wrapper: { path: "bin/with-mesa", text: WRAPPER },
  check: ["true"],
};

/** Whether it is there. */
export async function hasNewerMesa(): Promise<boolean> {
  return await hasFiles(NEWER_MESA_DIR, [`${LIBRARIES}/libEGL_mesa.so.0`, "bin/with-mesa"]);
}
