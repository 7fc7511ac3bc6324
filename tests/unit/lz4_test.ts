import { assert, assertEquals, assertThrows } from "@std/assert";
import { ImageError } from "../../lib/display/errors.ts";
import { decodeLz4 } from "../../lib/display/lz4.ts";
import { widen } from "../../lib/display/lz_pixels.ts";
import { fuzzDecoder } from "./image_fuzz.ts";
import { lz4Blocks, randomFrom, repetitive } from "./lz_encoder.ts";

const color = (value: number) => Math.imul(value, 0x9e3779b1) >>> 0;

/** Bytes of a pixel and what they decode to, by bitmap format. */
const FORMATS = {
  "16BIT": {
    format: 6,
    bytes: (v: number) => [v & 255, v >> 8 & 255],
    decoded: (v: number) => widen(v & 0x7fff),
  },
  "24BIT": {
    format: 7,
    bytes: (v: number) => [v & 255, v >> 8 & 255, v >> 16 & 255],
    decoded: (v: number) => v & 0xffffff,
  },
  "32BIT": {
    format: 8,
    bytes: (v: number) => [v & 255, v >> 8 & 255, v >> 16 & 255, v >>> 24],
    decoded: (v: number) => v & 0xffffff,
  },
  "RGBA": {
    format: 9,
    bytes: (v: number) => [v & 255, v >> 8 & 255, v >> 16 & 255, v >>> 24],
    decoded: (v: number) => v,
  },
  "8BIT_A": {
    format: 10,
    bytes: (v: number) => [v >>> 24],
    decoded: (v: number) => (v & 0xff000000) >>> 0,
  },
};

for (const [name, { format, bytes, decoded }] of Object.entries(FORMATS)) {
  Deno.test(`decodeLz4 gives back random images of format ${name}`, () => {
    for (let seed = 0; seed < 60; seed++) {
      const random = randomFrom(seed);
      const width = 1 + Math.floor(random() * 120), height = 1 + Math.floor(random() * 30);
      const topDown = random() < 0.5;
      const values = repetitive(width * height, 2 + Math.floor(random() * 60), random).map(color);
      const data = new Uint8Array([
        topDown ? 1 : 0,
        format,
        ...lz4Blocks(values.flatMap(bytes), random),
      ]);
      const picture = decodeLz4(data, { width, height });
      const lines = Array.from(
        { length: height },
        (_, y) => values.slice(y * width, (y + 1) * width),
      );
      if (!topDown) lines.reverse();
      assertEquals(picture.hasAlpha, format >= 9);
      assertEquals([...picture.pixels], lines.flat().map(decoded), `seed ${seed}`);
    }
  });
}

/** An image of 8 x 1 bytes of alpha with these blocks. */
const SIZE = { width: 8, height: 1 };
const image = (...blocks: number[][]) =>
  new Uint8Array([1, 10, ...blocks.flatMap((block) => [0, 0, 0, block.length, ...block])]);

Deno.test("decodeLz4 says what is wrong with an image", () => {
  const good = image([0x13, 7, 1, 0], [0x00]); // a literal, 7 copies of it; a block of no bytes
  assertThrows(() => decodeLz4(good, SIZE), ImageError, "a block ends within a sequence");
  assertEquals(
    [...decodeLz4(image([0x12, 7, 1, 0, 0x10, 8], []).subarray(0, -4), SIZE).pixels],
    [...Array(7).fill(7 << 24), 8 << 24].map((v) => v >>> 0),
  );
  const cases: [string, Uint8Array, string][] = [
    ["no bytes", new Uint8Array(1), "it has 1 bytes, expected at least 2"],
    ["an index format", new Uint8Array([1, 5, 0, 0, 0, 1, 0]), "bitmap format is 5"],
    ["half a length", new Uint8Array([1, 10, 0, 0, 0]), "within the length of a block"],
    ["an empty block", image([]), "a block has 0 bytes"],
    ["a block beyond the end", new Uint8Array([1, 10, 255, 255, 255, 255, 0]), "4294967295 bytes"],
    ["an end within literals", image([0x50, 1, 2]), "a block ends within a sequence"],
    ["an end within a distance", image([0x10, 1, 1]), "a block ends within a sequence"],
    ["an end behind a match", image([0x10, 1, 1, 0]), "a block ends within a sequence"],
    ["an end within a length", image([0xf0, 255]), "a block ends within a sequence"],
    ["a distance of 0", image([0x10, 1, 0, 0, 0x10, 1]), "byte 1 refers 0 back, expected 1 to 1"],
    [
      "a distance too far",
      image([0x10, 1, 2, 0, 0x10, 1]),
      "byte 1 refers 2 back, expected 1 to 1",
    ],
    [
      "a match beyond the end",
      image([0x14, 1, 1, 0, 0x10, 1]),
      "makes 8 bytes, expected at most the 7",
    ],
    ["literals beyond the end", image([0x90, ...Array(9).fill(1)]), "makes 9 bytes"],
    ["too few pixels", image([0x10, 1]), "it has 1 bytes of pixels, expected 8"],
  ];
  for (const [name, data, message] of cases) {
    assertThrows(() => decodeLz4(data, SIZE), ImageError, message, name);
  }
  assertThrows(() => decodeLz4(good, { width: 0, height: 1 }), ImageError, "its size is 0 x 1");
  assertThrows(
    () => decodeLz4(good, { width: 16384, height: 4096 }),
    ImageError,
    "cannot hold 67108864 pixels",
  );
});

Deno.test("decodeLz4 survives mutated images", () => {
  const size = { width: 24, height: 10 };
  const random = randomFrom(6);
  const images = Object.values(FORMATS).map(({ format, bytes }) => {
    const values = repetitive(240, 20, random).map(color);
    return new Uint8Array([1, format, ...lz4Blocks(values.flatMap(bytes), random)]);
  });
  const decoded = fuzzDecoder(images, size, 100_000, (data) => decodeLz4(data, size));
  assert(decoded > 1000, `${decoded} decoded`);
});
