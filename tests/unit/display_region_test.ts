/** Regions: every pixel once, whatever the clip rectangles, in time that has a bound. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { MaskBits } from "../../lib/display/mask.ts";
import { isRect, Region } from "../../lib/display/region.ts";
import type { Rect } from "../../lib/spice/draw_layouts.ts";
import { base, display, FORMAT, image32, NO_MASK, rect, ROP } from "./display_fixtures.ts";

const between = (min: number, max: number) => fc.noBias(fc.integer({ min, max }));
const rects = fc.tuple(between(-4, 20), between(-4, 12), between(0, 20), between(0, 12))
  .map((sides) => rect(...sides));
const BOX = rect(1, 2, 16, 8);

/** Returns how often a region has painted each pixel of a field that holds the box. */
function painted(region: Region): number[] {
  const counts = new Array(20 * 12).fill(0);
  region.forEachRect((left, top, right, bottom) => {
    assert(left < right && top < bottom, "an empty rectangle");
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) counts[y * 20 + x]++;
    }
  });
  return counts;
}

function contains({ left, top, right, bottom }: Rect, x: number, y: number): boolean {
  return x >= left && y >= top && x < right && y < bottom;
}

Deno.test("Region paints every pixel of its box within its clips once", () => {
  fc.assert(fc.property(fc.array(rects, { maxLength: 12 }), (clip) => {
    const region = new Region(BOX, clip);
    const expected = Array.from({ length: 20 * 12 }, (_, i) => {
      const [x, y] = [i % 20, Math.floor(i / 20)];
      return Number(contains(BOX, x, y) && clip.some((one) => contains(one, x, y)));
    });
    assertEquals(painted(region), expected);
    for (const [i, count] of expected.entries()) {
      if (count > 0) assert(contains(region.bounds, i % 20, Math.floor(i / 20)));
    }
  }));
});

Deno.test("Region paints the same in parts as at once", () => {
  fc.assert(fc.property(fc.array(between(2, 9), { maxLength: 4 }), (cuts) => {
    const edges = [2, ...cuts.sort((a, b) => a - b), 10];
    const bands = edges.slice(1).map((end, i) => rect(0, edges[i]!, 30, end - edges[i]!));
    assertEquals(painted(new Region(BOX, bands)), painted(new Region(BOX, undefined)));
  }));
});

Deno.test("Region paints where a mask has bits, and nowhere beside it", () => {
  const mask = new MaskBits({
    width: 11,
    height: 2,
    strideBytes: 2,
    data: Uint8Array.of(0b1000_0001, 0b0110_0000, 0xff, 0xff),
    isTopDown: true,
    isMsbFirst: true,
  }, false);
  const counts = painted(new Region(BOX, undefined, mask, -1, -2));
  const row = (y: number) => counts.slice(y * 20 + 1, y * 20 + 14).join("");
  assertEquals([row(2), row(3), row(4)], ["1000000101100", "1111111111100", "0000000000000"]);
});

Deno.test("isRect refuses sides out of order and beyond 2^30, and takes what is empty", () => {
  assertEquals(isRect(rect(3, 4, 0, 0)), true);
  assertEquals(isRect(rect(-(2 ** 30), 0, 2 ** 31, 1)), true);
  assertEquals(isRect(rect(0, 0, -1, 1)), false);
  assertEquals(isRect(rect(0, 0, 1, -1)), false);
  assertEquals(isRect(rect(0, 0, 2 ** 30 + 1, 1)), false);
  assertEquals(isRect(rect(-(2 ** 30) - 1, 0, 1, 1)), false);
});

/** The time that a draw may take before it counts as a hang. */
const DRAW_MS = 1000;

Deno.test("a draw takes no longer for huge boxes and many clips than its pixels take", () => {
  const { display: guest, send } = display(640, 480);
  const far = rect(-(2 ** 30), -(2 ** 30), 2 ** 31, 2 ** 31);
  const clips: Record<string, Rect[]> = {
    "50,000 huge rectangles": Array(50_000).fill(far),
    "50,000 rows": Array.from({ length: 50_000 }, (_, i) => rect(-(2 ** 30), i, 2 ** 31, 1)),
    "50,000 columns": Array.from({ length: 50_000 }, (_, i) => rect(i, -(2 ** 30), 1, 2 ** 31)),
    "a stair": Array.from({ length: 50_000 }, (_, i) => rect(i / 100 | 0, i / 100 | 0, 300, 300)),
    "a chessboard": Array.from(
      { length: 50_000 },
      (_, i) => rect(i % 320 * 2, i / 320 | 0, 1, 1),
    ),
  };
  const src = image32(1, [0xabcdef]);
  const mask = NO_MASK;
  for (const [name, clip] of Object.entries(clips)) {
    const start = performance.now();
    send.draw_invers({ base: base(far, clip), mask });
    const brush = { kind: "pattern" as const, image: src, pos: { x: 2 ** 30, y: -(2 ** 30) } };
    send.draw_fill({ base: base(far, clip), brush, rop: ROP.xor, mask });
    send.copy_bits({ base: base(far, clip), srcPos: { x: -(2 ** 30) + 1, y: -(2 ** 30) + 1 } });
    const source = { src, srcArea: rect(0, 0, 1, 1), scaleMode: 0 };
    send.draw_copy({ base: base(far, clip), ...source, rop: ROP.put, mask });
    const ms = performance.now() - start;
    assert(ms < 4 * DRAW_MS, `four draws with ${name} took ${ms} ms`);
  }
  assertEquals([...guest.stats.ignored], []);
});

Deno.test("coordinates at every edge of what can be said are drawn or left out, never thrown", () => {
  const edges = [
    -(2 ** 31),
    -(2 ** 30) - 1,
    -(2 ** 30),
    -1,
    0,
    1,
    2 ** 30,
    2 ** 30 + 1,
    2 ** 31 - 1,
  ];
  const edge = fc.constantFrom(...edges);
  const any = fc.record({ left: edge, top: edge, right: edge, bottom: edge });
  const { display: guest, send } = display(8, 4, FORMAT.xrgb);
  const image = image32(2, [1, 2, 3, 4]);
  const draw = fc.record({
    box: any,
    clip: fc.option(fc.array(any, { maxLength: 2 }), { nil: undefined }),
    srcArea: any,
    pos: fc.record({ x: edge, y: edge }),
    mask: fc.boolean(),
    scaleMode: fc.nat(2),
  });
  fc.assert(fc.property(draw, ({ box, clip, srcArea, pos, scaleMode }) => {
    const common = { base: base(box, clip), src: image, srcArea, scaleMode };
    const brush = { kind: "pattern" as const, image, pos };
    send.draw_copy({ ...common, rop: ROP.put, mask: NO_MASK });
    send.draw_opaque({ ...common, brush, rop: ROP.put, mask: NO_MASK });
    send.draw_rop3({ ...common, brush, rop3: 0x96, mask: NO_MASK });
    send.draw_alpha_blend({ ...common, alpha: 7, alphaFlags: 0 });
    send.draw_transparent({ ...common, srcColor: 0, trueColor: 0 });
    send.copy_bits({ base: base(box, clip), srcPos: pos });
    send.draw_fill({ base: base(box, clip), brush, rop: ROP.xor, mask: { ...NO_MASK, pos } });
  }));
  assert(guest.stats.ignored.size < 10);
});
