/** JPEG images against what they were made from, and against data that lies. */
import { assert, assertEquals, assertGreater, assertLess, assertThrows } from "@std/assert";
import { ImageError } from "../../lib/display/errors.ts";
import { decodeJpeg, decodeJpegAlpha } from "../../lib/display/jpeg.ts";
import { loadDecoders } from "../../lib/display/load_decoders.ts";
import type { PictureSize } from "../../lib/display/picture.ts";
import { decodeQuic } from "../../lib/display/quic.ts";
import { fuzzDecoder } from "./image_fuzz.ts";

/** A recorded image, and the QUIC image of the same picture, which has no losses. */
interface Recorded extends PictureSize {
  file: string;
  truth: string;
  /** Bytes of the JPEG, where alpha follows it. */
  jpegSize?: number;
}

const DIR = new URL("../fixtures/spice/", import.meta.url);
const IMAGES: Recorded[] = JSON.parse(Deno.readTextFileSync(new URL("jpeg/images.json", DIR)));
/** Flags of images with alpha. */
const [BOTTOM_UP, TOP_DOWN] = [0, 1];
const GRADIENT = { width: 120, height: 90 };

function read(file: string): Uint8Array {
  return Deno.readFileSync(new URL(`jpeg/${file}`, DIR));
}

/** Returns the square root of the mean of all squared differences of colours. */
function difference(a: Uint32Array, b: Uint32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    for (const shift of [0, 8, 16]) sum += ((a[i]! >> shift & 255) - (b[i]! >> shift & 255)) ** 2;
  }
  return Math.sqrt(sum / a.length / 3);
}

for (const { file, width, height, truth, jpegSize } of IMAGES) {
  Deno.test(`decodeJpeg decodes ${file} to nearly what it was made from`, () => {
    const data = read(file);
    const size = { width, height };
    const picture = jpegSize === undefined
      ? decodeJpeg(data, size)
      : decodeJpegAlpha(data, jpegSize, size, BOTTOM_UP);
    assertEquals([picture.width, picture.height], [width, height]);
    const { pixels, hasAlpha } = decodeQuic(
      Deno.readFileSync(new URL(`quic/${truth}`, DIR)),
      size,
    );
    // libjpeg's own decoder is off by 3 to 20 here: sharp edges of bright colours lose the most.
    assertLess(difference(picture.pixels, pixels), file.startsWith("blocks") ? 22 : 10);
    assertEquals(picture.hasAlpha, jpegSize !== undefined);
    const alpha = (pixel: number) => pixel >>> 24;
    if (picture.hasAlpha) {
      assert(hasAlpha);
      assertEquals(picture.pixels.map(alpha), pixels.map(alpha));
    } else assert(picture.pixels.every((pixel) => alpha(pixel) === 0));
  });
}

/** Returns where a marker stands. */
function markerAt(data: Uint8Array, marker: number): number {
  const at = data.findIndex((byte, i) => byte === 0xff && data[i + 1] === marker);
  assertGreater(at, 0);
  return at;
}

const FRAME = 0xc0;
const SCAN = 0xda;

/** Returns the gradient with something done to it. */
function changed(change: (data: Uint8Array) => Uint8Array | void): Uint8Array {
  const data = read("gradient-120x90.jpg");
  return change(data) ?? data;
}

const BROKEN: [name: string, data: Uint8Array, words: string][] = [
  ["no data", new Uint8Array(), "more data"],
  ["no SOI", changed((data) => void (data[1] = 0xd9)), "an SOI marker"],
  ["no marker behind SOI", changed((data) => void (data[2] = 0)), "expected a marker"],
  ["another size", changed((data) => void data[markerAt(data, FRAME) + 8]!++), "expected 120×90"],
  [
    "a progressive frame",
    changed((data) => void (data[markerAt(data, FRAME) + 1] = 0xc2)),
    "marker 0xc2",
  ],
  [
    "samples of 12 bits",
    changed((data) => void (data[markerAt(data, FRAME) + 4] = 12)),
    "12 bits",
  ],
  [
    "two components",
    changed((data) => {
      const at = markerAt(data, FRAME);
      return Uint8Array.of(
        ...data.subarray(0, at + 3),
        14,
        ...data.subarray(at + 4, at + 9),
        2,
        ...data.subarray(at + 10, at + 16),
        ...data.subarray(at + 19),
      );
    }),
    "2 components",
  ],
  [
    "a sampling of none",
    changed((data) => void (data[markerAt(data, FRAME) + 11] = 0x02)),
    "sampling is 0×2",
  ],
  [
    "a second frame",
    changed((data) => {
      const at = markerAt(data, FRAME);
      return Uint8Array.of(...data.subarray(0, at + 19), ...data.subarray(at));
    }),
    "another frame",
  ],
  [
    "a scan before the frame",
    changed((data) =>
      Uint8Array.of(...data.subarray(0, 2), ...data.subarray(markerAt(data, SCAN)))
    ),
    "a frame before it",
  ],
  [
    "a scan of one component",
    changed((data) => void (data[markerAt(data, SCAN) + 4] = 1)),
    "all 3",
  ],
  [
    "a second scan",
    changed((data) =>
      Uint8Array.of(...data.subarray(0, -2), ...data.subarray(markerAt(data, SCAN)))
    ),
    "marker 0xda",
  ],
  ["no end", changed((data) => data.subarray(0, -2)), "an EOI marker"],
  [
    "no tables",
    changed((data) => void (data[markerAt(data, 0xc4) + 4] = 0x03)),
    "the decoder says",
  ],
  [
    "a segment beyond the end",
    changed((data) => void data.fill(0xff, 4, 6)),
    "a segment has 65535 bytes",
  ],
  [
    "a long head",
    changed((data) => {
      const comment = new Uint8Array(20_000);
      comment.set([0xff, 0xfe, 19_998 >> 8, 19_998 & 255]);
      return Uint8Array.of(...data.subarray(0, 2), ...comment, ...data.subarray(2));
    }),
    "within 16384 bytes",
  ],
];

for (const [name, data, words] of BROKEN) {
  Deno.test(`decodeJpeg refuses ${name}`, () => {
    assertThrows(() => decodeJpeg(data, GRADIENT), ImageError, words);
  });
}

Deno.test("decodeJpeg refuses sizes that its data cannot fill, or that are too large", () => {
  const data = changed((data) => {
    data.set([0x20, 0, 0x20, 0], markerAt(data, FRAME) + 5);
  });
  assertThrows(() => decodeJpeg(data, { width: 8192, height: 8192 }), ImageError, "at most");
  data.set([0x08, 0, 0x10, 0], markerAt(data, FRAME) + 5);
  assertThrows(() => decodeJpeg(data, { width: 4096, height: 2048 }), ImageError, "more data");
  assertThrows(() => decodeJpeg(data, { width: 0, height: 1 }), ImageError);
});

Deno.test("decodeJpeg takes the standard Huffman tables where an image brings none", () => {
  const whole = read("gradient-120x90.jpg");
  let bare = whole;
  for (let at; (at = bare.findIndex((byte, i) => byte === 0xff && bare[i + 1] === 0xc4)) > 0;) {
    const length = bare[at + 2]! << 8 | bare[at + 3]!;
    bare = Uint8Array.of(...bare.subarray(0, at), ...bare.subarray(at + 2 + length));
  }
  assertEquals(whole.length - bare.length, 432);
  assertEquals(decodeJpeg(bare, GRADIENT), decodeJpeg(whole, GRADIENT));
});

Deno.test("decodeJpeg ignores what follows an image", () => {
  const data = read("gradient-120x90.jpg");
  const longer = Uint8Array.of(...data, 0xff, SCAN, 0);
  assertEquals(decodeJpeg(longer, GRADIENT), decodeJpeg(data, GRADIENT));
});

Deno.test("decodeJpegAlpha refuses a JPEG longer than all, and alpha that is broken", () => {
  const data = read("gradient-120x90.jpeg_alpha");
  const { jpegSize } = IMAGES.find(({ jpegSize }) => jpegSize !== undefined)!;
  for (const size of [0, data.length + 1, 0xffffffff, jpegSize! + 1]) {
    assertThrows(() => decodeJpegAlpha(data, size, GRADIENT, BOTTOM_UP), ImageError);
  }
  const shorter = data.subarray(0, -1);
  assertThrows(() => decodeJpegAlpha(shorter, jpegSize!, GRADIENT, BOTTOM_UP), ImageError);
});

Deno.test("decodeJpegAlpha refuses flags that contradict the alpha's own header", async () => {
  const data = read("gradient-120x90.jpeg_alpha");
  const { jpegSize } = IMAGES.find(({ jpegSize }) => jpegSize !== undefined)!;
  const { jpegAlpha } = await loadDecoders(); // with the flags from the message
  jpegAlpha!(data, GRADIENT, jpegSize!, BOTTOM_UP);
  assertThrows(
    () => jpegAlpha!(data, GRADIENT, jpegSize!, TOP_DOWN),
    ImageError,
    "its header says bottom-up, expected top-down",
  );
});

Deno.test("decodeJpeg ends in pixels or an ImageError whatever is changed in an image", () => {
  const size = { width: 17, height: 13 };
  const decoded = fuzzDecoder(
    [read("noise-17x13.jpg")],
    size,
    60_000,
    (data) => decodeJpeg(data, size),
  );
  assertGreater(decoded, 100);
});
