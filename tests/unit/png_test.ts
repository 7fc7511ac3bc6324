import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import * as fc from "fast-check";
import { decode } from "fast-png";
import { HostFailure } from "../../lib/base/errors.ts";
import { encodePng, savePng } from "../../lib/display/png.ts";

const PICTURE = {
  width: 3,
  height: 2,
  pixels: Uint32Array.of(0xff0000, 0x00ff00, 0x0000ff, 0xff123456, 0xffffff, 0),
};
const RGB = "ff0000" + "00ff00" + "0000ff" + "123456" + "ffffff" + "000000";

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "utmost-png-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

Deno.test("encodePng keeps every pixel, and drops alpha", async () => {
  const { width, height, channels, depth, data } = decode(await encodePng(PICTURE));
  assertEquals([width, height, channels, depth], [3, 2, 3, 8]);
  assertEquals(new Uint8Array(data).toHex(), RGB);
  const picture = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }))
    .chain(([width, height]) =>
      fc.uint32Array({ minLength: width * height, maxLength: width * height })
        .map((pixels) => ({ width, height, pixels }))
    );
  await fc.assert(
    fc.asyncProperty(picture, async ({ width, height, pixels }) => {
      const { data } = decode(await encodePng({ width, height, pixels }));
      pixels.forEach((pixel, i) => {
        const rgb = (data[3 * i]! << 16) | (data[3 * i + 1]! << 8) | data[3 * i + 2]!;
        assertEquals(rgb, pixel & 0xffffff);
      });
    }),
    { numRuns: 30 },
  );
});

Deno.test("savePng makes a file, and replaces one at once", () =>
  inFolder(async (folder) => {
    const path = join(folder, "screen.png");
    await savePng(path, PICTURE);
    const before = await Deno.open(path);
    await Deno.chmod(path, 0o640);
    const bigger = { width: 64, height: 64, pixels: new Uint32Array(64 * 64).fill(0x5a5a5a) };
    await savePng(path, bigger);
    assertEquals(decode(await Deno.readFile(path)).width, 64);
    assertEquals((await Deno.stat(path)).mode! & 0o777, 0o640);
    const old = new Uint8Array(await new Response(before.readable).arrayBuffer());
    assertEquals(decode(old).width, 3, "a reader keeps what it has opened");
    assertEquals(await names(folder), ["screen.png"]);
  }));

Deno.test("savePng writes through a symbolic link", () =>
  inFolder(async (folder) => {
    const [path, link] = [join(folder, "screen.png"), join(folder, "link.png")];
    await Deno.writeTextFile(path, "old");
    await Deno.symlink(path, link);
    await savePng(link, PICTURE);
    assert((await Deno.lstat(link)).isSymlink);
    assertEquals(decode(await Deno.readFile(path)).width, 3);
  }));

Deno.test("savePng names what it cannot write, and leaves what is there", () =>
  inFolder(async (folder) => {
    const missing = await assertRejects(
      () => savePng(join(folder, "none", "screen.png"), PICTURE),
      HostFailure,
      "screen.png",
    );
    assertEquals(missing.exitCode, 14);
    assertStringIncludes(missing.hint ?? "", "folder");
    await Deno.mkdir(join(folder, "taken"));
    await assertRejects(() => savePng(join(folder, "taken"), PICTURE), HostFailure, "taken");
    assertEquals(await names(folder), ["taken"]);
  }));
