/** Finds the images that a bundle names: where they are, how they are stored, whether they can be used. */
import { BundleError, HostFailure, UsageError, type UtmostError } from "../base/errors.ts";
import { printable, quoted } from "../base/text.ts";
import { formatByContent, formatBySuffix, HEAD_BYTES, TAIL_BYTES } from "./disk_format.ts";
import type { DiskFormat } from "./model.ts";

/** An image that exists and can be read. */
export interface ResolvedImage {
  /** Absolute path as named: data folder and name. */
  path: string;
  /** Where that leads once symbolic links and `..` are followed: this is what QEMU is given. */
  realPath: string;
  /** The real path is not inside the bundle. */
  escapes: boolean;
  format: DiskFormat;
  /** The content shows another format than the suffix promises; the suffix holds. */
  looksLike?: DiskFormat;
  /** It is a block device of the host, such as `/dev/sdb`. */
  device: boolean;
  bytes: number;
}

/** What is asked about an image. */
export interface ImageRequest {
  /** What names it, for errors: `Drive[0].ImageName`, `--drive cd=disk.iso`. */
  key: string;
  /** As stored: relative to `folder`, or absolute. */
  name: string;
  /** Absolute path that relative names start from. */
  folder: string;
  /** The bundle's real, absolute path; absent for an image that the user named. */
  bundlePath?: string;
  /** QEMU reads the bytes as they are, whatever the suffix: firmware, kernels. */
  plain?: boolean;
  /** It will be written. */
  writable?: boolean;
}

/**
 * Finds one image. Nothing but regular files is opened, so a pipe in an image's place cannot block.
 *
 * @throws {BundleError} ({@linkcode UsageError} for an image that the user named) if there is no such
 * image, or it is not one.
 * @throws {HostFailure} if it cannot be read or written.
 */
export async function resolveImage(request: ImageRequest): Promise<ResolvedImage> {
  const { key, name, folder, bundlePath } = request;
  const fail = (what: string, hint?: string) => {
    const kind: new (message: string, options: { hint?: string }) => UtmostError =
      bundlePath === undefined ? UsageError : BundleError;
    return new kind(`Cannot use ${printable(key)}: ${what}`, hint === undefined ? {} : { hint });
  };
  if (/^[./]*$/.test(name) || name.includes("\0")) {
    throw fail(`it is ${name === "" ? "empty" : quoted(name)}, expected the name of a file`);
  }
  const path = name.startsWith("/") ? name : `${folder}/${name}`;
  const { realPath, info } = await find(path, fail);
  const escapes = bundlePath !== undefined && !isInside(realPath, bundlePath);
  const found = { path, realPath, escapes, bytes: info.size };
  if (info.isBlockDevice) return { ...found, format: "raw", device: true };
  if (!info.isFile) throw fail(`${quoted(path)} is ${kindOf(info)}, expected a file`);
  const content = await probe(realPath, info.size, request);
  if (request.plain) return { ...found, format: "raw", device: false };
  const promised = formatBySuffix(name);
  if (promised !== undefined && promised !== "raw" && promised !== content) {
    throw fail(
      `${quoted(path)} holds no ${promised} image but ${
        content === "raw" ? "raw data" : content
      }, ` +
        `expected what its suffix says`,
      `Rename it: .${content === "raw" ? "img" : SUFFIX[content]} fits what it holds`,
    );
  }
  const format = promised ?? content;
  return {
    ...found,
    format,
    device: false,
    ...(content === format ? {} : { looksLike: content }),
  };
}

const SUFFIX: Record<DiskFormat, string> = {
  raw: "img",
  qcow2: "qcow2",
  vmdk: "vmdk",
  vdi: "vdi",
  vpc: "vhd",
  vhdx: "vhdx",
};

/** Whether `path` is `folder` or in it; both are real, absolute paths. */
export function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
}

/** The suffix that suits a format, for hints. */
export function suffixOf(format: DiskFormat): string {
  return `.${SUFFIX[format]}`;
}

async function find(
  path: string,
  fail: (what: string, hint?: string) => UtmostError,
): Promise<{ realPath: string; info: Deno.FileInfo }> {
  try {
    const realPath = await Deno.realPath(path);
    return { realPath, info: await Deno.stat(realPath) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw fail(
        `${quoted(path)} does not exist, expected an image`,
        "Put the image there, or correct the name",
      );
    }
    if (isDenied(error)) {
      throw new HostFailure(`Cannot look at ${quoted(path)}: permission denied`, { cause: error });
    }
    throw fail(`${quoted(path)} cannot be found (${reason(error)}), expected an image`);
  }
}

/** Reads both ends of a regular file; opening it also shows whether it may be read and written. */
async function probe(path: string, size: number, request: ImageRequest): Promise<DiskFormat> {
  try {
    using file = await Deno.open(path, { read: true, write: request.writable ?? false });
    const head = await readAt(file, 0, HEAD_BYTES);
    return formatByContent(head, await readAt(file, Math.max(0, size - TAIL_BYTES), TAIL_BYTES));
  } catch (error) {
    const verb = request.writable ? "write" : "read";
    throw new HostFailure(
      `Cannot ${verb} ${quoted(path)} for ${printable(request.key)}: ${reason(error)}`,
      {
        cause: error,
        hint: request.writable
          ? "Make the file writable, or use --disposable to leave the bundle as it is"
          : "Make the file readable",
      },
    );
  }
}

async function readAt(file: Deno.FsFile, offset: number, length: number): Promise<Uint8Array> {
  await file.seek(offset, Deno.SeekMode.Start);
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const count = await file.read(bytes.subarray(filled));
    if (count === null) break;
    filled += count;
  }
  return bytes.subarray(0, filled);
}

/** Whether an error says that we may not. */
export function isDenied(error: unknown): boolean {
  return error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable;
}

/** An operating system's error in a few words. */
export function reason(error: unknown): string {
  if (isDenied(error)) return "permission denied";
  const text = error instanceof Error ? error.message : String(error);
  return printable(text.replace(/ \(os error \d+\).*$/s, ""), 200).toLowerCase();
}

/** What a directory entry is that is no regular file. */
export function kindOf(info: Deno.FileInfo): string {
  if (info.isDirectory) return "a folder";
  if (info.isFifo) return "a named pipe";
  if (info.isSocket) return "a socket";
  if (info.isCharDevice) return "a character device";
  if (info.isBlockDevice) return "a block device";
  return "no regular file";
}
