import { assert, assertEquals, assertThrows } from "@std/assert";
import { ImageError } from "../../lib/display/errors.ts";
import {
  decodeLzAlpha,
  decodeLzPalette,
  decodeLzRgb,
  LZ_IMAGE_TYPE,
} from "../../lib/display/lz.ts";
import { widen } from "../../lib/display/lz_pixels.ts";
import type { PictureSize } from "../../lib/display/picture.ts";
import { fuzzDecoder } from "./image_fuzz.ts";
import { lzHeader, lzMatch, lzStream, PASSES, randomFrom, repetitive } from "./lz_encoder.ts";

const { PLT1_LE, PLT1_BE, PLT4_LE, PLT4_BE, PLT8, RGB16, RGB24, RGB32, RGBA, XXXA, A8 } =
  LZ_IMAGE_TYPE;

/** Reverses rows if `bottomUp`. */
function rows<T>(values: readonly T[], width: number, bottomUp: boolean): T[] {
  if (!bottomUp) return [...values];
  const lines = Array.from(
    { length: values.length / width },
    (_, y) => values.slice(y * width, (y + 1) * width),
  );
  return lines.reverse().flat();
}

/** Colours from few values, so that they still repeat. */
const color = (value: number) => Math.imul(value, 0x9e3779b1) >>> 0;

interface Made extends PictureSize {
  data: Uint8Array;
  pixels: number[];
  hasAlpha: boolean;
}

/** Makes an image of direct colours and what it decodes to. */
function makeImage(type: number, seed: number, most = 200): Made {
  const random = randomFrom(seed);
  const width = 1 + Math.floor(random() * most), height = 1 + Math.floor(random() * most / 4);
  const bottomUp = random() < 0.5;
  const values = repetitive(width * height, 2 + Math.floor(random() * 40), random).map(color);
  const stream = (pass: keyof typeof PASSES, of = values) => lzStream(of, PASSES[pass], random);
  let bytes: number[], decoded: number[];
  if (type === RGB16) {
    const colors16 = values.map((value) => value & 0x7fff);
    bytes = stream("rgb16", colors16);
    decoded = colors16.map(widen);
  } else if (type === RGBA) {
    bytes = [...stream("rgb"), ...stream("alpha")];
    decoded = values;
  } else if (type === A8) {
    bytes = stream("alpha");
    decoded = values.map((value) => (value & 0xff000000) >>> 0);
  } else {
    bytes = stream("rgb");
    decoded = values.map((value) => value & 0xffffff);
  }
  const data = new Uint8Array([...lzHeader(type, width, height, width * 4, !bottomUp), ...bytes]);
  return {
    data,
    width,
    height,
    pixels: rows(decoded, width, bottomUp),
    hasAlpha: type === RGBA || type === A8,
  };
}

for (const [name, type] of Object.entries({ RGB16, RGB24, RGB32, RGBA, A8 })) {
  Deno.test(`decodeLzRgb gives back random images of type ${name}`, () => {
    for (let seed = 0; seed < 60; seed++) {
      const { data, width, height, pixels, hasAlpha } = makeImage(type, seed);
      const picture = decodeLzRgb(data, { width, height });
      assertEquals(picture.hasAlpha, hasAlpha);
      assertEquals([...picture.pixels], pixels, `seed ${seed}`);
    }
  });
}

Deno.test("decodeLzRgb refers back by any distance that can be written", () => {
  for (const distance of [1, 2, 0x1fff, 0x2000, 0x2001, 0x1fff + 0x10000]) {
    // One pixel of colour 1, then 2 up to where the match refers to the first, and 3 to fill a row.
    const total = Math.ceil((distance + 2) / 8) * 8;
    const values: number[] = Array(total).fill(2);
    values[0] = values[distance] = 1;
    for (let i = distance + 1; i < total; i++) values[i] = 3;
    const data = new Uint8Array([
      ...lzHeader(RGB32, total / 8, 8, total / 2, true),
      ...[0, 1, 0, 0],
      ...(distance > 1 ? [0, 2, 0, 0] : []),
      ...(distance > 2 ? lzMatch(0, distance - 2) : []),
      ...lzMatch(distance - 1, 1),
      ...lzStream(values.slice(distance + 1), PASSES.rgb, randomFrom(1)),
    ]);
    assertEquals([...decodeLzRgb(data, { width: total / 8, height: 8 }).pixels], values);
  }
});

Deno.test("decodeLzRgb decodes a hand-made stream", () => {
  const stream = [1, 1, 2, 3, 4, 5, 6, 0x40, 1, 0xe0, 3, 0]; // two literals, 2 pixels 2 back, 10 of the last
  const picture = decodeLzRgb(
    new Uint8Array([...lzHeader(RGB32, 14, 1, 56, true), ...stream]),
    { width: 14, height: 1 },
  );
  const [a, b] = [0x030201, 0x060504];
  assertEquals([...picture.pixels], [a, b, a, b, ...Array(10).fill(b)]);
});

const DEPTHS = { PLT1_LE, PLT1_BE, PLT4_LE, PLT4_BE, PLT8 };
for (const [name, type] of Object.entries(DEPTHS)) {
  Deno.test(`decodeLzPalette gives back random images of type ${name}`, () => {
    for (let seed = 0; seed < 60; seed++) {
      const random = randomFrom(seed);
      const bits = type === PLT8 ? 8 : type <= PLT1_BE ? 1 : 4;
      const highFirst = type === PLT1_BE || type === PLT4_BE;
      const width = 1 + Math.floor(random() * 200), height = 1 + Math.floor(random() * 50);
      const bottomUp = random() < 0.5;
      const stride = Math.ceil(width * bits / 8), perByte = 8 / bits;
      const bytes = repetitive(stride * height, 256, random);
      const palette = Uint32Array.from({ length: 1 << bits }, (_, i) => color(i + 1));
      const pixels: number[] = [];
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const byte = bytes[y * stride + Math.floor(x / perByte)]!;
          const place = x % perByte;
          const index = byte >> bits * (highFirst ? perByte - 1 - place : place) & (1 << bits) - 1;
          pixels.push(palette[index]! & 0xffffff);
        }
      }
      const data = new Uint8Array([
        ...lzHeader(type, width, height, stride, !bottomUp),
        ...lzStream(bytes, PASSES.bytes, random),
      ]);
      const picture = decodeLzPalette(data, { width, height }, palette);
      assertEquals([...picture.pixels], rows(pixels, width, bottomUp), `seed ${seed}`);
      assert(!picture.hasAlpha);
    }
  });
}

Deno.test("decodeLzPalette draws indices that the palette lacks in black", () => {
  const data = new Uint8Array([...lzHeader(PLT8, 3, 1, 3, true), 2, 0, 1, 200]);
  const picture = decodeLzPalette(data, { width: 3, height: 1 }, new Uint32Array([0x112233]));
  assertEquals([...picture.pixels], [0x112233, 0, 0]);
});

Deno.test("decodeLzPalette refuses rows of another length than their indices take", () => {
  for (const stride of [0, 1, 3, 0xffffffff]) {
    const data = new Uint8Array([...lzHeader(PLT1_BE, 9, 1, stride, true), 1, 0, 1]);
    assertThrows(
      () => decodeLzPalette(data, { width: 9, height: 1 }, new Uint32Array(2)),
      ImageError,
      `takes ${stride} bytes, expected 2`,
    );
  }
});

for (const topDown of [true, false]) {
  Deno.test(`decodeLzAlpha makes colours as opaque as ${topDown ? "top-down" : "bottom-up"} alpha says`, () => {
    const random = randomFrom(4);
    const values = repetitive(20 * 10, 9, random).map(color);
    const data = new Uint8Array([
      ...lzHeader(XXXA, 20, 10, 80, topDown),
      ...lzStream(values, PASSES.alpha, random),
    ]);
    const picture = {
      width: 20,
      height: 10,
      pixels: Uint32Array.from({ length: 200 }, (_, i) => i),
      hasAlpha: false,
    };
    decodeLzAlpha(data, picture, topDown);
    assert(picture.hasAlpha);
    const alpha = rows(values, 20, !topDown);
    assertEquals(
      [...picture.pixels],
      alpha.map((value, i) => ((value & 0xff000000) | i) >>> 0),
    );
    assertThrows(() => decodeLzRgb(data, picture), ImageError, "its type is 10");
  });
}

const SIZE = { width: 4, height: 2 };
/** An image of 4 x 2 pixels with this stream. */
const image = (...stream: number[]) =>
  new Uint8Array([...lzHeader(RGB32, 4, 2, 16, true), ...stream]);
const RUN = [0, 1, 2, 3, 0xe0, 0, 0]; // a literal and 7 copies of it

Deno.test("decodeLzRgb says what is wrong with an image", () => {
  assertEquals([...decodeLzRgb(image(...RUN), SIZE).pixels], Array(8).fill(0x030201));
  const patched = (at: number, value: number) => {
    const data = image(...RUN);
    data[at] = value;
    return data;
  };
  const cases: [string, Uint8Array, string][] = [
    ["no bytes", new Uint8Array(0), "it has 0 bytes, expected at least 28"],
    ["half a header", image().subarray(0, 27), "it has 27 bytes"],
    ["another magic", patched(3, 0x4d), "starts with 0x20205a4d"],
    ["another version", patched(7, 2), "version is 0x10002"],
    ["a palette type", patched(11, 5), "its type is 5"],
    ["an unknown type", patched(8, 1), "its type is 16777224"],
    ["another width", patched(15, 5), "says 5 x 2, expected 4 x 2"],
    ["another height", patched(16, 255), "says 4 x 4278190082"],
    ["no stream", image(), "ends after 0 pixels, expected 8"],
    ["an end within a literal", image(0, 1, 2), "ends after 0 pixels"],
    ["an end within a match", image(0, 1, 2, 3, 0x60), "ends after 1 pixels"],
    ["an end within a length", image(0, 1, 2, 3, 0xe0, 255, 255), "ends after 1 pixels"],
    ["an end within a far distance", image(0, 1, 2, 3, 0x3f, 255, 0), "ends after 1 pixels"],
    ["an end before the last pixel", image(...RUN.slice(0, 4)), "ends after 1 pixels"],
    ["bytes behind the last pixel", image(...RUN, 0), "1 bytes follow the last pixel"],
    ["a match before any pixel", image(0x20, 0), "pixel 0 refers 1 back"],
    ["a match before the first pixel", image(0, 1, 2, 3, 0x20, 1), "pixel 1 refers 2 back"],
    ["a match beyond the last pixel", image(0, 1, 2, 3, 0xe0, 1, 0), "makes 8 pixels"],
    ["literals beyond the last pixel", image(8, ...Array(27).fill(0)), "makes 9 pixels"],
  ];
  for (const [name, data, message] of cases) {
    assertThrows(() => decodeLzRgb(data, SIZE), ImageError, message, name);
  }
});

Deno.test("decodeLzRgb refuses a size before it allocates anything", () => {
  const huge = (width: number, height: number) => () =>
    decodeLzRgb(new Uint8Array(lzHeader(RGB32, width, height, width * 4, true)), { width, height });
  assertThrows(huge(0, 1), ImageError, "its size is 0 x 1 pixels");
  assertThrows(huge(1, 0), ImageError, "its size is");
  assertThrows(huge(16385, 1), ImageError, "its size is");
  assertThrows(huge(1, 2 ** 32 - 1), ImageError, "its size is");
  assertThrows(huge(16384, 16384), ImageError, "its size is");
  assertThrows(huge(16384, 4096), ImageError, "28 bytes cannot hold 67108864 pixels");
});

Deno.test("decodeLzRgb and decodeLzPalette survive mutated images", () => {
  const size = { width: 24, height: 10 };
  const random = randomFrom(9);
  const made = (type: number, stride: number, streams: number[]) =>
    new Uint8Array([...lzHeader(type, 24, 10, stride, type % 2 === 0), ...streams]);
  const values = repetitive(240, 30, random).map(color);
  const rgb = lzStream(values, PASSES.rgb, random), alpha = lzStream(values, PASSES.alpha, random);
  const images = [
    made(RGB16, 48, lzStream(values.map((value) => value & 0x7fff), PASSES.rgb16, random)),
    made(RGB32, 96, rgb),
    made(RGBA, 96, [...rgb, ...alpha]),
    made(A8, 24, alpha),
  ];
  const decoded = fuzzDecoder(images, size, 60_000, (data) => decodeLzRgb(data, size));
  assert(decoded > 1000, `${decoded} decoded`);

  const palette = Uint32Array.from({ length: 256 }, (_, i) => color(i));
  const plt = Object.values(DEPTHS).map((type) => {
    const stride = type === PLT8 ? 24 : type <= PLT1_BE ? 3 : 12;
    return made(type, stride, lzStream(repetitive(stride * 10, 256, random), PASSES.bytes, random));
  });
  fuzzDecoder(plt, size, 40_000, (data) => decodeLzPalette(data, size, palette));
});
