import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { drawCursor, GuestCursor } from "../../lib/display/cursor.ts";
import {
  arrowShape,
  type CursorShape,
  decodeShape,
  drawShape,
} from "../../lib/display/cursor_shape.ts";
import { ImageError } from "../../lib/display/errors.ts";
import type { Picture } from "../../lib/display/picture.ts";
import { routes } from "../../lib/spice/message_routes.ts";
import { ByteReader, ByteWriter } from "../../lib/spice/codec.ts";
import { CURSOR, CURSOR_MESSAGES, CURSOR_SHAPES } from "../../lib/spice/cursor_messages.ts";
import { SpiceDecodeError } from "../../lib/spice/errors.ts";

type WireShape = NonNullable<ReturnType<typeof CURSOR.decode>["shape"]>;

const shapeOf = (type: number, width: number, height: number, more: Partial<WireShape> = {}) => ({
  ...{ unique: 1n, type, width, height, hotX: 0, hotY: 0 },
  ...more,
});

/** A shape as text: `.` transparent, `!` inverting, `o` anything else, which is then listed. */
function show(shape: CursorShape | undefined): [rows: string[], colors: string[]] {
  assert(shape);
  const { width, height, pixels } = shape.picture;
  const cells = [...pixels].map((pixel, i) => shape.inverts?.[i] ? "!" : pixel === 0 ? "." : "o");
  const rows = Array.from(
    { length: height },
    (_, y) => cells.slice(y * width, (y + 1) * width).join(""),
  );
  return [rows, [...pixels].filter((p) => p !== 0).map((p) => p.toString(16).padStart(8, "0"))];
}

Deno.test("decodeShape keeps ALPHA as it is", () => {
  const data = Uint8Array.of(1, 2, 3, 0x80, 0xff, 0xff, 0xff, 0xff);
  assertEquals(show(decodeShape(shapeOf(CURSOR_SHAPES.alpha, 2, 1), data)), [
    ["oo"],
    ["80030201", "ffffffff"],
  ]);
});

Deno.test("decodeShape reads MONO: black, white, transparent, inverting; rows begin with a byte", () => {
  // AND 0 0 1 1, XOR 0 1 0 1; then a ninth column on its own.
  const and = [0b0011_1111, 0b1000_0000, 0b1111_1111, 0b0000_0000];
  const xor = [0b0101_0000, 0b0000_0000, 0b0000_0001, 0b1000_0000];
  const shape = decodeShape(shapeOf(CURSOR_SHAPES.mono, 9, 2), Uint8Array.of(...and, ...xor));
  assertEquals(show(shape), [
    ["oo.!.....", ".......!o"],
    ["ff000000", "ffffffff", "ffffffff"],
  ]);
});

Deno.test("decodeShape reads COLOR4: the high half first, a palette, a mask", () => {
  const palette = new Uint8Array(64);
  palette.set([0x11, 0x22, 0x33, 0x99], 4 * 5); // B G R and a byte that means nothing
  palette.set([0xff, 0xff, 0xff, 0], 4 * 15);
  const data = Uint8Array.of(0x5f, 0xf0, 0x55, 0x50, ...palette, 0b0110_0000, 0b1000_0000);
  assertEquals(show(decodeShape(shapeOf(CURSOR_SHAPES.color4, 3, 2), data)), [
    ["o!!", ".oo"],
    ["ff332211", "ff332211", "ff332211"],
  ]);
});

Deno.test("decodeShape reads COLOR8, COLOR16, COLOR24 and COLOR32 with their masks", () => {
  const palette = new Uint8Array(1024);
  palette.set([1, 2, 3], 4 * 200);
  palette.fill(0xff, 4 * 255);
  const mask = 0b0110_0000; // of four pixels: shown, inverting, transparent, shown
  const kinds: [type: number, data: number[], colors: string[]][] = [
    [CURSOR_SHAPES.color8, [200, 255, 200, 255, ...palette, mask], ["ff030201", "ffffffff"]],
    [
      CURSOR_SHAPES.color16,
      [0x1f, 0x7c, 0xff, 0x7f, 0, 0, 0xe0, 0x83, mask],
      ["ffff00ff", "ff00ff00"],
    ],
    [
      CURSOR_SHAPES.color24,
      [1, 2, 3, 255, 255, 255, 9, 9, 9, 4, 5, 6, mask],
      ["ff030201", "ff060504"],
    ],
    [
      CURSOR_SHAPES.color32,
      [1, 2, 3, 0, 255, 255, 255, 7, 9, 9, 9, 9, 4, 5, 6, 77, mask],
      ["ff030201", "ff060504"],
    ],
  ];
  for (const [type, data, colors] of kinds) {
    assertEquals(show(decodeShape(shapeOf(type, 4, 1), Uint8Array.from(data))), [["o!.o"], colors]);
  }
});

Deno.test("decodeShape moves the hot spot into the picture", () => {
  const shape = shapeOf(0, 2, 3, { hotX: 2, hotY: 0xffff });
  const { hotX, hotY } = decodeShape(shape, new Uint8Array(24))!;
  assertEquals([hotX, hotY], [1, 2]);
});

Deno.test("decodeShape: one byte too few of any kind is refused, whatever the size", () => {
  for (const type of Object.values(CURSOR_SHAPES)) {
    for (
      const [width, height] of [[1, 1], [7, 3], [9, 2], [64, 64], [512, 512], [512, 1]] as const
    ) {
      const row = [4, 1 / 8, 1 / 2, 1, 2, 3, 4][type]! * width;
      const palette = type === 2 ? 64 : type === 3 ? 1024 : 0;
      const mask = type === 0 ? 0 : Math.ceil(width / 8) * height;
      const size = Math.ceil(row) * height + palette + mask;
      assert(decodeShape(shapeOf(type, width, height), new Uint8Array(size)));
      assertThrows(
        () => decodeShape(shapeOf(type, width, height), new Uint8Array(size - 1)),
        ImageError,
        `it has ${size - 1} bytes, expected ${size}`,
      );
    }
  }
});

Deno.test("decodeShape refuses what is too large or of no type, and shows nothing of no size", () => {
  const plenty = new Uint8Array(2 * 1024 * 1024);
  for (const [width, height] of [[513, 1], [1, 513], [0xffff, 0xffff], [0xffff, 0]] as const) {
    const shape = shapeOf(0, width, height);
    assertThrows(() => decodeShape(shape, plenty), ImageError, "at most 512");
  }
  for (const type of [7, 255]) {
    assertThrows(() => decodeShape(shapeOf(type, 1, 1), plenty), ImageError, `type ${type}`);
  }
  for (const [width, height] of [[0, 0], [0, 5], [5, 0]] as const) {
    assertEquals(decodeShape(shapeOf(0, width, height), new Uint8Array()), undefined);
  }
});

const byte = fc.integer({ min: 0, max: 255 });
/** A shape of a few pixels, each transparent, inverting, opaque or premultiplied. */
const anyShape = fc.record({
  width: fc.integer({ min: 1, max: 5 }),
  height: fc.integer({ min: 1, max: 5 }),
  hotX: fc.integer({ min: 0, max: 4 }),
  hotY: fc.integer({ min: 0, max: 4 }),
  kinds: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 25, maxLength: 25 }),
  colors: fc.array(fc.tuple(byte, byte, byte, byte), { minLength: 25, maxLength: 25 }),
}).map(({ width, height, hotX, hotY, kinds, colors }): CursorShape => {
  const pixels = new Uint32Array(width * height);
  const inverts = new Uint8Array(width * height);
  for (let i = 0; i < pixels.length; i++) {
    const [a, ...rgb] = colors[i]!;
    const alpha = kinds[i] === 2 ? 255 : a;
    const [r = 0, g = 0, b = 0] = rgb.map((value) => Math.floor(value * alpha / 255));
    if (kinds[i] === 1) inverts[i] = 1;
    else if (kinds[i] !== 0) pixels[i] = alpha << 24 | r << 16 | g << 8 | b;
  }
  const [maxX, maxY] = [Math.min(hotX, width - 1), Math.min(hotY, height - 1)];
  return { picture: { width, height, pixels, hasAlpha: true }, inverts, hotX: maxX, hotY: maxY };
});

/** What a pixel must be, by fractions instead of bits. */
function expected(source: number, under: number): number {
  const channel = (value: number, shift: number) => value >>> shift & 0xff;
  const rest = 255 - channel(source, 24);
  return [0, 8, 16].reduce((sum, shift) => {
    const blended = channel(source, shift) + Math.round(channel(under, shift) * rest / 255);
    return sum + Math.min(255, blended) * 2 ** shift;
  }, 0);
}

Deno.test("drawShape is exact at any place, and changes nothing else", () => {
  const place = fc.integer({ min: -8, max: 14 });
  const screen = fc.array(fc.integer({ min: 0, max: 0xffffff }), { minLength: 70, maxLength: 70 });
  fc.assert(
    fc.property(anyShape, place, place, screen, (shape, x, y, under) => {
      const picture: Picture = {
        ...{ width: 10, height: 7, hasAlpha: false },
        pixels: Uint32Array.from(under),
      };
      drawShape(picture, shape, x, y);
      const { width, height, pixels } = shape.picture;
      const wanted = under.map((value, i) => {
        const column = i % 10 - x + shape.hotX;
        const row = Math.floor(i / 10) - y + shape.hotY;
        if (column < 0 || row < 0 || column >= width || row >= height) return value;
        const at = row * width + column;
        return shape.inverts?.[at] ? 0xffffff - value : expected(pixels[at]!, value);
      });
      assertEquals([...picture.pixels], wanted);
    }),
    { numRuns: 500 },
  );
});

Deno.test("drawShape adds up at most to white where a guest has not premultiplied", () => {
  const pixels = Uint32Array.of(0x80ffffff);
  const picture: Picture = {
    width: 1,
    height: 1,
    pixels: Uint32Array.of(0xffffff),
    hasAlpha: false,
  };
  const shape = { picture: { width: 1, height: 1, pixels, hasAlpha: true }, hotX: 0, hotY: 0 };
  drawShape(picture, shape, 0, 0);
  assertEquals(picture.pixels[0], 0xffffff);
});

/** A pointer that is fed with messages as bytes. */
function fed(): {
  cursor: GuestCursor;
  feed: (id: number, body?: Uint8Array) => void;
  changes: () => number;
  warnings: string[];
} {
  let changes = 0;
  const warnings: string[] = [];
  const cursor = new GuestCursor({
    onChange: () => changes++,
    onWarning: (text) => warnings.push(text),
  });
  const table = routes(CURSOR_MESSAGES, cursor.handlers());
  return {
    cursor,
    changes: () => changes,
    warnings,
    feed: (id, body = new Uint8Array()) => table.get(id)?.(new ByteReader(body)),
  };
}

type Messages = typeof CURSOR_MESSAGES;
type Body<Id extends keyof Messages> = Parameters<Messages[Id]["encode"]>[1];

function encode<Id extends keyof Messages>(id: Id, value: Body<Id>): Uint8Array {
  const writer = new ByteWriter();
  (CURSOR_MESSAGES[id].encode as (writer: ByteWriter, value: Body<Id>) => void)(writer, value);
  return writer.finish().slice();
}

/** SET with one pixel of a colour. */
function set(unique: bigint, flags: number, color = 1, place: { x?: number; y?: number } = {}) {
  const data = (flags & 4) === 0 ? Uint8Array.of(color, 0, 0, 255) : new Uint8Array();
  const cursor = { flags, shape: shapeOf(0, 1, 1, { unique }), data };
  return encode(103, { x: place.x ?? 0, y: place.y ?? 0, visible: 1, cursor });
}

const NONE = { flags: 1, data: new Uint8Array() };
const colorOf = (cursor: GuestCursor) => (cursor.shape?.picture.pixels[0] ?? 0) & 0xff;

Deno.test("GuestCursor follows INIT, SET, MOVE, HIDE, RESET and TRAIL", () => {
  const { cursor, feed, changes } = fed();
  const state = () => [cursor.x, cursor.y, cursor.isVisible, colorOf(cursor)];
  assertEquals(state(), [0, 0, false, 0]);
  const init = { x: 3, y: -4, trailLength: 5, trailFrequency: 60, visible: 1, cursor: NONE };
  assertEquals(encode(101, init).length, 11);
  feed(101, encode(101, init));
  assertEquals([...state(), cursor.shape], [3, -4, true, 0, undefined]);
  assertEquals(cursor.trail, { length: 5, frequencyMs: 60 });
  feed(103, set(1n, 0, 7, { x: 9, y: 8 }));
  assertEquals(state(), [9, 8, true, 7]);
  feed(105);
  assertEquals(state(), [9, 8, false, 7]);
  feed(104, encode(104, { x: -1, y: 2 }));
  assertEquals(state(), [-1, 2, true, 7], "MOVE shows it, too");
  feed(106, encode(106, { length: 1, frequency: 2 }));
  assertEquals(cursor.trail, { length: 1, frequencyMs: 2 });
  feed(103, encode(103, { x: 0, y: 0, visible: 0, cursor: NONE }));
  assertEquals([cursor.isVisible, cursor.shape], [false, undefined]);
  feed(102);
  assertEquals([cursor.isVisible, cursor.shape], [false, undefined]);
  assertEquals(changes(), 7);
});

Deno.test("GuestCursor keeps shapes that it is told to keep, until it is told to forget them", () => {
  const { cursor, feed, warnings } = fed();
  feed(103, set(1n, 2, 11));
  feed(103, set(2n, 2, 22));
  feed(103, set(3n, 0, 33));
  feed(103, set(1n, 4));
  assertEquals([colorOf(cursor), cursor.cachedShapes], [11, 2]);
  feed(103, set(2n, 4));
  assertEquals(colorOf(cursor), 22);
  assertEquals(set(2n, 4).length, 24, "the shape is described although it is kept");
  feed(107, encode(107, { unique: 1n }));
  assertEquals([cursor.cachedShapes, warnings], [1, []]);
  for (const gone of [1n, 3n]) {
    feed(103, set(gone, 4));
    assertEquals(cursor.shape, arrowShape());
  }
  feed(108);
  feed(103, set(2n, 4));
  assertEquals(cursor.shape, arrowShape());
  assertEquals(cursor.stats, { shapes: 3, cacheHits: 2, refused: 3 });
  assertEquals(warnings.length, 1);
});

Deno.test("GuestCursor keeps 256 shapes at most, and no more memory than a few megabytes", () => {
  const { cursor, feed } = fed();
  for (let n = 0; n < 300; n++) feed(103, set(BigInt(n), 2, n));
  assertEquals(cursor.cachedShapes, 256);
  feed(103, set(299n, 4));
  assertEquals(colorOf(cursor), 299 & 0xff);
  const data = new Uint8Array(512 * 512 * 4);
  for (let n = 0; n < 40; n++) {
    const shape = shapeOf(0, 512, 512, { unique: BigInt(1000 + n) });
    feed(103, encode(103, { x: 0, y: 0, visible: 1, cursor: { flags: 2, shape, data } }));
  }
  assertEquals(cursor.cachedShapes, 16);
  for (let n = 0; n < 5; n++) feed(103, set(1039n, 2, 5)); // the same name again
  assertEquals(cursor.cachedShapes, 16);
});

Deno.test("GuestCursor shows an arrow for a shape that cannot be shown, and warns once", () => {
  const { cursor, feed, warnings } = fed();
  for (const width of [600, 700]) {
    const shape = shapeOf(0, width, 1);
    const wrong = { flags: 2, shape, data: new Uint8Array(4000) };
    feed(103, encode(103, { x: 1, y: 2, visible: 1, cursor: wrong }));
    assertEquals([cursor.shape, cursor.cachedShapes], [arrowShape(), 0]);
  }
  assertEquals(warnings.length, 1);
  assert(warnings[0]!.includes("600 x 1"), warnings[0]);
});

Deno.test("GuestCursor puts up with any bytes", () => {
  const { cursor, feed } = fed();
  const id = fc.integer({ min: 100, max: 109 });
  const start = fc.constantFrom([], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 0, 1]);
  const flags = fc.constantFrom([0, 0], [2, 0], [4, 0], [6, 0], [1, 0]);
  const body = fc.tuple(start, flags, fc.uint8Array({ maxLength: 200 }))
    .map((parts) => Uint8Array.from(parts.flatMap((part) => [...part])));
  const picture: Picture = {
    ...{ width: 20, height: 10, hasAlpha: false },
    pixels: new Uint32Array(200),
  };
  fc.assert(
    fc.property(id, body, (id, body) => {
      try {
        feed(id, body);
      } catch (error) {
        assert(error instanceof SpiceDecodeError, String(error));
      }
      assertEquals(drawCursor(picture, cursor).pixels.length, 200);
      assert(cursor.cachedShapes <= 256);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("drawCursor leaves the picture alone and draws on a copy", () => {
  const { cursor, feed } = fed();
  const picture: Picture = {
    ...{ width: 3, height: 2, hasAlpha: false },
    pixels: new Uint32Array(6),
  };
  assertEquals(drawCursor(picture, cursor), picture);
  feed(103, set(1n, 0, 9, { x: 1, y: 1 }));
  assertEquals([...drawCursor(picture, cursor).pixels], [0, 0, 0, 0, 9, 0]);
  assertEquals([...drawCursor(picture, cursor, { x: 2, y: 0 }).pixels], [0, 0, 9, 0, 0, 0]);
  assertEquals([...picture.pixels], [0, 0, 0, 0, 0, 0]);
  feed(105);
  assertEquals(drawCursor(picture, cursor), picture);
});

Deno.test("cursor messages: lengths are those seen from a real server", () => {
  const shape = shapeOf(0, 64, 64);
  const cursor = { flags: 2, shape, data: new Uint8Array(16384) };
  const place = { x: 1, y: 1, visible: 1 };
  assertEquals(encode(101, { ...place, trailLength: 0, trailFrequency: 0, cursor }).length, 16412);
  assertEquals(encode(103, { ...place, cursor }).length, 16408);
  const body = encode(103, { ...place, cursor });
  assertEquals(CURSOR_MESSAGES[103].decode(new ByteReader(body)), { ...place, cursor });
  for (let length = 0; length < 24; length++) {
    assertThrows(
      () => CURSOR_MESSAGES[103].decode(new ByteReader(body.subarray(0, length))),
      SpiceDecodeError,
    );
  }
});
