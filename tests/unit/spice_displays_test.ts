/** Displays of a session that come later, go alone and come back, and how large their messages are. */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { pause } from "../../lib/base/deadline.ts";
import { SpiceChannel } from "../../lib/spice/channel.ts";
import { displaySetup } from "../../lib/spice/display_channel.ts";
import { SpiceLimitError } from "../../lib/spice/errors.ts";
import { MessageMemory } from "../../lib/spice/memory.ts";
import {
  type OfferedChannel,
  type SpiceEvent,
  SpiceSession,
  type SpiceWarning,
} from "../../lib/spice/session.ts";
import { SpiceStream } from "../../lib/spice/transport.ts";
import { FedConnection } from "../fakes/spice_replay.ts";
import {
  channelsList,
  FakeSpiceServer,
  framed,
  INIT,
  join,
  le,
  type Script,
  serveDisplay,
} from "../fakes/spice_server.ts";

const brief = ({ channel, id, state }: SpiceEvent) => `${channel} ${id} ${state}`;

/** Collects events, and waits for one. */
class Events {
  readonly all: string[] = [];
  readonly add = (event: SpiceEvent) => void this.all.push(brief(event));

  async until(text: string, count = 1): Promise<void> {
    const end = performance.now() + 5000;
    while (this.all.filter((it) => it === text).length < count) {
      assert(performance.now() < end, `no ${text} in ${this.all}`);
      await pause(2);
    }
  }
}

/** Main that lists `first`, and each list of `later` when the test lets it. */
function lists(first: Uint8Array, later: Promise<Uint8Array>): Script {
  return async (connection) => {
    await connection.write(INIT);
    await connection.receive();
    await connection.write(first);
    await connection.write(await later);
    await connection.drain();
  };
}

Deno.test("a session that links a display by itself does not offer scanouts", async () => {
  const glScanout = 1 << 7;
  let caps = -1;
  await using server = await FakeSpiceServer.start({
    async display(connection) {
      ({ caps } = connection);
      await serveDisplay(connection);
    },
  });
  await using _session = await SpiceSession.connect(server.target, { gl: true });
  assertEquals([caps > 0, caps & glScanout], [true, 0]);
});

Deno.test("a display that the server has later is linked by itself, others are offered", async () => {
  const later = Promise.withResolvers<Uint8Array>();
  await using server = await FakeSpiceServer.start({
    main: lists(channelsList([2, 0]), later.promise),
  });
  const events = new Events();
  const offered: OfferedChannel[] = [];
  await using session = await SpiceSession.connect(server.target, {
    onEvent: events.add,
    onOffered: (channel) => offered.push(channel),
  });
  later.resolve(channelsList([2, 0], [2, 1], [9, 3]));
  await events.until("display 1 up");
  assertEquals(offered, [
    { channel: "display", type: 2, id: 1 },
    { channel: "usbredir", type: 9, id: 3 },
  ]);
  assertEquals(session.channels.toSorted(), ["display", "display-1", "main"]);
});

Deno.test("a later display that cannot be linked is told, and the session goes on", async () => {
  const later = Promise.withResolvers<Uint8Array>();
  await using server = await FakeSpiceServer.start({
    main: lists(channelsList([2, 0]), later.promise),
    result: ({ link }) => link.type === 2 && link.id === 1 ? 9 : 0,
  });
  const warned = Promise.withResolvers<SpiceWarning>();
  await using session = await SpiceSession.connect(server.target, { onWarning: warned.resolve });
  later.resolve(channelsList([2, 1]));
  const { channel, text } = await warned.promise;
  assertEquals(channel, "display-1");
  assertStringIncludes(text, "the display is not shown: Cannot link the display-1 channel");
  assertEquals(session.channels, ["main", "display"]);
});

Deno.test("later displays are linked up to sixteen", async () => {
  const later = Promise.withResolvers<Uint8Array>();
  const many = channelsList(...Array.from({ length: 20 }, (_, id) => [2, id] as [number, number]));
  await using server = await FakeSpiceServer.start({ main: lists(channelsList(), later.promise) });
  const events = new Events();
  const warnings: SpiceWarning[] = [];
  await using session = await SpiceSession.connect(server.target, {
    onEvent: events.add,
    onWarning: (warning) => warnings.push(warning),
  });
  later.resolve(many);
  for (let id = 0; id < 16; id++) await events.until(`display ${id} up`);
  assertEquals(session.channels.length, 1 + 16);
  assertEquals(
    warnings.map(({ channel }) => channel),
    [16, 17, 18, 19].map((id) => `display-${id}`),
  );
  assertStringIncludes(warnings[0]!.text, "expected at most 16");
});

/** A display that leaves when the test says so. */
function leaving(leave: (times: number) => Promise<void> | undefined): Script {
  let times = 0;
  return async (connection) => {
    await connection.receive();
    await connection.send(3, le([4, 1], [4, 20]));
    const left = leave(++times);
    if (left) await left;
    else await connection.drain();
  };
}

Deno.test("a display that closes alone is linked again, with handlers of its own", async () => {
  const leave = Promise.withResolvers<void>();
  await using server = await FakeSpiceServer.start({
    display: leaving((times) => times === 1 ? leave.promise : undefined),
  });
  const events = new Events();
  let handlers = 0;
  await using session = await SpiceSession.connect(server.target, {
    onEvent: events.add,
    onDisplay: () => (handlers++, {}),
  });
  leave.resolve();
  await events.until("display 0 up", 2);
  assertEquals(events.all.slice(2), [
    "display 0 linked",
    "display 0 up",
    "display 0 closed",
    "display 0 linked",
    "display 0 up",
  ]);
  assertEquals([handlers, session.channels.toSorted()], [2, ["display", "main"]]);
});

Deno.test("a display that closes all the time is left alone, and that is told", async () => {
  const attached = Promise.withResolvers<void>();
  await using server = await FakeSpiceServer.start({ display: leaving(() => attached.promise) });
  const warned = Promise.withResolvers<SpiceWarning>();
  const events = new Events();
  await using session = await SpiceSession.connect(server.target, {
    onEvent: events.add,
    onWarning: ({ channel, text }) => {
      if (text.includes("not linked again")) warned.resolve({ channel, text });
    },
  });
  attached.resolve();
  assertStringIncludes((await warned.promise).text, "has ended 4 times");
  assertEquals(session.channels, ["main"]);
  assertEquals(events.all.filter((it) => it === "display 0 closed").length, 4);
});

Deno.test("the end of a session ends the wait for a display", async () => {
  const leave = Promise.withResolvers<void>();
  await using server = await FakeSpiceServer.start({ display: leaving(() => leave.promise) });
  const events = new Events();
  const session = await SpiceSession.connect(server.target, { onEvent: events.add });
  leave.resolve();
  await events.until("display 0 closed");
  const started = performance.now();
  await session[Symbol.asyncDispose]();
  assert(performance.now() - started < 150);
});

Deno.test("what is not understood is told once for each kind", async () => {
  const attached = Promise.withResolvers<void>();
  await using server = await FakeSpiceServer.start({
    async display(connection) {
      await connection.receive();
      await attached.promise;
      const broken = framed(314, new Uint8Array(3));
      await connection.write(join(framed(999), framed(999), broken, broken, framed(103)));
      await connection.drain();
    },
  });
  const warnings: SpiceWarning[] = [];
  attached.resolve();
  const done = Promise.withResolvers<void>();
  await using session = await SpiceSession.connect(server.target, {
    onWarning: (warning) => warnings.push(warning),
    onDisplay: () => ({ reset: () => done.resolve() }),
  });
  await done.promise;
  assertEquals(warnings.map(({ channel }) => channel), ["display", "display"]);
  assertEquals(warnings[0]!.text, "message 999 is not known");
  assertStringIncludes(warnings[1]!.text, "message 314 is broken: Cannot read 4 bytes at offset 0");
  const { malformed, unknown } = session.stats.get("display")!;
  assertEquals([malformed, [...unknown]], [2, [[999, 2]]]);
});

const surface = (id: number, width: number, height: number) =>
  framed(314, le([4, id], [4, width], [4, height], [4, 32], [4, 1]));
const headerOf = (type: number, size: number) => le([2, type], [4, size]);
const MIB = 1024 * 1024;

/** Feeds a display with `messages` and returns how it ended. */
async function display(messages: Uint8Array[], memory?: MessageMemory) {
  const feed = new FedConnection();
  const { maxBytes, waitsBefore, routes } = displaySetup({ onDisplay: () => ({ draw_copy() {} }) });
  const channel = new SpiceChannel(new SpiceStream(feed), {
    name: "display",
    maxBytes,
    waitsBefore: waitsBefore ?? [],
    routes,
    ...memory ? { memory } : {},
  });
  for (const message of messages) feed.push(message);
  feed.end();
  return await channel.run();
}

Deno.test("a display's messages may be as large as its largest surface", async () => {
  for (
    const [surfaces, most] of [
      [[], 16 * MIB],
      [[surface(0, 64, 64)], 16 * MIB],
      [[surface(0, 4096, 2160)], 4096 * 2160 * 4 + 65_536],
      [[surface(0, 4096, 2160), surface(3, 5000, 5000)], 100_000_000 + 65_536],
      [[surface(3, 5000, 5000), framed(315, le([4, 3]))], 16 * MIB],
      [[surface(3, 5000, 5000), surface(3, 10, 10)], 16 * MIB], // made anew, smaller
      [[surface(0, 8192, 8192)], 256 * MIB + 65_536],
      [[surface(0, 8192, 8193)], 16 * MIB], // larger than any that is made
      [[surface(0, 0xffff_ffff, 0xffff_ffff)], 16 * MIB],
    ] as const
  ) {
    const inside = await display([...surfaces, headerOf(304, most)]);
    assertEquals([inside.by, inside.text.includes("inside a message")], ["server", true]);
    const beyond = await display([...surfaces, headerOf(304, most + 1)]);
    assertInstanceOf(beyond.error, SpiceLimitError);
    assertStringIncludes(beyond.text, `has ${most + 1} bytes, expected at most ${most}`);
  }
});

Deno.test("surfaces without end do not take memory without end", async () => {
  const many = Array.from({ length: 5000 }, (_, id) => surface(id, 2, 2));
  assertEquals((await display([join(...many), headerOf(304, 16 * MIB + 1)])).by, "error");
});

Deno.test("messages of all channels together have a limit, and give their memory back", async () => {
  const memory = new MessageMemory(3 * MIB);
  const part = new Uint8Array(2 * MIB);
  const cut = [headerOf(304, 4 * MIB), part];
  assertEquals((await display(cut, memory)).by, "server");
  assertEquals(memory.taken, 0);

  memory.take(2 * MIB); // another channel
  const end = await display(cut, memory);
  assertInstanceOf(end.error, SpiceLimitError);
  assertStringIncludes(end.text, "all channels together");
  assertEquals(memory.taken, 2 * MIB);
});

Deno.test("a body that is complete gives its memory back at once", async () => {
  const memory = new MessageMemory();
  const feed = new FedConnection();
  const { routes } = displaySetup({ onDisplay: () => ({ draw_copy() {} }) });
  const channel = new SpiceChannel(new SpiceStream(feed), {
    name: "display",
    maxBytes: 16 * MIB,
    routes,
    memory,
  });
  const running = channel.run();
  feed.push(headerOf(304, MIB));
  feed.push(new Uint8Array(MIB - 1));
  await feed.idle();
  assert(memory.taken >= MIB - 1 && memory.taken <= MIB, `${memory.taken}`);
  feed.push(new Uint8Array(1));
  await feed.idle();
  assertEquals(memory.taken, 0);
  feed.end();
  await running;
});
