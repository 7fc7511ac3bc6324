import { assertEquals, assertRejects } from "@std/assert";
import { replaceFile } from "../../lib/base/replace_file.ts";

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const namesIn = async (folder: string) =>
  (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).toSorted();

Deno.test("replaceFile takes names as long as a file system does", async () => {
  await withFolder(async (folder) => {
    const name = "名".repeat(85); // 255 bytes
    await replaceFile(`${folder}/${name}`, (path) => Deno.writeTextFile(path, "new"));
    assertEquals(await Deno.readTextFile(`${folder}/${name}`), "new");
    assertEquals(await namesIn(folder), [name]);
  });
});

Deno.test("replaceFile leaves a link one, though nothing is at its end", async () => {
  await withFolder(async (folder) => {
    for (const end of ["relative", `${folder}/absolute`]) {
      const link = `${folder}/link`;
      await Deno.symlink(end, link);
      await replaceFile(link, (path) => Deno.writeTextFile(path, "new"));
      assertEquals((await Deno.lstat(link)).isSymlink, true);
      assertEquals(await Deno.readTextFile(link), "new");
      await Deno.remove(link);
    }
    assertEquals(await namesIn(folder), ["absolute", "relative"]);
  });
});

Deno.test("replaceFile leaves the old file, and nothing else, when writing fails", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/file`;
    await Deno.writeTextFile(path, "old");
    await assertRejects(
      () => replaceFile(path, () => Promise.reject(new Error("it fails"))),
      Error,
      "it fails",
    );
    assertEquals([await Deno.readTextFile(path), await namesIn(folder)], ["old", ["file"]]);
  });
});
