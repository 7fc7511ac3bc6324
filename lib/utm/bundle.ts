/** A `.utm` bundle on disk: opening it, and finding the files that its configuration names. */
import { basename, dirname, isAbsolute, join } from "@std/path";
import { BundleError, HostFailure, UsageError } from "../base/errors.ts";
import { printable, quoted } from "../base/text.ts";
import { type ConfigWarning, parseConfig } from "./config.ts";
import { isDenied, kindOf, reason, type ResolvedImage, resolveImage, suffixOf } from "./images.ts";
import type { BundleFiles, Config, Drive, Medium, Share } from "./model.ts";
import { ownFiles } from "./own_files.ts";
import { ownShare } from "./own_share.ts";
import { parsePlist } from "./plist.ts";
import { MAX_PLIST_BYTES } from "./plist_value.ts";

/** An opened bundle. Nothing is held open. */
export interface Bundle {
  /** Real, absolute path, without trailing slash. */
  path: string;
  /** The folder's name without `.utm`. */
  name: string;
  /** Absolute path of the folder that relative names start from; it may be absent. */
  dataFolder: string;
  config: Config;
  warnings: ConfigWarning[];
  /** Key paths of config.plist that mean nothing to UTM. */
  unknownKeys: string[];
  /** Device and inode of the folder: what a lock on the bundle is named after. */
  device: number;
  inode: number;
  /** Its config.plist may be written, which tells a read-only medium or somebody else's bundle. */
  writable: boolean;
}

/** Options of {@linkcode openBundle}. */
export interface OpenOptions {
  /** The architecture of this host by QEMU's name; this machine's where left out. */
  hostArchitecture?: string;
}

/**
 * Opens a bundle, given by its folder, a link to it, or its config.plist.
 *
 * @throws {BundleError} if there is none, or its configuration is not valid.
 * @throws {HostFailure} if it cannot be read.
 */
export async function openBundle(path: string, options: OpenOptions = {}): Promise<Bundle> {
  const folder = await findFolder(path);
  const info = await Deno.stat(folder);
  const name = basename(folder).replace(/\.utm$/i, "");
  const plistPath = join(folder, "config.plist");
  const bytes = await readConfig(plistPath, path);
  const plist = await parsePlist(bytes, plistPath);
  const { config, warnings, unknownKeys } = await parseConfig(plist, {
    bundleName: name,
    bundlePath: folder,
    hostArchitecture: options.hostArchitecture ?? Deno.build.arch,
  });
  return {
    path: folder,
    name,
    dataFolder: join(folder, config.dataFolder),
    config,
    warnings,
    unknownKeys,
    device: info.dev,
    inode: info.ino ?? 0,
    writable: await canWrite(plistPath),
  };
}

/** The real path of the bundle's folder. */
async function findFolder(path: string): Promise<string> {
  try {
    const info = await Deno.stat(path);
    if (info.isDirectory) return await Deno.realPath(path);
    // The folder that holds the file, not the one that a link in it leads to.
    if (basename(path) === "config.plist") return await Deno.realPath(dirname(path));
    throw new BundleError(
      `Cannot open ${quoted(path)}: it is ${
        info.isFile ? "a file" : kindOf(info)
      }, expected a .utm folder`,
      { hint: "A bundle is a folder with a config.plist in it; unpack an archive first" },
    );
  } catch (error) {
    throw asOpenError(path, error);
  }
}

function asOpenError(path: string, error: unknown): unknown {
  if (error instanceof Deno.errors.NotFound) {
    return new BundleError(
      `Cannot open ${quoted(path)}: it does not exist, expected a .utm folder`,
      {
        cause: error,
      },
    );
  }
  if (isDenied(error)) {
    return new HostFailure(`Cannot open ${quoted(path)}: permission denied`, { cause: error });
  }
  if (error instanceof BundleError) return error;
  return new BundleError(`Cannot open ${quoted(path)}: ${reason(error)}, expected a .utm folder`, {
    cause: error,
  });
}

/** Reads config.plist, unless it is something that would block, or too large to be one. */
async function readConfig(path: string, given: string): Promise<Uint8Array> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw asOpenError(path, error);
    throw new BundleError(
      `Cannot open ${quoted(given)}: there is no config.plist in it, expected a UTM bundle`,
      { cause: error },
    );
  }
  if (!info.isFile) {
    throw new BundleError(`Cannot read ${quoted(path)}: it is ${kindOf(info)}, expected a file`);
  }
  if (info.size > MAX_PLIST_BYTES) {
    throw new BundleError(
      `Cannot read ${quoted(path)}: it has ${info.size} bytes, expected ${MAX_PLIST_BYTES} at most`,
      { hint: "A configuration has a few kilobytes; this is something else" },
    );
  }
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw asOpenError(path, error);
  }
}

/** Whether a file may be written; it is opened, and left as it is. */
async function canWrite(path: string): Promise<boolean> {
  try {
    (await Deno.open(path, { write: true })).close();
    return true;
  } catch {
    return false;
  }
}

/** Options of {@linkcode resolveFiles}. */
export interface ResolveOptions {
  /** Images for external drives, by identifier; relative paths start from the working directory. */
  drives?: ReadonlyMap<string, string>;
  /** What the guest shares. */
  share?: Share;
  /** Nothing in the bundle will be written. */
  disposable?: boolean;
}

/** A file that a bundle names and that is not inside it. */
export interface OutsideFile {
  /** Key path of what names it. */
  key: string;
  /** As named. */
  path: string;
  /** Where it really is. */
  realPath: string;
}

/** The files of a bundle, and what is remarkable about them. */
export interface ResolvedFiles extends BundleFiles {
  /** Parallel to `media`. */
  images: (ResolvedImage | undefined)[];
  /** Files that the bundle itself names outside of it: absolute names, `..`, symbolic links. */
  outside: OutsideFile[];
  /** The bundle itself names the directory in `share`. */
  isShareOwn: boolean;
  warnings: ConfigWarning[];
}

/**
 * Finds every file that the configuration needs, and checks that it can be used.
 *
 * @throws {BundleError} if an image is missing or not one.
 * @throws {UsageError} if a drive, its image or the share on the command line is wrong.
 * @throws {HostFailure} if a file cannot be read, or cannot be written and has to be.
 */
export async function resolveFiles(
  bundle: Bundle,
  options: ResolveOptions = {},
): Promise<ResolvedFiles> {
  const { drives: inserted = new Map<string, string>(), disposable = false } = options;
  checkInserted(bundle.config.drives, inserted);
  if (options.share !== undefined) await checkShare(options.share);
  // All are waited for, so that no file is still being read when one of them fails.
  const finding = await Promise.allSettled(
    bundle.config.drives.map((drive, index) =>
      findImage(bundle, drive, index, inserted, disposable)
    ),
  );
  const images = finding.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
  refuseSharedImages(bundle.config.drives, images, disposable);
  const own = await ownFiles(bundle);
  const share = options.share ?? await ownShare(bundle);
  return {
    bundle: bundle.path,
    media: images.map((image) => image && toMedium(image)),
    ...own.files,
    ...(share === undefined ? {} : { share }),
    isShareOwn: options.share === undefined && share !== undefined,
    images,
    outside: [
      ...images.flatMap((image, index) =>
        image?.escapes
          ? [{ key: `Drive[${index}].ImageName`, path: image.path, realPath: image.realPath }]
          : []
      ),
      ...own.outside,
    ],
    warnings: images.flatMap((image, index) =>
      image?.looksLike === undefined ? [] : [suspicious(`Drive[${index}].ImageName`, image)]
    ),
  };
}

function toMedium(image: ResolvedImage): Medium {
  const medium = { path: image.realPath, format: image.format };
  return image.device ? { ...medium, device: true } : medium;
}

function suspicious(key: string, image: ResolvedImage): ConfigWarning {
  const looks = image.looksLike!;
  return {
    key,
    message:
      `${key} is ${quoted(basename(image.path))}, which looks like ${looks} but is used as ` +
      `${image.format}, as its suffix says; if it is ${looks}, rename it to ${suffixOf(looks)}`,
  };
}

/** Only a disk or a CD has a format; the other kinds are handed to the machine as they are. */
function isDisk(drive: Drive): boolean {
  return drive.imageType === "Disk" || drive.imageType === "CD";
}

async function findImage(
  bundle: Bundle,
  drive: Drive,
  index: number,
  inserted: ReadonlyMap<string, string>,
  disposable: boolean,
): Promise<ResolvedImage | undefined> {
  if (drive.imageType === "None") return undefined;
  const writable = isDisk(drive) && drive.imageType !== "CD" && !drive.readOnly && !disposable;
  const plain = !isDisk(drive);
  const given = inserted.get(drive.identifier);
  if (given !== undefined) {
    const key = `--drive ${drive.identifier}=${given}`;
    return await resolveImage({ key, name: given, folder: Deno.cwd(), plain, writable });
  }
  if (drive.imageName === undefined) return undefined;
  return await resolveImage({
    key: `Drive[${index}].ImageName`,
    name: drive.imageName,
    folder: bundle.dataFolder,
    bundlePath: bundle.path,
    plain,
    writable,
  });
}

function checkInserted(drives: readonly Drive[], inserted: ReadonlyMap<string, string>): void {
  const external = drives.filter((drive) => drive.external).map((drive) => drive.identifier);
  for (const identifier of inserted.keys()) {
    if (external.includes(identifier)) continue;
    const internal = drives.some((drive) => drive.identifier === identifier);
    throw new UsageError(
      `Cannot use --drive ${printable(identifier)}: ` +
        (internal ? "that drive has its image in the bundle" : "there is no such drive") +
        ", expected a removable one",
      {
        hint: external.length === 0
          ? "This machine has no removable drive"
          : `Removable drives: ${external.map((id) => printable(id)).join(", ")}`,
      },
    );
  }
}

async function checkShare(share: Share): Promise<void> {
  if (!isAbsolute(share.path)) throw new TypeError(`share.path is not absolute: ${share.path}`);
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(share.path);
  } catch (error) {
    const what = error instanceof Deno.errors.NotFound ? "it does not exist" : reason(error);
    throw new UsageError(`Cannot share ${quoted(share.path)}: ${what}, expected a folder`, {
      cause: error,
    });
  }
  if (!info.isDirectory) {
    throw new UsageError(`Cannot share ${quoted(share.path)}: it is no folder, expected one`);
  }
}

/** Two drives on one image corrupt it unless both only read; QEMU's own error names neither. */
function refuseSharedImages(
  drives: readonly Drive[],
  images: readonly (ResolvedImage | undefined)[],
  disposable: boolean,
): void {
  if (disposable) return;
  const first = new Map<string, number>();
  for (const [index, image] of images.entries()) {
    if (image === undefined || !isDisk(drives[index]!)) continue;
    const other = first.get(image.realPath);
    const writes = [index, other ?? index].some((at) =>
      !drives[at]!.readOnly && drives[at]!.imageType !== "CD"
    );
    if (other !== undefined && writes) {
      throw new BundleError(
        `Cannot use Drive[${index}]: its image ${
          quoted(image.realPath)
        } is that of Drive[${other}] ` +
          "too, expected one of its own",
        { hint: "Make both drives read-only, or give one another image" },
      );
    }
    first.set(image.realPath, index);
  }
}
