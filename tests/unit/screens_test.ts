import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { pause } from "../../lib/base/deadline.ts";
import { UsageError } from "../../lib/base/errors.ts";
import type { ChannelEnd, PacedLink } from "../../lib/spice/channel_link.ts";
import { type SpiceCloseReason, SpiceSession } from "../../lib/spice/session.ts";
import type { DisplayReport } from "../../lib/vm/screen.ts";
import { Screens, type ScreensOptions } from "../../lib/vm/screens.ts";
import {
  channelsList,
  type FakeConnection,
  FakeSpiceServer,
  INIT,
  join,
  le,
} from "../fakes/spice_server.ts";

/** A display that is drawn on by hand. */
function makeDisplay(options: ScreensOptions = {}, id = 0, screens = new Screens(options)) {
  const ended = Promise.withResolvers<ChannelEnd>();
  let isPaused = false;
  const link: PacedLink = {
    name: id === 0 ? "display" : `display-${id}`,
    id,
    caps: { commonCaps: new Uint32Array(), channelCaps: new Uint32Array() },
    send() {},
    drained: () => Promise.resolve(),
    pause: () => isPaused = true,
    resume: () => isPaused = false,
    takeFd: () => undefined,
    close() {},
    closed: ended.promise,
  };
  const handlers = screens.onDisplay(link);
  const setMode = async (width: number, height: number) => {
    handlers.surface_destroy?.({ surfaceId: 0 });
    handlers.surface_create?.({ surfaceId: 0, width, height, format: 32, flags: 1 });
    handlers.mark?.({});
    await undefined;
  };
  const fill = async (color: number) => {
    handlers.draw_fill?.({
      base: { surfaceId: 0, box: { top: 0, left: 0, bottom: 1, right: 1 }, clip: undefined },
      brush: { kind: "solid", color },
      rop: 8,
      mask: { flags: 0, pos: { x: 0, y: 0 }, image: undefined },
    });
    await undefined;
  };
  return { screens, setMode, fill, ended, isPaused: () => isPaused };
}

/** A session in which nothing happens but its end. */
function makeSession(counts = { messages: 0, bytes: 0 }) {
  const closed = Promise.withResolvers<SpiceCloseReason>();
  const session = {
    stats: new Map([["display", { ...counts, acks: 0, malformed: 0, unknown: new Map() }]]),
    offered: [],
    closed: closed.promise,
  } as unknown as SpiceSession;
  return { session, close: closed.resolve };
}

Deno.test("Screens tells every mode set, and reports displays as they are", async () => {
  const modes: string[] = [];
  const { screens, setMode, fill } = makeDisplay({
    onMode: ({ id, kind, width, height }) => modes.push(`${id} ${kind} ${width}×${height}`),
  });
  using _owned = screens;
  assertEquals(screens.displays().map(({ width, height }) => [width, height]), [[0, 0]]);
  await setMode(64, 48);
  await fill(0x123456);
  await setMode(80, 60);
  assertEquals(modes, ["0 surface 64×48", "0 surface 80×60"]);
  const { session } = makeSession({ messages: 7, bytes: 700 });
  screens.attached(session);
  const [report] = screens.displays();
  assertEquals([report?.width, report?.height, report?.surface], [80, 60, {
    messages: 7,
    bytes: 700,
  }]);
  assert(report!.frames >= 1);
});

Deno.test("Screens lends the pixels, and captures them once what is on its way has come", async () => {
  const { screens, setMode, fill } = makeDisplay();
  using _owned = screens;
  const capturing = screens.capture(0, { timeoutMs: 1_000 });
  await setMode(2, 2);
  setTimeout(() => fill(0xabcdef), 10);
  const [picture] = await capturing;
  assertEquals([picture?.width, picture?.height], [2, 2]);
  assertEquals(picture!.pixels[0]! & 0xffffff, 0xabcdef);
  assertStrictEquals(screens.pixels(0)!.pixels, picture!.pixels);
  const [drawn] = await screens.capture(0, { timeoutMs: 1_000, cursor: true });
  assertEquals(drawn!.pixels[0]! & 0xffffff, 0xabcdef, "no pointer has come");
});

Deno.test("Screens says why there is no picture", async () => {
  const { screens, ended } = makeDisplay();
  using _owned = screens;
  assertEquals(await screens.capture(0, { timeoutMs: 10 }), [
    undefined,
    "no picture of display 0 has come within 10 ms",
  ]);
  await assertRejects(
    () => screens.capture(3, { timeoutMs: 10 }),
    UsageError,
    "Cannot find display 3: there is only display 0",
  );
  ended.resolve({ by: "error", text: "a message was too large" });
  await ended.promise;
  assertEquals(await screens.capture(0, { timeoutMs: 10 }), [
    undefined,
    "display 0 is lost (a message was too large)",
  ]);
  using none = new Screens();
  assertEquals(await none.capture(0, { timeoutMs: 10 }), [undefined, "the server has no display"]);
});

Deno.test("Screens shows no old picture for a new one once its session has ended", async () => {
  const { screens, setMode } = makeDisplay();
  using _owned = screens;
  const { session, close } = makeSession();
  screens.attached(session);
  await setMode(2, 2);
  close({ by: "server", text: "it closed", isServerAlive: true });
  await session.closed;
  const captured = await screens.capture(0, { timeoutMs: 10 });
  assertEquals(captured, [undefined, "SPICE is lost (it closed)"]);
  screens.attached(makeSession().session);
  const [picture] = await screens.capture(0, { timeoutMs: 10 });
  assertEquals(picture?.width, 2);
});

Deno.test("Screens goes on counting when a display is linked again", async () => {
  const { screens, setMode, fill } = makeDisplay();
  using _owned = screens;
  const first = makeSession({ messages: 100, bytes: 5_000 });
  screens.attached(first.session);
  await setMode(2, 2);
  await fill(1);
  const { frames } = screens.displays()[0]!;
  assert(frames > 0);
  first.close({ by: "server", text: "it closed", isServerAlive: true });
  makeDisplay({}, 0, screens);
  screens.attached(makeSession({ messages: 3, bytes: 30 }).session);
  const now = screens.displays()[0]!;
  assertEquals([now.frames, now.surface], [frames, { messages: 103, bytes: 5_030 }]);
});

Deno.test("Screens survives what its listeners throw, and hands it on", async () => {
  const defects: unknown[] = [];
  const failure = new Error("a listener has failed");
  const { screens, setMode } = makeDisplay({
    onMode: () => {
      throw failure;
    },
    onDefect: (error) => defects.push(error),
  });
  using _owned = screens;
  using _following = screens.follow(() => {
    throw failure;
  });
  await setMode(2, 2);
  await setMode(4, 4);
  await pause(40);
  assertEquals([screens.displays()[0]?.width, new Set(defects)], [4, new Set([failure])]);
});

Deno.test("Screens tells followers of frames at a screen's pace, and nobody else", async () => {
  const { screens, setMode, fill } = makeDisplay();
  using _owned = screens;
  await setMode(2, 2);
  const seen: DisplayReport[] = [];
  {
    using _following = screens.follow((display) => seen.push(display));
    const start = performance.now();
    for (let color = 0; color < 200; color++) await fill(color);
    const ms = performance.now() - start;
    await pause(40);
    assert(seen.length >= 1 && seen.length <= 2 + ms / 16, `${seen.length} notices`);
  }
  const before = seen.length;
  await fill(1);
  await pause(40);
  assertEquals(seen.length, before);
});

Deno.test("Screens that are held draw nothing before they are let go", () => {
  const held = makeDisplay({ isHeld: true });
  using _owned = held.screens;
  assertEquals(held.isPaused(), true);
  held.screens.release();
  assertEquals(held.isPaused(), false);
  const free = makeDisplay();
  using _free = free.screens;
  assertEquals(free.isPaused(), false);
});

/** A display of 8 × 8 pixels, with a red pointer of one pixel at 2,3; and a keyboard. */
async function serveChannel(connection: FakeConnection): Promise<void> {
  switch (connection.link.type) {
    case 2:
      await connection.receive(); // INIT
      await connection.send(314, le([4, 0], [4, 8], [4, 8], [4, 32], [4, 1])); // SURFACE_CREATE
      await connection.send(102); // MARK
      break;
    case 3:
      await connection.send(101, le([2, 0])); // INIT
      break;
    case 4: {
      const place = le([2, 2], [2, 3], [2, 0], [2, 0], [1, 1]);
      const shape = le([2, 0], [8, 0], [1, 0], [2, 1], [2, 1], [2, 0], [2, 0]);
      await connection.send(101, join(place, shape, le([4, 0xffff0000]))); // INIT
      break;
    }
  }
  await connection.drain();
}

Deno.test("Screens links keyboard and pointer behind the displays, and draws the pointer", async () => {
  await using server = await FakeSpiceServer.start({ display: serveChannel });
  using screens = new Screens({ isHeld: true });
  const events: string[] = [];
  await using session = await SpiceSession.connect(server.target, {
    onDisplay: screens.onDisplay,
    onEvent: ({ channel, state }) => events.push(`${channel} ${state}`),
  });
  screens.attached(session);
  assertEquals(session.channels, ["main", "display"]);
  screens.complete();
  assert(await screens.inputs() !== undefined);
  const [plain] = await screens.capture(0, { timeoutMs: 5_000 });
  assertEquals([plain!.width, plain!.height, new Set(plain!.pixels).size], [8, 8, 1]);
  const at = 3 * 8 + 2;
  let drawn = plain!;
  for (let tries = 0; tries < 50 && (drawn.pixels[at]! & 0xffffff) === 0; tries++) {
    drawn = (await screens.capture(0, { timeoutMs: 5_000, cursor: true }))[0]!;
  }
  const marked = [...drawn.pixels.entries()].filter(([, pixel]) => (pixel & 0xffffff) !== 0);
  assertEquals(marked.map(([index, pixel]) => [index, pixel & 0xffffff]), [[at, 0xff0000]]);
  assertEquals(screens.pixels(0)!.pixels[at]! & 0xffffff, 0, "on a copy");
  assertEquals(events.filter((event) => event.endsWith(" up")), [
    "main up",
    "display up",
    "inputs up",
    "cursor up",
  ]);
});

/** Serves main with more than the usual channels, in the mouse mode of a tablet. */
async function serveTablet(connection: FakeConnection): Promise<void> {
  await connection.write(INIT);
  await connection.receive();
  await connection.write(channelsList([3, 0], [4, 0], [4, 1], [2, 0], [2, 1]));
  await connection.send(105, le([2, 3], [2, 2])); // MOUSE_MODE: client
  await connection.drain();
}

Deno.test("Screens does without a pointer that is refused, says so, and shows the others", async () => {
  await using server = await FakeSpiceServer.start({
    main: serveTablet,
    display: serveChannel,
    result: ({ link }) => link.type === 4 && link.id === 0 ? 1 : 0,
  });
  const warnings: string[] = [];
  using screens = new Screens({ onWarning: (text) => warnings.push(text) });
  await using session = await SpiceSession.connect(server.target, {
    onDisplay: screens.onDisplay,
  });
  screens.attached(session);
  screens.complete();
  await screens.capture(0, { timeoutMs: 5_000, cursor: true }); // waits for the pointers
  assertEquals(session.channels.filter((name) => name.startsWith("cursor")), ["cursor-1"]);
  assertEquals(warnings.length, 1);
  assert(warnings[0]!.startsWith("the pointer of display 0 is not seen: Cannot link"), warnings[0]);
});

Deno.test("Screens draws the pointer where we put it, until the guest says otherwise", async () => {
  const moves = Promise.withResolvers<void>();
  await using server = await FakeSpiceServer.start({
    main: serveTablet,
    display: async (connection) => {
      if (connection.link.type !== 4) return await serveChannel(connection);
      const place = le([2, 2], [2, 3], [2, 0], [2, 0], [1, 1]);
      const shape = le([2, 0], [8, 0], [1, 0], [2, 1], [2, 1], [2, 0], [2, 0]);
      await connection.send(101, join(place, shape, le([4, 0xffff0000]))); // INIT
      await moves.promise;
      await connection.send(104, le([2, 1], [2, 1])); // MOVE
      await connection.drain();
    },
  });
  using screens = new Screens();
  await using session = await SpiceSession.connect(server.target, {
    onDisplay: screens.onDisplay,
  });
  screens.attached(session);
  screens.complete();
  const pointerAt = async () => {
    const [picture] = await screens.capture(0, { timeoutMs: 5_000, cursor: true });
    const at = picture!.pixels.findIndex((pixel) => (pixel & 0xffffff) === 0xff0000);
    return [at % 8, Math.floor(at / 8)];
  };
  assertEquals(await pointerAt(), [2, 3]);
  screens.placed(0, 5, 6);
  assertEquals(await pointerAt(), [5, 6]);
  moves.resolve();
  await pause(20);
  assertEquals(await pointerAt(), [1, 1]);
});
