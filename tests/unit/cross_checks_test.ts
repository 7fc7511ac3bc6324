import { assertEquals, assertThrows } from "@std/assert";
import {
  checkLibrary,
  checkProgram,
  constantOf,
  CROSS_TARGETS,
  type CrossTarget,
  readImage,
  symbolsOf,
} from "../../tools/cross_checks.ts";
import { bytesAt } from "../../tools/macho.ts";
import { type NativeImage, NativeImageError } from "../../tools/native_image.ts";
import { SYMBOLS } from "../../ffi/symbols.ts";

/** One of the real libraries made from `tiny.c`. */
async function fixture(name: string): Promise<Uint8Array> {
  const packed = await Deno.readFile(new URL(`../fixtures/native/${name}.gz`, import.meta.url));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return await new Response(unpacked).bytes();
}

const target = (platform: CrossTarget["platform"], architecture: CrossTarget["architecture"]) =>
  CROSS_TARGETS.find((it) => it.platform === platform && it.architecture === architecture)!;

/** A library as it should be. */
function library({ platform, architecture }: CrossTarget, own: Partial<NativeImage> = {}) {
  const isMac = platform === "darwin";
  return {
    format: isMac ? "Mach-O" : "ELF",
    kind: "library",
    architecture,
    exports: isMac ? ["__dso_handle", "_mh_dylib_header", "utm_a", "utm_b"] : ["utm_a", "utm_b"],
    needs: isMac ? ["/usr/lib/libSystem.B.dylib"] : ["libc.so.6", "libdl.so.2"],
    name: isMac ? "@rpath/libutm_shim.dylib" : "libutm_shim.so",
    searchPaths: [],
    ...(isMac ? { minimumMacOs: "11.0" } : { glibc: "2.17" }),
    executableStack: false,
    signed: isMac && architecture === "aarch64",
    ...own,
  } satisfies NativeImage as NativeImage;
}

const SYMBOLS_HERE = ["utm_a", "utm_b"];

/** What is wrong with a library. */
function faultsOf(image: NativeImage, of: CrossTarget): string[] {
  return checkLibrary(image, of, SYMBOLS_HERE)
    .flatMap(({ what, fault }) => fault === undefined ? [] : [`${what}: ${fault}`]);
}

Deno.test("checkLibrary finds nothing wrong with a library as it should be", () => {
  for (const of of CROSS_TARGETS) assertEquals(faultsOf(library(of), of), [], of.triple);
});

Deno.test("checkLibrary finds each thing that is wrong", () => {
  const mac = target("darwin", "aarch64");
  const linux = target("linux", "x86_64");
  const rows: [of: CrossTarget, own: Partial<NativeImage>, fault: string][] = [
    [mac, { kind: "program" }, "kind: program, expected library"],
    [mac, { format: "ELF", exports: SYMBOLS_HERE }, "format: ELF, expected Mach-O"],
    [mac, { architecture: "x86_64" }, "architecture: x86_64, expected aarch64"],
    [mac, { name: "build/libutm_shim.dylib" }, "name: build/libutm_shim.dylib, expected @rpath"],
    [mac, { exports: ["utm_a"] }, "exports the header's 2 functions: utm_b, expected none"],
    [mac, { exports: [...SYMBOLS_HERE, "help"] }, "exports nothing else: help, expected none"],
    [mac, { needs: ["/usr/lib/libc++.1.dylib"] }, "/usr/lib/libc++.1.dylib, expected none"],
    [mac, { searchPaths: ["/x", "@loader_path"] }, "/x:@loader_path, expected none"],
    [mac, { minimumMacOs: "13.0" }, "oldest macOS: 13.0, expected 11.0"],
    [mac, { signed: false }, "signed: false, expected true"],
    [linux, { exports: [...SYMBOLS_HERE, "__dso_handle"] }, "__dso_handle, expected none"],
    [linux, { needs: ["libc.so.6", "libX11.so.6"] }, "libX11.so.6, expected none"],
    [linux, { needs: ["libc.so.6", "libgcc_s.so.1"] }, "libgcc_s.so.1, expected none"],
    [linux, { glibc: "2.27" }, "glibc of 2.27: expected 2.17 or older"],
    [linux, { executableStack: true }, "its stack holds no code: true, expected false"],
  ];
  for (const [of, own, fault] of rows) {
    const faults = faultsOf(library(of, own), of);
    assertEquals([faults.length, faults[0]?.includes(fault)], [1, true], `${fault}: ${faults}`);
  }
  assertEquals(faultsOf(library(target("darwin", "x86_64")), target("darwin", "x86_64")), []);
});

Deno.test("checkProgram wants a program that exports nothing", () => {
  const linux = target("linux", "aarch64");
  const faults = (own: Partial<NativeImage>) =>
    checkProgram(library(linux, { kind: "program", exports: [], ...own }), linux)
      .filter(({ fault }) => fault !== undefined).map(({ what }) => what);
  assertEquals(faults({}), []);
  assertEquals(faults({ exports: ["main"], kind: "library" }), ["kind", "exports nothing"]);
});

Deno.test("readImage reads both formats", async () => {
  assertEquals(readImage(await fixture("tiny-aarch64.so")).format, "ELF");
  assertEquals(readImage(await fixture("tiny-aarch64.dylib")).format, "Mach-O");
});

Deno.test("symbolsOf finds the functions of the header, in the order of ffi/symbols.ts", async () => {
  const header = await Deno.readTextFile(new URL("../../native/utm_shim.h", import.meta.url));
  assertEquals(symbolsOf(header), Object.keys(SYMBOLS));
});

Deno.test("bytesAt finds what a Mach-O library exports", async () => {
  for (const name of ["tiny-x86_64.dylib", "tiny-aarch64.dylib"]) {
    const bytes = await fixture(name);
    assertEquals(bytesAt(bytes, "tiny_number", 4), Uint8Array.of(7, 0, 0, 0), name);
    assertThrows(() => bytesAt(bytes, "tiny_hidden", 4), NativeImageError, "no tiny_hidden");
    assertThrows(() => bytesAt(bytes, "tiny_number", 1e6), NativeImageError, "in no segment");
    assertThrows(() => bytesAt(bytes.slice(0, 1000), "tiny_number", 4), NativeImageError);
  }
});

Deno.test("constantOf reads the number that a function returns, and nothing else", async () => {
  const rows: [architecture: string, code: string, number: number | undefined][] = [
    ["aarch64", "20008052c0035fd6", 1], // mov w0, #1; ret
    ["aarch64", "e0ff9f52c0035fd6", 0xffff],
    ["aarch64", "20008052e0030091", undefined], // no ret
    ["aarch64", "21008052c0035fd6", undefined], // w1
    ["x86_64", "b801000000c3", 1], // mov eax, 1; ret
    ["x86_64", "554889e5b8020000005dc3", 2], // in a frame
    ["x86_64", "554889e5b802000000c3", undefined], // a frame that is not left
    ["x86_64", "31c0c3", undefined], // xor eax, eax
    ["x86_64", "b801000000eb", undefined],
  ];
  for (const [architecture, code, number] of rows) {
    const bytes = await fixture(`tiny-${architecture}.dylib`);
    assertEquals(constantOf(bytes, "tiny_receive"), undefined);
    const place = bytesAt(bytes, "tiny_receive", 16);
    place.fill(0x90);
    place.set(Uint8Array.fromHex(code));
    assertEquals(constantOf(bytes, "tiny_receive"), number, code);
  }
});
