import { assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { BASE_MESSAGES } from "../../lib/spice/base_messages.ts";
import {
  ByteReader,
  ByteWriter,
  type Codec,
  countedList,
  countedText,
  empty,
  fixedBytes,
  i16,
  i32,
  i64,
  restBytes,
  restList,
  struct,
  u16,
  u32,
  u64,
  u8,
} from "../../lib/spice/codec.ts";
import { DISPLAY_MESSAGES, DISPLAY_REQUESTS, NO_CACHES } from "../../lib/spice/display_messages.ts";
import { SpiceDecodeError } from "../../lib/spice/errors.ts";
import { MAIN_MESSAGES } from "../../lib/spice/main_messages.ts";

function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const writer = new ByteWriter(1); // so that it has to grow
  codec.encode(writer, value);
  return writer.finish();
}

/** Checks that a value survives, and that every shorter body is refused. */
function assertRoundTrip<T>(codec: Codec<T>, value: T): void {
  const bytes = encode(codec, value);
  const reader = new ByteReader(bytes);
  assertEquals(codec.decode(reader), value);
  assertEquals(reader.remaining, 0);
  for (let length = 0; length < Math.min(bytes.length, 64); length++) {
    assertThrows(() => codec.decode(new ByteReader(bytes.subarray(0, length))), SpiceDecodeError);
  }
}

const integers: [name: string, codec: Codec<number>, min: number, max: number][] = [
  ["u8", u8, 0, 0xff],
  ["u16", u16, 0, 0xffff],
  ["u32", u32, 0, 0xffff_ffff],
  ["i16", i16, -0x8000, 0x7fff],
  ["i32", i32, -0x8000_0000, 0x7fff_ffff],
];
for (const [name, codec, min, max] of integers) {
  Deno.test(`${name} keeps every value of its range and refuses others`, () => {
    fc.assert(fc.property(fc.integer({ min, max }), (value) => assertRoundTrip(codec, value)));
    for (const value of [min, max]) assertRoundTrip(codec, value);
    for (const value of [min - 1, max + 1, 0.5, NaN]) {
      assertThrows(() => encode(codec, value), RangeError, name);
    }
  });
}

Deno.test("u64 and i64 keep every value of their range and refuse others", () => {
  const [max, half] = [2n ** 64n - 1n, 2n ** 63n];
  fc.assert(fc.property(fc.bigInt(0n, max), (value) => assertRoundTrip(u64, value)));
  fc.assert(fc.property(fc.bigInt(-half, half - 1n), (value) => assertRoundTrip(i64, value)));
  assertThrows(() => encode(u64, -1n), RangeError);
  assertThrows(() => encode(i64, half), RangeError);
});

Deno.test("integers are little-endian and packed", () => {
  const bytes = encode(struct({ a: u8, b: u16, c: u32, d: i16 }), {
    a: 1,
    b: 0x0302,
    c: 0x07060504,
    d: -1,
  });
  assertEquals(bytes, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 0xff, 0xff));
});

Deno.test("countedList keeps its items and takes the count from them", () => {
  const list = countedList(struct({ count: u16, flags: u8 }), struct({ x: i32, y: i32 }));
  const item = fc.record({ x: fc.integer(), y: fc.integer() }, { noNullPrototype: true })
    .map(({ x, y }) => ({ x: x | 0, y: y | 0 }));
  fc.assert(fc.property(fc.array(item, { maxLength: 40 }), (items) => {
    assertRoundTrip(list, { count: items.length, flags: 7, items });
  }));
  assertEquals(encode(list, { count: 99, flags: 0, items: [] }), Uint8Array.of(0, 0, 0));
});

Deno.test("countedList checks its count before it makes the list", () => {
  const list = countedList(struct({ count: u32 }), struct({ type: u8, id: u8 }));
  const bytes = Uint8Array.fromHex("ffffffff0102");
  assertThrows(
    () => list.decode(new ByteReader(bytes)),
    SpiceDecodeError,
    "4294967295 items of 2 bytes",
  );
  assertThrows(() => countedList(struct({ count: u32 }), empty), RangeError);
});

Deno.test("monitors_config with more heads than bytes throws", () => {
  const bytes = Uint8Array.fromHex("ffff0400");
  assertThrows(
    () => DISPLAY_MESSAGES[317].decode(new ByteReader(bytes)),
    SpiceDecodeError,
    "65535 items",
  );
});

Deno.test("monitors_config without heads is valid", () => {
  const bytes = Uint8Array.fromHex("00001000");
  assertEquals(DISPLAY_MESSAGES[317].decode(new ByteReader(bytes)), {
    count: 0,
    maxAllowed: 16,
    items: [],
  });
});

Deno.test("countedText ends at its zero byte and is safe to show", () => {
  const bytes = encode(countedText, "a\u001b[31mb");
  assertEquals(bytes[0], 8); // with the zero byte
  assertEquals(countedText.decode(new ByteReader(bytes)), "a\ufffd[31mb");
  const broken = Uint8Array.of(3, 0, 0, 0, 0x41, 0xff, 0);
  assertEquals(countedText.decode(new ByteReader(broken)), "A\ufffd");
  assertThrows(
    () => countedText.decode(new ByteReader(Uint8Array.of(4, 0, 0, 0, 65))),
    SpiceDecodeError,
  );
});

Deno.test("fixedBytes is a view of the body and refuses other lengths", () => {
  const body = Uint8Array.of(1, 2, 3);
  const value = fixedBytes(2).decode(new ByteReader(body, 1));
  assertEquals(value, Uint8Array.of(2, 3));
  assertStrictEquals(value.buffer, body.buffer);
  assertThrows(() => encode(fixedBytes(2), body), RangeError);
});

Deno.test("ByteReader.at stays within its message", () => {
  const body = Uint8Array.of(9, 9, 1, 2, 3, 4, 9).subarray(2, 6);
  const reader = new ByteReader(body);
  assertEquals(reader.at(2, 2).u16(), 0x0403);
  assertEquals(reader.at(4).remaining, 0);
  for (const [offset, min] of [[3, 2], [5, 0], [0xffff_ffff, 4], [-1, 0], [NaN, 0]] as const) {
    assertThrows(() => reader.at(offset, min), SpiceDecodeError);
  }
});

Deno.test("reads never reach beyond a body that is part of a larger buffer", () => {
  const body = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8).subarray(2, 5);
  const reader = new ByteReader(body);
  assertThrows(() => reader.u32(), SpiceDecodeError, "3 are left");
  assertEquals(reader.u16(), 0x0403); // a failed read moves nothing
  assertThrows(() => reader.u16(), SpiceDecodeError);
  assertEquals(reader.u8(), 5);
});

Deno.test("any bytes either decode or throw SpiceDecodeError, in every table", () => {
  const codecs = [BASE_MESSAGES, MAIN_MESSAGES, DISPLAY_MESSAGES]
    .flatMap((table) => Object.values<{ name: string } & Partial<Codec<unknown>>>(table))
    .filter((entry) => entry.decode !== undefined);
  fc.assert(
    fc.property(fc.constantFrom(...codecs), fc.uint8Array({ maxLength: 300 }), (codec, bytes) => {
      try {
        codec.decode!(new ByteReader(bytes));
      } catch (error) {
        assertInstanceOf(error, SpiceDecodeError);
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("restBytes and restList take what is left, and nothing beyond", () => {
  const layout = struct({ head: u8, items: restList(u16) });
  assertEquals(encode(layout, { head: 1, items: [2, 3] }).toHex(), "0102000300");
  const reader = new ByteReader(Uint8Array.of(1, 2, 0, 3)); // half an item too much
  assertEquals(layout.decode(reader), { head: 1, items: [2] });
  assertEquals(reader.remaining, 1);
  assertEquals(restBytes.decode(reader), Uint8Array.of(3));
  assertEquals(restBytes.decode(reader), new Uint8Array());
  assertThrows(() => restList(empty), RangeError, "without bytes");
});

Deno.test("the display's INIT has the 14 bytes of the protocol", () => {
  assertEquals(
    encode(DISPLAY_REQUESTS.init.body, NO_CACHES).toHex(),
    "01" + "0000000000000000" + "01" + "00000000",
  );
});
