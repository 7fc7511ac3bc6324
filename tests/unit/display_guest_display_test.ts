/** The picture of a display: surfaces, what is shown, basic draws, what is left out. */
import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import type { DisplayChange } from "../../lib/display/guest_display.ts";
import { MAX_SURFACE_BYTES } from "../../lib/display/surface.ts";
import { base, bitmap, bitmapImage, display, FORMAT, image32 } from "./display_fixtures.ts";
import { NO_MASK, rect, ROP, rows } from "./display_fixtures.ts";

const HEAD = { monitorId: 0, surfaceId: 0, x: 0, y: 0, width: 4, height: 2, flags: 0 };

/** What DRAW_COPY says besides its box and its image. */
const PLAIN = { rop: ROP.put, scaleMode: 1, mask: NO_MASK };

Deno.test("GuestDisplay draws copies, fills and moves", () => {
  const drawn = display(4, 3);
  const { send } = drawn;
  send.draw_copy({
    base: base(rect(0, 0, 4, 3)),
    src: image32(4, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    srcArea: rect(0, 0, 4, 3),
    ...PLAIN,
  });
  send.draw_fill({
    base: base(rect(1, 1, 2, 9)),
    brush: { kind: "solid", color: 0xabcdef },
    rop: ROP.put,
    mask: NO_MASK,
  });
  assertEquals(rows(drawn), [
    "000001 000002 000003 000004",
    "000005 abcdef abcdef 000008",
    "000009 abcdef abcdef 00000c",
  ]);
  send.copy_bits({ base: base(rect(1, 1, 3, 2)), srcPos: { x: 0, y: 0 } });
  assertEquals(rows(drawn), [
    "000001 000002 000003 000004",
    "000005 000001 000002 000003",
    "000009 000005 abcdef abcdef",
  ]);
  assertEquals(drawn.display.stats.draws, 3);
});

Deno.test("GuestDisplay copies a part of a wider bitmap, bottom row first, wherever it lies", () => {
  for (const [start, end] of [[0, 0], [1, 0], [2, 1], [3, 5], [4, 3], [7, 2], [8, 1]] as const) {
    for (const width of [3, 4, 6, 90, 200]) {
      const words = Uint32Array.from({ length: (width + 2) * 2 }, (_, i) => i);
      const memory = new Uint8Array(start + words.byteLength + end);
      const bytes = memory.subarray(0, start + words.byteLength);
      bytes.set(new Uint8Array(words.buffer), start);
      const drawn = display(width, 2);
      drawn.send.draw_copy({
        base: base(rect(0, 0, width, 2)),
        src: bitmapImage(bitmap(8, width + 1, 2, bytes.subarray(start), { flags: 0 })),
        srcArea: rect(1, 0, width, 2),
        ...PLAIN,
      });
      const row = Array.from({ length: width }, (_, i) => 1 + i);
      const expected = [...row.map((x) => x + width + 2), ...row];
      assertEquals([...drawn.display.primary!.pixels], expected);
    }
  }
});

Deno.test("GuestDisplay keeps the old picture until the new surface is marked or drawn on", () => {
  for (const end of ["mark", "draw"] as const) {
    const { display: guest, send } = display(4, 2);
    const old = guest.primary;
    send.surface_destroy({ surfaceId: 0 });
    send.surface_create({ surfaceId: 0, width: 8, height: 8, format: FORMAT.xrgb, flags: 1 });
    assertStrictEquals(guest.primary, old);
    if (end === "mark") send.mark({});
    else send.draw_blackness({ base: base(rect(0, 0, 1, 1)), mask: NO_MASK });
    assertEquals(guest.primary?.width, 8);
  }
});

Deno.test("GuestDisplay shows nothing after RESET until it is drawn on, and then from black", () => {
  const drawn = display(2, 1);
  drawn.send.draw_whiteness({ base: base(rect(0, 0, 1, 1)), mask: NO_MASK });
  drawn.send.reset({});
  assertEquals(drawn.display.primary, undefined);
  drawn.send.draw_fill({
    base: base(rect(1, 0, 1, 1)),
    brush: { kind: "solid", color: 7 },
    rop: ROP.put,
    mask: NO_MASK,
  });
  assertEquals(rows(drawn), ["000000 000007"]);
});

Deno.test("GuestDisplay tells of changes once per turn, with what has changed", async () => {
  const changes: DisplayChange[] = [];
  const { display: guest, send } = display(64, 8, FORMAT.xrgb, {
    onChange: (change) => changes.push(change),
  });
  await Promise.resolve();
  assertEquals(changes.length, 1);
  assertEquals(changes[0]?.isReplaced, true);
  for (let x = 0; x < 64; x += 32) {
    send.draw_blackness({ base: base(rect(x, 2, 32, 4)), mask: NO_MASK });
  }
  send.monitors_config({ count: 1, maxAllowed: 1, items: [HEAD] });
  assertEquals(changes.length, 1);
  await Promise.resolve();
  assertEquals(changes.length, 2);
  assertEquals(changes[1], {
    primary: guest.primary,
    isReplaced: false,
    damage: [rect(0, 2, 64, 4)],
    hasNewHeads: true,
  });
  assertEquals(guest.stats.frames, 2);
});

Deno.test("GuestDisplay cuts heads to their surface, and takes a config without heads", () => {
  const { display: guest, send } = display(4, 2);
  const large = { ...HEAD, x: 1, width: 1024, height: 768 };
  const elsewhere = { ...HEAD, x: 0xffff_ffff };
  send.monitors_config({ count: 2, maxAllowed: 4, items: [large, elsewhere] });
  assertEquals(guest.heads.map((head) => guest.visibleArea(head)), [rect(1, 0, 3, 2), undefined]);
  send.monitors_config({ count: 0, maxAllowed: 4, items: [] });
  assertEquals(guest.heads, []);
});

Deno.test("GuestDisplay refuses surfaces beyond the limits, and counts them", () => {
  const { display: guest, send } = display(4, 2);
  const create = (surfaceId: number, width: number, height: number, format = 32) =>
    send.surface_create({ surfaceId, width, height, format, flags: 0 });
  create(1, 0, 1);
  create(2, 16385, 1);
  create(3, 16384, 4097);
  create(4, 1, 1, 33);
  assertEquals([...guest.surfaces.keys()], [0]);
  for (let id = 5; id < 2000; id++) create(id, 1, 1);
  assertEquals(guest.surfaces.size, 1024);
  assertEquals([...guest.stats.ignored], [
    ["a surface of a size beyond the limits", 3],
    ["a surface of an unknown format", 1],
    ["a surface that there is no room for", 1995 - 1023],
  ]);
});

Deno.test("GuestDisplay takes no more memory for surfaces than is stated", () => {
  const asked: number[] = [];
  const memory = new SharedArrayBuffer(4 * 8192 * 8192); // all surfaces share it here
  const { display: guest, send } = display(1, 1, FORMAT.xrgb, {
    allocate(bytes) {
      asked.push(bytes);
      return memory;
    },
  });
  for (let id = 1; id < 9; id++) {
    send.surface_create({ surfaceId: id, width: 8192, height: 8192, format: 32, flags: 0 });
  }
  assertEquals(asked, [4, memory.byteLength]);
  assertEquals(MAX_SURFACE_BYTES - memory.byteLength < memory.byteLength + 4, true);
  assertStrictEquals(guest.primary?.pixels.buffer, memory);
});

Deno.test("GuestDisplay lives on without a surface that there is no memory for", () => {
  const { display: guest, send } = display(4, 2, FORMAT.xrgb, {
    allocate() {
      throw new RangeError("Array buffer allocation failed");
    },
  });
  send.draw_blackness({ base: base(rect(0, 0, 1, 1)), mask: NO_MASK });
  assertEquals([...guest.stats.ignored], [
    ["a surface that there is no memory for", 1],
    ["a draw on an unknown surface", 1],
  ]);
});

Deno.test("GuestDisplay tells of what a draw has changed before it fails", async () => {
  const changes: DisplayChange[] = [];
  const drawn = display(2, 1, FORMAT.xrgb, { onChange: (change) => changes.push(change) });
  await Promise.resolve();
  drawn.send.draw_opaque({
    base: base(rect(0, 0, 2, 1)),
    src: image32(2, [1, 2]),
    srcArea: rect(0, 0, 2, 1),
    brush: { kind: "pattern", image: undefined, pos: { x: 0, y: 0 } },
    ...PLAIN,
  });
  await Promise.resolve();
  assertEquals(rows(drawn), ["000001 000002"]);
  assertEquals(changes[1]?.damage, [rect(0, 0, 2, 1)]);
  assertEquals([...drawn.display.stats.ignored.values()], [1]);
});

Deno.test("GuestDisplay takes MODE from servers without surfaces, and shows it once drawn on", () => {
  const { display: guest, send } = display(4, 2);
  send.mode({ width: 8, height: 4, bits: 16 });
  assertEquals(guest.primary?.width, 4);
  send.draw_fill({
    base: base(rect(0, 0, 8, 4)),
    brush: { kind: "solid", color: 0x7fff },
    rop: ROP.put,
    mask: NO_MASK,
  });
  assertEquals(guest.primary?.width, 8);
  assertEquals(guest.primary?.pixels[0], 0xffffff);
});

Deno.test("GuestDisplay gives up an old picture that a new surface needs the room of", () => {
  const memory = new ArrayBuffer(4 * 8192 * 8192); // all surfaces share it here
  const { display: guest, send } = display(8192, 8192, FORMAT.xrgb, { allocate: () => memory });
  const create = (surfaceId: number, flags = 0) =>
    send.surface_create({ surfaceId, width: 8192, height: 8192, format: 32, flags });
  send.surface_destroy({ surfaceId: 0 });
  create(0, 1);
  assertEquals(guest.primary?.id, 0);
  create(1);
  assertEquals(guest.primary, undefined);
  send.mark({});
  assertEquals(guest.primary?.id, 0);
});

Deno.test("GuestDisplay counts what it leaves out and tells of each reason once", () => {
  const warnings: string[] = [];
  const { display: guest, send } = display(4, 2, FORMAT.xrgb, {
    onWarning: (text) => warnings.push(text),
  });
  for (let i = 0; i < 3; i++) {
    send.draw_blackness({ base: base(rect(0, 0, 1, 1), undefined, 7), mask: NO_MASK });
  }
  send.draw_blackness({ base: base(rect(2, 0, -1, 1)), mask: NO_MASK });
  send.draw_blackness({ base: base(rect(0, 0, 2 ** 30 + 1, 1)), mask: NO_MASK });
  assertEquals([...guest.stats.ignored], [
    ["a draw on an unknown surface", 3],
    ["a rectangle of impossible size", 2],
  ]);
  assertEquals(warnings, [
    "The picture may differ from the guest's: a draw on an unknown surface is left out",
    "The picture may differ from the guest's: a rectangle of impossible size is left out",
  ]);
  assertEquals([...guest.primary!.pixels], Array(8).fill(0));
});

Deno.test("GuestDisplay copies columns of any width to any place, wherever they lie in a message", () => {
  const [surfaceWidth, height] = [160, 3];
  for (const width of [1, 2, 7, 8, 10, 32, 33, 64, 127, 128, 130]) {
    for (const start of [0, 1, 4, 8]) {
      for (const left of [0, 3, 4, 30]) {
        const memory = new Uint8Array(start + width * height * 4 + 3);
        crypto.getRandomValues(memory);
        const data = memory.subarray(start, start + width * height * 4);
        const drawn = display(surfaceWidth, height);
        drawn.send.draw_copy({
          base: base(rect(left, 0, width, height)),
          src: bitmapImage(bitmap(8, width, height, data)),
          srcArea: rect(0, 0, width, height),
          ...PLAIN,
        });
        const words = new Uint32Array(data.slice().buffer);
        const expected = Array.from({ length: surfaceWidth * height }, (_, i) => {
          const x = i % surfaceWidth - left;
          return x >= 0 && x < width ? words[Math.floor(i / surfaceWidth) * width + x] : 0;
        });
        const what = `${width} columns to ${left}, from byte ${start}`;
        assertEquals([...drawn.display.primary!.pixels], expected, what);
      }
    }
  }
});

Deno.test("GuestDisplay lets the next message fail where onChange has thrown", async () => {
  const defect = new TypeError("a defect of the caller");
  const { send } = display(2, 2, FORMAT.xrgb, {
    onChange() {
      throw defect;
    },
  });
  send.mark({});
  await new Promise((resolve) => setTimeout(resolve, 0)); // what is uncaught fails the test
  const draw = {
    base: base(rect(0, 0, 1, 1)),
    mask: NO_MASK,
  };
  assertEquals(assertThrows(() => send.draw_whiteness(draw)), defect);
});
