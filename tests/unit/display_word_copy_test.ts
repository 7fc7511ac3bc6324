import { assertEquals } from "@std/assert";
import { PIXEL_FORMATS } from "../../lib/display/pixel_formats.ts";
import { Region } from "../../lib/display/region.ts";
import { Surface } from "../../lib/display/surface.ts";
import { copyWords } from "../../lib/display/word_copy.ts";

const WIDTH = 64;
const HEIGHT = 50;
/** Words that read as numbers of any kind: nothing may be lost on the way. */
const WORDS = [
  0,
  1,
  0xffffffff,
  0x7ff00000,
  0x7ff00001,
  0xfff00000,
  0xfff80000,
  0x7ff7ffff,
  0x00123456,
  0xff123456,
];

/** A picture of all pairs, packed, beginning at byte `phase`. */
function picture(columns: number, phase: number): { data: Uint8Array; words: Uint32Array } {
  const words = new Uint32Array(columns * HEIGHT);
  for (let i = 0; i < words.length; i++) {
    words[i] = WORDS[(i % 2 === 0 ? i / 2 : Math.floor(i / 2 / WORDS.length)) % WORDS.length]!;
  }
  const data = new Uint8Array(phase + words.byteLength).subarray(phase);
  data.set(new Uint8Array(words.buffer));
  return { data, words };
}

for (
  const [columns, left] of [[32, 0], [32, 2], [32, 1], [31, 4], [2, 6], [18, 8], [64, 0]] as const
) {
  Deno.test(`copyWords keeps every bit of ${columns} columns at ${left}, cold and hot`, () => {
    const surface = new Surface(0, WIDTH, HEIGHT, PIXEL_FORMATS.get(96)!);
    const right = Math.min(WIDTH, left + columns);
    const region = new Region({ left, top: 0, right, bottom: HEIGHT }, undefined);
    for (let round = 0; round < 400; round++) { // the compiler takes over meanwhile
      const { data, words } = picture(columns, round % 4);
      surface.pixels.fill(0x55555555);
      const bitmap = {
        format: 9,
        flags: 4,
        width: columns,
        height: HEIGHT,
        strideBytes: columns * 4,
        palette: undefined,
        paletteId: undefined,
        data,
      };
      copyWords(surface, region, bitmap, -left, 0);
      if (round > 3 && round < 397) continue;
      const expected = new Uint32Array(WIDTH * HEIGHT).fill(0x55555555);
      for (let y = 0; y < HEIGHT; y++) {
        expected.set(words.subarray(y * columns, y * columns + right - left), y * WIDTH + left);
      }
      assertEquals(surface.pixels, expected);
    }
  });
}
