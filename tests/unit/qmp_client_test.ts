import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { QmpError } from "../../lib/base/errors.ts";
import { QmpClient } from "../../lib/qmp/client.ts";
import {
  QmpClosedError,
  QmpCommandError,
  QmpGreetingError,
  QmpProtocolError,
  QmpTimeoutError,
} from "../../lib/qmp/errors.ts";
import type { QmpEvent } from "../../lib/qmp/events.ts";
import { type FakeQmpPeer, FakeQmpServer } from "../fakes/qmp_server.ts";

/** Runs `test` with a client that has negotiated with a fake QEMU. */
async function withClient(
  test: (client: QmpClient, peer: FakeQmpPeer) => Promise<void>,
  options: { slowly?: boolean; onEvent?: (event: QmpEvent) => void } = {},
): Promise<void> {
  await using server = await FakeQmpServer.start();
  const { conn, peer } = await server.pair();
  using _peer = peer;
  peer.slowly = options.slowly ?? false;
  const { onEvent } = options;
  const [client] = await Promise.all([
    QmpClient.attach(conn, { timeoutMs: 5000, ...onEvent && { onEvent } }),
    peer.negotiate(),
  ]);
  await using _client = client;
  await test(client, peer);
}

const event = (name: string, data?: unknown) => ({
  timestamp: { seconds: 1, microseconds: 2 },
  event: name,
  ...data !== undefined && { data },
});

Deno.test("attach reads the greeting and negotiates", () =>
  withClient((client) => {
    assertEquals(client.greeting, {
      version: { major: 7, minor: 2, micro: 3 },
      package: "Fake 1:7.2",
      capabilities: ["oob"],
    });
    assertEquals(client.closeReason, undefined);
    return Promise.resolve();
  }));

Deno.test("execute sends the arguments and resolves with the result", () =>
  withClient(async (client, peer) => {
    const running = client.execute("query-status");
    await peer.answer("query-status", { running: false, status: "prelaunch" });
    assertEquals(await running, { running: false, status: "prelaunch" });

    const hmp = client.execute("human-monitor-command", { "command-line": "info ünïcode 🦊" });
    const request = await peer.expect("human-monitor-command");
    assertEquals(request.arguments, { "command-line": "info ünïcode 🦊" });
    await peer.send({ return: "ok\r\n", id: request.id });
    assertEquals(await hmp, "ok\r\n");
  }));

Deno.test("execute works when replies come byte by byte, UTF-8 split across reads", () =>
  withClient(async (client, peer) => {
    const name = client.execute("query-name");
    await peer.answer("query-name", { name: "Müller 🦊 𝄞" });
    assertEquals(await name, { name: "Müller 🦊 𝄞" });
  }, { slowly: true }));

Deno.test("execute matches replies by id when they come out of order", () =>
  withClient(async (client, peer) => {
    const first = client.execute("query-name");
    const second = client.execute("query-uuid");
    const third = client.execute("stop");
    const ids = [];
    for (const name of ["query-name", "query-uuid", "stop"]) {
      ids.push((await peer.expect(name)).id);
    }
    await peer.send({ return: {}, id: ids[2] });
    await peer.send({ return: { UUID: "u" }, id: ids[1] });
    await peer.send({ return: { name: "n" }, id: ids[0] });
    assertEquals(await Promise.all([first, second, third]), [{ name: "n" }, { UUID: "u" }, {}]);
  }));

Deno.test("execute takes 1000 replies that come in one write", () =>
  withClient(async (client, peer) => {
    const running = Array.from({ length: 1000 }, () => client.execute("query-name"));
    let bulk = "";
    for (let n = 0; n < 1000; n++) {
      const { id } = await peer.expect("query-name");
      bulk += `{"return": {"name": "${id}"}, "id": ${id}}\r\n`;
    }
    await peer.sendText(bulk);
    const names = (await Promise.all(running)).map(({ name }) => Number(name));
    assertEquals(names, Array.from({ length: 1000 }, (_, n) => names[0]! + n));
  }));

Deno.test("execute rejects with QEMU's error class and words", () =>
  withClient(async (client, peer) => {
    const running = client.execute("eject", { device: "nope" });
    const { id } = await peer.expect("eject");
    await peer.send({
      error: { class: "DeviceNotFound", desc: "Device 'no\u001bpe' not found." },
      id,
    });
    const error = await assertRejects(() => running, QmpCommandError);
    assertEquals(
      error.message,
      "Cannot run QMP command eject: Device 'no\ufffdpe' not found",
    );
    assertEquals([error.command, error.class, error.exitCode], ["eject", "DeviceNotFound", 7]);
    assertEquals(error.desc, "Device 'no\u001bpe' not found.");
  }));

Deno.test("execute gives up at its deadline and drops the late reply", () =>
  withClient(async (client, peer) => {
    const late = client.execute("query-block", undefined, { timeoutMs: 20 });
    const { id } = await peer.expect("query-block");
    const error = await assertRejects(() => late, QmpTimeoutError, "within 20 ms");
    assertEquals(error.exitCode, 7);
    await peer.send({ return: [], id });
    const next = client.execute("query-name");
    await peer.answer("query-name", {});
    assertEquals(await next, {});
  }));

Deno.test("execute rejects with the reason of its signal and drops the late reply", () =>
  withClient(async (client, peer) => {
    const controller = new AbortController();
    const aborted = client.execute("stop", undefined, { signal: controller.signal });
    const { id } = await peer.expect("stop");
    const reason = new Error("enough");
    controller.abort(reason);
    assertEquals(await aborted.catch((error) => error), reason);
    await peer.send({ error: { class: "GenericError", desc: "late" }, id });
    const next = client.execute("cont");
    await peer.answer("cont", {});
    await next;
    assertEquals(
      await client.execute("cont", undefined, { signal: controller.signal }).catch((e) => e),
      reason,
    );
  }));

Deno.test("executeRaw runs any command and replaces the id", () =>
  withClient(async (client, peer) => {
    const running = client.executeRaw({ execute: "x-new", arguments: { a: 1 }, id: "mine" });
    const request = await peer.expect("x-new");
    assertEquals(request.arguments, { a: 1 });
    assert(request.id !== "mine");
    await peer.send({ return: [1], id: request.id });
    assertEquals(await running, [1]);
  }));

Deno.test("executeRaw refuses what QEMU cannot read", () =>
  withClient(async (client) => {
    let deep: Record<string, unknown> = {};
    for (let n = 0; n < 600; n++) deep = { deep };
    for (
      const args of [{ text: "\ud800" }, { text: "\uffff" }, { text: "\u{1fffe}" }, deep]
    ) {
      await assertRejects(() => client.executeRaw({ execute: "x", arguments: args }), TypeError);
    }
    // @ts-expect-error: what a user may type
    await assertRejects(() => client.executeRaw(["stop"]), TypeError);
    // @ts-expect-error: what a user may type
    await assertRejects(() => client.executeRaw({ arguments: {} }), TypeError);
  }));

Deno.test("executeRaw sends a backslash before ud800 as it is", () =>
  withClient(async (client, peer) => {
    const running = client.executeRaw({ execute: "x", arguments: { text: "\\ud800" } });
    const { id, arguments: args } = await peer.expect("x");
    assertEquals(args, { text: "\\ud800" });
    await peer.send({ return: {}, id });
    await running;
  }));

Deno.test("events arrive during a command, in order, at each stream and listener", () => {
  const attached: string[] = [];
  return withClient(async (client, peer) => {
    using all = client.events();
    using some = client.events({ names: ["STOP"] });
    const heard: string[] = [];
    const listening = client.onEvent(({ event }) => heard.push(event));
    const running = client.execute("stop");
    const { id } = await peer.expect("stop");
    await peer.send(event("RESUME"));
    await peer.send(event("STOP", { reason: "x" }));
    await peer.send({ return: {}, id });
    await running;
    assertEquals(heard, ["RESUME", "STOP"]);
    listening[Symbol.dispose]();
    await peer.send(event("RESET"));

    const seen: string[] = [];
    for await (const { event } of all) {
      seen.push(event);
      if (event === "RESET") break;
    }
    assertEquals(seen, ["RESUME", "STOP", "RESET"]);
    assertEquals(await some.next(), {
      done: false,
      value: {
        event: "STOP",
        data: { reason: "x" },
        timestamp: { seconds: 1, microseconds: 2 },
      },
    });
    assertEquals(heard.length, 2);
    assertEquals(attached, ["RESUME", "STOP", "RESET"]);
  }, { onEvent: ({ event }) => attached.push(event) });
});

Deno.test("attach hands over an event that comes in one write with the negotiation's end", async () => {
  await using server = await FakeQmpServer.start();
  const { conn, peer } = await server.pair();
  using _peer = peer;
  const heard: string[] = [];
  const attaching = QmpClient.attach(conn, { onEvent: ({ event }) => heard.push(event) });
  await peer.sendText('{"QMP": {"version": {"qemu": {"major": 9, "minor": 0, "micro": 1}}}}\r\n');
  const { id } = await peer.expect("qmp_capabilities");
  await peer.sendText(`{"return": {}, "id": ${id}}\r\n${JSON.stringify(event("RESUME"))}\r\n`);
  await using client = await attaching;
  assertEquals(heard, ["RESUME"]);
  assertEquals(client.greeting, {
    version: { major: 9, minor: 0, micro: 1 },
    package: "",
    capabilities: [],
  });
});

Deno.test("a stream drops the oldest event beyond its limit and counts it", () =>
  withClient(async (client, peer) => {
    using events = client.events({ limit: 2 });
    for (const name of ["A", "B", "C", "D"]) await peer.send(event(name));
    const running = client.execute("query-name");
    await peer.answer("query-name", {});
    await running;
    assertEquals(events.dropped, 2);
    assertEquals((await events.next()).value?.event, "C");
    assertEquals((await events.next()).value?.event, "D");
  }));

Deno.test("a stream ends after what is queued when QEMU closes", () =>
  withClient(async (client, peer) => {
    using events = client.events();
    await peer.send(event("SHUTDOWN", { guest: true, reason: "guest-shutdown" }));
    peer[Symbol.dispose]();
    await client.closed;
    const seen = [];
    for await (const { event, data } of events) seen.push([event, data.reason]);
    assertEquals(seen, [["SHUTDOWN", "guest-shutdown"]]);
    using late = client.events();
    assertEquals(await late.next(), { done: true, value: undefined });
  }));

Deno.test("a waiting command and a later one reject when QEMU closes", () =>
  withClient(async (client, peer) => {
    const running = client.execute("quit");
    await peer.expect("quit");
    peer[Symbol.dispose]();
    await assertRejects(() => running, QmpClosedError, "QMP command quit: QEMU closed the");
    await client.closed;
    await assertRejects(() => client.execute("stop"), QmpClosedError, "QMP command stop: QEMU");
    assertInstanceOf(client.closeReason, QmpClosedError);
  }));

Deno.test("a waiting command rejects when the client is closed; closing twice is fine", () =>
  withClient(async (client, peer) => {
    const running = client.execute("stop");
    const rejected = assertRejects(() => running, QmpClosedError, "the client was closed");
    await peer.expect("stop");
    await Promise.all([client.close(), client.close(), rejected, client.closed]);
    assertEquals(await peer.receive(), null);
  }));

Deno.test("a peer that closes in the middle of a message closes the client", () =>
  withClient(async (client, peer) => {
    const running = client.execute("stop");
    await peer.expect("stop");
    await peer.sendText('{"return": {}, "i');
    peer[Symbol.dispose]();
    await assertRejects(() => running, QmpClosedError, "in the middle of a message");
  }));

const HOSTILE: Record<string, string | Uint8Array> = {
  "no JSON": "hello\r\n",
  "no object": "[1]\r\n",
  "null": "null\r\n",
  "a reply without id": '{"return": {}}\r\n',
  "an error without id": '{"error": {"class": "GenericError", "desc": "JSON parse error"}}\r\n',
  "an unknown id": '{"return": {}, "id": 4711}\r\n',
  "an id of another type": '{"return": {}, "id": "2"}\r\n',
  "an error that is none": '{"error": "no", "id": 2}\r\n',
  "an event without name": '{"event": {"a": 1}}\r\n',
  "neither reply nor event": '{"QMP": {}}\r\n',
  "the name of a prototype": '{"__proto__": {"return": {}, "id": 2}}\r\n',
  "broken UTF-8": new Uint8Array([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x7d, 0x0a]),
  "a NUL byte": new Uint8Array([0, 0x0a]),
};
for (const [what, bytes] of Object.entries(HOSTILE)) {
  Deno.test(`${what} closes the client with a protocol error`, () =>
    withClient(async (client, peer) => {
      const running = client.execute("stop");
      assertEquals((await peer.expect("stop")).id, 2);
      await (typeof bytes === "string" ? peer.sendText(bytes) : peer.sendBytes(bytes));
      const error = await assertRejects(() => running, QmpProtocolError);
      assertEquals(error.exitCode, 7);
      await client.closed;
      assertInstanceOf(client.closeReason, QmpProtocolError);
      assertEquals(await peer.receive(), null);
    }));
}

Deno.test("attach fails at its deadline when no greeting comes, and closes the connection", async () => {
  await using server = await FakeQmpServer.start();
  const { conn, peer } = await server.pair();
  using _peer = peer;
  const error = await assertRejects(
    () => QmpClient.attach(conn, { timeoutMs: 20 }),
    QmpGreetingError,
    "no greeting and capabilities within 20 ms",
  );
  assertEquals(error.exitCode, 7);
  assertEquals(await peer.receive(), null);
});

Deno.test("attach fails when the negotiation is never answered", async () => {
  await using server = await FakeQmpServer.start();
  const { conn, peer } = await server.pair();
  using _peer = peer;
  await peer.sendText('{"QMP": {"version": {"qemu": {"major": 9, "minor": 0, "micro": 1}}}}\r\n');
  await assertRejects(() => QmpClient.attach(conn, { timeoutMs: 50 }), QmpGreetingError, "50 ms");
});

Deno.test("attach fails with QEMU's words when the negotiation is refused", async () => {
  await using server = await FakeQmpServer.start();
  const { conn, peer } = await server.pair();
  using _peer = peer;
  const attaching = QmpClient.attach(conn);
  attaching.catch(() => {});
  await peer.sendText('{"QMP": {"version": {"qemu": {"major": 9, "minor": 0, "micro": 1}}}}\r\n');
  const { id } = await peer.expect("qmp_capabilities");
  await peer.send({ error: { class: "CommandNotFound", desc: "busy" }, id });
  await assertRejects(() => attaching, QmpGreetingError, "busy");
});

Deno.test("attach fails on a greeting that is none", async () => {
  await using server = await FakeQmpServer.start();
  for (
    const greeting of [
      "SSH-2.0-x\r\n",
      '{"QMP": {}}\n',
      '{"QMP": {"version": {"qemu": {"major": "9"}}}}\n',
      '{"return": {}, "id": 1}\n',
    ]
  ) {
    const { conn, peer } = await server.pair();
    using _peer = peer;
    await peer.sendText(greeting);
    await assertRejects(() => QmpClient.attach(conn), QmpGreetingError, "expected");
    assertEquals(await peer.receive(), null);
  }
});

Deno.test("attach rejects with the reason of its signal and closes the connection", async () => {
  await using server = await FakeQmpServer.start();
  for (const when of ["before", "later"]) {
    const { conn, peer } = await server.pair();
    using _peer = peer;
    const controller = new AbortController();
    const reason = new QmpError("QEMU died");
    if (when === "before") controller.abort(reason);
    const attaching = QmpClient.attach(conn, { signal: controller.signal });
    queueMicrotask(() => controller.abort(reason));
    assertEquals(await attaching.catch((error) => error), reason);
    assertEquals(await peer.receive(), null);
  }
});

Deno.test("QEMU's end beats the close of its connection", async () => {
  await using server = await FakeQmpServer.start();
  const { conn, peer } = await server.pair();
  using _peer = peer;
  const gone = new AbortController();
  const reason = new QmpError("QEMU died");
  const [client] = await Promise.all([
    QmpClient.attach(conn, { gone: gone.signal }),
    peer.negotiate(),
  ]);
  await using _client = client;
  const running = client.execute("stop").catch((error) => error);
  await peer.expect("stop");
  peer[Symbol.dispose]();
  const later = client.execute("cont").catch((error) => error);
  setTimeout(() => gone.abort(reason), 20);
  assertEquals(await running, reason);
  assertEquals(await later, reason);
  await client.closed;
  assertEquals(await client.execute("cont").catch((error) => error), reason);
  assertInstanceOf(client.closeReason, QmpClosedError);
});

Deno.test("a connection that closes while QEMU lives on is closed after a moment", async () => {
  await using server = await FakeQmpServer.start();
  const { conn, peer } = await server.pair();
  using _peer = peer;
  const [client] = await Promise.all([
    QmpClient.attach(conn, { gone: new AbortController().signal }),
    peer.negotiate(),
  ]);
  await using _client = client;
  peer[Symbol.dispose]();
  await assertRejects(() => client.execute("stop"), QmpClosedError);
});

Deno.test("attach rejects with QEMU's end when it dies before it greets", async () => {
  await using server = await FakeQmpServer.start();
  const { conn, peer } = await server.pair();
  const gone = new AbortController();
  const reason = new QmpError("QEMU died");
  const attaching = QmpClient.attach(conn, { gone: gone.signal }).catch((error) => error);
  peer[Symbol.dispose]();
  setTimeout(() => gone.abort(reason), 20);
  assertEquals(await attaching, reason);
});
