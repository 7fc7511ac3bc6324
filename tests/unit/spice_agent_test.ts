import { assert, assertEquals, assertLess, assertRejects, assertStringIncludes } from "@std/assert";
import { DeadlineError } from "../../lib/base/errors.ts";
import { pause } from "../../lib/base/deadline.ts";
import { SpiceAgentError, SpiceClosedError } from "../../lib/spice/errors.ts";
import { SpiceSession } from "../../lib/spice/session.ts";
import { agentMessage, LINUX_CAPS } from "../fakes/spice_agent.ts";
import { le } from "../fakes/spice_server.ts";
import { AgentRig } from "./spice_agent_rig.ts";

Deno.test("an agent that is there is started, greeted and told the clipboard limit", async () => {
  await using rig = await AgentRig.start();
  assertEquals(await rig.guest.receiveStart(), 0xffff_ffff);
  const greeting = await rig.guest.receive();
  assertEquals(greeting, { type: 6, body: le([4, 1], [4, 0x0003_1066]) });
  assertEquals(rig.agent.caps, undefined);
  await rig.guest.announce(LINUX_CAPS);
  assertEquals(await rig.guest.receive(), { type: 14, body: le([4, 16 * 1024 * 1024]) });
  await rig.agent.connected();
  assert(rig.agent.caps?.has("clipboardGrabSerial"));
  assertEquals(rig.agent.caps?.has("monitorsConfigPosition"), false);
  assertEquals(rig.events.map(({ kind }) => kind), ["connected"]);
});

Deno.test("an agent that comes later is started then, with its tokens", async () => {
  await using rig = await AgentRig.start({ connected: false, tokens: 0 });
  const connected = rig.agent.connected();
  await assertRejects(
    () => rig.agent.resize([{ width: 800, height: 600 }]),
    SpiceAgentError,
    "no agent runs in the guest",
  );
  await rig.guest.sendMain(115, le([4, 10]));
  await rig.guest.greet();
  await connected;
});

Deno.test("capabilities are answered when the guest asks, one answer at a time", async () => {
  await using rig = await AgentRig.start({ tokens: 2 });
  await rig.guest.receiveStart();
  await rig.guest.receive({ keepTokens: true });
  const answer = { type: 6, body: le([4, 0], [4, 0x0003_1066]) };
  await rig.guest.announce(1 << 1, 1);
  assertEquals(await rig.guest.receive({ keepTokens: true }), answer);
  for (let i = 0; i < 1000; i++) await rig.guest.announce(1 << 1, 1);
  while (rig.agent.stats.received < 1001) await pause(1);
  const resizing = rig.agent.resize([{ width: 1, height: 1 }]);
  await rig.guest.grant(5);
  assertEquals(await rig.guest.receive(), answer);
  assertEquals((await rig.guest.receive()).type, 2);
  await resizing;
});

Deno.test("resize sends height before width, and positions to agents that take them", async () => {
  const POSITION = 1 << 12;
  for (const [caps, flags] of [[LINUX_CAPS, 0], [LINUX_CAPS | POSITION, 1]] as const) {
    await using rig = await AgentRig.greeted(caps);
    await rig.agent.resize([{ width: 1000, height: 600 }, { width: 640, height: 480, x: 1000 }]);
    assertEquals(await rig.guest.receive(), {
      type: 2,
      body: le(
        ...[[4, 2], [4, flags]] as [4, number][],
        ...[[4, 600], [4, 1000], [4, 32], [4, 0], [4, 0]] as [4, number][],
        ...[[4, 480], [4, 640], [4, 32], [4, 1000], [4, 0]] as [4, number][],
      ),
    });
    await rig.guest.send(3, le([4, 2], [4, 1]));
    await rig.guest.send(3, le([4, 77], [4, 2]));
    while (rig.events.length < 3) await pause(1);
    assertEquals(rig.events.slice(1), [
      { kind: "reply", to: "monitors_config", isSuccess: true },
      { kind: "reply", to: "type 77", isSuccess: false },
    ]);
  }
});

Deno.test("resize refuses what no monitor is, and what the agent cannot do", async () => {
  await using rig = await AgentRig.greeted(1 << 1);
  for (
    const monitors of [
      [],
      Array.from({ length: 17 }, () => ({ width: 1, height: 1 })),
      [{ width: 0, height: 1 }],
      [{ width: 1.5, height: 1 }],
      [{ width: 1, height: 16385 }],
      [{ width: NaN, height: 1 }],
      [{ width: 1, height: 1, x: 2 ** 31 }],
    ]
  ) {
    await assertRejects(() => rig.agent.resize(monitors), RangeError);
  }
  await assertRejects(
    () => rig.agent.resize([{ width: 800, height: 600 }, { width: 0, height: 0 }]),
    SpiceAgentError,
    'lacks "sparseMonitorsConfig"',
  );
  await assertRejects(
    () => rig.agent.clipboard.offer({ text: "x" }),
    SpiceAgentError,
    'lacks "clipboardByDemand"',
  );
});

Deno.test("nothing is sent without a token, and what waits has a deadline", async () => {
  await using rig = await AgentRig.start({ tokens: 1 });
  await rig.guest.receiveStart();
  await rig.guest.receive({ keepTokens: true });
  await rig.guest.announce(1 << 1);
  await rig.agent.connected();
  const size = { width: 800, height: 600 };
  await assertRejects(
    () => rig.agent.resize([size], { timeoutMs: 30 }),
    DeadlineError,
    "within 30 ms",
  );
  const user = new AbortController();
  const given = rig.agent.resize([size], { signal: user.signal });
  user.abort(new Error("enough"));
  await assertRejects(() => given, Error, "enough");
  const third = rig.agent.resize([{ width: 3, height: 3 }]);
  await rig.guest.grant(5);
  const { body } = await rig.guest.receive(); // those that were given up are not sent
  assertEquals(body.subarray(8, 16), le([4, 3], [4, 3]));
  await third;
});

Deno.test("what waits for tokens is bounded", async () => {
  await using rig = await AgentRig.start({ tokens: 1 });
  await rig.guest.receiveStart();
  await rig.guest.receive({ keepTokens: true });
  await rig.guest.announce(1 << 1);
  await rig.agent.connected();
  const size = { width: 800, height: 600 };
  const waiting = Array.from({ length: 64 }, () => rig.agent.resize([size]));
  await assertRejects(() => rig.agent.resize([size]), SpiceAgentError, "reads nothing");
  const settled = Promise.allSettled(waiting);
  await rig.guest.sendMain(108, le([4, 0]));
  for (const { status } of await settled) assertEquals(status, "rejected");
});

Deno.test("tokens beyond any number are no more than many", async () => {
  await using rig = await AgentRig.greeted();
  for (let i = 0; i < 3; i++) await rig.guest.grant(0xffff_ffff);
  const text = "x".repeat(4 * 1024 * 1024);
  await rig.agent.clipboard.offer({ text });
  await rig.guest.receive({ keepTokens: true });
  await rig.guest.send(8, le([4, 0], [4, 1]));
  const { type, body } = await rig.guest.receive({ keepTokens: true });
  assertEquals([type, body.length], [4, 8 + text.length]);
  assertEquals(rig.guest.largest, 2048);
});

Deno.test("an agent that goes fails who waits at once, and the next one starts anew", async () => {
  await using rig = await AgentRig.greeted();
  await rig.guest.send(7, le([4, 0], [4, 0], [4, 1]));
  while (rig.agent.clipboard.formats().length === 0) await pause(1);
  const reading = rig.agent.clipboard.readText();
  await rig.guest.receive();
  // Half a message, which must not become the head of the next agent's.
  await rig.guest.write(agentMessage(4, new Uint8Array(100), { size: 1000 }));
  await rig.guest.sendMain(108, le([4, 0]));
  await assertRejects(() => reading, SpiceAgentError, "the agent has gone");
  assertEquals(rig.agent.caps, undefined);
  assertEquals(rig.agent.clipboard.formats(), []);

  await rig.guest.sendMain(115, le([4, 10]));
  await rig.guest.greet();
  await rig.agent.connected();
  assertEquals(rig.events.map(({ kind }) => kind), [
    "connected",
    "clipboard",
    "clipboard",
    "disconnected",
    "connected",
  ]);
  assertEquals(rig.events[2], { kind: "clipboard", selection: "clipboard", formats: [] });
  const offering = rig.agent.clipboard.offer({ text: "new" });
  const { body } = await rig.guest.receive();
  assertEquals(body, le([4, 0], [4, 0], [4, 1])); // serials start at 0 again
  await offering;
});

Deno.test("an agent that restarts before it has read the greeting is greeted again", async () => {
  await using rig = await AgentRig.start({ tokens: 0 });
  await rig.guest.receiveStart();
  await rig.guest.sendMain(108, le([4, 0]));
  await rig.guest.sendMain(115, le([4, 10]));
  await rig.guest.greet();
  await rig.agent.connected();
});

Deno.test("the session's end fails who waits at once", async () => {
  await using rig = await AgentRig.greeted();
  await rig.guest.send(7, le([4, 0], [4, 0], [4, 1]));
  while (rig.agent.clipboard.formats().length === 0) await pause(1);
  const reading = rig.agent.clipboard.readText();
  rig.guest.close();
  await assertRejects(() => reading, SpiceClosedError, "the server closed the connection");
  await assertRejects(() => rig.agent.connected(), SpiceClosedError);
  await assertRejects(() => rig.agent.resize([{ width: 1, height: 1 }]), SpiceClosedError);
  await assertRejects(() => rig.agent.clipboard.offer({ text: "x" }), SpiceClosedError);
});

Deno.test("connected gives up within its deadline, and when the session ends", async () => {
  await using rig = await AgentRig.start({ connected: false });
  await assertRejects(
    () => rig.agent.connected({ timeoutMs: 10 }),
    DeadlineError,
    "Cannot get an agent in the guest: nothing came within 10 ms",
  );
  const waiting = rig.agent.connected();
  rig.guest.close();
  await assertRejects(() => waiting, SpiceClosedError);
});

Deno.test("the agent's stream is read byte by byte as well", async () => {
  await using rig = await AgentRig.greeted();
  const grab = agentMessage(7, le([4, 1], [4, 0], [4, 1], [4, 2]));
  await rig.guest.write(grab, 1);
  while (rig.events.length < 2) await pause(1);
  assertEquals(rig.events[1], {
    kind: "clipboard",
    selection: "primary",
    formats: ["text", "png"],
  });
});

Deno.test("hostile agent data ends nothing and is counted", async () => {
  await using rig = await AgentRig.greeted();
  const { guest, agent } = rig;
  const grab = agentMessage(7, le([4, 0], [4, 0], [4, 1]));
  const received = agent.stats.received;

  await guest.sendMain(109, new Uint8Array(2049)); // more than one data message holds
  await guest.write(agentMessage(6, le([4, 0]), { protocol: 2 })); // another protocol
  await guest.write(new Uint8Array(100).fill(0xff));
  await guest.write(agentMessage(8, le([4, 0]))); // no format
  await guest.write(agentMessage(7, le([1, 0]))); // half a selection
  await guest.sendMain(109, new Uint8Array());
  while (agent.stats.malformed < 5) await pause(1);

  await guest.write(agentMessage(99, new Uint8Array(5000))); // an unknown type
  await guest.write(agentMessage(10, new Uint8Array(5000))); // a known one that is not used
  await guest.write(agentMessage(6, new Uint8Array(65537))); // too large for its type
  await guest.write(agentMessage(4, new Uint8Array(5000))); // contents that nobody asked for
  while (agent.stats.dropped < 4) await pause(1);

  await guest.write(grab);
  while (rig.events.length < 2) await pause(1);
  assertEquals(agent.stats, { received: received + 1, dropped: 4, malformed: 5, refused: 0 });
  assertEquals(agent.clipboard.formats(), ["text"]);
});

Deno.test("a message of 4 GiB is dropped as it arrives, and nothing else is read from it", async () => {
  await using rig = await AgentRig.greeted();
  const { guest, agent } = rig;
  const block = agentMessage(7, le([4, 0], [4, 0], [4, 1]));
  const before = Deno.memoryUsage().rss;
  await guest.write(agentMessage(4, block, { size: 0xffff_ffff }));
  for (let i = 0; i < 4000; i++) await guest.write(new Uint8Array(2048));
  while (agent.stats.dropped < 1) await pause(1);
  assertEquals(rig.events.length, 1);
  assertLess(Deno.memoryUsage().rss - before, 64 * 1024 * 1024);
  await guest.sendMain(108, le([4, 0])); // the agent's restart ends it
  await guest.sendMain(115, le([4, 10]));
  await guest.greet();
  await agent.connected();
});

Deno.test("a read meets a message that never ends with its deadline", async () => {
  await using rig = await AgentRig.greeted();
  await rig.guest.send(7, le([4, 0], [4, 0], [4, 1]));
  while (rig.agent.clipboard.formats().length === 0) await pause(1);
  const reading = rig.agent.clipboard.read("text", { timeoutMs: 100 });
  await rig.guest.receive();
  await rig.guest.write(agentMessage(4, new Uint8Array(100), { size: 1 << 20 }));
  const error = await assertRejects(() => reading, DeadlineError);
  assertStringIncludes(error.message, "within 100 ms");
});

Deno.test("an agent serves one session", async () => {
  await using rig = await AgentRig.greeted();
  await assertRejects(
    () => SpiceSession.connect(rig.server.target, { onMain: (link) => rig.agent.handlers(link) }),
    TypeError,
    "two sessions",
  );
});
