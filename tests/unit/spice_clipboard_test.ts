import { assertEquals, assertRejects } from "@std/assert";
import { DeadlineError } from "../../lib/base/errors.ts";
import { pause } from "../../lib/base/deadline.ts";
import type { ClipboardFormat } from "../../lib/spice/clipboard.ts";
import { SpiceAgentError } from "../../lib/spice/errors.ts";
import { agentMessage, LINUX_CAPS } from "../fakes/spice_agent.ts";
import { join, le } from "../fakes/spice_server.ts";
import { AgentRig } from "./spice_agent_rig.ts";

const MAX_BYTES = 16 * 1024 * 1024;
const CRLF_CAPS = LINUX_CAPS & ~(1 << 8) | 1 << 9;
const utf8 = (text: string) => new TextEncoder().encode(text);

/** Lets the guest copy something of these formats. */
async function grab(rig: AgentRig, formats: number[], serial = 0, selection = 0): Promise<void> {
  const { clipboard } = rig.agent;
  const names = ["clipboard", "primary", "secondary"] as const;
  await rig.guest.send(
    7,
    le([4, selection], [4, serial], ...formats.map((format) => [4, format] as [4, number])),
  );
  while (clipboard.formats(names[selection]).length === 0) await pause(1);
}

Deno.test("text of the guest is asked for, and only then", async () => {
  await using rig = await AgentRig.greeted();
  await grab(rig, [1]);
  const reading = rig.agent.clipboard.readText();
  assertEquals(await rig.guest.receive(), { type: 8, body: le([4, 0], [4, 1]) });
  await rig.guest.send(4, le([4, 0], [4, 1]), utf8("Grüße, 世界 🎉\nzwei\0"));
  assertEquals(await reading, "Grüße, 世界 🎉\nzwei");
});

Deno.test("text of a guest with CRLF has LF here, and the other way round", async () => {
  await using rig = await AgentRig.greeted(CRLF_CAPS);
  await grab(rig, [1]);
  const reading = rig.agent.clipboard.readText();
  await rig.guest.receive();
  await rig.guest.send(4, le([4, 0], [4, 1]), utf8("one\r\ntwo\r\n"));
  assertEquals(await reading, "one\ntwo\n");

  await rig.agent.clipboard.offer({ text: "one\ntwo\r\n" });
  await rig.guest.receive();
  await rig.guest.send(8, le([4, 0], [4, 1]));
  const { body } = await rig.guest.receive();
  assertEquals(new TextDecoder().decode(body.subarray(8)), "one\r\ntwo\r\n");
});

Deno.test("pictures are passed on as they are, in every selection", async () => {
  await using rig = await AgentRig.greeted();
  const formats: ClipboardFormat[] = ["png", "bmp", "tiff", "jpeg"];
  for (const [i, format] of formats.entries()) {
    for (const [selection, name] of (["clipboard", "primary", "secondary"] as const).entries()) {
      await grab(rig, [2, 3, 4, 5], i, selection);
      const reading = rig.agent.clipboard.read(format, { selection: name });
      assertEquals((await rig.guest.receive()).body, le([4, selection], [4, i + 2]));
      const bytes = Uint8Array.of(0, 255, i, selection);
      await rig.guest.send(4, le([4, selection], [4, i + 2]), bytes);
      assertEquals(await reading, bytes);
    }
  }
});

Deno.test("what the guest does not hold is not asked for", async () => {
  await using rig = await AgentRig.greeted();
  const { clipboard } = rig.agent;
  await assertRejects(() => clipboard.readText(), SpiceAgentError, "it is empty");
  await grab(rig, [2, 99, 2, 3]);
  assertEquals(clipboard.formats(), ["png", "bmp"]);
  await assertRejects(() => clipboard.readText(), SpiceAgentError, "it holds png, bmp, not text");
  await rig.guest.send(9, le([4, 0]));
  while (clipboard.formats().length > 0) await pause(1);
  assertEquals(rig.events.at(-1), { kind: "clipboard", selection: "clipboard", formats: [] });
  await assertRejects(() => clipboard.read("png"), SpiceAgentError, "it is empty");
});

Deno.test("a refusal, a wrong answer and silence end a read", async () => {
  await using rig = await AgentRig.greeted();
  const { clipboard } = rig.agent;
  await grab(rig, [1]);
  const refused = clipboard.readText();
  await rig.guest.receive();
  await rig.guest.send(4, le([4, 1], [4, 1]), utf8("of another selection"));
  await rig.guest.send(4, le([4, 0], [4, 2]), utf8("of another format"));
  await rig.guest.send(4, le([4, 0], [4, 0]));
  await assertRejects(() => refused, SpiceAgentError, "the guest does not give it");

  const nothing = clipboard.readText();
  await rig.guest.receive();
  await rig.guest.send(4, le([4, 0], [4, 1]));
  await assertRejects(() => nothing, SpiceAgentError, "it is empty, or has more than 16777216");

  await assertRejects(
    () => clipboard.readText({ timeoutMs: 20 }),
    DeadlineError,
    "Cannot get the guest's clipboard: nothing came within 20 ms",
  );
  await rig.guest.receive();
  const user = new AbortController();
  const given = clipboard.readText({ signal: user.signal });
  await rig.guest.receive();
  user.abort(new Error("enough"));
  await assertRejects(() => given, Error, "enough");
});

Deno.test("reads wait for their turn, each with its own deadline", async () => {
  await using rig = await AgentRig.greeted();
  const { clipboard } = rig.agent;
  await grab(rig, [1, 2]);
  const first = clipboard.readText();
  const second = clipboard.readText({ timeoutMs: 30 });
  const third = clipboard.read("png");
  await assertRejects(() => second, DeadlineError);
  assertEquals((await rig.guest.receive()).body, le([4, 0], [4, 1]));
  await rig.guest.send(4, le([4, 0], [4, 1]), utf8("first"));
  assertEquals(await first, "first");
  assertEquals((await rig.guest.receive()).body, le([4, 0], [4, 2]));
  await rig.guest.send(4, le([4, 0], [4, 2]), Uint8Array.of(3));
  assertEquals(await third, Uint8Array.of(3));
});

Deno.test("16 MiB come from the guest, and one byte more is refused at its head", async () => {
  await using rig = await AgentRig.greeted();
  const { clipboard } = rig.agent;
  await grab(rig, [2]);
  const largest = clipboard.read("png");
  await rig.guest.receive();
  const body = new Uint8Array(8 + MAX_BYTES).fill(0x5a);
  body.set(le([4, 0], [4, 2]));
  const writing = rig.guest.write(agentMessage(4, body));
  assertEquals((await largest).length, MAX_BYTES);
  await writing;

  const tooLarge = clipboard.read("png");
  await rig.guest.receive();
  await rig.guest.write(agentMessage(4, le([4, 0], [4, 2]), { size: MAX_BYTES + 9 }));
  await assertRejects(() => tooLarge, SpiceAgentError, "it has 16777225 bytes");
});

Deno.test("an offer is told with its formats, and given on request only", async () => {
  await using rig = await AgentRig.greeted();
  await rig.agent.clipboard.offer({
    text: () => Promise.resolve("späte Antwort"),
    png: Uint8Array.of(1, 2, 3),
  });
  assertEquals(await rig.guest.receive(), { type: 7, body: le([4, 0], [4, 0], [4, 1], [4, 2]) });
  await rig.guest.send(8, le([4, 0], [4, 1]));
  await rig.guest.send(8, le([4, 0], [4, 2]));
  await rig.guest.send(8, le([4, 0], [4, 5])); // not offered
  await rig.guest.send(8, le([4, 1], [4, 1])); // of a selection that is not ours
  const answers = [
    join(le([4, 0], [4, 1]), utf8("späte Antwort")),
    join(le([4, 0], [4, 2]), Uint8Array.of(1, 2, 3)),
    le([4, 0], [4, 0]),
    le([4, 1], [4, 0]),
  ];
  for (const body of answers) assertEquals(await rig.guest.receive(), { type: 4, body });
  assertEquals(rig.agent.stats.refused, 2);
});

Deno.test("what is no longer offered is not given", async () => {
  await using rig = await AgentRig.greeted();
  const { clipboard } = rig.agent;
  const none = { type: 4, body: le([4, 0], [4, 0]) };
  await clipboard.offer({ text: "mine" });
  await rig.guest.receive();
  await clipboard.release();
  assertEquals(await rig.guest.receive(), { type: 9, body: le([4, 0]) });
  await rig.guest.send(8, le([4, 0], [4, 1]));
  assertEquals(await rig.guest.receive(), none);
  await clipboard.release(); // nothing to let go of

  const late = Promise.withResolvers<string>();
  await clipboard.offer({ text: () => late.promise });
  assertEquals((await rig.guest.receive()).body, le([4, 0], [4, 1], [4, 1]));
  await rig.guest.send(8, le([4, 0], [4, 1]));
  await grab(rig, [1], 2); // the guest copies something meanwhile
  late.resolve("too late");
  assertEquals(await rig.guest.receive(), none);
  await rig.guest.send(8, le([4, 0], [4, 1]));
  assertEquals(await rig.guest.receive(), none);
});

Deno.test("contents that come after their agent has gone do not reach the next one", async () => {
  await using rig = await AgentRig.greeted();
  const late = Promise.withResolvers<string>();
  const asked = Promise.withResolvers<void>();
  await rig.agent.clipboard.offer({
    text: () => {
      asked.resolve();
      return late.promise;
    },
  });
  await rig.guest.receive();
  await rig.guest.send(8, le([4, 0], [4, 1]));
  await asked.promise;
  await rig.guest.sendMain(108, le([4, 0]));
  await rig.guest.sendMain(115, le([4, 10]));
  await rig.guest.greet();
  await rig.agent.connected();
  late.resolve("secret");
  await pause(5);
  await rig.agent.resize([{ width: 1, height: 1 }]);
  assertEquals((await rig.guest.receive()).type, 2);
});

Deno.test("a supplier that fails is a refusal", async () => {
  await using rig = await AgentRig.greeted();
  await rig.agent.clipboard.offer({
    text: () => Promise.reject(new Error("no")),
    png: () => new Uint8Array(MAX_BYTES + 1),
  });
  await rig.guest.receive();
  for (const format of [1, 2] as const) {
    await rig.guest.send(8, le([4, 0], [4, format]));
    assertEquals((await rig.guest.receive()).body, le([4, 0], [4, 0]));
  }
  assertEquals(rig.agent.stats.refused, 2);
});

Deno.test("offers beyond the limit, and of nothing, are refused", async () => {
  await using rig = await AgentRig.greeted();
  const { clipboard } = rig.agent;
  await assertRejects(
    () => clipboard.offer({ text: "é".repeat(MAX_BYTES / 2 + 1) }),
    SpiceAgentError,
    "it has 16777218 bytes, expected at most 16777216",
  );
  await assertRejects(() => clipboard.offer({}), RangeError, "without contents");
  assertEquals(rig.events.length, 1);
});

Deno.test("a grab that crossed ours lost, by its serial", async () => {
  await using rig = await AgentRig.greeted();
  const { clipboard } = rig.agent;
  await clipboard.offer({ text: "ours" });
  await rig.guest.receive();
  await rig.guest.send(7, le([4, 0], [4, 0], [4, 1])); // made before it knew of ours
  await rig.guest.send(8, le([4, 0], [4, 1]));
  assertEquals((await rig.guest.receive()).body.subarray(8), utf8("ours"));
  assertEquals(clipboard.formats(), []);
  await grab(rig, [2], 1); // made after
  await clipboard.offer({ text: "ours again" });
  assertEquals((await rig.guest.receive()).body, le([4, 0], [4, 2], [4, 1]));
});

Deno.test("an agent without selections and serials has one clipboard", async () => {
  await using rig = await AgentRig.greeted(1 << 5);
  const { clipboard } = rig.agent;
  await rig.guest.send(7, le([4, 1]));
  while (clipboard.formats().length === 0) await pause(1);
  const reading = clipboard.readText();
  assertEquals((await rig.guest.receive()).body, le([4, 1]));
  await rig.guest.send(4, le([4, 1]), utf8("x"));
  assertEquals(await reading, "x");
  await clipboard.offer({ text: "y" });
  assertEquals((await rig.guest.receive()).body, le([4, 1]));
  await assertRejects(
    () => clipboard.offer({ text: "y" }, { selection: "primary" }),
    SpiceAgentError,
    'lacks "clipboardSelection"',
  );
});

Deno.test("a flood of requests is answered one by one, and dropped beyond a few", async () => {
  await using rig = await AgentRig.greeted();
  await rig.agent.clipboard.offer({ text: "x".repeat(1024 * 1024) });
  await rig.guest.receive();
  const received = rig.agent.stats.received;
  for (let i = 0; i < 200; i++) await rig.guest.send(8, le([4, 0], [4, 1]));
  while (rig.agent.stats.received < received + 200) await pause(1);
  assertEquals(rig.agent.stats.refused, 200 - 17); // one is being answered, 16 wait
  for (let i = 0; i < 17; i++) assertEquals((await rig.guest.receive()).body.length, 1048584);
});

Deno.test("a grab of an unknown selection, and of a list without end, is harmless", async () => {
  await using rig = await AgentRig.greeted();
  await rig.guest.send(7, le([4, 3], [4, 0], [4, 1]));
  await rig.guest.send(7, join(le([4, 0], [4, 0]), new Uint8Array(60_000).fill(1)));
  await rig.guest.send(7, le([4, 0], [4, 1], [4, 1]));
  while (rig.agent.clipboard.formats().length === 0) await pause(1);
  assertEquals(rig.events.slice(1), [
    { kind: "clipboard", selection: "clipboard", formats: [] },
    { kind: "clipboard", selection: "clipboard", formats: ["text"] },
  ]);
});

Deno.test("text that has become too large for the guest's lines is a refusal", async () => {
  await using rig = await AgentRig.greeted();
  await rig.agent.clipboard.offer({ text: "\n".repeat(MAX_BYTES / 2 + 1) });
  await rig.guest.receive();
  await rig.guest.announce(CRLF_CAPS); // each line needs two bytes from now on
  for (let n = 1; n <= 2; n++) {
    await rig.guest.send(8, le([4, 0], [4, 1]));
    assertEquals(await rig.guest.receive(), { type: 4, body: le([4, 0], [4, 0]) });
    assertEquals(rig.agent.stats.refused, n);
  }
});
