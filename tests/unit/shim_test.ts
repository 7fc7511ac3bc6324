/** Owners of descriptors, sockets and memory, on the library itself. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { failure, ShimCallError } from "../../ffi/errno.ts";
import { OwnedFd } from "../../ffi/fd.ts";
import { loadShim } from "../../ffi/load.ts";
import { createMemory, MappedMemory } from "../../ffi/memory.ts";
import { UnixListener, UnixSocket } from "../../ffi/socket.ts";
import { openWaker } from "../../ffi/waker.ts";
import { ShimError } from "../../lib/base/errors.ts";
import { expectNoCopies, shimTest, Traced } from "./open_shim.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("loadShim tells where there is no library, and what to do", () => {
  const error = assertThrows(() => loadShim("/nowhere/libutm_shim.so"), ShimError, "/nowhere");
  assert(error.hint?.includes("UTMOST_SHIM"));
});

Deno.test("ShimCallError names the failure", () => {
  const error = new ShimCallError("receive", failure("ECONNRESET"));
  assertEquals([error.message, error.code], ["Cannot receive: ECONNRESET", "ECONNRESET"]);
  assertEquals(new ShimCallError("receive", -9999).message, "Cannot receive: error 9999");
});

shimTest("OwnedFd closes what it owns, once, and not what was taken", (shim) => {
  using traced = new Traced(shim);
  const copy = traced.fd.dup();
  assertEquals(copy.identify(), traced.fd.identify());
  assertEquals(copy.identify().kind, "pipe");
  traced.fd[Symbol.dispose]();
  traced.fd[Symbol.dispose]();
  assertThrows(() => traced.fd.number, TypeError);
  assert(traced.isOpen);
  const number = copy.take();
  copy[Symbol.dispose]();
  assertThrows(() => copy.take(), TypeError);
  assert(traced.isOpen);
  new OwnedFd(shim, number)[Symbol.dispose]();
  assert(traced.isGone);
  assertThrows(() => new OwnedFd(shim, -1), RangeError);
});

shimTest("UnixSocket.shutdown ends a connection for the other descriptors of it, too", (shim) => {
  const [one, other] = UnixSocket.pair(shim);
  using _one = one;
  using _other = other;
  using copy = new UnixSocket(shim, one.dup());
  copy.shutdown();
  assertEquals(one.receive(new Uint8Array(1), []), 0);
  assertEquals(other.receive(new Uint8Array(1), []), 0);
  assertThrows(() => one.send(bytes("a")), ShimCallError, "EPIPE");
});

shimTest("UnixSocket carries descriptors beside bytes", (shim) =>
  expectNoCopies(shim, (sent) => {
    const [one, other] = UnixSocket.pair(shim);
    using _one = one;
    using _other = other;
    assertEquals(one.send(bytes("abc"), [sent, sent]), 3);
    const into = new Uint8Array(10);
    const fds: OwnedFd[] = [];
    assertEquals(other.receive(into, fds), 3);
    assertEquals(into.subarray(0, 3), bytes("abc"));
    assertEquals(fds.map((fd) => fd.identify()), [sent.identify(), sent.identify()]);
    for (const fd of fds.splice(0)) fd[Symbol.dispose]();

    assertEquals(one.send(bytes("x"), Array<OwnedFd>(5).fill(sent)), 1);
    assertEquals(other.receive(into, fds), 1); // there is room for four
    assertEquals([fds.length, other.lostFds], [0, 1]);
    assertEquals(other.receive(into, fds, { timeoutMs: 0 }), "late");
    one[Symbol.dispose]();
    assertEquals(other.receive(into, fds), 0);
    assertThrows(() => other.send(bytes("x")), ShimCallError, "EPIPE");
  }));

shimTest("UnixSocket.receive and send end when they are woken, before anything else", (shim) => {
  const [one, other] = UnixSocket.pair(shim);
  using _one = one;
  using _other = other;
  const { wakeUp, waker } = openWaker(shim);
  using _wakeUp = wakeUp;
  const into = new Uint8Array(1);
  one.send(bytes("x"));
  assert(waker.wake());
  assertEquals(other.receive(into, [], { wakeUp }), "woken");
  assert(wakeUp.clear());
  assertEquals(other.receive(into, [], { wakeUp }), 1);
  const large = new Uint8Array(8 << 20);
  const sent = one.send(large, [], { wakeUp, timeoutMs: 0 });
  assert(typeof sent === "number" && sent > 0 && sent < large.length);
  assertEquals(one.send(large, [], { wakeUp, timeoutMs: 0 }), "late");
  waker.wake();
  assertEquals(one.send(large, [], { wakeUp }), "woken");
  waker[Symbol.dispose]();
  assert(wakeUp.clear()); // it was woken before
  assertEquals(wakeUp.clear(), false);
});

shimTest("UnixSocket.readable waits on another thread", async (shim) => {
  const [one, other] = UnixSocket.pair(shim);
  using _one = one;
  using _other = other;
  assertEquals(await other.readable({ timeoutMs: 1 }), false);
  const waiting = other.readable();
  one.send(bytes("x"));
  assertEquals(await waiting, true);
  const { wakeUp, waker } = openWaker(shim);
  using _wakeUp = wakeUp;
  using _waker = waker;
  const woken = one.readable({ wakeUp });
  waker.wake();
  assertEquals(await woken, false);
});

shimTest("UnixSocket.connect reaches a server, and tells where there is none", async (shim) => {
  const folder = await Deno.makeTempDir({ prefix: "utmost-shim-" });
  try {
    const path = join(folder, "s");
    assertEquals(
      assertThrows(() => UnixSocket.connect(shim, path), ShimCallError, path).code,
      "ENOENT",
    );
    assertThrows(() => UnixSocket.connect(shim, "x".repeat(200)), ShimCallError, "ENAMETOOLONG");
    assertThrows(() => UnixSocket.connect(shim, "x\0y"), TypeError);
    using listener = Deno.listen({ transport: "unix", path });
    using client = UnixSocket.connect(shim, path);
    using server = await listener.accept();
    await server.write(bytes("hello"));
    const into = new Uint8Array(10);
    assertEquals(client.receive(into, []), 5);
    client.send(bytes("hi"));
    assertEquals(await server.read(into), 2);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

shimTest("UnixListener takes connections, and says where it cannot listen", async (shim) => {
  const folder = await Deno.makeTempDir({ prefix: "utmost-shim-" });
  try {
    const path = join(folder, "s");
    using listener = UnixListener.listen(shim, path);
    assertThrows(() => UnixListener.listen(shim, path), ShimCallError, "EADDRINUSE");
    assertEquals(listener.accept({ timeoutMs: 0 }), "late");
    using client = UnixSocket.connect(shim, path);
    const server = listener.accept();
    assert(typeof server !== "string");
    using _server = server;
    assertEquals(client.sendBoth(bytes("head "), bytes("body")), 9);
    assertEquals(client.sendBoth(bytes(""), bytes("!")), 1);
    const into = new Uint8Array(20);
    assertEquals(server.receive(into, []), 10);
    assertEquals(into.subarray(0, 10), bytes("head body!"));
    const { wakeUp, waker } = openWaker(shim);
    using _wakeUp = wakeUp;
    using _waker = waker;
    waker.wake();
    assertEquals(listener.accept({ wakeUp }), "woken");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

shimTest("MappedMemory is shared, and empty once it is disposed", (shim) => {
  const fd = createMemory(shim, 10_000);
  const one = MappedMemory.map(shim, fd, 10_000, { writable: true });
  using other = MappedMemory.map(shim, fd, 10_000);
  assertThrows(() => MappedMemory.map(shim, fd, 10_001), ShimCallError, "EINVAL");
  fd[Symbol.dispose]();
  const view = one.bytes;
  view[9_999] = 77;
  assertEquals(other.bytes[9_999], 77);
  assertEquals(other.bytes.length, 10_000);
  one[Symbol.dispose]();
  one[Symbol.dispose]();
  assertEquals([view.length, one.bytes.length], [0, 0]);
});
