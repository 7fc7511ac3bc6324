import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { BundleError, HostFailure, UsageError } from "../../lib/base/errors.ts";
import { formatByContent, formatBySuffix } from "../../lib/utm/disk_format.ts";
import { resolveImage } from "../../lib/utm/images.ts";
import type { DiskFormat } from "../../lib/utm/model.ts";

/** A bundle's folder that is removed at the end. */
async function temporaryBundle() {
  const path = await Deno.realPath(await Deno.makeTempDir({ prefix: "utmost-images-" }));
  await Deno.mkdir(`${path}/vm.utm/Data`, { recursive: true });
  const bundlePath = `${path}/vm.utm`;
  const folder = `${bundlePath}/Data`;
  return {
    path,
    folder,
    resolve: (name: string, more: { plain?: boolean; writable?: boolean } = {}) =>
      resolveImage({ key: "Drive[0].ImageName", name, folder, bundlePath, ...more }),
    write: (name: string, content: Uint8Array | string = "") =>
      Deno.writeFile(
        `${folder}/${name}`,
        typeof content === "string" ? new TextEncoder().encode(content) : content,
      ),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

const QCOW2 = Uint8Array.from([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3, ...Array(504).fill(0)]);
const text = (value: string) => Uint8Array.from(value, (char) => char.charCodeAt(0));
const at = (offset: number, value: string) => text("\0".repeat(offset) + value);

const CONTENTS: [name: string, head: Uint8Array, format: DiskFormat, tail?: Uint8Array][] = [
  ["qcow2", QCOW2, "qcow2"],
  ["a sparse vmdk", text("KDMV\x01\0\0\0"), "vmdk"],
  ["an ESX vmdk", text("COWD\x01\0\0\0"), "vmdk"],
  ["a vmdk in words", text("# Disk DescriptorFile\nversion=1\n"), "vmdk"],
  ["a vmdk with a comment first", text("# mine\r\n\r\nversion=1\r\n"), "vmdk"],
  ["vhdx", text("vhdxfile"), "vhdx"],
  ["VirtualBox's vdi", at(0x40, "\x7f\x10\xda\xbe"), "vdi"],
  ["a dynamic vhd", text("conectix"), "vpc"],
  ["a fixed vhd", text(""), "vpc", text("conectix")],
  ["a fixed vhd of an old Virtual PC", text(""), "vpc", at(1, "conectix")],
  ["zeros", new Uint8Array(512), "raw"],
  ["nothing", new Uint8Array(0), "raw"],
  ["half a magic", text("QFI"), "raw"],
  ["a shell script", text("#!/bin/sh\nversion=1\n"), "vmdk"],
];

for (const [name, head, format, tail = new Uint8Array(0)] of CONTENTS) {
  Deno.test(`formatByContent takes ${name} for ${format}`, () => {
    assertEquals(formatByContent(head, tail), format);
  });
}

Deno.test("formatBySuffix looks at the last suffix, in any case", () => {
  const names: [string, DiskFormat | undefined][] = [
    ["a.img", "raw"],
    ["a.ISO", "raw"],
    ["a.qcow2.cdr", "raw"],
    ["a.img.Qcow2", "qcow2"],
    ["a.vhd", "vpc"],
    ["a", undefined],
    ["a.", undefined],
    ["a.constructor", undefined],
    ["a.img/b", undefined],
  ];
  for (const [name, format] of names) assertEquals(formatBySuffix(name), format, name);
});

Deno.test("a qcow2 header on a raw disk changes nothing but the warning", async () => {
  await using bundle = await temporaryBundle();
  await bundle.write("disk.img", QCOW2);
  const image = await bundle.resolve("disk.img");
  assertEquals([image.format, image.looksLike], ["raw", "qcow2"]);
  await bundle.write("disk.raw");
  assertEquals((await bundle.resolve("disk.raw")).looksLike, undefined);
});

Deno.test("a suffix that promises a format must be kept", async () => {
  await using bundle = await temporaryBundle();
  await bundle.write("disk.qcow2", "not one");
  const raw = await assertRejects(
    () => bundle.resolve("disk.qcow2"),
    BundleError,
    "holds no qcow2",
  );
  assert(raw.message.includes("raw data"), raw.message);
  assert(raw.hint?.includes(".img"), raw.hint);
  await bundle.write("disk.vmdk", QCOW2);
  const other = await assertRejects(() => bundle.resolve("disk.vmdk"), BundleError, "but qcow2");
  assert(other.hint?.includes(".qcow2"), other.hint);
  assertEquals((await bundle.resolve("disk.vmdk", { plain: true })).format, "raw");
});

Deno.test("content decides where the name says nothing", async () => {
  await using bundle = await temporaryBundle();
  await bundle.write("disk", QCOW2);
  assertEquals((await bundle.resolve("disk")).format, "qcow2");
  await bundle.write("Image.gz");
  assertEquals((await bundle.resolve("Image.gz")).format, "raw");
});

for (const name of ["", ".", "..", "/", "./", "../..", "a\0b"]) {
  Deno.test(`the image name ${JSON.stringify(name)} is refused`, async () => {
    await using bundle = await temporaryBundle();
    await assertRejects(
      () => bundle.resolve(name),
      BundleError,
      "expected the name of a file",
    );
  });
}

Deno.test("names and links that lead out of the bundle are found out", async () => {
  await using bundle = await temporaryBundle();
  const { path, folder } = bundle;
  await Deno.writeTextFile(`${path}/secret.img`, "");
  await Deno.mkdir(`${path}/vm.utm-other`);
  await Deno.writeTextFile(`${path}/vm.utm-other/x.img`, "");
  await bundle.write("own.img");
  await Deno.symlink(`${path}/secret.img`, `${folder}/link.img`);
  await Deno.symlink("own.img", `${folder}/inner.img`);
  await Deno.symlink(path, `${folder}/up`);
  const escapes = async (name: string) => {
    const image = await bundle.resolve(name);
    return [image.realPath.slice(path.length), image.escapes];
  };
  assertEquals(await escapes("own.img"), ["/vm.utm/Data/own.img", false]);
  assertEquals(await escapes("inner.img"), ["/vm.utm/Data/own.img", false]);
  assertEquals(await escapes("../Data/own.img"), ["/vm.utm/Data/own.img", false]);
  assertEquals(await escapes("link.img"), ["/secret.img", true]);
  assertEquals(await escapes("up/secret.img"), ["/secret.img", true]);
  assertEquals(await escapes("../../secret.img"), ["/secret.img", true]);
  assertEquals(await escapes("../../vm.utm-other/x.img"), ["/vm.utm-other/x.img", true]);
  assertEquals(await escapes(`${path}/secret.img`), ["/secret.img", true]);
});

Deno.test("what is no file is refused without being opened", async () => {
  await using bundle = await temporaryBundle();
  const { folder } = bundle;
  await Deno.mkdir(`${folder}/folder.img`);
  const made = await new Deno.Command("mkfifo", { args: [`${folder}/pipe.img`] }).output();
  assert(made.success);
  using _socket = Deno.listen({ transport: "unix", path: `${folder}/socket.img` });
  await Deno.symlink("/dev/zero", `${folder}/zero.img`);
  await Deno.symlink("loop.img", `${folder}/loop.img`);
  await Deno.symlink("nowhere.img", `${folder}/nowhere.img.link`);
  const message = async (name: string) =>
    (await assertRejects(() => bundle.resolve(name, { writable: true }), BundleError)).message;
  assert((await message("folder.img")).includes("is a folder, expected a file"));
  assert((await message("pipe.img")).includes("is a named pipe"));
  assert((await message("socket.img")).includes("is a socket"));
  assert((await message("zero.img")).includes("is a character device"));
  assert((await message("loop.img")).includes("cannot be found"));
  assert((await message("nowhere.img.link")).includes("does not exist"));
  assert((await message("gone.img")).startsWith("Cannot use Drive[0].ImageName: "));
  assert((await message("x".repeat(300))).includes("cannot be found"));
});

Deno.test("an image of the user's is the user's mistake", async () => {
  const request = { key: "--drive cd=gone.iso", name: "gone.iso", folder: "/nowhere" };
  await assertRejects(() => resolveImage(request), UsageError, "Cannot use --drive cd=gone.iso");
});

Deno.test({
  name: "a file that cannot be written is the host's failure",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using bundle = await temporaryBundle();
    // A running program cannot be written, not even by root.
    await Deno.copyFile("/bin/sleep", `${bundle.folder}/disk.img`);
    await using _child = new Deno.Command(`${bundle.folder}/disk.img`, { args: ["60"] }).spawn();
    const error = await assertRejects(
      () => bundle.resolve("disk.img", { writable: true }),
      HostFailure,
      "Cannot write",
    );
    assert(error.message.includes("for Drive[0].ImageName"), error.message);
    assertEquals((await bundle.resolve("disk.img")).format, "raw");
  },
});

Deno.test("resolveImage answers any name with an image inside or an error of ours", async () => {
  await using bundle = await temporaryBundle();
  await bundle.write("a.img");
  const part = fc.constantFrom("a.img", "..", ".", "", "/", "vm.utm", "Data", "é", "\0", "\n", "~");
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 6 }), async (parts) => {
      try {
        const image = await bundle.resolve(parts.join("/"));
        assertEquals(image.escapes, false);
      } catch (error) {
        if (!(error instanceof BundleError)) throw error;
      }
    }),
    { numRuns: 300 },
  );
});
