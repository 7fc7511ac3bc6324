import { assertEquals } from "@std/assert";
import { parsePlist } from "../../lib/utm/plist.ts";
import { unpackProgram } from "../../lib/qemu/native_host.ts";

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

Deno.test("unpackProgram makes a program that runs, and leaves it when it is there", () =>
  inFolder(async (folder) => {
    const path = `${folder}/cache/native/host`;
    assertEquals(unpackProgram(SCRIPT, path), path);
    const { stdout } = await new Deno.Command(path, { args: ["once"] }).output();
    assertEquals(new TextDecoder().decode(stdout), "unpacked once\n");
    const before = Deno.statSync(path);
    assertEquals(unpackProgram(SCRIPT, path), path);
    assertEquals(Deno.statSync(path).ino, before.ino);
    assertEquals(before.mode! & 0o777, 0o700);
    assertEquals([...Deno.readDirSync(`${folder}/cache/native`)].length, 1);
  }));

Deno.test("unpackProgram replaces another program, one that cannot run, and a link", () =>
  inFolder((folder) => {
    const path = `${folder}/host`;
    const damage: (() => void)[] = [
      () => Deno.writeFileSync(path, new TextEncoder().encode("#!/bin/sh\necho replaced! $1\n")),
      () => Deno.chmodSync(path, 0o600),
      () => Deno.chmodSync(path, 0o777),
      () => {
        Deno.renameSync(path, `${path}.moved`);
        Deno.symlinkSync(`${path}.moved`, path);
      },
    ];
    unpackProgram(SCRIPT, path);
    for (const harm of damage) {
      harm();
      assertEquals(unpackProgram(SCRIPT, path), path);
      const info = Deno.lstatSync(path);
      assertEquals([info.isFile, info.mode! & 0o777], [true, 0o700]);
      assertEquals(Deno.readFileSync(path), SCRIPT);
    }
  }));

Deno.test("unpackProgram gives none where somebody else could change it", () =>
  inFolder((folder) => {
    Deno.chmodSync(folder, 0o777);
    assertEquals(unpackProgram(SCRIPT, `${folder}/host`), undefined);
    assertEquals(unpackProgram(SCRIPT, "/proc/none/host"), undefined);
  }));

Deno.test("entitlements.plist is a plain list, without the comments that its reader refuses", async () => {
  const bytes = await Deno.readFile(new URL("../../native/entitlements.plist", import.meta.url));
  assertEquals(new TextDecoder().decode(bytes).includes("<!--"), false);
  const entitlements = await parsePlist(bytes, "entitlements.plist");
  assertEquals(entitlements.get("com.apple.security.hypervisor"), true);
  assertEquals(entitlements.get("com.apple.security.cs.allow-jit"), true);
});
