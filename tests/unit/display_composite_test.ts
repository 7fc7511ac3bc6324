/** DRAW_COMPOSITE: operators, transforms, repeats. `e2e: draws` compares it with the real server's. */
import { assertEquals } from "@std/assert";
import type { Composite, Transform } from "../../lib/spice/shape_layouts.ts";
import type { Image } from "../../lib/spice/image_layouts.ts";
import { renderOperator } from "../../lib/display/render_ops.ts";
import { base, display, type Drawn, FORMAT, image32, rect, rows } from "./display_fixtures.ts";
import { randomFrom } from "./lz_encoder.ts";

const OP = { clear: 0, src: 1, over: 3, in: 5, add: 12 };
const NEAREST = 3, BILINEAR = 4;
const REPEAT = { none: 0, normal: 1, pad: 2, reflect: 3 };
const ORIGIN = { x: 0, y: 0 };
const RGBA = 9;

interface Options {
  filter?: number;
  repeat?: number;
  flags?: number;
  mask?: Image;
  transform?: Transform;
  width?: number;
}

/** Composes an image onto the first row of a surface. */
function compose(drawn: Drawn, op: number, src: Image, options: Options = {}): void {
  const { filter = NEAREST, repeat = REPEAT.none, mask, transform, flags = 0 } = options;
  const composite: Composite = {
    flags: op | filter << 8 | repeat << 14 | (mask ? 1 << 19 : 0) | flags,
    src,
    mask,
    srcTransform: transform,
    maskTransform: undefined,
    srcOrigin: ORIGIN,
    maskOrigin: ORIGIN,
  };
  const { width } = drawn.display.primary!;
  drawn.send.draw_composite({ base: base(rect(0, 0, options.width ?? width, 1)), composite });
}

const scale = (t00: number, t02 = 0): Transform => ({
  t00: t00 * 0x10000,
  t01: 0,
  t02: t02 * 0x10000,
  t10: 0,
  t11: 0x10000,
  t12: 0,
});
const surfaceImage = (surfaceId: number): Image => ({
  kind: "surface",
  surfaceId,
  id: 1n,
  flags: 0,
  width: 2,
  height: 1,
});

Deno.test("DRAW_COMPOSITE composes an image, and nothing beyond it", () => {
  const drawn = display(3, 1, FORMAT.argb);
  compose(drawn, OP.src, image32(3, [0xff000001, 0xff000002, 0xff000003], RGBA));
  compose(drawn, OP.over, image32(2, [0x80400000, 0], RGBA));
  assertEquals(rows(drawn), ["ff400000 ff000002 ff000003"]);
  compose(drawn, OP.src, image32(1, [0x12345678]));
  assertEquals(rows(drawn), ["ff345678 000000 000000"]);
});

Deno.test("DRAW_COMPOSITE repeats an image", () => {
  const src = image32(2, [1, 2]);
  const repeated = (repeat: number) => {
    const drawn = display(7, 1);
    compose(drawn, OP.src, src, { repeat, transform: scale(1, -2) });
    return rows(drawn)[0]!.replaceAll("00000", "");
  };
  assertEquals(repeated(REPEAT.none), "0 0 1 2 0 0 0");
  assertEquals(repeated(REPEAT.normal), "1 2 1 2 1 2 1");
  assertEquals(repeated(REPEAT.pad), "1 1 1 2 2 2 2");
  assertEquals(repeated(REPEAT.reflect), "2 1 1 2 2 1 1");
});

Deno.test("DRAW_COMPOSITE weighs neighbours where it is asked to", () => {
  const drawn = display(4, 1);
  const src = image32(2, [0, 0x000080]);
  compose(drawn, OP.src, src, { filter: BILINEAR, repeat: REPEAT.pad, transform: scale(0.5) });
  assertEquals(rows(drawn), ["000000 000020 000060 000080"]);
});

Deno.test("DRAW_COMPOSITE masks by opacity, or by the opacity of each colour", () => {
  const mask = image32(2, [0x80ff0000, 0xff8000ff], RGBA);
  const src = image32(2, [0xffffff, 0xffffff]);
  const whole = display(2, 1);
  compose(whole, OP.over, src, { mask });
  assertEquals(rows(whole), ["808080 ffffff"]);
  const each = display(2, 1);
  compose(each, OP.over, src, { mask, flags: 1 << 18 });
  assertEquals(rows(each), ["ff0000 8000ff"]);
});

Deno.test("DRAW_COMPOSITE composes from the surface that it draws on as it was before", () => {
  const drawn = display(4, 1);
  compose(drawn, OP.src, image32(4, [1, 2, 3, 4]));
  compose(drawn, OP.src, surfaceImage(0), { transform: scale(1, -1) });
  assertEquals(rows(drawn), ["000000 000001 000002 000003"]);
});

Deno.test("DRAW_COMPOSITE leaves its transform on a surface, as the server does", () => {
  const drawn = display(2, 1);
  drawn.send.surface_create({ surfaceId: 1, width: 2, height: 1, format: 32, flags: 0 });
  drawn.display.surfaces.get(1)!.pixels.set([1, 2]);
  const compositions = (image: Image, transform?: Transform) => {
    compose(drawn, OP.src, image, transform ? { transform } : {});
    return rows(drawn)[0];
  };
  assertEquals(compositions(surfaceImage(1)), "000001 000002");
  assertEquals(compositions(surfaceImage(1), scale(1, 1)), "000002 000000");
  assertEquals(compositions(surfaceImage(1)), "000002 000000");
  const blend = {
    base: base(rect(0, 0, 2, 1)),
    alphaFlags: 0,
    alpha: 255,
    src: surfaceImage(1),
    srcArea: rect(0, 0, 2, 1),
  };
  drawn.send.draw_alpha_blend(blend);
  assertEquals([...drawn.display.stats.ignored.keys()], [
    "a blend of a surface that a transform was left on",
  ]);
  assertEquals(compositions(surfaceImage(1), scale(1)), "000001 000002");
  drawn.send.draw_alpha_blend(blend);
  assertEquals(drawn.display.stats.ignored.size, 1);
});

Deno.test("DRAW_COMPOSITE takes a surface that is source and mask as the mask", () => {
  const drawn = display(4, 1);
  drawn.send.surface_create({ surfaceId: 1, width: 2, height: 1, format: 96, flags: 0 });
  drawn.display.surfaces.get(1)!.pixels.set([0xff0000aa, 0xff0000bb]);
  const flags = REPEAT.pad << 16;
  compose(drawn, OP.src, surfaceImage(1), { mask: surfaceImage(1), flags });
  assertEquals(rows(drawn), ["0000aa 0000bb 0000bb 0000bb"]);
});

Deno.test("DRAW_COMPOSITE leaves out what it does not know, and says so", () => {
  const drawn = display(2, 1);
  const src = image32(1, [0xffffff]);
  compose(drawn, 13, src);
  compose(drawn, 200, src);
  compose(drawn, OP.src, src, { filter: 5 });
  compose(drawn, OP.src, src, { transform: scale(32767, 32767) });
  assertEquals([...drawn.display.stats.ignored], [
    ["a composition by an unknown operator", 2],
    ["a composition with an unknown filter", 1],
    ["a composition too far away", 1],
  ]);
  assertEquals(rows(drawn), ["000000 000000"]);
});

Deno.test("Render's operators weigh source and destination by the rule", () => {
  const random = randomFrom(2);
  const premultiplied = () => {
    const alpha = Math.floor(random() * 256);
    const part = () => Math.floor(random() * (alpha + 1));
    return (alpha << 24 | part() << 16 | part() << 8 | part()) >>> 0;
  };
  // Of the source, of the destination.
  const rules: ((s: number, d: number) => [number, number])[] = [
    () => [0, 0],
    () => [1, 0],
    () => [0, 1],
    (s) => [1, 1 - s],
    (_, d) => [1 - d, 1],
    (_, d) => [d, 0],
    (s) => [0, s],
    (_, d) => [1 - d, 0],
    (s) => [0, 1 - s],
    (s, d) => [d, 1 - s],
    (s, d) => [1 - d, s],
    (s, d) => [1 - d, 1 - s],
    () => [1, 1],
  ];
  rules.forEach((rule, op) => {
    const combine = renderOperator(op, false)!, combineEach = renderOperator(op, true)!;
    for (let i = 0; i < 500; i++) {
      const [source, mask, dest] = [premultiplied(), premultiplied(), premultiplied()];
      const [whole, each] = [combine(source, mask, dest), combineEach(source, mask, dest)];
      for (const shift of [0, 8, 16, 24]) {
        const byte = (pixel: number, at = shift) => (pixel >>> at & 255) / 255;
        for (const [result, weight] of [[whole, byte(mask, 24)], [each, byte(mask)]] as const) {
          const [ofSource, ofDest] = rule(byte(source, 24) * weight, byte(dest, 24));
          const exact = byte(source) * weight * ofSource + byte(dest) * ofDest;
          const difference = Math.abs(Math.min(1, exact) * 255 - (result >>> shift & 255));
          assertEquals(difference < 2, true, `${op}: ${[source, mask, dest, shift, difference]}`);
        }
      }
    }
  });
});
