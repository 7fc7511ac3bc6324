import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import fc from "fast-check";
import { pause } from "../../lib/base/deadline.ts";
import { AckWindow } from "../../lib/spice/ack_window.ts";
import { type ChannelOptions, SpiceChannel } from "../../lib/spice/channel.ts";
import { routes } from "../../lib/spice/message_routes.ts";
import type { SpiceNotice } from "../../lib/spice/channel_link.ts";
import { SpiceError } from "../../lib/base/errors.ts";
import { fixedBytes } from "../../lib/spice/codec.ts";
import { SpiceClosedError, SpiceLimitError, SpiceTimeoutError } from "../../lib/spice/errors.ts";
import { DISPLAY_MESSAGES } from "../../lib/spice/display_messages.ts";
import { MAIN_MESSAGES } from "../../lib/spice/main_messages.ts";
import { type Connection, SpiceStream } from "../../lib/spice/transport.ts";
import { FakeConnection, framed, join, le, socketPair } from "../fakes/spice_server.ts";

/** A running channel and the server's end of it. */
class Rig implements AsyncDisposable {
  readonly channel: SpiceChannel;
  readonly server: FakeConnection;
  readonly end: ReturnType<SpiceChannel["run"]>;

  constructor(
    client: Deno.Conn,
    server: Deno.Conn,
    options: Partial<ChannelOptions>,
    slow = false,
  ) {
    this.server = new FakeConnection(server, slow);
    this.channel = new SpiceChannel(new SpiceStream(client), {
      name: "display",
      routes: routes({}, {}),
      maxBytes: 1 << 28,
      ...options,
    });
    this.end = this.channel.run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.channel.close("the test is over");
    await this.end;
    this.server.close();
  }
}

async function start(options: Partial<ChannelOptions> = {}, slow = false): Promise<Rig> {
  return new Rig(...await socketPair(), options, slow);
}

/** A message that does not fit into a socket's buffers. */
const LARGE_BYTES = 900_000;
const LARGE = { id: 1, body: fixedBytes(LARGE_BYTES) };

const setAck = (generation: number, window: number) => framed(3, le([4, generation], [4, window]));
const notify = (text: string) =>
  framed(
    7,
    join(
      le([8, 0], [4, 1], [4, 2], [4, 0], [4, text.length]),
      new TextEncoder().encode(`${text}\0`),
    ),
  );

Deno.test("AckWindow asks for an ACK exactly once a window", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 0, max: 3000 }), (window, n) => {
      const ack = new AckWindow();
      ack.reset(window);
      let acks = 0;
      let unacknowledged = 0;
      for (let i = 0; i < n; i++) {
        if (++unacknowledged > 2 * window) throw new Error("the server would have stopped");
        if (!ack.count()) continue;
        acks++;
        unacknowledged -= window;
      }
      assertEquals(acks, Math.floor(n / window));
    }),
  );
});

Deno.test("AckWindow asks for nothing before SET_ACK, and with a window of 0", () => {
  const ack = new AckWindow();
  assertEquals(ack.count(), false);
  ack.reset(0);
  for (let i = 0; i < 100; i++) assertEquals(ack.count(), false);
  ack.reset(1);
  assertEquals(ack.count(), true);
});

Deno.test("SET_ACK is answered with its generation and counts as the first message", async () => {
  await using rig = await start();
  await rig.server.write(join(setAck(7, 3), framed(102), framed(102), framed(102)));
  assertEquals(await rig.server.receive(), { type: 1, body: le([4, 7]) });
  assertEquals(await rig.server.receive(), { type: 2, body: new Uint8Array() });
  await rig.server.write(setAck(8, 2)); // starts anew
  assertEquals(await rig.server.receive(), { type: 1, body: le([4, 8]) });
  await rig.server.write(framed(102));
  assertEquals(await rig.server.receive(), { type: 2, body: new Uint8Array() });
});

Deno.test("no ACK is lost over ten thousand messages of mixed sizes", async () => {
  const WINDOW = 20;
  const MESSAGES = 10_000;
  await using rig = await start();
  await rig.server.write(setAck(1, WINDOW));
  await rig.server.receive();
  let acks = 0;
  const receiving = (async () => {
    while (acks < MESSAGES / WINDOW) {
      assertEquals((await rig.server.receive()).type, 2);
      acks++;
    }
  })();
  const block = join(
    ...Array.from({ length: 100 }, (_, i) => framed(300 + i, new Uint8Array(i * i % 997))),
  );
  for (let sent = 0; sent < MESSAGES; sent += 100) await rig.server.write(block);
  await receiving;
  assertEquals(acks, MESSAGES / WINDOW);
  assertEquals(rig.channel.stats.messages, MESSAGES + 1);
  assertEquals(rig.channel.stats.acks, acks);
});

Deno.test("PING is answered with id and time, whatever its padding", async () => {
  await using rig = await start();
  const head = le([4, 9], [8, 0x1122334455667788n]);
  for (const padding of [0, 1, 250_000]) {
    const writing = rig.server.write(framed(4, join(head, new Uint8Array(padding))));
    assertEquals(await rig.server.receive(), { type: 3, body: head });
    await writing;
  }
});

Deno.test("answers of one turn leave together, in order", async () => {
  await using rig = await start();
  const pings = Array.from({ length: 50 }, (_, i) => framed(4, le([4, i], [8, 0])));
  await rig.server.write(join(...pings));
  for (let i = 0; i < 50; i++) {
    assertEquals((await rig.server.receive()).body, le([4, i], [8, 0]));
  }
});

Deno.test("NOTIFY reaches the user with its text made safe", async () => {
  const got = Promise.withResolvers<SpiceNotice>();
  await using rig = await start({ onNotice: got.resolve });
  await rig.server.write(notify("keyboard\u001b channel"));
  assertEquals(await got.promise, {
    channel: "display",
    severity: "warn",
    text: "keyboard\ufffd channel",
  });
});

Deno.test("messages are handled by name, byte by byte", async () => {
  const got = Promise.withResolvers<unknown>();
  await using rig = await start({
    routes: routes(MAIN_MESSAGES, { mouse_mode: got.resolve }),
  }, true);
  await rig.server.write(join(framed(108, new Uint8Array(4)), framed(105, le([2, 3], [2, 1]))));
  assertEquals(await got.promise, { supported: 3, current: 1 });
  assertEquals(rig.channel.stats.unknown.size, 0);
});

Deno.test("unknown ids are skipped and counted, each by itself", async () => {
  await using rig = await start();
  await rig.server.write(join(framed(999, new Uint8Array(5)), framed(999), framed(1000)));
  await settle(rig);
  assertEquals([...rig.channel.stats.unknown], [[999, 2], [1000, 1]]);
});

/** Waits until the channel has read everything that was written. */
async function settle(rig: Rig): Promise<void> {
  await rig.server.write(framed(4, new Uint8Array(12)));
  while ((await rig.server.receive()).type !== 3) { /* ACKs */ }
}

Deno.test("LIST dispatches the messages inside it", async () => {
  const texts: string[] = [];
  await using rig = await start({ onNotice: ({ text }) => texts.push(text) });
  const [a, b] = [notify("one"), notify("two")];
  const head = 2 + 2 * 4;
  await rig.server.send(8, join(le([2, 2], [4, head], [4, head + a.length]), a, b));
  await settle(rig);
  assertEquals(texts, ["one", "two"]);
});

Deno.test("LIST is refused when it lies about what is inside", async () => {
  await using rig = await start({ onNotice: () => assert(false, "nothing is in there") });
  const a = notify("x");
  const bodies = [
    new Uint8Array(1),
    le([2, 0xffff]),
    le([2, 1], [4, 0xffff_ffff]),
    join(le([2, 1], [4, 0]), a), // points at itself
    join(le([2, 1], [4, 6]), a.subarray(0, 5)),
    join(le([2, 1], [4, 6]), a.subarray(0, a.length - 2)),
    join(le([2, 1], [4, 6]), framed(8, le([2, 0]))), // a list in a list
  ];
  for (const body of bodies) await rig.server.send(8, body);
  await settle(rig);
  assertEquals(rig.channel.stats.malformed, bodies.length);
});

Deno.test("LIST is read as libspice-server writes it: backwards, with sizes that are too large", async () => {
  const seen: string[] = [];
  await using rig = await start({
    routes: routes(DISPLAY_MESSAGES, {
      inval_list: ({ items }) => seen.push(`inval ${items.map(({ id }) => id.toString(16))}`),
    }),
    waitFor: (awaited) => void seen.push(`wait ${awaited.map(({ serial }) => serial)}`),
  });
  // Recorded: two parts, the second of which stands first, of 40 and 24 bytes according to them.
  const body = "0200240000000a00000069002800000002000100000000e0227d3b010000000084e6f15e" +
    "0500180000000102010800000000000000";
  await rig.server.send(8, Uint8Array.fromHex(body));
  await settle(rig);
  assertEquals(seen, ["wait 8", "inval 3b7d22e000000000,5ef1e68400000000"]);
  assertEquals(rig.channel.stats.malformed, 0);
});

Deno.test("LIST that names one message a thousand times reads it a few times", async () => {
  let texts = 0;
  await using rig = await start({ onNotice: () => void texts++ });
  const count = 1000;
  const head = 2 + 4 * count;
  const long = notify("x".repeat(40_000));
  const offsets = Array.from({ length: count }, () => [4, head] as [4, number]);
  await rig.server.send(8, join(le([2, count], ...offsets), long));
  await settle(rig);
  assertLess(texts, 5);
  assertLess(rig.channel.stats.malformed, 4);
});

Deno.test("a hundred broken messages end the channel, ninety-nine do not", async () => {
  await using rig = await start();
  for (let i = 0; i < 99; i++) await rig.server.send(3, new Uint8Array(7));
  await settle(rig);
  await rig.server.send(3, new Uint8Array(7));
  const end = await rig.end;
  assertInstanceOf(end.error, SpiceClosedError);
  assertStringIncludes(end.text, "100 messages are broken");
});

Deno.test("a message beyond the limit ends the channel at its header", async () => {
  for (
    const [type, size] of [[304, 0x1000_0001], [304, 0xffff_ffff], [4, 524_289], [7, 65_537], [
      8,
      65_537,
    ]] as const
  ) {
    await using rig = await start();
    await rig.server.write(le([2, type], [4, size]));
    const end = await rig.end;
    assertEquals(end.by, "error");
    assertInstanceOf(end.error, SpiceLimitError);
    assertStringIncludes(end.text, `message ${type} has ${size} bytes`);
  }
});

Deno.test("a large message is dropped in the memory that is there", async () => {
  await using rig = await start();
  const size = 200 * 1024 * 1024;
  await settle(rig);
  const memory = () => Deno.memoryUsage().external;
  const before = memory();
  await rig.server.write(le([2, 304], [4, size]));
  const chunk = new Uint8Array(1 << 20);
  let most = 0;
  for (let sent = 0; sent < size; sent += chunk.length) {
    await rig.server.write(chunk);
    most = Math.max(most, memory() - before);
  }
  await settle(rig);
  assertLess(most, 32 * 1024 * 1024);
  assertEquals(rig.channel.stats.malformed + rig.channel.stats.unknown.size, 1); // 304 is not in {}
});

Deno.test("a server that floods and does not read is given up", async () => {
  await using rig = await start();
  const pings = join(...Array.from({ length: 1000 }, () => framed(4, new Uint8Array(12))));
  const flooding = (async () => {
    for (let i = 0; i < 1000; i++) await rig.server.write(pings);
  })().catch(() => {});
  const end = await rig.end;
  assertInstanceOf(end.error, SpiceLimitError);
  assertStringIncludes(end.text, "has not read the last");
  await flooding;
});

Deno.test("endIfStalled ends a channel that stands inside a message, and only that", async () => {
  await using rig = await start();
  await settle(rig);
  rig.channel.endIfStalled(5);
  rig.channel.endIfStalled(5); // silence between messages is fine
  await rig.server.write(framed(102).subarray(0, 3));
  while (rig.channel.stats.bytes % 6 === 0) await pause(1);
  rig.channel.endIfStalled(5); // the first look at these bytes
  rig.channel.endIfStalled(5);
  const end = await rig.end;
  assertInstanceOf(end.error, SpiceTimeoutError);
  assertStringIncludes(end.text, "stopped inside a message for 5 ms");
});

Deno.test("endIfStalled ends a channel whose server reads nothing", async () => {
  await using rig = await start();
  rig.channel.send(LARGE, new Uint8Array(LARGE_BYTES));
  await pause(20); // the socket is full now
  rig.channel.endIfStalled(5);
  rig.channel.endIfStalled(5);
  const end = await rig.end;
  assertInstanceOf(end.error, SpiceTimeoutError);
  assertStringIncludes(end.text, "the server reads nothing");
});

Deno.test("run says how the server left", async () => {
  for (
    const [bytes, text] of [
      [new Uint8Array(), "the server closed the connection"],
      [Uint8Array.of(1), "the server closed the connection inside a message"],
      [framed(6, le([8, 0], [4, 7])), "the server disconnected with PERMISSION_DENIED"],
    ] as const
  ) {
    await using rig = await start();
    await rig.server.write(bytes);
    rig.server.close();
    assertEquals(await rig.end, { by: "server", text });
  }
});

Deno.test("close ends a channel at once, with a write under way too", async () => {
  await using rig = await start();
  rig.channel.send(LARGE, new Uint8Array(LARGE_BYTES));
  await pause(10); // the socket is full now
  const started = performance.now();
  rig.channel.close("enough");
  assertEquals(await rig.end, { by: "client", text: "enough" });
  assertLess(performance.now() - started, 500);
});

Deno.test("a defect in a handler ends the channel and is kept", async () => {
  const defect = new TypeError("a defect");
  await using rig = await start({
    onFirstMessage() {
      throw defect;
    },
  });
  await rig.server.send(102);
  assertEquals((await rig.end).error, defect);
});

/** A connection that delivers `chunks` and then ends; what is written to it is lost. */
function recorded(chunks: Uint8Array[]): Connection {
  return {
    read(into) {
      const chunk = chunks.shift();
      if (!chunk) return Promise.resolve(null);
      into.set(chunk);
      return Promise.resolve(chunk.length);
    },
    write: (bytes) => Promise.resolve(bytes.length),
    close() {},
  };
}

Deno.test("any bytes end a channel with an error of ours or with the stream's end", async () => {
  const handlers = { init() {}, channels_list() {}, mouse_mode() {}, name() {}, uuid() {} };
  const type = fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8, 103, 104, 105, 109, 113, 114, 999);
  const body = fc.uint8Array({ maxLength: 120 });
  const noise = fc.uint8Array({ maxLength: 40 });
  const message = fc.tuple(type, body).map(([type, body]) => framed(type, body));
  const chunk = fc.oneof({ weight: 9, arbitrary: message }, { weight: 1, arbitrary: noise })
    .filter((bytes) => bytes.length > 0);
  await fc.assert(
    fc.asyncProperty(fc.array(chunk, { maxLength: 30 }), async (chunks) => {
      const length = chunks.reduce((sum, { length }) => sum + length, 0);
      const channel = new SpiceChannel(new SpiceStream(recorded(chunks)), {
        name: "main",
        routes: routes(MAIN_MESSAGES, handlers),
        maxBytes: 64 * 1024,
      });
      const end = await channel.run();
      if (end.by === "error") assertInstanceOf(end.error, SpiceError);
      else assertEquals([end.by, channel.stats.bytes], ["server", length]);
    }),
    { numRuns: 500 },
  );
});

Deno.test("pause stops the server, and resume goes on where it was", async () => {
  const PINGS = 40_000;
  let answered = 0;
  await using rig = await start();
  const ping = framed(4, le([4, 9], [8, 1]));
  const block = join(...Array.from({ length: 100 }, () => ping));
  rig.channel.pause();
  let written = 0;
  const writing = (async () => {
    for (; written < PINGS; written += 100) await rig.server.write(block);
  })();
  const reading = (async () => {
    for (; answered < PINGS; answered++) await rig.server.receive();
  })();
  for (let before = -1; before !== written;) {
    before = written;
    await pause(20);
  }
  assertLess(written, PINGS);
  assertLess(rig.channel.stats.bytes, 200_000); // what was read before it took effect
  rig.channel.resume();
  await Promise.all([writing, reading]);
});

Deno.test("a channel that is paused from the start still reads its first message", async () => {
  const first = Promise.withResolvers<void>();
  await using rig = await start({
    routes: (link) => {
      link.pause();
      return routes({}, {});
    },
    onFirstMessage: first.resolve,
  }, true);
  await rig.server.write(setAck(1, 20)); // byte by byte
  await first.promise;
  assertEquals(rig.channel.stats.messages, 1);
});

Deno.test("a paused channel ends when it is closed, and is not called stalled", async () => {
  await using rig = await start();
  rig.channel.pause();
  await rig.server.write(le([2, 4], [4, 12])); // a message that does not go on
  rig.channel.endIfStalled(10);
  await pause(20);
  rig.channel.endIfStalled(10);
  rig.channel.close("enough");
  assertEquals(await rig.end, { by: "client", text: "enough" });
  assertEquals(await rig.channel.closed, { by: "client", text: "enough" });
});

Deno.test("drained waits for the server, and a server paced by its guest may take its time", async () => {
  await using rig = await start({ isPacedByGuest: true });
  rig.channel.send(LARGE, new Uint8Array(LARGE_BYTES));
  let isDrained = false;
  const draining = rig.channel.drained().then(() => isDrained = true);
  for (let i = 0; i < 3; i++) {
    await pause(10);
    rig.channel.endIfStalled(10);
  }
  assertEquals(isDrained, false);
  assertEquals((await rig.server.receive()).body.length, LARGE_BYTES);
  await draining;
  assertEquals(isDrained, true);
  await rig.channel.drained();
  rig.channel.send(LARGE, new Uint8Array(LARGE_BYTES));
  const lost = rig.channel.drained();
  rig.channel.close("enough");
  await assertRejects(() => lost, SpiceClosedError, "enough");
});
