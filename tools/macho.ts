/** Reads 64-bit little-endian Mach-O files. Source: mach-o/loader.h, and dyld's export trie. */
import { ImageBytes, type NativeImage } from "./native_image.ts";

const MAGIC_64 = 0xfeedfacf;
const MAGIC_FAT = 0xbebafeca; // big endian in the file
const HEADER_BYTES = 32;
const COMMAND_BYTES = 8;

const MACHINES: Record<number, string> = { 0x01000007: "x86_64", 0x0100000c: "aarch64" };
const KINDS: Record<number, NativeImage["kind"]> = { 2: "program", 6: "library" };

const LC_ID_DYLIB = 0xd;
/** Plain, weak, re-exported, lazy and upward loads. */
const LC_LOADS = [0xc, 0x80000018, 0x8000001f, 0x20, 0x80000023];
const LC_RPATH = 0x8000001c;
const LC_CODE_SIGNATURE = 0x1d;
const LC_VERSION_MIN_MACOSX = 0x24;
const LC_BUILD_VERSION = 0x32;
const LC_DYLD_EXPORTS_TRIE = 0x80000033;
const LC_DYLD_INFO = [0x22, 0x80000022];
const LC_SEGMENT_64 = 0x19;
const PLATFORM_MACOS = 1;
/** Source: mach-o/loader.h, EXPORT_SYMBOL_FLAGS_REEXPORT. */
const EXPORT_REEXPORT = 0x08;

/** Whether the bytes begin like a Mach-O file for 64 bits. */
export function isMacho(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && new ImageBytes("Mach-O", bytes).u32(0) === MAGIC_64;
}

/**
 * Reads one Mach-O file.
 *
 * @throws {NativeImageError} when it is none for 64 bits, holds several, or is damaged.
 */
export function readMacho(bytes: Uint8Array): NativeImage {
  const file = new ImageBytes("Mach-O", bytes);
  const magic = file.u32(0);
  if (magic === MAGIC_FAT) throw file.fault("it holds several, expected one");
  if (magic !== MAGIC_64) throw file.fault("it does not begin like one for 64 bits");
  const machine = file.u32(4);
  const image: NativeImage = {
    format: "Mach-O",
    kind: KINDS[file.u32(12)] ?? "other",
    architecture: MACHINES[machine] ?? `machine ${machine}`,
    exports: [],
    needs: [],
    searchPaths: [],
    executableStack: false,
    signed: false,
  };
  for (const command of commandsOf(file)) readCommand(file, command, image);
  image.exports.sort();
  return image;
}

/** The load commands, each with its head. */
function* commandsOf(file: ImageBytes): Generator<ImageBytes> {
  const count = file.u32(16);
  const end = HEADER_BYTES + file.u32(20);
  let at = HEADER_BYTES;
  for (let index = 0; index < count; index++) {
    const size = file.u32(at + 4);
    if (size < COMMAND_BYTES || at + size > end) {
      throw file.fault(`a load command of ${size} bytes`);
    }
    yield file.part(at, size);
    at += size;
  }
}

function readCommand(file: ImageBytes, command: ImageBytes, image: NativeImage): void {
  const type = command.u32(0);
  if (type === LC_ID_DYLIB) image.name = textAt(command, 8);
  if (LC_LOADS.includes(type)) image.needs.push(textAt(command, 8));
  if (type === LC_RPATH) image.searchPaths.push(textAt(command, 8));
  if (type === LC_CODE_SIGNATURE) {
    file.part(command.u32(8), command.u32(12)); // it is where it is said to be
    image.signed = true;
  }
  if (type === LC_VERSION_MIN_MACOSX) image.minimumMacOs = version(command.u32(8));
  if (type === LC_BUILD_VERSION && command.u32(8) === PLATFORM_MACOS) {
    image.minimumMacOs = version(command.u32(12));
  }
  if (type === LC_DYLD_EXPORTS_TRIE) {
    image.exports.push(...trieOf(file.part(command.u32(8), command.u32(12))).keys());
  }
  if (LC_DYLD_INFO.includes(type)) {
    image.exports.push(...trieOf(file.part(command.u32(40), command.u32(44))).keys());
  }
}

/**
 * The bytes that begin at an exported name: the code of a function, as it is before anything is
 * linked.
 *
 * @throws {NativeImageError} when nothing is exported by that name, or the file is damaged.
 */
export function bytesAt(bytes: Uint8Array, name: string, length: number): Uint8Array {
  const file = new ImageBytes("Mach-O", bytes);
  const commands = [...commandsOf(file)];
  let address: number | undefined;
  for (const command of commands) {
    const type = command.u32(0);
    const at = type === LC_DYLD_EXPORTS_TRIE ? 8 : LC_DYLD_INFO.includes(type) ? 40 : undefined;
    if (at === undefined) continue;
    address ??= trieOf(file.part(command.u32(at), command.u32(at + 4))).get(name);
  }
  if (address === undefined) throw file.fault(`it exports no ${name}`);
  for (const command of commands) {
    if (command.u32(0) !== LC_SEGMENT_64) continue;
    const offset = address - command.u64(24); // a library's addresses begin at 0
    if (offset < 0 || offset + length > command.u64(48)) continue;
    const start = command.u64(40) + offset;
    file.part(start, length); // it is in the file
    return bytes.subarray(start, start + length);
  }
  throw file.fault(`${name} is in no segment`);
}

/** The text of a command that holds its offset. */
function textAt(command: ImageBytes, at: number): string {
  return command.text(command.u32(at));
}

/** `11.0` for 0x000b0000. */
function version(packed: number): string {
  const patch = packed & 0xff;
  return `${packed >>> 16}.${(packed >>> 8) & 0xff}${patch === 0 ? "" : `.${patch}`}`;
}

/**
 * The names in an export trie, with their addresses where they have one: each node has what it exports, then edges, each a text and the offset
 * of a node below. No node is met twice in a sound one.
 */
function trieOf(trie: ImageBytes): Map<string, number | undefined> {
  const names = new Map<string, number | undefined>();
  if (trie.length === 0) return names;
  const seen = new Set<number>();
  const open: [at: number, name: string][] = [[0, ""]];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [start, name] = next;
    if (seen.has(start)) throw trie.fault("its exports go in a circle");
    seen.add(start);
    const own = uleb(trie, start);
    if (own.value > 0) names.set(name.replace(/^_/, ""), addressOf(trie, own.end));
    let at = own.end + own.value;
    const edges = trie.u8(at++);
    for (let edge = 0; edge < edges; edge++) {
      const text = trie.text(at);
      const below = uleb(trie, at + text.length + 1);
      open.push([below.value, name + text]);
      at = below.end;
    }
  }
  return names;
}

/** The address in what a node exports; none where it passes on what another library exports. */
function addressOf(trie: ImageBytes, at: number): number | undefined {
  const flags = uleb(trie, at);
  return (flags.value & EXPORT_REEXPORT) === 0 ? uleb(trie, flags.end).value : undefined;
}

/** A number of 7 bits a byte, the least first. */
function uleb(bytes: ImageBytes, start: number): { value: number; end: number } {
  let value = 0;
  for (let at = start, scale = 1;; at++, scale *= 128) {
    const byte = bytes.u8(at);
    value += (byte & 0x7f) * scale;
    if (!Number.isSafeInteger(value)) throw bytes.fault(`a number at ${start} is too large`);
    if (byte < 0x80) return { value, end: at + 1 };
  }
}
