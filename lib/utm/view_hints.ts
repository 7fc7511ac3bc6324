/** What UTM 1 to 3 remembered beside a configuration, in `view.plist`: only paths matter here. */
import { join } from "@std/path";
import type { Bundle } from "./bundle.ts";
import { parsePlist, type PlistDict } from "./plist.ts";
import { MAX_PLIST_BYTES } from "./plist_value.ts";

/** Paths that a migrated machine used on the computer where it was made. */
export interface ViewHints {
  /** Absolute path of the directory it shared. */
  sharedDirectory?: string;
  /** Absolute paths of inserted media, by drive identifier. */
  media: Map<string, string>;
}

/**
 * Reads the hints of a bundle of version 0 to 2. They are never needed, and were written by somebody
 * else: what is missing or damaged counts as no hint, and nothing is used without being asked for.
 */
export async function readViewHints(bundle: Pick<Bundle, "path" | "config">): Promise<ViewHints> {
  const none: ViewHints = { media: new Map() };
  if (bundle.config.dataFolder !== "Images") return none;
  const view = await readView(join(bundle.path, "view.plist"));
  if (view === undefined) return none;
  const media = new Map<string, string>();
  const stored = view.get("RemovableDrivesPath");
  for (const [name, path] of stored instanceof Map ? stored : []) {
    const identifier = name.replace(/^drive/, "");
    const drive = bundle.config.drives.find((drive) => drive.identifier === identifier);
    if (drive?.external && isPath(path)) media.set(identifier, path);
  }
  const shared = view.get("SharedDirectoryPath");
  return { media, ...(isPath(shared) ? { sharedDirectory: shared } : {}) };
}

function isPath(value: unknown): value is string {
  return typeof value === "string" && value.startsWith("/") && !value.includes("\0");
}

async function readView(path: string): Promise<PlistDict | undefined> {
  try {
    const info = await Deno.stat(path);
    if (!info.isFile || info.size > MAX_PLIST_BYTES) return undefined;
    return await parsePlist(await Deno.readFile(path), path);
  } catch {
    return undefined;
  }
}
