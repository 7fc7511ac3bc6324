import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { acceptQmp, connectQmp } from "../../lib/qmp/connect.ts";
import { QmpGreetingError } from "../../lib/qmp/errors.ts";
import { FakeQmpPeer, FakeQmpServer } from "../fakes/qmp_server.ts";

Deno.test("connectQmp waits for a socket that appears later", async () => {
  const folder = await Deno.makeTempDir({ prefix: "utmost-qmp-" });
  try {
    const path = `${folder}/qmp.sock`;
    const connecting = connectQmp(path, { timeoutMs: 5000 });
    await new Promise((resolve) => setTimeout(resolve, 30));
    using listener = Deno.listen({ transport: "unix", path });
    using peer = new FakeQmpPeer(await listener.accept());
    await peer.negotiate();
    await using client = await connecting;
    assertEquals(client.greeting.version.major, 7);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("connectQmp fails at its deadline, whether nobody listens or nobody greets", async () => {
  await assertRejects(
    () => connectQmp("/tmp/utmost-no-such.sock", { timeoutMs: 30 }),
    QmpGreetingError,
    'at "/tmp/utmost-no-such.sock": nobody listened within 30 ms',
  );
  await using server = await FakeQmpServer.start();
  const accepting = server.accept();
  await assertRejects(() => connectQmp(server.path, { timeoutMs: 30 }), QmpGreetingError);
  using peer = await accepting;
  assertEquals(await peer.receive(), null);
});

Deno.test("connectQmp rejects at once with the reason of its signal", async () => {
  const start = performance.now();
  const reason = new Error("QEMU died");
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 10);
  const { signal } = controller;
  const error = await connectQmp("/tmp/utmost-no-such.sock", { signal }).catch((error) => error);
  assertEquals(error, reason);
  assertLess(performance.now() - start, 1000);
});

Deno.test("connectQmp does not retry what no retry mends", async () => {
  const start = performance.now();
  await assertRejects(() => connectQmp("/dev/null/x.sock"), QmpGreetingError, "Cannot connect");
  assertLess(performance.now() - start, 2000);
});

/** A listener of ours in a folder that is removed afterwards. */
async function withListener(
  test: (listener: Deno.UnixListener, path: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "utmost-qmp-" });
  try {
    const path = `${folder}/qmp.sock`;
    await test(Deno.listen({ transport: "unix", path }), path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("acceptQmp passes over a probe, attaches and removes the socket", () =>
  withListener(async (listener, path) => {
    const accepting = acceptQmp(listener, { timeoutMs: 5000 });
    (await Deno.connect({ transport: "unix", path })).close();
    using peer = new FakeQmpPeer(await Deno.connect({ transport: "unix", path }));
    await peer.negotiate();
    await using client = await accepting;
    assertEquals(client.greeting.version.minor, 2);
    await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
  }));

Deno.test("acceptQmp fails at its deadline and closes the listener", () =>
  withListener(async (listener, path) => {
    await assertRejects(
      () => acceptQmp(listener, { timeoutMs: 20 }),
      QmpGreetingError,
      "QEMU did not connect within 20 ms",
    );
    await assertRejects(() => listener.accept());
    await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
  }));

Deno.test("acceptQmp closes the listener when its signal is aborted before", () =>
  withListener(async (listener, path) => {
    const signal = AbortSignal.abort(new Error("QEMU died"));
    await assertRejects(() => acceptQmp(listener, { signal }), Error, "QEMU died");
    await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
  }));

Deno.test("acceptQmp rejects with the reason of its signal", () =>
  withListener(async (listener) => {
    const controller = new AbortController();
    const reason = new Error("QEMU died");
    setTimeout(() => controller.abort(reason), 5);
    const error = await acceptQmp(listener, { signal: controller.signal }).catch((e) => e);
    assert(error === reason);
  }));
