/** The directory that a bundle of UTM 1 to 3 shared on the computer where it was made. */
import { join } from "@std/path";
import type { Bundle } from "./bundle.ts";
import type { Share } from "./model.ts";
import { parsePlist } from "./plist.ts";
import { MAX_PLIST_BYTES } from "./plist_value.ts";

/**
 * Reads `view.plist`, where version 0 to 2 kept the path; version 4 keeps it outside the bundle. It
 * was written by somebody else, so what is missing or damaged, or does not lead to a directory here,
 * counts as nothing; the passport asks for the grant `share`.
 */
export async function ownShare(
  bundle: Pick<Bundle, "path" | "config">,
): Promise<Share | undefined> {
  const { dataFolder, sharing } = bundle.config;
  if (dataFolder !== "Images" || sharing.directoryShareMode === "None") return undefined;
  try {
    const path = join(bundle.path, "view.plist");
    const info = await Deno.stat(path);
    if (!info.isFile || info.size > MAX_PLIST_BYTES) return undefined;
    const view = await parsePlist(await Deno.readFile(path), path);
    const shared = view.get("SharedDirectoryPath");
    if (typeof shared !== "string" || !shared.startsWith("/")) return undefined;
    const realPath = await Deno.realPath(shared);
    if (!(await Deno.stat(realPath)).isDirectory) return undefined;
    return { path: realPath, readOnly: sharing.directoryShareReadOnly };
  } catch {
    return undefined;
  }
}
