/** The pointer in recorded sessions of real servers. */
import { assert, assertEquals } from "@std/assert";
import { drawCursor, GuestCursor } from "../../lib/display/cursor.ts";
import { cursorSetup } from "../../lib/spice/cursor_channel.ts";
import { readRecording } from "../fakes/spice_recording.ts";
import { replay } from "../fakes/spice_replay.ts";

/** Replays the cursor channel of a recording; `onChange` sees the pointer after each message. */
async function follow(name: string, onChange: (cursor: GuestCursor) => void): Promise<GuestCursor> {
  const cursor: GuestCursor = new GuestCursor({ onChange: () => onChange(cursor) });
  const replayed = await replay(await readRecording(name), {
    setup: ({ type }) => type === 4 ? cursorSetup(() => cursor.handlers()) : undefined,
  });
  const { stats } = replayed[0]!.channel;
  assertEquals([replayed.length, stats.malformed, stats.unknown.size], [1, 0, 0]);
  return cursor;
}

Deno.test("GuestCursor follows a Linux that shows, moves, changes and hides pointers", async () => {
  const states: string[] = [];
  const cursor = await follow("virtio-vga-cursor", ({ x, y, isVisible, shape }) => {
    const inside = shape?.picture.pixels[64 * 10 + 3]?.toString(16); // row 10, column 3
    const hot = `hot ${shape?.hotX},${shape?.hotY}`;
    const state = `${x},${y} ${isVisible ? "shown" : "hidden"} ${inside ?? "none"} ${hot}`;
    if (state !== states.at(-1)) states.push(state);
  });
  // A pointer at 100,50 whose hot spot is at 3,5 points at 103,55. Source: tests/rigs/drm_cursor.c.
  assertEquals(states.slice(3), [
    "3,5 shown ffffffff hot 3,5",
    "103,55 shown ffffffff hot 3,5",
    "293,150 shown ffffffff hot 3,5",
    "293,150 shown 80800000 hot 3,5",
    "290,145 hidden 80800000 hot 0,0",
    "3,5 shown ffffffff hot 3,5",
    "-7,-5 shown ffffffff hot 3,5",
    "-7,-5 shown 80800000 hot 3,5",
    "-10,-10 hidden 80800000 hot 0,0",
  ]);
  const { picture, inverts } = cursor.shape!;
  assertEquals([picture.width, picture.height, inverts], [64, 64, undefined]);
  picture.pixels.forEach((pixel, at) => {
    const [x, y] = [at % 64, Math.floor(at / 64)];
    assertEquals(pixel, x < y ? 0x80800000 : x === y ? 0x80404040 : 0);
  });
});

Deno.test("GuestCursor follows libspice-server through every kind of shape, kept ones too", async () => {
  const places: string[] = [];
  const sizes = new Set<string>();
  const shown = { width: 64, height: 64, pixels: new Uint32Array(64 * 64), hasAlpha: false };
  const cursor = await follow("peer-cursors", (cursor) => {
    places.push(`${cursor.x},${cursor.y}`);
    if (cursor.shape) sizes.add(`${cursor.shape.picture.width} x ${cursor.shape.picture.height}`);
    drawCursor(shown, cursor);
  });
  // Of 7 kinds and 3 sizes, each is shown twice: the second time it comes from the cache.
  assertEquals(cursor.stats, { shapes: 21, cacheHits: 21, refused: 0 });
  assertEquals([...sizes], ["16 x 16", "9 x 33", "64 x 64"]);
  // Moved there 21 times; then hidden 7 times, given a trail, and reset.
  assertEquals(places.filter((place) => place === "11,20").length, 21 + 7 + 2);
  assertEquals(cursor.trail, { length: 5, frequencyMs: 100 });
  assert(!cursor.isVisible && cursor.shape === undefined, "reset");
});
