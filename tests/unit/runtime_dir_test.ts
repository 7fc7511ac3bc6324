import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { HostFailure, RunningError, UsageError } from "../../lib/base/errors.ts";
import { BundleLock } from "../../lib/vm/lock.ts";
import {
  ensureRuntimeDirectory,
  InstanceDirectory,
  listInstances,
  newInstanceId,
} from "../../lib/vm/runtime_dir.ts";

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "utmost-runtime-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const exists = (path: string) => Deno.lstat(path).then(() => true, () => false);

Deno.test("newInstanceId makes 8 hex digits that begin with a letter", () => {
  for (let i = 0; i < 1000; i++) assertMatch(newInstanceId(), /^[a-f][0-9a-f]{7}$/);
});

Deno.test("an instance's folder is private, listed while it is held, and gone afterwards", async () => {
  await withFolder(async (folder) => {
    const runtime = join(folder, "run");
    assertEquals(await listInstances(runtime), []);
    {
      await using instance = await InstanceDirectory.create(runtime, "abcdef01");
      assertEquals(((await Deno.stat(runtime)).mode ?? 0) & 0o777, 0o700);
      assertEquals(((await Deno.stat(instance.paths.directory)).mode ?? 0) & 0o777, 0o700);
      assertEquals((await listInstances(runtime)).map(({ id }) => id), ["abcdef01"]);
      await assertRejects(() => InstanceDirectory.create(runtime, "abcdef01"), UsageError, "taken");
    }
    assertEquals(await listInstances(runtime), []);
    assert(!await exists(join(runtime, "abcdef01")));
  });
});

Deno.test("the folder of a dead supervisor is removed, that of a newborn one is not", async () => {
  await withFolder(async (runtime) => {
    const dead = join(runtime, "dead0000");
    const newborn = join(runtime, "beefbeef");
    const old = join(runtime, "a0000000");
    const [unlocked, unnamed] = [join(runtime, "b0000000"), join(runtime, "c0000000")];
    for (const path of [dead, newborn, old, unlocked, unnamed]) await Deno.mkdir(path);
    await Deno.writeTextFile(join(dead, "pid"), "1\n");
    await Deno.utime(old, new Date(0), new Date(0));
    for (const path of [unlocked, unnamed]) await Deno.writeTextFile(join(path, "pid"), "");
    await Deno.utime(join(unnamed, "pid"), new Date(0), new Date(0));
    await Deno.mkdir(join(runtime, "something-else"));
    assertEquals(await listInstances(runtime), []);
    assertEquals([await exists(dead), await exists(newborn), await exists(old)], [
      false,
      true,
      false,
    ]);
    assertEquals([await exists(unlocked), await exists(unnamed)], [true, false]);
    assert(await exists(join(runtime, "something-else")));
  });
});

Deno.test("ensureRuntimeDirectory tightens a folder of ours and refuses what is none", async () => {
  await withFolder(async (folder) => {
    const open = join(folder, "open");
    await Deno.mkdir(open, { mode: 0o755 });
    ensureRuntimeDirectory(open);
    assertEquals(((await Deno.stat(open)).mode ?? 0) & 0o777, 0o700);
    await Deno.symlink(open, join(folder, "link"));
    assertThrows(() => ensureRuntimeDirectory(join(folder, "link")), HostFailure);
    await Deno.writeTextFile(join(folder, "file"), "");
    assertThrows(() => ensureRuntimeDirectory(join(folder, "file")), HostFailure);
  });
});

const bundle = { path: "/vms/a.utm", device: 42, inode: 7 };

Deno.test("BundleLock lets one run in, and names the one that is in", async () => {
  await withFolder(async (folder) => {
    {
      using _held = await BundleLock.take(folder, bundle, { shared: false, id: "abcdef01" });
      for (const shared of [false, true]) {
        const error = await assertRejects(
          () => BundleLock.take(folder, bundle, { shared, id: "abcdef02" }),
          RunningError,
        );
        assertEquals(
          error.message,
          `Cannot run "/vms/a.utm": it is running already as abcdef01, pid ${Deno.pid}`,
        );
        assertEquals(error.exitCode, 12);
      }
      using _other = await BundleLock.take(folder, { ...bundle, inode: 8 }, {
        shared: false,
        id: "abcdef03",
      });
    }
    using _again = await BundleLock.take(folder, bundle, { shared: false, id: "abcdef04" });
  });
});

Deno.test("BundleLock lets disposable runs in side by side, and keeps a run in place out", async () => {
  await withFolder(async (folder) => {
    using _one = await BundleLock.take(folder, bundle, { shared: true, id: "abcdef01" });
    using _two = await BundleLock.take(folder, bundle, { shared: true, id: "abcdef02" });
    await assertRejects(
      () => BundleLock.take(folder, bundle, { shared: false, id: "abcdef03" }),
      RunningError,
      "abcdef02",
    );
  });
});

Deno.test("BundleLock says which folder cannot be written", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "file"), "");
    await assertRejects(
      () => BundleLock.take(join(folder, "file"), bundle, { shared: false, id: "abcdef01" }),
      HostFailure,
      "Cannot lock",
    );
  });
});
