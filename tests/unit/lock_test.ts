import { assertRejects } from "@std/assert";
import { join } from "@std/path";
import { RunningError } from "../../lib/base/errors.ts";
import { BundleLock } from "../../lib/vm/lock.ts";

const BUNDLE = { path: "/vms/hello.utm", device: 1, inode: 2 };

/** Calls `body` with what takes the lock of one bundle. */
async function withLocks(
  body: (take: (id: string, shared?: boolean) => Promise<BundleLock>) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "utmost-lock-" });
  try {
    await body((id, shared = false) =>
      BundleLock.take(join(folder, "locks"), BUNDLE, { shared, id })
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("BundleLock has one holder, and names it to who comes second", async () => {
  await withLocks(async (take) => {
    using _held = await take("a0000001");
    const text = `it is running already as a0000001, pid ${Deno.pid}`;
    await assertRejects(() => take("a0000002"), RunningError, text);
    await assertRejects(() => take("a0000003", true), RunningError, text);
  });
});

Deno.test("BundleLock is shared by disposable runs, and by nobody else", async () => {
  await withLocks(async (take) => {
    using _one = await take("a0000001", true);
    using _other = await take("a0000002", true);
    await assertRejects(() => take("a0000003"), RunningError);
  });
});

Deno.test("BundleLock waits for a holder that is about to let go", async () => {
  await withLocks(async (take) => {
    const held = await take("a0000001");
    setTimeout(() => held[Symbol.dispose](), 30);
    using _next = await take("a0000002");
  });
});
