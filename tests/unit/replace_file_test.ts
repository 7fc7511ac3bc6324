import { assert, assertEquals, assertRejects } from "@std/assert";
import { expectWritable, replaceFile } from "../../lib/base/replace_file.ts";
import { cannotWrite } from "../../lib/base/write_failure.ts";

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

Deno.test("expectWritable tells what writing would, and leaves all as it is", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/file`;
    await expectWritable(path);
    assertEquals(await namesIn(folder), []);
    await Deno.writeTextFile(path, "old");
    await expectWritable(path);
    assertEquals([await Deno.readTextFile(path), await namesIn(folder)], ["old", ["file"]]);
    await assertRejects(() => expectWritable(`${folder}/none/file`), Deno.errors.NotFound);
    await assertRejects(() => expectWritable(folder), Deno.errors.IsADirectory);
    await expectWritable("/dev/null");
  });
});

Deno.test("cannotWrite names the file that was meant, and a way out that fits", async () => {
  await withFolder(async (folder) => {
    const rows = [
      [`${folder}/none/file`, "No such file or directory", "Give a file in a folder that exists."],
      [folder, "Is a directory", "Give a file, not a folder."],
    ] as const;
    for (const [path, reason, hint] of rows) {
      const error = await assertRejects(() =>
        replaceFile(path, (target) => Deno.writeTextFile(target, ""))
      );
      const failure = cannotWrite("write", path, error);
      assertEquals([failure.message, failure.hint], [`Cannot write "${path}": ${reason}`, hint]);
      assertEquals(failure.exitCode, 14);
    }
    const full = cannotWrite(
      "write",
      "/dev/full",
      new Error("No space left on device (os error 28)"),
    );
    assertEquals(full.message, 'Cannot write "/dev/full": No space left on device');
    assert(full.hint?.includes("room"));
  });
});
