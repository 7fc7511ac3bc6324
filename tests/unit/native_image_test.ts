import { assert, assertEquals, assertGreater, assertThrows } from "@std/assert";
import { compareVersions, isElf, readElf } from "../../tools/elf.ts";
import { isMacho, readMacho } from "../../tools/macho.ts";
import { type NativeImage, NativeImageError } from "../../tools/native_image.ts";

const FIXTURES = new URL("../fixtures/native/", import.meta.url);

/** One of the real libraries made from `tiny.c`. */
async function fixture(name: string): Promise<Uint8Array> {
  const packed = await Deno.readFile(new URL(`${name}.gz`, FIXTURES));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return await new Response(unpacked).bytes();
}

/** The reader for a fixture. */
function readerOf(name: string): (bytes: Uint8Array) => NativeImage {
  return name.endsWith(".so") ? readElf : readMacho;
}

const ELFS = ["tiny-x86_64.so", "tiny-aarch64.so"];
const MACHOS = ["tiny-x86_64.dylib", "tiny-aarch64.dylib"];

Deno.test("readElf reads libraries for x86_64 and aarch64", async () => {
  for (
    const [name, architecture, glibc] of [
      ["tiny-x86_64.so", "x86_64", "2.2.5"],
      ["tiny-aarch64.so", "aarch64", "2.17"],
    ] as const
  ) {
    const bytes = await fixture(name);
    assert(isElf(bytes) && !isMacho(bytes));
    assertEquals(readElf(bytes), {
      format: "ELF",
      kind: "library",
      architecture,
      exports: ["tiny_number", "tiny_receive"],
      needs: ["libc.so.6"],
      name: "libtiny.so",
      searchPaths: ["$ORIGIN"],
      glibc,
      executableStack: false,
      signed: false,
    });
  }
});

Deno.test({
  name: "readElf tells a program from a library: this very runtime",
  ignore: Deno.build.os !== "linux", // elsewhere the runtime is no ELF file
  async fn() {
    const image = readElf(await Deno.readFile(Deno.execPath()));
    assertEquals([image.kind, image.architecture], ["program", Deno.build.arch]);
    assert(image.needs.includes("libc.so.6"));
  },
});

Deno.test("readMacho reads libraries for x86_64 and aarch64", async () => {
  for (
    const [name, architecture, signed] of [
      ["tiny-x86_64.dylib", "x86_64", false],
      ["tiny-aarch64.dylib", "aarch64", true],
    ] as const
  ) {
    const bytes = await fixture(name);
    assert(isMacho(bytes) && !isElf(bytes));
    assertEquals(readMacho(bytes), {
      format: "Mach-O",
      kind: "library",
      architecture,
      // The first two are zig's linker's own.
      exports: ["__dso_handle", "_mh_dylib_header", "tiny_number", "tiny_receive"],
      needs: ["/usr/lib/libSystem.B.dylib"],
      name: "@rpath/libtiny.dylib",
      searchPaths: ["@loader_path"],
      minimumMacOs: "11.0",
      executableStack: false,
      signed,
    });
  }
});

Deno.test("readElf and readMacho refuse what is none of theirs", () => {
  const rows: [name: string, bytes: number[], why: string][] = [
    ["readElf", [], "it ends before 4"],
    ["readElf", [0x7f, 0x45, 0x4c, 0x46, 1, 1, ...Array(60).fill(0)], "not for 64 bits"],
    ["readElf", [0x7f, 0x45, 0x4c, 0x46, 2, 2, ...Array(60).fill(0)], "not for 64 bits"],
    ["readElf", [0xcf, 0xfa, 0xed, 0xfe], "does not begin like one"],
    ["readMacho", [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 2], "it holds several"],
    ["readMacho", [0xce, 0xfa, 0xed, 0xfe], "does not begin like one for 64 bits"],
  ];
  for (const [name, bytes, why] of rows) {
    const read = name === "readElf" ? readElf : readMacho;
    assertThrows(() => read(new Uint8Array(bytes)), NativeImageError, why);
  }
});

Deno.test("readElf and readMacho throw nothing but NativeImageError at damaged files", async () => {
  for (const name of [...ELFS, ...MACHOS]) {
    const whole = await fixture(name);
    const read = readerOf(name);
    let refused = 0;
    const attempt = (bytes: Uint8Array) => {
      try {
        read(bytes);
      } catch (error) {
        if (!(error instanceof NativeImageError)) throw error;
        refused++;
      }
    };
    const step = Math.ceil(whole.length / 500);
    for (let length = 0; length < whole.length; length += step) attempt(whole.slice(0, length));
    assertGreater(refused, 100, `${name}, cut short`);
    refused = 0;
    const used = [...whole.keys()].filter((at) => at < 2048 || whole[at] !== 0);
    for (const at of used) {
      for (const value of [0x00, 0x7f, 0xff]) {
        const bytes = whole.slice();
        bytes[at] = value;
        attempt(bytes);
        bytes.fill(value, at, at + 4);
        attempt(bytes);
      }
    }
    assertGreater(refused, 100, `${name}, overwritten`);
  }
});

Deno.test("compareVersions orders by numbers", () => {
  const sorted = ["2.9", "2.17", "2.2.5", "11.0", "2"].sort(compareVersions);
  assertEquals(sorted, ["2", "2.2.5", "2.9", "2.17", "11.0"]);
});
