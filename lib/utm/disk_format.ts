/**
 * How a disk image is stored. QEMU is never left to find out: a guest could write the head of another
 * format onto its raw disk and have a file of its choice opened at the next start. So a known suffix
 * decides, and content only where there is none.
 */
import type { DiskFormat } from "./model.ts";

/** Suffixes that say how an image is stored. */
const FORMAT_BY_SUFFIX: Readonly<Record<string, DiskFormat>> = {
  ".img": "raw",
  ".raw": "raw",
  ".iso": "raw",
  ".bin": "raw",
  ".fd": "raw",
  ".cdr": "raw",
  ".qcow2": "qcow2",
  ".vmdk": "vmdk",
  ".vdi": "vdi",
  ".vhd": "vpc",
  ".vhdx": "vhdx",
};

/** The format that a file name promises, or undefined where it says nothing. */
export function formatBySuffix(name: string): DiskFormat | undefined {
  const suffix = /\.[^./]+$/.exec(name)?.[0].toLowerCase();
  return suffix === undefined || !Object.hasOwn(FORMAT_BY_SUFFIX, suffix)
    ? undefined
    : FORMAT_BY_SUFFIX[suffix];
}

/** Bytes at the beginning of a file that {@linkcode formatByContent} looks at. */
export const HEAD_BYTES = 512;
/** Bytes at its end; the footer of a fixed VHD. */
export const TAIL_BYTES = 512;

/**
 * The format that the content shows, `raw` where it shows none.
 *
 * @param head The first {@linkcode HEAD_BYTES} bytes, fewer where the file is shorter.
 * @param tail The last {@linkcode TAIL_BYTES} bytes.
 *
 * Source: QEMU block/{qcow2,vmdk,vdi,vpc,vhdx}.c, the probe functions.
 */
export function formatByContent(head: Uint8Array, tail: Uint8Array): DiskFormat {
  if (has(head, 0, "QFI\xfb") && (head[7] ?? 0) >= 2) return "qcow2";
  if (has(head, 0, "KDMV") || has(head, 0, "COWD") || isVmdkDescriptor(head)) return "vmdk";
  if (has(head, 0, "vhdxfile")) return "vhdx";
  if (has(head, 0x40, "\x7f\x10\xda\xbe")) return "vdi";
  // A footer that an old Virtual PC wrote has 511 bytes.
  if ([head, tail, tail.subarray(1)].some((bytes) => has(bytes, 0, "conectix"))) return "vpc";
  return "raw";
}

/** Whether `bytes` hold the Latin-1 text `magic` at `at`. */
function has(bytes: Uint8Array, at: number, magic: string): boolean {
  return at + magic.length <= bytes.length &&
    [...magic].every((char, index) => bytes[at + index] === char.charCodeAt(0));
}

/** A VMDK may be text that names its parts; comments and blank lines may come first. */
function isVmdkDescriptor(head: Uint8Array): boolean {
  const text = new TextDecoder("latin1").decode(head);
  return /^# Disk DescriptorFile|^([ ]*(#[^\n]*)?\r?\n)*version=[123]\r?\n/.test(text);
}
