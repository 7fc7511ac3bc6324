/**
 * Files that a disk image names inside itself: backing files and external data files of qcow2, extents
 * and parents of VMDK. QEMU opens them without a word, so they count as files of the bundle's asking.
 *
 * Nothing but the images themselves is opened here: a name leads to a path, and that is looked at.
 */
import { BundleError, HostError } from "../base/errors.ts";
import { printable, quoted } from "../base/text.ts";
import { dirname } from "@std/path";
import { isInside } from "./images.ts";
import type { DiskFormat } from "./model.ts";

/** A file, or something else, that an image names. */
export interface ImageReference {
  /** The image that names it: a real path. */
  image: string;
  role: "backing file" | "data file" | "extent" | "parent";
  /** As named in the image. */
  name: string;
  /** The real path; absent for what is no plain file name (`nbd://…`, `json:{…}`) or not there. */
  realPath?: string;
  /** It is not inside the bundle. */
  escapes: boolean;
}

/** A chain longer than this is refused: it is a loop, or made to waste time. */
const MAX_CHAIN = 64;
const VMDK_HEAD_BYTES = 64 * 1024;

/** Options of {@linkcode imageReferences}. */
export interface ReferenceOptions {
  /** Absolute path of `qemu-img`, or its name; asked about qcow2 images that name other files. */
  qemuImg?: string;
  signal?: AbortSignal;
}

/**
 * Lists what an image names, and what the files in the bundle that it names do in turn.
 *
 * @param path Real path of the image. @param bundle Real path of the bundle.
 * @throws {BundleError} for a chain without end, or an image that qemu-img cannot read.
 * @throws {HostError} where qemu-img is needed and missing.
 */
export async function imageReferences(
  path: string,
  format: DiskFormat,
  bundle: string,
  options: ReferenceOptions = {},
): Promise<ImageReference[]> {
  const found: ImageReference[] = [];
  const seen = new Set<string>([path]);
  const waiting: { path: string; format: DiskFormat }[] = [{ path, format }];
  for (let image = waiting.shift(); image !== undefined; image = waiting.shift()) {
    for (const { role, name, format } of await namesIn(image, options)) {
      const reference = await locate(image.path, role, name, bundle);
      found.push(reference);
      if (reference.realPath === undefined || reference.escapes) continue;
      if (seen.has(reference.realPath)) continue;
      seen.add(reference.realPath);
      if (seen.size > MAX_CHAIN) {
        throw new BundleError(
          `Cannot use ${
            quoted(path)
          }: its backing files have no end, expected ${MAX_CHAIN} at most`,
        );
      }
      if (format !== undefined) waiting.push({ path: reference.realPath, format });
    }
  }
  return found;
}

/** A name inside an image. */
interface InnerName {
  role: ImageReference["role"];
  name: string;
  /** How the named file is stored; absent where that does not matter. */
  format?: DiskFormat;
}

async function namesIn(
  image: { path: string; format: DiskFormat },
  options: ReferenceOptions,
): Promise<InnerName[]> {
  switch (image.format) {
    case "qcow2":
      return await namesOthers(image.path) ? await askQemuImg(image.path, options) : [];
    case "vmdk":
      return vmdkNames(await readHead(image.path, VMDK_HEAD_BYTES));
    default:
      return []; // raw, VDI and VHD name none; QEMU refuses a VHDX that has a parent.
  }
}

/**
 * Whether a qcow2 header names other files, so that most images need no run of qemu-img.
 * Source: QEMU docs/interop/qcow2.txt: backing_file_offset at 8, and from version 3 on bit 2 of the
 * incompatible features at 72 for an external data file.
 */
async function namesOthers(path: string): Promise<boolean> {
  const head = await readHead(path, 104);
  if (head.length < 72) return true; // Truncated: qemu-img says what is wrong with it.
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const backing = view.getBigUint64(8) !== 0n;
  const dataFile = view.getUint32(4) >= 3 && head.length >= 80 &&
    (view.getBigUint64(72) & 4n) !== 0n;
  return backing || dataFile;
}

/** The part of `qemu-img info --output=json` that is used. */
interface ImageInfo {
  "backing-filename"?: string;
  "backing-filename-format"?: string;
  "format-specific"?: { data?: { "data-file"?: string } };
}

async function askQemuImg(path: string, options: ReferenceOptions): Promise<InnerName[]> {
  const { qemuImg = "qemu-img", signal } = options;
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command(qemuImg, {
      args: ["info", "--force-share", "--output=json", "-f", "qcow2", `file:${path}`],
      stdin: "null",
      signal: AbortSignal.any([AbortSignal.timeout(10_000), ...(signal ? [signal] : [])]),
    }).output();
  } catch (cause) {
    signal?.throwIfAborted();
    throw new HostError(
      `Cannot look into ${quoted(path)}, which names other files: there is no qemu-img`,
      { cause, hint: "Install it (Debian: qemu-utils; Homebrew: qemu)." },
    );
  }
  if (!output.success) {
    // A data file that is missing fails here, too, with qemu-img's own words.
    const words = new TextDecoder().decode(output.stderr).trim();
    throw new BundleError(`Cannot use ${quoted(path)}: ${printable(words)}`);
  }
  const info = JSON.parse(new TextDecoder().decode(output.stdout)) as ImageInfo;
  const names: InnerName[] = [];
  const backing = info["backing-filename"];
  if (backing !== undefined) {
    names.push({
      role: "backing file",
      name: backing,
      // Without a declared format QEMU probes it; assume the one that can name further files.
      format: info["backing-filename-format"] === "raw" ? "raw" : "qcow2",
    });
  }
  const data = info["format-specific"]?.data?.["data-file"];
  if (data !== undefined) names.push({ role: "data file", name: data });
  return names;
}

/**
 * Names in a VMDK descriptor, which is a file of its own or lies in the head of a sparse extent.
 * Source: the VMDK descriptor as QEMU block/vmdk.c reads it.
 */
export function vmdkNames(head: Uint8Array): InnerName[] {
  const text = new TextDecoder("latin1").decode(head);
  const names: InnerName[] = [];
  for (const match of text.matchAll(/^\s*(?:RW|RDONLY|NOACCESS)\s+\d+\s+\w+\s+"([^"\n]*)"/gm)) {
    names.push({ role: "extent", name: match[1] ?? "" });
  }
  const parent = /^\s*parentFileNameHint\s*=\s*"([^"\n]*)"/m.exec(text)?.[1];
  if (parent !== undefined) names.push({ role: "parent", name: parent, format: "vmdk" });
  return names;
}

async function locate(
  image: string,
  role: ImageReference["role"],
  name: string,
  bundle: string,
): Promise<ImageReference> {
  // QEMU reads "protocol:rest" as such, whatever files there are.
  if (/^[a-zA-Z0-9+.-]+:/.test(name) && !name.startsWith("file:")) {
    return { image, role, name, escapes: true };
  }
  const plain = name.replace(/^file:(\/\/(?=\/))?/, "");
  const path = plain.startsWith("/") ? plain : `${dirname(image)}/${plain}`;
  try {
    const realPath = await Deno.realPath(path);
    const info = await Deno.stat(realPath);
    return { image, role, name, realPath, escapes: !info.isFile || !isInside(realPath, bundle) };
  } catch {
    return { image, role, name, escapes: true };
  }
}

async function readHead(path: string, bytes: number): Promise<Uint8Array> {
  using file = await Deno.open(path);
  const head = new Uint8Array(bytes);
  let length = 0;
  while (length < bytes) {
    const count = await file.read(head.subarray(length));
    if (count === null) break;
    length += count;
  }
  return head.subarray(0, length);
}
