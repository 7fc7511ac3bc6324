import { assertEquals, assertRejects } from "@std/assert";
import { DeadlineError } from "../../lib/base/errors.ts";
import type { ChannelEnd, ChannelLink } from "../../lib/spice/channel_link.ts";
import { SpiceClosedError } from "../../lib/spice/errors.ts";
import { MouseMode } from "../../lib/spice/mouse_mode.ts";
import { SpiceSession } from "../../lib/spice/session.ts";
import { FakeSpiceServer, INIT, le } from "../fakes/spice_server.ts";

/** A link that notes what is sent. */
function recorder(): { link: ChannelLink; sent: unknown[] } {
  const sent: unknown[] = [];
  const link = {
    send: (request: { id: number }, value: unknown) => sent.push([request.id, value]),
  };
  return { link: link as unknown as ChannelLink, sent };
}

const OPEN = new Promise<ChannelEnd>(() => {});

Deno.test("MouseMode asks for client mode whenever the server can do it and it is off", () => {
  const { link, sent } = recorder();
  const mode = new MouseMode("absolute");
  mode.update(link, { supported: 1, current: 1 });
  assertEquals(sent, []);
  mode.update(link, { supported: 3, current: 1 });
  assertEquals(sent, [[105, { mode: 2 }]]);
  mode.update(link, { supported: 3, current: 2 });
  assertEquals(sent.length, 1);
  assertEquals(mode.bits, { supported: 3, current: 2 });
});

Deno.test("MouseMode that is to stay relative asks for server mode", () => {
  const { link, sent } = recorder();
  const mode = new MouseMode("relative");
  mode.update(link, { supported: 3, current: 1 });
  assertEquals(sent, []);
  mode.update(link, { supported: 3, current: 2 });
  assertEquals(sent, [[105, { mode: 1 }]]);
});

Deno.test("MouseMode: a wait ends with the mode, the deadline, the signal or the session", async () => {
  const { link } = recorder();
  const mode = new MouseMode("absolute");
  mode.update(link, { supported: 1, current: 1 });
  await mode.wait("relative", OPEN, {});

  const waiting = mode.wait("absolute", OPEN, { timeoutMs: 5000 });
  mode.update(link, { supported: 3, current: 1 });
  mode.update(link, { supported: 3, current: 2 });
  await waiting;
  mode.update(link, { supported: 3, current: 1 });

  await assertRejects(
    () => mode.wait("absolute", OPEN, { timeoutMs: 10 }),
    DeadlineError,
    "a guest whose pointer is absolute",
  );
  const signal = AbortSignal.timeout(10);
  await assertRejects(() => mode.wait("absolute", OPEN, { signal }), DOMException);
  const closed = Promise.resolve<ChannelEnd>({ by: "server", text: "the server has gone" });
  await assertRejects(
    () => mode.wait("absolute", closed, {}),
    SpiceClosedError,
    "the server has gone",
  );
});

Deno.test("a session asks for an absolute pointer by itself, and tells when it is there", async () => {
  const requests: number[] = [];
  await using server = await FakeSpiceServer.start({
    async main(connection) {
      await connection.receive(); // ATTACH_CHANNELS travels with the ticket
      await connection.write(INIT); // modes 3, mode 1
      await connection.send(104, le([4, 0]));
      const { type, body } = await connection.receive();
      requests.push(type, ...body);
      await connection.send(105, le([2, 3], [2, 2]));
      await connection.drain();
    },
  });
  await using session = await SpiceSession.connect(server.target);
  await session.waitForPointer("absolute", { timeoutMs: 5000 });
  assertEquals(session.mouseMode, { supported: 3, current: 2 });
  assertEquals(requests, [105, 2, 0]);
});

Deno.test("MouseMode: a wait that is over leaves no rejection behind", async () => {
  const mode = new MouseMode("absolute");
  const signal = AbortSignal.abort();
  const closed = Promise.withResolvers<ChannelEnd>();
  await assertRejects(() => mode.wait("absolute", closed.promise, { signal }), DOMException);
  closed.resolve({ by: "server", text: "the server has gone" });
  await new Promise((resolve) => setTimeout(resolve, 0)); // one that is unhandled fails the test
});
