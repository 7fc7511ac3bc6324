/**
 * Every limit that a client keeps against a hostile server: where it is kept, and which test shows
 * it; then a malicious server for what belongs to sessions, all at once and byte by byte.
 */
import { assert, assertEquals, assertInstanceOf, assertLess } from "@std/assert";
import { pause } from "../../lib/base/deadline.ts";
import { SpiceError } from "../../lib/base/errors.ts";
import type { ChannelEnd, ChannelSetup } from "../../lib/spice/channel_link.ts";
import { CURSOR_MAX_BYTES } from "../../lib/spice/cursor_messages.ts";
import { SpiceClosedError, SpiceLimitError } from "../../lib/spice/errors.ts";
import { INPUTS_MAX_BYTES } from "../../lib/spice/inputs_messages.ts";
import { PORT_MAX_BYTES } from "../../lib/spice/port_messages.ts";
import { SpiceSession, type SpiceSessionOptions } from "../../lib/spice/session.ts";
import {
  channelsList,
  type FakeConnection,
  FakeSpiceServer,
  framed,
  INIT,
  join,
  le,
  serveMain,
} from "../fakes/spice_server.ts";

/** Limits: what, in which source, and the tests that show it, as `file: part of a name`. */
const LIMITS: readonly [what: string, source: string, ...tests: string[]][] = [
  [
    "link reply: sizes, counts, offsets",
    "spice/link.ts",
    "spice_link: linkChannel refuses replies that no server sends",
    "spice_fuzz: mutated link replies",
  ],
  ["link phase: 10 s", "spice/link.ts", "spice_link: linkChannel takes no longer than it may"],
  [
    "attaching: a deadline",
    "spice/session.ts",
    "spice_session: connect ends at its deadline while it waits for the",
  ],
  [
    "message size: main, inputs, cursor, ports",
    "spice/channel.ts",
    "spice_limits: a message of ${bytes} bytes on the ${name} channel",
  ],
  [
    "message size: display, by its largest surface",
    "spice/display_limit.ts",
    "spice_displays: a display's messages may be as large as its largest surface",
  ],
  [
    "message size: PING, NOTIFY, LIST",
    "spice/channel.ts",
    "spice_channel: a message beyond the limit ends the channel at its header",
  ],
  [
    "memory: as bytes arrive",
    "spice/framing.ts",
    "spice_framing: MessageSplitter allocates for bytes that came",
  ],
  [
    "memory: of all channels together",
    "spice/memory.ts",
    "spice_displays: messages of all channels together have a limit",
  ],
  [
    "memory: answers that are not read",
    "spice/channel.ts",
    "spice_channel: a server that floods and does not read is given up",
  ],
  [
    "stalled message: 30 s",
    "spice/channel.ts",
    "spice_channel: endIfStalled ends a channel that stands inside a message",
  ],
  [
    "cheap messages that draw, in any number: turns of the event loop between them",
    "spice/turn_budget.ts",
    "spice_turns: a flood leaves turns to others: ${what}",
  ],
  [
    "waits for other channels: 30 s, no rings",
    "spice/channel_waits.ts",
    "spice_waits: a wait that is in vain ends the channel",
    "spice_waits: channels that wait for each other do not hang",
  ],
  [
    "displays: 16",
    "spice/memory.ts",
    "spice_session: connect refuses a server with too many",
    "spice_displays: later displays are linked up to sixteen",
  ],
  [
    "displays that end all the time",
    "spice/session.ts",
    "spice_displays: a display that closes all the time is left alone",
  ],
  [
    "surfaces: size, format, number, memory",
    "display/surface.ts",
    "display_guest_display: GuestDisplay refuses surfaces beyond the limits",
    "display_guest_display: GuestDisplay takes no more memory for surfaces",
  ],
  [
    "rects: order of sides, 2^30",
    "display/region.ts",
    "display_region: isRect refuses sides out of order and beyond 2^30",
  ],
  [
    "clip rects, heads, lists, palettes: counts",
    "spice/codec.ts",
    "spice_draw_layouts: counts are checked against the bytes left",
    "spice_codec: countedList checks its count before it makes the list",
    "spice_draw_layouts: a clip of too many rectangles and a line of too many groups are refused",
  ],
  ["heads: 16", "display/guest_display.ts", "spice_limits: of a thousand heads sixteen are looked"],
  [
    "links: forward, inside",
    "spice/codec.ts",
    "spice_draw_layouts: links that lead back or out of the message are refused",
  ],
  [
    "links: work",
    "spice/codec.ts",
    "spice_draw_layouts: a body is read a few times at most",
    "spice_channel: LIST that names one message a thousand times",
  ],
  [
    "bitmaps: format, stride, sizes, area",
    "display/bitmaps.ts",
    "display_images: bitmaps that contradict themselves are left out",
    "spice_draw_layouts: a bitmap of more rows than bytes",
  ],
  [
    "palettes: colours, number",
    "display/image_cache.ts",
    "display_images: a palette is kept until the server takes it back",
    "display_images: no more palettes are kept",
  ],
  ["pictures: number, memory", "display/image_cache.ts", "display_images: no more images are kept"],
  [
    "cursors: size, data, hot spot, number",
    "display/cursor.ts",
    "cursor: decodeShape: one byte too few of any kind",
    "cursor: GuestCursor keeps 256 shapes",
    "cursor: decodeShape refuses what is too large",
    "cursor: decodeShape moves the hot spot",
  ],
  [
    "streams: numbers",
    "display/video_stream.ts",
    "video_stream: what cannot be shown of streams is counted",
  ],
  [
    "agent: sizes, tokens, pieces",
    "spice/agent_stream.ts",
    "spice_agent: hostile agent data ends nothing",
    "spice_agent: a message of 4 GiB is dropped",
    "spice_clipboard: 16 MiB come from the guest, and one byte more",
  ],
  [
    "descriptors: of one message, of one read",
    "spice/fd_connection.ts",
    "fd_connection: FdConnection closes the descriptors of a message that has too many",
    "fd_connection: FdConnection closes descriptors that nobody took before the next read",
    "gl_scanouts: a flood of scanouts, half of them broken",
  ],
  [
    "scanouts: the byte behind them",
    "spice/framing.ts",
    "spice_framing: MessageSplitter refuses another byte where one belongs behind a message",
    "gl_scanouts: a server that sends ${fault.what}",
  ],
  [
    "text: control characters, length",
    "base/text.ts",
    "spice_codec: countedText ends at its zero byte",
    "spice_limits: a name is shown without",
  ],
  [
    "unknown messages: skipped, told once",
    "spice/channel.ts",
    "spice_channel: unknown ids are skipped and counted",
    "spice_displays: what is not understood is told once",
  ],
  [
    "broken messages: 100",
    "spice/channel.ts",
    "spice_channel: a hundred broken messages end the channel",
  ],
];

for (const [what, source, ...tests] of LIMITS) {
  Deno.test(`the limit "${what}" has a place and a test`, async () => {
    await Deno.lstat(new URL(`../../lib/${source}`, import.meta.url));
    assert(tests.length > 0);
    for (const test of tests) {
      const [file, name] = [test.slice(0, test.indexOf(": ")), test.slice(test.indexOf(": ") + 2)];
      const text = await Deno.readTextFile(new URL(`./${file}_test.ts`, import.meta.url));
      assert(
        new RegExp(`(?:Deno\\.test|shimTest)\\(\\s*["\`]${RegExp.escape(name)}`).test(text),
        test,
      );
    }
  });
}

const MIB = 1024 * 1024;
const channelSetup = (type: number, maxBytes: number): ChannelSetup => ({
  ...{ type, maxBytes, caps: [] },
  routes: () => new Map(),
});

for (
  const [name, type, bytes] of [
    ["inputs", 3, INPUTS_MAX_BYTES],
    ["cursor", 4, CURSOR_MAX_BYTES],
    ["port", 10, PORT_MAX_BYTES],
    ["usbredir", 9, PORT_MAX_BYTES],
  ] as const
) {
  Deno.test(`a message of ${bytes} bytes on the ${name} channel is the last that is taken`, async () => {
    for (const [size, by] of [[bytes, "server"], [bytes + 1, "error"]] as const) {
      await using server = await FakeSpiceServer.start({
        async display(connection) { // whatever is not main
          await connection.write(le([2, 101], [4, size]));
          if (size === bytes) await connection.write(new Uint8Array(size));
          else await connection.drain();
        },
      });
      await using session = await SpiceSession.connect(server.target, { channels: [] });
      const channel = await session.open(channelSetup(type, bytes));
      const end = await channel.closed;
      assertEquals(end.by, by);
      if (by === "error") assertInstanceOf(end.error, SpiceLimitError);
      assert(session.channels.includes("main")); // which goes on
    }
  });
}

/** What a malicious server sends once the session is up, and how that ends. */
interface Attack {
  what: string;
  on: "main" | "display";
  bytes: Uint8Array;
  /** How the channel ends; undefined: it goes on. */
  ends?: typeof SpiceLimitError | typeof SpiceClosedError;
}

const many = (count: number, message: Uint8Array) =>
  join(...Array<Uint8Array>(count).fill(message));
const notify = (length: number, text: string) =>
  framed(7, join(le([8, 0], [4, 0], [4, 0], [4, 0], [4, length]), new TextEncoder().encode(text)));

const ATTACKS: readonly Attack[] = [
  {
    what: "a message of 4 GiB",
    on: "main",
    bytes: le([2, 113], [4, 0xffff_ffff]),
    ends: SpiceLimitError,
  },
  {
    what: "a message of 4 GiB",
    on: "display",
    bytes: le([2, 304], [4, 0xffff_ffff]),
    ends: SpiceLimitError,
  },
  {
    what: "a message of an unknown kind and 1 GiB",
    on: "display",
    bytes: le([2, 9999], [4, 1 << 30]),
    ends: SpiceLimitError,
  },
  { what: "a ping of 1 MiB", on: "main", bytes: le([2, 4], [4, MIB]), ends: SpiceLimitError },
  { what: "a text that is longer than its message", on: "main", bytes: notify(0xffff_ffff, "x") },
  { what: "a text of terminal commands", on: "main", bytes: notify(8, "\x1b[2J\x07\x9b1m\x00") },
  { what: "a list of 4 billion channels", on: "main", bytes: framed(104, le([4, 0xffff_ffff])) },
  {
    what: "a list of all channels there can be",
    on: "main",
    bytes: channelsList(
      ...Array.from({ length: 30_000 }, (_, i): [number, number] => [11 + i % 245, i / 245 | 0]),
    ),
  },
  {
    what: "lists in lists",
    on: "display",
    bytes: framed(8, join(le([2, 1], [4, 6]), framed(8, le([2, 1], [4, 6])))),
  },
  { what: "a list that names itself", on: "display", bytes: framed(8, le([2, 1], [4, 0])) },
  { what: "monitors without end", on: "display", bytes: framed(317, le([2, 0xffff], [2, 0xffff])) },
  {
    what: "clips without end",
    on: "display",
    bytes: framed(302, join(new Uint8Array(20), le([1, 1], [4, 0xffff_ffff]))),
  },
  { what: "ninety-nine broken messages", on: "display", bytes: many(99, framed(314, le([4, 0]))) },
  {
    what: "a hundred broken messages",
    on: "display",
    bytes: many(100, framed(314, le([4, 0]))),
    ends: SpiceClosedError,
  },
  {
    what: "a thousand unknown kinds",
    on: "display",
    bytes: join(...Array.from({ length: 1000 }, (_, i) => framed(1000 + i))),
  },
  { what: "a window of no messages", on: "display", bytes: framed(3, le([4, 9], [4, 0])) },
  {
    what: "waits for channels that are not there",
    on: "display",
    bytes: framed(5, join(le([1, 255]), ...Array(255).fill(le([1, 4], [1, 9], [8, 1])))),
  },
  { what: "an agent that nobody started", on: "main", bytes: framed(109, new Uint8Array(2048)) },
];

/** Attacks a session, and returns how the attacked channel ended; undefined if it goes on. */
async function attack({ on, bytes }: Attack, slow: boolean): Promise<ChannelEnd | undefined> {
  const go = Promise.withResolvers<void>();
  const strike = async (connection: FakeConnection) => {
    await go.promise;
    for (const part of slow ? bytes : [bytes]) {
      await connection.write(typeof part === "number" ? Uint8Array.of(part) : part);
      if (slow) await pause(0);
    }
    await connection.send(4, new Uint8Array(12)); // goes on: it is answered
    while ((await connection.receive()).type !== 3) { /* ACKs and others */ }
    answered.resolve(undefined);
    await connection.drain();
  };
  const answered = Promise.withResolvers<undefined>();
  await using server = await FakeSpiceServer.start({
    async main(connection) {
      if (on === "display") return await serveMain(connection);
      await connection.write(INIT);
      await connection.receive();
      await connection.write(channelsList([2, 0]));
      await strike(connection);
    },
    async display(connection) {
      await connection.receive();
      await connection.send(3, le([4, 1], [4, 20]));
      if (on === "display") await strike(connection);
      else await connection.drain();
    },
  });
  const ended = Promise.withResolvers<ChannelEnd>();
  const options: SpiceSessionOptions = {
    onDisplay(link) {
      if (on === "display") void link.closed.then(ended.resolve);
      return { draw_copy() {}, draw_fill() {}, monitors_config() {}, surface_create() {} };
    },
    onMain(link) {
      if (on === "main") void link.closed.then(ended.resolve);
      return {};
    },
  };
  await using _session = await SpiceSession.connect(server.target, options);
  const before = Deno.memoryUsage().external;
  go.resolve();
  const end = await Promise.race([ended.promise, answered.promise]);
  assertLess(Deno.memoryUsage().external - before, 64 * MIB);
  return end;
}

for (const one of ATTACKS) {
  for (const slow of one.bytes.length < 300 ? [false, true] : [false]) {
    const how = slow ? ", byte by byte," : "";
    const outcome = one.ends ? "ends that channel" : "is put up with";
    Deno.test(`${one.what} on ${one.on}${how} ${outcome}`, async () => {
      const end = await attack(one, slow);
      if (one.ends === undefined) return assertEquals(end, undefined);
      assertInstanceOf(end?.error, one.ends);
      assertInstanceOf(end.error, SpiceError);
    });
  }
}

Deno.test("a name is shown without control characters, and not without end", async () => {
  await using server = await FakeSpiceServer.start({
    async main(connection) {
      await connection.write(INIT);
      await connection.receive();
      const name = new TextEncoder().encode("\x1b]0;owned\x07" + "x".repeat(60_000) + "\0");
      await connection.send(113, join(le([4, name.length]), name));
      await connection.write(channelsList());
      await connection.drain();
    },
  });
  await using session = await SpiceSession.connect(server.target);
  assert(session.serverName.startsWith("\ufffd]0;owned\ufffdxxx"));
  assertLess(session.serverName.length, 4100);
});

Deno.test("of a thousand heads sixteen are looked at", async () => {
  const { GuestDisplay } = await import("../../lib/display/guest_display.ts");
  const display = new GuestDisplay();
  const head = { surfaceId: 0, width: 10, height: 10, x: 0, y: 0, flags: 0 };
  const handlers = display.handlers();
  handlers.surface_create?.({ surfaceId: 0, width: 64, height: 64, format: 32, flags: 1 });
  const items = Array.from({ length: 1000 }, (_, monitorId) => ({ ...head, monitorId }));
  handlers.monitors_config?.({ count: 1000, maxAllowed: 1000, items });
  await pause(0); // changes are told then
  assertEquals(display.heads.length, 16);
});
