/** Draws with random boxes, clips, masks, images and formats, against a canvas that is slow and plain. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Brush, Clip, Mask, Rect } from "../../lib/spice/draw_layouts.ts";
import type { Image } from "../../lib/spice/image_layouts.ts";
import { type Format, SlowCanvas } from "../fakes/slow_canvas.ts";
import { base, bitmap, bitmapImage, display, type Drawn, rect } from "./display_fixtures.ts";

const WIDTH = 21;
const HEIGHT = 13;
/** Bits of a pixel, by the format of a bitmap. */
const BITMAP_BITS = [0, 1, 1, 4, 4, 8, 16, 24, 32, 32, 8];

const formats = fc.constantFrom<Format>(32, 96, 16, 80, 8);
/** Numbers all of which are as likely: fast-check's own likes the least ones, which draw nothing. */
const between = (min: number, max: number) => fc.noBias(fc.integer({ min, max }));
const points = fc.record({ x: between(-9, 20), y: between(-9, 14) });
const rects = fc.tuple(between(-6, 16), between(-6, 10), between(0, 26), between(0, 18))
  .map((sides) => rect(...sides));
const clips: fc.Arbitrary<Clip> = fc.option(fc.array(rects, { maxLength: 6 }), { nil: undefined });
const alphas = fc.oneof(fc.constantFrom(0, 255), between(0, 255));

/** Bitmaps with random bytes, among them many that are all zeros or all ones. */
function bitmaps(kinds: readonly number[]): fc.Arbitrary<Image> {
  return fc.record({
    format: fc.constantFrom(...kinds),
    width: between(1, 40),
    height: between(1, 20),
    slack: between(0, 5),
    isTopDown: fc.boolean(),
    seed: between(0, 2 ** 31 - 1),
    colors: fc.uint32Array({ maxLength: 20 }),
  }).map(({ format, width, height, slack, isTopDown, seed, colors }) => {
    const strideBytes = Math.ceil(width * BITMAP_BITS[format]! / 8) + slack;
    const data = randomBytes(seed, strideBytes * height);
    const isIndexed = format <= 5;
    const palette = isIndexed ? { unique: 1n, entries: colors } : undefined;
    const flags = isTopDown ? 4 : 0;
    return bitmapImage(bitmap(format, width, height, data, { flags, strideBytes, palette }));
  });
}

function randomBytes(seed: number, length: number): Uint8Array {
  let state = seed | 1;
  return Uint8Array.from({ length }, () => {
    state = Math.imul(state, 1664525) + 1013904223 | 0;
    const byte = state >>> 16 & 0xff;
    return state >>> 29 === 0 ? 0 : state >>> 29 === 1 ? 255 : byte;
  });
}

/** Images that can be drawn on a surface of this format. */
function images(format: Format): fc.Arbitrary<Image> {
  const hasPalettes = format === 32 || format === 96 || format === 16;
  const kinds = hasPalettes ? [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] : [6, 7, 8, 9, 10];
  const self = { id: 9n, flags: 0, width: WIDTH, height: HEIGHT, kind: "surface", surfaceId: 0 };
  return fc.oneof({ weight: 6, arbitrary: bitmaps(kinds) }, fc.constant(self as Image));
}

const masks: fc.Arbitrary<Mask> = fc.record({
  flags: fc.nat(1),
  pos: fc.record({ x: between(-3, 12), y: between(-3, 9) }),
  image: fc.oneof(fc.constant(undefined), fc.constant(undefined), bitmaps([1, 2])),
});

function brushes(format: Format): fc.Arbitrary<Brush> {
  return fc.oneof(
    fc.constant<Brush>({ kind: "none" }),
    fc.record({ kind: fc.constant("solid" as const), color: between(0, 0xffffff) }),
    fc.record({ kind: fc.constant("pattern" as const), image: images(format), pos: points }),
  );
}

/** What an image draw takes: as large as the box, or of another size. */
const areas = fc.record({
  isScaled: fc.boolean(),
  corner: points,
  width: between(0, 30),
  height: between(0, 24),
})
  .map(({ isScaled, corner: { x, y }, width, height }) => (box: Rect): Rect =>
    isScaled ? rect(x, y, width, height) : rect(x, y, box.right - box.left, box.bottom - box.top)
  );

/** A random draw of every kind; each test makes one kind of it. */
function draws(format: Format) {
  return fc.record({
    kind: fc.constantFrom(...KINDS),
    box: rects,
    clip: clips,
    mask: masks,
    src: images(format),
    area: areas,
    scaleMode: fc.nat(1),
    brush: brushes(format),
    rop: fc.oneof(fc.constant(8), between(0, 2047)),
    rop3: between(0, 255),
    color: between(0, 0xffffff),
    alpha: alphas,
    alphaFlags: fc.nat(1),
    corner: points,
  });
}
type Draw = typeof draws extends (format: Format) => fc.Arbitrary<infer D> ? D : never;

const KINDS = [
  "fill",
  "blackness",
  "whiteness",
  "invers",
  "copy",
  "blend",
  "opaque",
  "transparent",
  "rop3",
  "alpha_blend",
  "move",
] as const;

/** Draws on both; returns whether the draw is one that both can make. */
function draw({ send }: Drawn, slow: SlowCanvas, d: Draw): boolean {
  const where = { box: d.box, clip: d.clip, mask: d.mask };
  const { rop, brush, scaleMode, mask } = d;
  const draws = { base: base(d.box, d.clip) };
  const srcArea = d.area(d.box);
  const from = { src: d.src, srcArea, scaleMode };
  const isSame = srcArea.right - srcArea.left === d.box.right - d.box.left &&
    srcArea.bottom - srcArea.top === d.box.bottom - d.box.top;
  switch (d.kind) {
    case "fill":
      send.draw_fill({ ...draws, brush, rop, mask });
      slow.fill(where, brush, rop);
      return true;
    case "blackness":
      send.draw_blackness({ ...draws, mask });
      slow.constant(where, () => 0);
      return true;
    case "whiteness":
      send.draw_whiteness({ ...draws, mask });
      slow.constant(where, () => -1);
      return true;
    case "invers":
      send.draw_invers({ ...draws, mask });
      slow.constant(where, (dest) => ~dest);
      return true;
    case "copy":
      send.draw_copy({ ...draws, ...from, rop, mask });
      slow.copy(where, from, rop);
      return true;
    case "blend":
      send.draw_blend({ ...draws, ...from, rop, mask });
      slow.copy(where, from, rop);
      return true;
    case "opaque":
      send.draw_opaque({ ...draws, ...from, brush, rop, mask });
      slow.opaque(where, from, brush, rop);
      return true;
    case "transparent":
      send.draw_transparent({ ...draws, ...from, srcColor: 0, trueColor: d.color });
      slow.transparent({ ...where, mask: NONE }, { ...from, scaleMode: 1 }, d.color);
      return true;
    case "rop3": {
      const { src } = d;
      const isCovered = srcArea.left >= 0 && srcArea.top >= 0 && srcArea.right <= src.width &&
        srcArea.bottom <= src.height;
      if (isSame && !isCovered) return false;
      send.draw_rop3({ ...draws, ...from, brush, rop3: d.rop3, mask });
      slow.rop3(where, from, brush, d.rop3);
      return true;
    }
    case "alpha_blend":
      if (!isSame) return false;
      send.draw_alpha_blend({ ...draws, ...from, alpha: d.alpha, alphaFlags: d.alphaFlags });
      slow.blend({ ...where, mask: NONE }, from, d.alpha);
      return true;
    case "move":
      send.copy_bits({ ...draws, srcPos: d.corner });
      slow.move({ ...where, mask: NONE }, d.corner);
      return true;
  }
}

const NONE: Mask = { flags: 0, pos: { x: 0, y: 0 }, image: undefined };

/** Returns the bits of a pixel in its format, as far as they can be seen. */
function seen(pixel: number, format: Format): number {
  const [red, green, blue] = [pixel >> 16 & 255, pixel >> 8 & 255, pixel & 255];
  switch (format) {
    case 16:
      return pixel >>> 31 << 15 | red >> 3 << 10 | green >> 3 << 5 | blue >> 3;
    case 80:
      return red >> 3 << 11 | green >> 2 << 5 | blue >> 3;
    case 32:
      return pixel & 0xffffff;
    case 8:
      return pixel >>> 24;
    default:
      return pixel >>> 0;
  }
}

Deno.test("every draw gives the pixels that its definition says", () => {
  fc.assert(
    fc.property(
      formats.chain((format) =>
        fc.tuple(fc.constant(format), fc.array(draws(format), { minLength: 1, maxLength: 5 }))
      ),
      ([format, sequence]) => {
        const drawn = display(WIDTH, HEIGHT, format);
        const slow = new SlowCanvas(WIDTH, HEIGHT, format);
        for (const one of sequence) {
          if (!draw(drawn, slow, one)) continue;
          assertEquals([...drawn.display.stats.ignored], []);
          const mask = format === 32 ? 0xffffff : -1;
          const pixels = [...drawn.display.primary!.pixels].map((pixel) => seen(pixel, format));
          const wrong = pixels.findIndex((pixel, i) => pixel !== (slow.pixels[i]! & mask) >>> 0);
          if (wrong < 0) continue;
          throw new Error(
            `pixel ${wrong % WIDTH}, ${Math.floor(wrong / WIDTH)} after ${one.kind} is ` +
              `${pixels[wrong]!.toString(16)}, expected ${slow.pixels[wrong]!.toString(16)}`,
          );
        }
      },
    ),
    { numRuns: Number(Deno.env.get("RUNS") ?? 600) },
  );
});
