/** What a build for another system must say of itself, read from its files. */
import { compareVersions, isElf, readElf } from "./elf.ts";
import { bytesAt, readMacho } from "./macho.ts";
import type { NativeImage } from "./native_image.ts";

/** A system that is built for. */
export interface CrossTarget {
  /** As zig names it, with the oldest version that is to run it. */
  triple: string;
  platform: "linux" | "darwin";
  architecture: "x86_64" | "aarch64";
}

/** The oldest systems that are supported: macOS 11 is the first on Apple's own processors. */
export const MINIMUM_MACOS = "11.0";
export const MINIMUM_GLIBC = "2.17";

/** All that is built for. */
export const CROSS_TARGETS: readonly CrossTarget[] = [
  { triple: `aarch64-macos.${MINIMUM_MACOS}`, platform: "darwin", architecture: "aarch64" },
  { triple: `x86_64-macos.${MINIMUM_MACOS}`, platform: "darwin", architecture: "x86_64" },
  { triple: `x86_64-linux-gnu.${MINIMUM_GLIBC}`, platform: "linux", architecture: "x86_64" },
  { triple: `aarch64-linux-gnu.${MINIMUM_GLIBC}`, platform: "linux", architecture: "aarch64" },
];

/** Libraries that every system of the kind has; ours opens all others when it runs. */
const SYSTEM_LIBRARIES: Record<CrossTarget["platform"], RegExp> = {
  darwin: /^\/usr\/lib\/libSystem\.B\.dylib$/,
  linux: /^(lib(c|m|dl|pthread)\.so\.\d+|ld-linux-[\w-]+\.so\.\d+)$/,
};

/** Names that zig's linker for Mach-O exports by itself. */
const LINKERS_OWN = ["__dso_handle", "_mh_dylib_header", "_mh_execute_header"];

/** One thing that was looked at. */
export interface Check {
  what: string;
  /** What is wrong; absent where it is as it should be. */
  fault?: string;
}

/** Reads a file of a target. @throws {NativeImageError} when it is none, or damaged. */
export function readImage(bytes: Uint8Array): NativeImage {
  return isElf(bytes) ? readElf(bytes) : readMacho(bytes);
}

/** Checks what is the same for a library and a program. */
function checkImage(image: NativeImage, target: CrossTarget): Check[] {
  const { platform, architecture } = target;
  const system = SYSTEM_LIBRARIES[platform];
  const strangers = image.needs.filter((name) => !system.test(name));
  return [
    same("format", image.format, platform === "darwin" ? "Mach-O" : "ELF"),
    same("architecture", image.architecture, architecture),
    same("needs nothing but what the system has", strangers.join(", "), ""),
    same("looks for libraries where the system does", image.searchPaths.join(":"), ""),
    same("its stack holds no code", image.executableStack, false),
    ...(platform === "darwin"
      ? [
        same("oldest macOS", image.minimumMacOs, MINIMUM_MACOS),
        // Apple's own processors run nothing that is not signed, if by nobody.
        ...(architecture === "aarch64" ? [same("signed", image.signed, true)] : []),
      ]
      : [{
        what: `glibc of ${image.glibc}`,
        ...(compareVersions(image.glibc ?? "0", MINIMUM_GLIBC) > 0
          ? { fault: `expected ${MINIMUM_GLIBC} or older` }
          : {}),
      }]),
  ];
}

/** Checks the library. @param symbols What it must export, all of it and nothing else. */
export function checkLibrary(
  image: NativeImage,
  target: CrossTarget,
  symbols: readonly string[],
): Check[] {
  const exported = exportsOf(image);
  const missing = symbols.filter((name) => !exported.includes(name));
  const surplus = exported.filter((name) => !symbols.includes(name));
  const name = target.platform === "darwin" ? "@rpath/libutm_shim.dylib" : "libutm_shim.so";
  return [
    same("kind", image.kind, "library"),
    same("name", image.name, name),
    same(`exports the header's ${symbols.length} functions`, missing.join(", "), ""),
    same("exports nothing else", surplus.join(", "), ""),
    ...checkImage(image, target),
  ];
}

/** Checks the program. */
export function checkProgram(image: NativeImage, target: CrossTarget): Check[] {
  return [
    same("kind", image.kind, "program"),
    same("exports nothing", exportsOf(image).join(", "), ""),
    ...checkImage(image, target),
  ];
}

function exportsOf({ format, exports }: NativeImage): string[] {
  return exports.filter((name) => format === "ELF" || !LINKERS_OWN.includes(name));
}

/** A check that two values are the same. */
export function same<T>(what: string, actual: T, expected: T): Check {
  if (actual === expected) return { what };
  const shown = expected === "" ? "none" : String(expected);
  return { what, fault: `${actual}, expected ${shown}` };
}

/** The functions that the header declares, in its order. */
export function symbolsOf(header: string): string[] {
  return [...header.matchAll(/^UTM_EXPORT\s[^;(]*?\b(utm_shim_\w+)\(/gm)].map(([, name]) => name!);
}

/**
 * The number that a function of a Mach-O library returns that does nothing else, read from its code:
 * there is no Mac to run it.
 *
 * @returns undefined where its code is anything else.
 */
export function constantOf(bytes: Uint8Array, name: string): number | undefined {
  const { architecture } = readMacho(bytes);
  const code = bytesAt(bytes, name, 16);
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  if (architecture === "aarch64") {
    const move = view.getUint32(0, true);
    const isMove = (move & 0xffe0001f) >>> 0 === 0x52800000; // movz w0, #number
    const isReturn = view.getUint32(4, true) === 0xd65f03c0; // ret
    return isMove && isReturn ? (move >>> 5) & 0xffff : undefined;
  }
  if (architecture !== "x86_64") return undefined;
  const framed = Uint8Array.of(0x55, 0x48, 0x89, 0xe5); // push rbp; mov rbp, rsp
  const isFramed = framed.every((byte, at) => code[at] === byte);
  const at = isFramed ? framed.length : 0;
  const end = isFramed ? [0x5d, 0xc3] : [0xc3]; // (pop rbp;) ret
  if (code[at] !== 0xb8) return undefined; // mov eax, number
  if (!end.every((byte, index) => code[at + 5 + index] === byte)) return undefined;
  return view.getInt32(at + 1, true);
}
