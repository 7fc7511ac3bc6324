/** Pointer shapes and input events at the real libspice-server. */
import { assert, assertEquals, assertGreater } from "@std/assert";
import { join } from "@std/path";
import { pause, retry } from "../../lib/base/deadline.ts";
import { KEYS } from "../../lib/base/keys.ts";
import { GuestCursor } from "../../lib/display/cursor.ts";
import { arrowShape, decodeShape } from "../../lib/display/cursor_shape.ts";
import { cursorSetup } from "../../lib/spice/cursor_channel.ts";
import { SpiceInputs } from "../../lib/spice/inputs.ts";
import { SpiceSession } from "../../lib/spice/session.ts";
import { SpicePeer } from "./spice_peer.ts";

/** Waits until `isTrue`, 5 s at most. */
async function until(what: string, isTrue: () => boolean): Promise<void> {
  await retry(what, () => {
    return isTrue() ? Promise.resolve() : Promise.reject(new Deno.errors.NotFound(what));
  }, { timeoutMs: 5000, canSucceedLater: (error) => error instanceof Deno.errors.NotFound });
}

Deno.test("e2e: peer: every kind of pointer shape arrives as the guest made it", async () => {
  await using peer = await SpicePeer.start();
  await peer.primary(640, 480);
  await using session = await SpiceSession.connect(peer.target);
  let changes = 0;
  const cursor = new GuestCursor({ onChange: () => changes++ });
  const channel = await session.open(cursorSetup(() => cursor.handlers()));
  await until("INIT", () => changes === 1);
  const file = join(peer.folder, "shape");
  let seen = changes;
  const sizes = [[1, 1], [7, 5], [32, 32], [33, 31], [64, 64], [512, 512]] as const;
  for (const type of [0, 1, 2, 3, 4, 5, 6]) {
    for (const [width, height] of sizes) {
      const [hotX, hotY] = [width - 1, Math.floor(height / 2)];
      const seed = type * 10 + width;
      await peer.cursor({ type, width, height, hotX, hotY, x: 20, y: 30, seed, file });
      await until("the shape", () => changes > seen);
      seen = changes;
      const data = await Deno.readFile(file);
      const shape = decodeShape({ unique: 0n, type, width, height, hotX, hotY }, data);
      assertEquals(cursor.shape, shape, `type ${type}, ${width} x ${height}`);
      assertEquals([cursor.x, cursor.y, cursor.isVisible], [20, 30, true]);
    }
  }
  assertEquals([cursor.stats.refused, channel.stats.malformed, channel.stats.unknown.size], [
    0,
    0,
    0,
  ]);

  await peer.moveCursor(-5, 479);
  await until("the move", () => cursor.x === -5);
  assertEquals([cursor.y, cursor.isVisible], [479, true]);
  await peer.hideCursor();
  await until("the pointer to hide", () => !cursor.isVisible);
  await peer.command("cursor trail 3 40");
  await until("the trail", () => cursor.trail.length === 3);
  assertEquals(cursor.trail, { length: 3, frequencyMs: 40 });
});

Deno.test("e2e: peer: the server's cache of shapes and ours agree, also after it has thrown some out", async () => {
  await using peer = await SpicePeer.start();
  await peer.primary(640, 480);
  await using session = await SpiceSession.connect(peer.target);
  let isInitialized = false;
  const cursor = new GuestCursor({ onChange: () => isInitialized = true });
  const channel = await session.open(cursorSetup(() => cursor.handlers()));
  await until("INIT", () => isInitialized);
  const before = () => cursor.stats.shapes + cursor.stats.cacheHits;
  const show = async (unique: number) => {
    const count = before();
    await peer.cursor({ type: 0, width: 8, height: 8, x: unique, seed: unique, unique });
    await until(`shape ${unique}`, () => before() > count);
    return cursor.shape?.picture.pixels.join();
  };
  const pixels = new Map<number, string | undefined>();
  for (let unique = 1; unique <= 300; unique++) pixels.set(unique, await show(unique));
  assertEquals(cursor.stats, { shapes: 300, cacheHits: 0, refused: 0 });
  for (const unique of [300, 299, 150, 60, 45, 44, 10, 1, 300, 1]) {
    assertEquals(await show(unique), pixels.get(unique), `shape ${unique}`);
  }
  assertGreater(cursor.stats.cacheHits, 4);
  assertEquals(cursor.stats.refused, 0);
  assert(cursor.cachedShapes <= 256);
  await peer.command("reset_cursor");
  await until("RESET", () => cursor.shape === undefined || cursor.cachedShapes === 0);
  assertEquals(await show(7), pixels.get(7));
  assertEquals([cursor.stats.refused, channel.stats.malformed], [0, 0]);
  assert(cursor.shape?.picture.width !== arrowShape().picture.width);
});

Deno.test("e2e: peer: scancodes, lights and the pointer in both modes reach the server's devices", async () => {
  await using peer = await SpicePeer.start();
  await peer.primary(640, 480);
  await using session = await SpiceSession.connect(peer.target);
  await using inputs = await SpiceInputs.open(session);

  const keys = [...KEYS.values()];
  await inputs.sendKeys(keys.flatMap((key) => [{ key, down: true }, { key, down: false }]));
  const wanted = keys.flatMap(({ down, up }) => [...down, ...up])
    .map((byte) => `key ${byte.toString(16).padStart(2, "0")}`);
  const sent = () => peer.events.filter((event) => event.startsWith("key "));
  await until("all scancodes", () => sent().length >= wanted.length);
  assertEquals(sent(), wanted);

  await peer.leds(4);
  await until("Caps Lock", () => inputs.capsLock);
  inputs.setLocks({ caps: false, num: true });
  await peer.event(() => sent().slice(wanted.length).join() === "key 45,key c5,key 3a,key ba");

  inputs.moveBy(5, -6);
  await peer.event(/^motion 5 -6 0 0$/);
  inputs.press("right");
  inputs.moveBy(1, 1);
  await peer.event(/^motion 1 1 0 2$/);
  inputs.release("right");

  await peer.tablet(true);
  await session.waitForPointer("absolute", { timeoutMs: 5000 });
  assertEquals(session.mouseMode.current, 2);
  inputs.moveTo(639, 479);
  await peer.event(/^position 639 479 0$/);
  const count = () => peer.events.filter((event) => event.startsWith("position")).length;
  const start = count();
  for (let n = 0; n < 600; n++) inputs.moveTo(n, n % 480);
  inputs.press("left");
  await peer.event(/^wheel 0 1$/); // how the server passes a press on
  assert(
    peer.events.some((event) => event.startsWith("position 599 119 ")),
    "flushed by the press",
  );
  assert(count() - start <= 40, `${count() - start} positions`);
  inputs.release("left");

  await peer.tablet(false);
  await session.waitForPointer("relative", { timeoutMs: 5000 });
  inputs.moveBy(-7, 8);
  await peer.event(/^motion -7 8 0 0$/);
  await pause(50);
  assertEquals(session.stats.get("inputs")?.malformed, 0);
});
