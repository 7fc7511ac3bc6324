import { deflateSync } from "node:zlib";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ImageError } from "../../lib/display/errors.ts";
import { GlzWindow } from "../../lib/display/glz.ts";
import { LZ_IMAGE_TYPE } from "../../lib/display/lz.ts";
import { widen } from "../../lib/display/lz_pixels.ts";
import { fuzzDecoder } from "./image_fuzz.ts";
import {
  glzHeader,
  type GlzImage,
  glzMatch,
  glzStream,
  PASSES,
  randomFrom,
  repetitive,
} from "./lz_encoder.ts";

const { RGB16, RGB24, RGB32, RGBA } = LZ_IMAGE_TYPE;
const color = (value: number) => Math.imul(value, 0x9e3779b1) >>> 0;

/** An image of `width` x 1 pixels with this stream. */
function image(id: number, width: number, stream: number[], type: number = RGB32, head = id) {
  const data = new Uint8Array([
    ...glzHeader(type, { width, height: 1 }, true, id, head),
    ...stream,
  ]);
  return [data, { width, height: 1 }] as const;
}
/** Literal pixels of one colour component each. */
const literals = (...values: number[]) => [values.length - 1, ...values.flatMap((v) => [v, 0, 0])];

Deno.test("GlzWindow gives back random images that refer to one another", () => {
  for (let seed = 0; seed < 40; seed++) {
    const random = randomFrom(seed);
    const window = new GlzWindow(1 << 20);
    const types = [RGB16, RGB24, RGB32, RGBA];
    const earlier = new Map<number, GlzImage[]>(types.map((type) => [type, []]));
    const base = repetitive(4000, 2 + Math.floor(random() * 40), random).map(color);
    for (let id = 0; id < 20; id++) {
      const type = types[Math.floor(random() * types.length)]!;
      const width = 1 + Math.floor(random() * 60), height = 1 + Math.floor(random() * 30);
      const from = Math.floor(random() * 2000);
      let values = base.slice(from, from + width * height);
      if (type === RGB16) values = values.map((value) => value & 0x7fff);
      const known = earlier.get(type)!;
      const pass = (name: keyof typeof PASSES) =>
        glzStream(values, PASSES[name], id, known, random);
      const stream = type === RGB16
        ? pass("rgb16")
        : [...pass("rgb"), ...(type === RGBA ? pass("alpha") : [])];
      const topDown = random() < 0.5;
      const data = new Uint8Array([
        ...glzHeader(type, { width, height }, topDown, id, id),
        ...stream,
      ]);
      const picture = random() < 0.5
        ? window.decode(data, { width, height })
        : window.decodeZlib(deflateSync(data), data.length, { width, height });

      const expected = values.map((value) =>
        type === RGB16 ? widen(value) : type === RGBA ? value : value & 0xffffff
      );
      if (!topDown) {
        const lines = Array.from(
          { length: height },
          (_, y) => expected.slice(y * width, (y + 1) * width),
        );
        expected.splice(0, Infinity, ...lines.reverse().flat());
      }
      assertEquals(picture.hasAlpha, type === RGBA);
      assertEquals([...picture.pixels], expected, `seed ${seed}, image ${id}`);
      known.push({ id, values });
    }
  }
});

Deno.test("GlzWindow reads every form of a match", () => {
  // Offsets of 12, 17 and 25 bits, image distances of every length.
  const places = [1, 15, 16, 4095, 4096, 0x1ffff, 0x20000, 0x2ffff];
  const distances = [1, 63, 64, 255, 256, 0x3fff, 0x4000, 0xffff, 0x10000, 0x3fffff, 0x400000];
  const size = { width: 1024, height: 193 };
  const values = Uint32Array.from({ length: 0x30000 }, (_, i) => Math.imul(i, 0x9e3779b1) >>> 8);
  const stream: number[] = [];
  for (let i = 0; i < values.length; i += 32) {
    stream.push(31, ...[...values.subarray(i, i + 32)].flatMap(PASSES.rgb.literal));
  }
  const window = new GlzWindow();
  const within = places.flatMap((place) => glzMatch(place, 1, 0));
  const fill = glzMatch(0, size.width - places.length, 0);
  const first = window.decode(
    new Uint8Array([...glzHeader(RGB32, size, true, 3, 0), ...stream, ...within, ...fill]),
    size,
  );
  places.forEach((place, i) =>
    assertEquals(first.pixels[0x30000 + i], first.pixels[0x30000 + i - 1 - place], `${place} back`)
  );
  for (const distance of distances) {
    const matches = places.flatMap((place) => glzMatch(place, 1, distance));
    const picture = window.decode(...image(3 + distance, places.length, matches));
    assertEquals(
      [...picture.pixels],
      places.map((place) => values[place]!),
      `distance ${distance}`,
    );
  }
});

Deno.test("GlzWindow keeps what later images may refer to, and nothing else", () => {
  const window = new GlzWindow(1000);
  const cost = 64 + 10;
  for (let id = 0; id < 8; id++) {
    window.decode(...image(id, 10, literals(...Array(10).fill(id)), RGB32, Math.min(id, 3)));
    assertEquals(window.keptPixels, cost * Math.min(id + 1, 4), `after image ${id}`);
  }
  const refer = (id: number, distance: number) =>
    window.decode(...image(id, 1, glzMatch(9, 1, distance), RGB32, 3)).pixels[0];
  assertEquals(refer(8, 3), 5);
  assertThrows(() => refer(9, 5), ImageError, "refers to image 4, which is not there");
});

Deno.test("GlzWindow keeps old images while others are still on their way", () => {
  const window = new GlzWindow(1000);
  window.decode(...image(0, 1, literals(7)));
  // Image 2 needs nothing older, but image 1 of another channel does.
  window.decode(...image(2, 1, literals(9), RGB32, 0));
  assertEquals(window.decode(...image(1, 1, glzMatch(0, 1, 1))).pixels[0], 7);
  assertEquals(window.keptPixels, 2 * 65); // 0 is gone; 1, which came last, goes with 2
  assertThrows(
    () => window.decode(...image(4, 1, glzMatch(0, 1, 1))),
    ImageError,
    "refers to image 3, which is not there",
  );
});

Deno.test("GlzWindow keeps at most twice its size, whatever ids come", () => {
  const window = new GlzWindow(10_000);
  const random = randomFrom(3);
  for (let i = 0; i < 5000; i++) {
    const id = Math.floor(random() * 2 ** (1 + random() * 52));
    const stream = random() < 0.5 ? literals(1, 2, 3, 4) : [];
    try {
      window.decode(...image(id, 4, stream, RGB32, Math.floor(random() * 2 ** 32)));
    } catch (error) {
      assert(error instanceof ImageError, `${error}`);
    }
    assert(window.keptPixels <= 20_000, `${window.keptPixels} pixels`);
  }
});

Deno.test("GlzWindow gives out pictures that are the receiver's own", () => {
  const window = new GlzWindow();
  const first = window.decode(...image(0, 2, literals(1, 2)));
  first.pixels.fill(9);
  const second = window.decode(...image(1, 2, glzMatch(0, 2, 1)));
  window.decode(...image(2, 2, literals(5, 6)));
  assertEquals([...second.pixels], [1, 2]);
});

Deno.test("GlzWindow says what is wrong with an image", () => {
  const window = new GlzWindow(1000);
  window.decode(...image(0, 4, literals(1, 2, 3, 4)));
  window.decode(...image(1, 4, [...literals(1, 2, 3, 4), 3, 9, 9, 9, 9], RGBA));
  let id = 2;
  const next = (width: number, stream: number[], type?: number) => () =>
    window.decode(...image(id++, width, stream, type));
  assertThrows(next(4, literals(1)), ImageError, "ends after 1 pixels, expected 4");
  assertThrows(next(4, [3, 1, 0]), ImageError, "ends after 0 pixels");
  assertThrows(next(4, [0x20, 0]), ImageError, "ends after 0 pixels");
  assertThrows(next(4, [0xe0, 255]), ImageError, "ends after 0 pixels");
  assertThrows(next(4, [0x20, 0, 0xc1, 1]), ImageError, "ends after 0 pixels");
  assertThrows(next(4, [0x30, 0, 0x20]), ImageError, "ends after 0 pixels");
  assertThrows(next(1, glzMatch(0, 1, 0)), ImageError, "pixel 0 refers 1 back");
  assertThrows(next(2, [...literals(1), ...glzMatch(0, 2, 0)]), ImageError, "makes 2 pixels");
  assertThrows(next(4, literals(1, 2, 3, 4, 5)), ImageError, "makes 5 pixels");
  assertThrows(next(1, [...literals(1), 0]), ImageError, "1 bytes follow the last pixel");
  assertThrows(next(4, glzMatch(1, 4, id)), ImageError, "refers to pixel 4 of image 0");
  assertThrows(next(4, glzMatch(0, 4, 1)), ImageError, "of its 0 pixels");
  assertThrows(next(4, glzMatch(0, 4, id + 1)), ImageError, "refers to image -1");
  assertThrows(next(1, glzMatch(0, 1, id - 1)), ImageError, "refers to image 1 of another type");
  assertThrows(next(1, literals(1), 5), ImageError, "its type is 5");
  assertThrows(next(1, literals(1), 10), ImageError, "its type is 10");
  assertThrows(
    () => window.decode(...image(0, 1, literals(1))),
    ImageError,
    "image 0 came already",
  );
  assertThrows(() => window.decode(...image(2 ** 53, 1, literals(1))), ImageError, "53 bits");
  assertThrows(next(1001, literals(1)), ImageError, "it has 1001 pixels, expected at most 1000");
  const [data] = image(50, 4, literals(1, 2, 3, 4));
  const decode = (bytes: Uint8Array, width = 4) => () => window.decode(bytes, { width, height: 1 });
  assertThrows(decode(data, 5), ImageError, "its header says 4 x 1, expected 5 x 1");
  assertThrows(decode(data, 0), ImageError, "its size is 0 x 1");
  assertThrows(decode(data.subarray(0, 32)), ImageError, "it has 32 bytes");
  assertThrows(decode(new Uint8Array(40)), ImageError, "it starts with 0x0");
});

Deno.test("GlzWindow.decodeZlib inflates no more than it was told", () => {
  const window = new GlzWindow();
  const [data, size] = image(0, 4, literals(1, 2, 3, 4));
  const zlib = deflateSync(data);
  const decode = (bytes: Uint8Array, glzSize: number) => () =>
    window.decodeZlib(bytes, glzSize, size);
  assertThrows(decode(zlib, data.length - 1), ImageError, "its zlib stream is damaged");
  assertThrows(decode(zlib, data.length + 1), ImageError, `zlib gave ${data.length} bytes`);
  assertThrows(decode(zlib, 32), ImageError, "it has 32 bytes before zlib");
  assertThrows(decode(zlib, 2 ** 32 - 1), ImageError, "expected 33 to 53");
  assertThrows(decode(zlib.subarray(0, -5), data.length), ImageError, "damaged");
  assertThrows(decode(new Uint8Array(10), data.length), ImageError, "damaged");
  assertThrows(decode(deflateSync(new Uint8Array(1 << 24)), 53), ImageError, "damaged");
  assertEquals([...decode(zlib, data.length)().pixels], [1, 2, 3, 4]);
});

Deno.test("GlzWindow survives mutated images", () => {
  const size = { width: 24, height: 10 };
  const random = randomFrom(5);
  const values = repetitive(240, 20, random).map(color);
  const first: GlzImage = { id: 0, values };
  const base = new Uint8Array([
    ...glzHeader(RGBA, size, true, 0, 0),
    ...glzStream(values, PASSES.rgb, 0, [], random),
    ...glzStream(values, PASSES.alpha, 0, [], random),
  ]);
  const images = Array.from({ length: 10 }, () => {
    const other = repetitive(240, 20, random).map((value, i) =>
      i % 50 < 25 ? values[i]! : color(value)
    );
    return new Uint8Array([
      ...glzHeader(RGBA, size, random() < 0.5, 1, 1),
      ...glzStream(other, PASSES.rgb, 1, [first], random),
      ...glzStream(other, PASSES.alpha, 1, [first], random),
    ]);
  });
  const decoded = fuzzDecoder(images, size, 100_000, (data) => {
    const window = new GlzWindow(4096);
    window.decode(base, size);
    return window.decode(data, size);
  });
  assert(decoded > 1000, `${decoded} decoded`);
});
