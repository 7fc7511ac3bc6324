/** The blocking connection: what it hands over, what it closes, and who has a turn meanwhile. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ShimCallError } from "../../ffi/errno.ts";
import type { OwnedFd } from "../../ffi/fd.ts";
import type { Shim } from "../../ffi/load.ts";
import { createMemory } from "../../ffi/memory.ts";
import { UnixSocket } from "../../ffi/socket.ts";
import { openWaker, type Waker } from "../../ffi/waker.ts";
import { pause } from "../../lib/base/deadline.ts";
import { SpiceConnectError } from "../../lib/spice/errors.ts";
import { connectSocket, FdConnection } from "../../lib/spice/fd_connection.ts";
import { expectNoCopies, shimTest, Traced } from "./open_shim.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const into = new Uint8Array(65536);

/** A connection with its peer; `test` may close either. */
async function withPair(
  shim: Shim,
  test: (connection: FdConnection, peer: UnixSocket, waker: Waker) => Promise<void>,
  turnMs = 5,
): Promise<void> {
  const [ours, theirs] = UnixSocket.pair(shim);
  const { wakeUp, waker } = openWaker(shim);
  using peer = theirs;
  using _wakeUp = wakeUp;
  using ownWaker = waker;
  const connection = new FdConnection(ours, wakeUp, turnMs === undefined ? {} : { turnMs });
  await test(connection, peer, ownWaker);
  connection.close();
}

shimTest(
  "FdConnection hands over the descriptors of a read, in their order",
  (shim) =>
    withPair(shim, async (connection, peer) => {
      using one = createMemory(shim, 4096);
      using two = createMemory(shim, 4096);
      peer.send(bytes("a@"), [one, two]);
      assertEquals(await connection.read(into), 2);
      for (const sent of [one, two]) {
        using fd = connection.takeFd();
        assertEquals(fd?.identify(), sent.identify());
      }
      assertEquals(connection.takeFd(), undefined);
    }),
);

shimTest(
  "FdConnection closes descriptors that nobody took before the next read",
  (shim) =>
    withPair(shim, async (connection, peer) => {
      for (let i = 0; i < 100; i++) {
        using traced = new Traced(shim);
        peer.send(bytes("@"), [traced.fd, traced.fd, traced.fd]);
        traced.fd[Symbol.dispose]();
        assertEquals(await connection.read(into), 1);
        assert(traced.isOpen);
        peer.send(bytes("x"));
        assertEquals(await connection.read(into), 1);
        assertEquals(connection.takeFd(), undefined);
        assert(traced.isGone);
      }
    }),
);

shimTest(
  "FdConnection.close closes descriptors that nobody took",
  (shim) =>
    expectNoCopies(shim, (fd) =>
      withPair(shim, async (connection, peer) => {
        peer.send(bytes("@"), [fd, fd]);
        assertEquals(await connection.read(into), 1);
        connection.takeFd()![Symbol.dispose]();
        peer.send(bytes("@"), [fd]); // which nobody reads
      })),
);

shimTest(
  "FdConnection closes the descriptors of a message that has too many",
  (shim) =>
    withPair(shim, async (connection, peer) => {
      using traced = new Traced(shim);
      peer.send(bytes("@"), Array<OwnedFd>(5).fill(traced.fd));
      traced.fd[Symbol.dispose]();
      assertEquals(await connection.read(into), 1);
      assertEquals(connection.takeFd(), undefined);
      assert(traced.isGone);
    }),
);

shimTest(
  "FdConnection.read gives messages and timers their turn when it is woken",
  (shim) =>
    withPair(shim, async (connection, peer, waker) => {
      const { port1, port2 } = new MessageChannel();
      const heard = Promise.withResolvers<unknown>();
      port1.onmessage = ({ data }) => {
        heard.resolve(data);
        peer.send(bytes("answer"));
      };
      port2.postMessage("hello");
      waker.wake();
      assertEquals(await connection.read(into), 6); // blocks, and would for good
      assertEquals(await heard.promise, "hello");
      port1.close();
      port2.close();
    }),
);

shimTest(
  "FdConnection.read lets timers run that nobody woke it for",
  (shim) =>
    withPair(shim, async (connection, peer) => {
      setTimeout(() => peer.send(bytes("late")), 1);
      const before = performance.now();
      assertEquals(await connection.read(into), 4);
      assert(performance.now() - before < 5000);
    }),
);

shimTest(
  "FdConnection gives timers a turn although there is always something to read",
  (shim) =>
    withPair(shim, async (connection, peer) => {
      let isOver = false;
      setTimeout(() => isOver = true, 1);
      const before = performance.now();
      while (!isOver && performance.now() - before < 10_000) {
        peer.send(bytes("x"));
        await connection.read(into);
      }
      assert(isOver);
    }),
);

shimTest(
  "FdConnection.read ends when it is closed, when the peer closes, when nobody can wake it",
  async (shim) => {
    await withPair(shim, async (connection, _peer, waker) => {
      setTimeout(() => connection.close(), 0);
      waker.wake();
      assertEquals(await connection.read(into), null);
      assertEquals(await connection.read(into), null);
      await assertRejects(() => connection.write(bytes("x")), TypeError);
    });
    await withPair(shim, async (connection, peer) => {
      peer[Symbol.dispose]();
      assertEquals(await connection.read(into), null);
      await assertRejects(() => connection.write(bytes("x")), ShimCallError, "EPIPE");
    });
    await withPair(shim, async (connection, _peer, waker) => {
      waker[Symbol.dispose]();
      assertEquals(await connection.read(into), null);
    });
  },
);

shimTest(
  "FdConnection.write that has to wait lets the rest go on, and comes before the next read",
  (shim) =>
    withPair(shim, async (connection, peer, waker) => {
      const large = new Uint8Array(8 << 20);
      let sent = 0;
      const writing = (async () => {
        while (sent < large.length) sent += await connection.write(large.subarray(sent));
        waker.wake();
      })();
      const read = connection.read(into);
      let received = 0;
      const draining = (async () => {
        while (received < large.length) {
          await pause(0);
          for (;;) {
            const count = peer.receive(into, [], { timeoutMs: 0 });
            if (typeof count !== "number") break;
            received += count;
          }
        }
        peer.send(bytes("all"));
      })();
      waker.wake();
      const waking = setInterval(() => waker.wake(), 1);
      assertEquals(await read, 3);
      clearInterval(waking);
      await Promise.all([writing, draining]);
      assertEquals([sent, received], [large.length, large.length]);
    }),
);

shimTest("connectSocket tells where nobody listens", (shim) => {
  const error = assertThrows(
    () => connectSocket(shim, "/nowhere/spice"),
    SpiceConnectError,
    "/nowhere/spice",
  );
  assert(error.cause instanceof ShimCallError);
});
