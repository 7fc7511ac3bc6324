/** Reads 64-bit little-endian ELF files. Source: System V ABI, gABI 4.1, and the GNU version tables. */
import { ImageBytes, type NativeImage } from "./native_image.ts";

const MAGIC = 0x464c457f;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;

const TYPE_PROGRAM = 2;
const TYPE_SHARED = 3; // a library, or a program that can be anywhere
const MACHINES: Record<number, string> = { 62: "x86_64", 183: "aarch64" };

const PROGRAM_HEADER_BYTES = 56;
const PT_INTERP = 3;
const PT_GNU_STACK = 0x6474e551;
const FLAG_EXECUTABLE = 1;

const SECTION_HEADER_BYTES = 64;
const SHT_DYNAMIC = 6;
const SHT_DYNSYM = 11;
const SHT_GNU_VERNEED = 0x6ffffffe;

const DYNAMIC_BYTES = 16;
const DT_NULL = 0n;
const DT_NEEDED = 1n;
const DT_SONAME = 14n;
const DT_RPATH = 15n;
const DT_RUNPATH = 29n;

const SYMBOL_BYTES = 24;
const BIND_LOCAL = 0;
const VISIBILITY_DEFAULT = 0;
const VISIBILITY_PROTECTED = 3;
const UNDEFINED = 0;

/** Both kinds of entries of SHT_GNU_VERNEED; each tells at the end how far the next is. */
const VERSION_BYTES = 16;
const NEXT_AT = 12;

/** One section's place in the file, and the section that it refers to. */
interface Section {
  type: number;
  offset: number;
  size: number;
  link: number;
}

/** Whether the bytes begin like an ELF file. */
export function isElf(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && new ImageBytes("ELF", bytes).u32(0) === MAGIC;
}

/**
 * Reads one ELF file.
 *
 * @throws {NativeImageError} when it is none for 64 bits and little endian, or is damaged.
 */
export function readElf(bytes: Uint8Array): NativeImage {
  const file = new ImageBytes("ELF", bytes);
  if (file.u32(0) !== MAGIC) throw file.fault("it does not begin like one");
  if (file.u8(4) !== CLASS_64 || file.u8(5) !== LITTLE_ENDIAN) {
    throw file.fault("it is not for 64 bits and little endian");
  }
  const type = file.u16(16);
  const machine = file.u16(18);
  const sections = sectionsOf(file);
  const { interpreter, executableStack } = segmentsOf(file);
  const dynamic = dynamicOf(file, sections);
  const kind = type === TYPE_PROGRAM || (type === TYPE_SHARED && interpreter)
    ? "program"
    : type === TYPE_SHARED
    ? "library"
    : "other";
  const glibc = newestGlibc(file, sections);
  return {
    format: "ELF",
    kind,
    architecture: MACHINES[machine] ?? `machine ${machine}`,
    exports: exportsOf(file, sections),
    needs: dynamic.filter(({ tag }) => tag === DT_NEEDED).map(({ text }) => text),
    ...nameOf(dynamic),
    searchPaths: dynamic
      .filter(({ tag }) => tag === DT_RPATH || tag === DT_RUNPATH).map(({ text }) => text),
    ...(glibc === undefined ? {} : { glibc }),
    executableStack,
    signed: false,
  };
}

function nameOf(dynamic: readonly DynamicText[]): { name?: string } {
  const name = dynamic.find(({ tag }) => tag === DT_SONAME)?.text;
  return name === undefined ? {} : { name };
}

function sectionsOf(file: ImageBytes): Section[] {
  const start = file.u64(40);
  const size = file.u16(58);
  const count = file.u16(60);
  if (count > 0 && size !== SECTION_HEADER_BYTES) throw file.fault(`sections of ${size} bytes`);
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * SECTION_HEADER_BYTES;
    const type = file.u32(at + 4);
    return { type, offset: file.u64(at + 24), size: file.u64(at + 32), link: file.u32(at + 40) };
  });
}

/** A file without PT_GNU_STACK gets a stack that may hold code. */
function segmentsOf(file: ImageBytes): { interpreter: boolean; executableStack: boolean } {
  const start = file.u64(32);
  const size = file.u16(54);
  const count = file.u16(56);
  if (count > 0 && size !== PROGRAM_HEADER_BYTES) throw file.fault(`segments of ${size} bytes`);
  let interpreter = false;
  let executableStack = true;
  for (let index = 0; index < count; index++) {
    const at = start + index * PROGRAM_HEADER_BYTES;
    const type = file.u32(at);
    if (type === PT_INTERP) interpreter = true;
    if (type === PT_GNU_STACK) executableStack = (file.u32(at + 4) & FLAG_EXECUTABLE) !== 0;
  }
  return { interpreter, executableStack };
}

/** The texts that a section's entries point into. */
function textsOf(file: ImageBytes, sections: readonly Section[], of: Section): ImageBytes {
  const texts = sections[of.link];
  if (texts === undefined) throw file.fault(`there is no section ${of.link}`);
  return file.part(texts.offset, texts.size);
}

/** An entry of the dynamic section whose value is a text. */
interface DynamicText {
  tag: bigint;
  text: string;
}

function dynamicOf(file: ImageBytes, sections: readonly Section[]): DynamicText[] {
  const found: DynamicText[] = [];
  for (const section of sections.filter(({ type }) => type === SHT_DYNAMIC)) {
    const entries = file.part(section.offset, section.size);
    const texts = textsOf(file, sections, section);
    for (let at = 0; at + DYNAMIC_BYTES <= entries.length; at += DYNAMIC_BYTES) {
      const tag = entries.i64(at);
      if (tag === DT_NULL) break;
      if (tag === DT_NEEDED || tag === DT_SONAME || tag === DT_RPATH || tag === DT_RUNPATH) {
        found.push({ tag, text: texts.text(entries.u64(at + 8)) });
      }
    }
  }
  return found;
}

function exportsOf(file: ImageBytes, sections: readonly Section[]): string[] {
  const names: string[] = [];
  for (const section of sections.filter(({ type }) => type === SHT_DYNSYM)) {
    const symbols = file.part(section.offset, section.size);
    const texts = textsOf(file, sections, section);
    for (let at = 0; at + SYMBOL_BYTES <= symbols.length; at += SYMBOL_BYTES) {
      const bind = symbols.u8(at + 4) >> 4;
      const visibility = symbols.u8(at + 5) & 3;
      if (bind === BIND_LOCAL || symbols.u16(at + 6) === UNDEFINED) continue;
      if (visibility !== VISIBILITY_DEFAULT && visibility !== VISIBILITY_PROTECTED) continue;
      names.push(texts.text(symbols.u32(at)));
    }
  }
  return names.sort();
}

/** The newest `GLIBC_x.y` among the versions that symbols want. */
function newestGlibc(file: ImageBytes, sections: readonly Section[]): string | undefined {
  const found: string[] = [];
  for (const section of sections.filter(({ type }) => type === SHT_GNU_VERNEED)) {
    const entries = file.part(section.offset, section.size);
    const texts = textsOf(file, sections, section);
    for (const library of chain(entries, 0)) {
      for (const version of chain(entries, library + entries.u32(library + 8))) {
        const glibc = /^GLIBC_([\d.]+)$/.exec(texts.text(entries.u32(version + 8)))?.[1];
        if (glibc !== undefined) found.push(glibc);
      }
    }
  }
  return found.sort(compareVersions).at(-1);
}

/** The entries of a list in which each tells how far the next is; it only goes on. */
function* chain(entries: ImageBytes, first: number): Generator<number> {
  for (let at = first;;) {
    yield at;
    const step = entries.u32(at + NEXT_AT);
    if (step === 0) return;
    if (step < VERSION_BYTES) throw entries.fault(`a version of ${step} bytes`);
    at += step;
  }
}

/** Orders `2.9` before `2.17`. */
export function compareVersions(a: string, b: string): number {
  const left = a.split(".").map(Number);
  const right = b.split(".").map(Number);
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
