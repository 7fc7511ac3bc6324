/** SPICE over TCP: addresses and names of hosts, and the same behaviour as on a Unix socket. */
import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { SpiceConnectError, SpiceTimeoutError } from "../../lib/spice/errors.ts";
import { SpiceSession } from "../../lib/spice/session.ts";
import { targetText } from "../../lib/spice/transport.ts";
import { channelsList, FakeSpiceServer, INIT, type Script } from "../fakes/spice_server.ts";

/** Whether this machine has IPv6 at all; some containers do not. */
function hasIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

function portOf(server: FakeSpiceServer): number {
  if (!("port" in server.target)) throw new Error("not on TCP");
  return server.target.port;
}

const ADDRESSES: [listens: string, host: string][] = [
  ["127.0.0.1", "127.0.0.1"],
  ["127.0.0.1", "localhost"],
  ["::1", "::1"],
  ["::1", "localhost"],
];
for (const [listens, host] of ADDRESSES) {
  Deno.test(
    `connect finds a server on ${listens} as ${host}`,
    { ignore: listens.includes(":") && !hasIpv6() },
    async () => {
      await using server = await FakeSpiceServer.start({ tcp: listens });
      await using session = await SpiceSession.connect({ host, port: portOf(server) });
      assertEquals(session.channels, ["main", "display"]);
    },
  );
}

Deno.test("targetText writes an address as URLs do", () => {
  assertEquals(targetText({ host: "::1", port: 5900 }), '"[::1]:5900"');
  assertEquals(targetText({ host: "example.org", port: 5900 }), '"example.org:5900"');
  assertEquals(targetText({ path: "/run/s" }), '"/run/s"');
});

Deno.test("connect names a port where nobody listens, and a host that does not exist", async () => {
  const server = await FakeSpiceServer.start({ tcp: true });
  const port = portOf(server);
  await server[Symbol.asyncDispose]();
  for (const host of ["127.0.0.1", "localhost"]) {
    const error = await assertRejects(
      () => SpiceSession.connect({ host, port }),
      SpiceConnectError,
      `"${host}:${port}" does not answer`,
    );
    assertInstanceOf(error.cause, Deno.errors.ConnectionRefused);
  }
  await assertRejects(
    () => SpiceSession.connect({ host: "no-such-host.invalid", port }),
    SpiceConnectError,
    "no-such-host.invalid",
  );
});

Deno.test("connect ends at its deadline where a TCP server says nothing", async () => {
  await using server = await FakeSpiceServer.start({
    tcp: true,
    connection: (connection) => connection.drain(),
  });
  await assertRejects(
    () => SpiceSession.connect(server.target, { timeoutMs: 60 }),
    SpiceTimeoutError,
    "within 60 ms",
  );
});

Deno.test("closed tells over TCP, too, whether the server goes on without us", async () => {
  for (const stays of [true, false]) {
    const leave = Promise.withResolvers<void>();
    const main: Script = async (connection) => {
      await connection.write(INIT);
      await connection.receive();
      await connection.write(channelsList());
      await leave.promise;
    };
    await using server = await FakeSpiceServer.start({ tcp: true, main });
    await using session = await SpiceSession.connect(server.target);
    if (!stays) await Promise.all([leave.resolve(), server[Symbol.asyncDispose]()]);
    leave.resolve();
    const { by, isServerAlive } = await session.closed;
    assertEquals([by, isServerAlive], ["server", stays]);
  }
});
