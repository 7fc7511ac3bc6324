/**
 * Texts compared with files that somebody has read and found right.
 *
 * `deno test -A tests/unit/argv_golden_test.ts -- --update-snapshots` writes them anew; what changes
 * is then reviewed as a diff.
 */
import { assertEquals, fail } from "@std/assert";

const FOLDER = new URL("./__snapshots__/", import.meta.url);

const UPDATE = "--update-snapshots";

/** Asserts that `actual` is what `name` in the folder of snapshots holds. */
export async function assertGolden(name: string, actual: string): Promise<void> {
  const file = fileOf(name);
  if (Deno.args.includes(UPDATE)) {
    await Deno.mkdir(new URL(".", file), { recursive: true });
    await Deno.writeTextFile(file, actual);
    return;
  }
  let expected: string;
  try {
    expected = await Deno.readTextFile(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    fail(`there is no snapshot ${name}: run the test with -- ${UPDATE}, and read what it wrote`);
  }
  // Everything apart from line ends, which git may change.
  assertEquals(actual, expected.replaceAll("\r\n", "\n"), `${name} is not as it was read`);
}

/** Asserts that a folder of snapshots holds those in `names` and no other; removes others on update. */
export async function assertNoOtherGolden(folder: string, names: string[]): Promise<void> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(fileOf(`${folder}/`))) {
    const stale = !names.includes(entry.name);
    if (stale && Deno.args.includes(UPDATE)) await Deno.remove(fileOf(`${folder}/${entry.name}`));
    else found.push(entry.name);
  }
  assertEquals(found.sort(), names.toSorted());
}

function fileOf(name: string): URL {
  return new URL(name.split("/").map(encodeURIComponent).join("/"), FOLDER);
}
