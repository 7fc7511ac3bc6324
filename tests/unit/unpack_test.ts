import { assert, assertEquals, assertThrows } from "@std/assert";
import { HostFailure } from "../../lib/base/errors.ts";
import { unpack } from "../../lib/base/unpack.ts";

const SCRIPT = new TextEncoder().encode("#!/bin/sh\necho unpacked $1\n");

/** Runs `body` in a temporary folder. */
async function inFolder(body: (folder: string) => unknown): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "utmost-unpack-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The one folder in `folder`. */
function only(folder: string): string {
  const [first, ...more] = Deno.readDirSync(folder);
  assert(first !== undefined && more.length === 0);
  return `${folder}/${first.name}`;
}

Deno.test("unpack makes a program that runs, and leaves it when it is there", () =>
  inFolder(async (folder) => {
    const path = unpack(SCRIPT, `${folder}/cache/native`, "host");
    const { stdout } = await new Deno.Command(path, { args: ["once"] }).output();
    assertEquals(new TextDecoder().decode(stdout), "unpacked once\n");
    const before = Deno.statSync(path);
    assertEquals(unpack(SCRIPT, `${folder}/cache/native`, "host"), path);
    assertEquals(Deno.statSync(path).ino, before.ino);
    assertEquals(before.mode! & 0o777, 0o700);
    assertEquals(only(only(`${folder}/cache/native`)), path);
    assertEquals(Deno.statSync(`${folder}/cache/native`).mode! & 0o777, 0o700);
  }));

Deno.test("unpack keeps other contents of one name apart", () =>
  inFolder((folder) => {
    const paths = new Set<string>();
    for (let at = 0; at < SCRIPT.length; at++) {
      const other = SCRIPT.slice();
      other[at]! ^= 1;
      paths.add(unpack(other, folder, "host"));
    }
    paths.add(unpack(SCRIPT.subarray(1), folder, "host"));
    paths.add(unpack(new Uint8Array(), folder, "host"));
    assertEquals(paths.size, SCRIPT.length + 2);
  }));

Deno.test("unpack replaces what is not as it should be: other bytes, other modes, a link", () =>
  inFolder((folder) => {
    const path = unpack(SCRIPT, folder, "host");
    const other = SCRIPT.slice();
    other[20]! ^= 1;
    const damage: (() => void)[] = [
      () => Deno.writeFileSync(path, other),
      () => Deno.truncateSync(path, 3),
      () => Deno.chmodSync(path, 0o600),
      () => Deno.chmodSync(path, 0o777),
      () => {
        Deno.renameSync(path, `${path}.moved`);
        Deno.symlinkSync(`${path}.moved`, path);
      },
      () => Deno.chmodSync(folder, 0o777), // and whoever it let in is shut out
    ];
    for (const harm of damage) {
      harm();
      assertEquals(unpack(SCRIPT, folder, "host"), path);
      const info = Deno.lstatSync(path);
      assertEquals([info.isFile, info.mode! & 0o777], [true, 0o700]);
      assertEquals(Deno.readFileSync(path), SCRIPT);
      assertEquals(Deno.statSync(folder).mode! & 0o777, 0o700);
    }
  }));

Deno.test("unpack refuses a folder in which somebody else could exchange the file", () =>
  inFolder((folder) => {
    const open = `${folder}/open`;
    Deno.mkdirSync(`${open}/native`, { recursive: true });
    Deno.chmodSync(open, 0o777);
    const refused = (why: string) => {
      const error = assertThrows(() => unpack(SCRIPT, `${open}/native`, "host"), HostFailure, why);
      assert(error.hint?.includes("XDG_CACHE_HOME"));
    };
    refused("can be written to by other users");
    Deno.chmodSync(open, 0o1777); // as /tmp is
    unpack(SCRIPT, `${open}/native`, "host");
    Deno.chmodSync(open, 0o755);
    if (Deno.uid() === 0) {
      Deno.chownSync(open, 12345, 12345);
      refused("belongs to user 12345");
      Deno.chownSync(`${open}/native`, 12345, 12345);
      refused("belongs to user 12345");
    }
    Deno.symlinkSync(`${open}/native`, `${folder}/link`);
    assertThrows(() => unpack(SCRIPT, `${folder}/link`, "host"), HostFailure, "is not a folder");
    assertThrows(() => unpack(SCRIPT, "/proc/none", "host"), HostFailure, "Cannot make");
  }));

Deno.test("unpack is done by several processes at a time, and each sees the whole file", () =>
  inFolder(async (folder) => {
    const module = new URL("../../lib/base/unpack.ts", import.meta.url);
    const script = `
      import { unpack } from "${module}";
      for (let round = 0; round < 40; round++) {
        const bytes = new Uint8Array(200_000).fill(round);
        const there = Deno.readFileSync(unpack(bytes, "${folder}", "host"));
        if (there.length !== bytes.length || there.some((byte) => byte !== round)) throw "torn";
      }`;
    const runs = await Promise.all([1, 2, 3].map(() =>
      new Deno.Command(Deno.execPath(), {
        args: ["eval", "--no-lock", script],
        stdin: "null",
      }).output()
    ));
    for (const { success, stderr } of runs) assert(success, new TextDecoder().decode(stderr));
    const left = [...Deno.readDirSync(folder)].flatMap(({ name }) => [
      ...Deno.readDirSync(`${folder}/${name}`),
    ]);
    assertEquals(left.map(({ name }) => name), Array(40).fill("host"));
  }));
