/** Images that are kept, named, broken, or too large. */
import { assertEquals } from "@std/assert";
import type { ImageDecoders } from "../../lib/display/decoders.ts";
import { ImageError } from "../../lib/display/errors.ts";
import { MAX_CACHED_PALETTES } from "../../lib/display/image_cache.ts";
import type { Bitmap, Image } from "../../lib/spice/image_layouts.ts";
import {
  base,
  bitmap,
  bitmapImage,
  display,
  type Drawn,
  FORMAT,
  image32,
  NO_MASK,
  rect,
  ROP,
  rows,
} from "./display_fixtures.ts";

const CACHE_ME = 1;
const HIGH_BITS_SET = 2;
const CACHE_REPLACE_ME = 4;
const PAL_CACHE_ME = 1;
const PAL_FROM_CACHE = 2;

/** Copies an image as it is to the corner of a surface. */
function copy({ send }: Drawn, src: Image | undefined, surfaceId = 0): void {
  const { width = 2, height = 1 } = src ?? {};
  send.draw_copy({
    base: base(rect(0, 0, width, height), undefined, surfaceId),
    src,
    srcArea: rect(0, 0, width, height),
    rop: ROP.put,
    scaleMode: 1,
    mask: NO_MASK,
  });
}

/** Returns why draws were left out, and how many. */
function ignored({ display }: Drawn): Record<string, number> {
  return Object.fromEntries(display.stats.ignored);
}

/** Returns an image that the server has sent before. */
function fromCache(id: bigint, kind: "from_cache" | "from_cache_lossless" = "from_cache"): Image {
  return { id, flags: 0, width: 2, height: 1, kind };
}

/** Returns an image with a palette of two colours, one byte a pixel. */
function indexed(unique: bigint, color: number, flags = PAL_CACHE_ME): Bitmap {
  const entries = Uint32Array.of(0, color);
  return bitmap(5, 2, 1, Uint8Array.of(1, 9), {
    flags: 4 | flags,
    palette: (flags & PAL_FROM_CACHE) === 0 ? { unique, entries } : undefined,
    paletteId: (flags & PAL_FROM_CACHE) === 0 ? undefined : unique,
  });
}

Deno.test("an image is kept under its id until the server takes it back", () => {
  const drawn = display(2, 1);
  const { send } = drawn;
  copy(drawn, { ...image32(2, [1, 2]), id: 7n, flags: CACHE_ME });
  copy(drawn, { ...image32(2, [3, 4]), id: 8n, flags: CACHE_ME });
  copy(drawn, fromCache(7n));
  assertEquals(rows(drawn), ["000001 000002"]);
  send.inval_list({ count: 1, items: [{ type: 1, id: 7n }] });
  copy(drawn, fromCache(8n));
  copy(drawn, fromCache(7n));
  assertEquals(rows(drawn), ["000003 000004"]);
  send.inval_all_pixmaps({ count: 0, items: [] });
  copy(drawn, fromCache(8n));
  assertEquals(ignored(drawn), { "an image that was not kept": 2 });
});

Deno.test("an image is kept even if nothing of it is drawn", () => {
  const kept = { ...image32(2, [5, 6]), id: 7n, flags: CACHE_ME };
  for (const how of ["beside the surface", "on no surface", "as a pattern, clipped away"]) {
    const drawn = display(2, 1);
    const box = rect(how === "beside the surface" ? 50 : 0, 0, 2, 1);
    const source = { src: kept, srcArea: rect(0, 0, 2, 1), scaleMode: 1 };
    const rest = { rop: ROP.put, mask: NO_MASK };
    if (how === "as a pattern, clipped away") {
      const brush = { kind: "pattern" as const, image: kept, pos: { x: 0, y: 0 } };
      drawn.send.draw_fill({ base: base(box, []), brush, ...rest });
    } else {
      const surfaceId = how === "on no surface" ? 99 : 0;
      drawn.send.draw_copy({ base: base(box, undefined, surfaceId), ...source, ...rest });
    }
    copy(drawn, fromCache(7n));
    assertEquals(rows(drawn), ["000005 000006"], how);
  }
});

Deno.test("an image with losses stands in until the exact one replaces it", () => {
  const decoders: ImageDecoders = {
    jpeg: ({ length }) => ({
      width: 2,
      height: 1,
      pixels: Uint32Array.of(length, length),
      hasAlpha: false,
    }),
  };
  const drawn = display(2, 1, FORMAT.xrgb, { decoders });
  const jpeg = { id: 7n, flags: CACHE_ME, width: 2, height: 1 };
  copy(drawn, { ...jpeg, kind: "jpeg", data: new Uint8Array(9) });
  copy(drawn, fromCache(7n));
  assertEquals(rows(drawn), ["000009 000009"]);
  copy(drawn, fromCache(7n, "from_cache_lossless"));
  assertEquals(ignored(drawn), { "an image that was kept with losses": 1 });
  copy(drawn, { ...image32(2, [1, 2]), id: 7n, flags: CACHE_REPLACE_ME });
  copy(drawn, { ...image32(2, [3, 4]) });
  copy(drawn, fromCache(7n, "from_cache_lossless"));
  assertEquals(rows(drawn), ["000001 000002"]);
});

Deno.test("a palette is kept until the server takes it back; colours it lacks are black", () => {
  const drawn = display(2, 1);
  const { send } = drawn;
  copy(drawn, bitmapImage(indexed(5n, 0xabc)));
  assertEquals(rows(drawn), ["000abc 000000"]);
  copy(drawn, image32(2, [1, 2]));
  copy(drawn, bitmapImage(indexed(5n, 0, PAL_FROM_CACHE)));
  assertEquals(rows(drawn), ["000abc 000000"]);
  send.inval_palette({ id: 5n });
  copy(drawn, bitmapImage(indexed(5n, 0, PAL_FROM_CACHE)));
  copy(drawn, bitmapImage(indexed(6n, 1)));
  send.inval_all_palettes({});
  copy(drawn, bitmapImage(indexed(6n, 0, PAL_FROM_CACHE)));
  assertEquals(ignored(drawn), { "an image with a palette that was not kept": 2 });
});

Deno.test("a palette that came anew outlives the word that its first copy was dropped", () => {
  const drawn = display(2, 1);
  const { send } = drawn;
  copy(drawn, bitmapImage(indexed(5n, 0xabc)));
  // The source's palette takes the room of palette 5, which the brush brings again.
  send.draw_opaque({
    base: base(rect(0, 0, 2, 1)),
    src: bitmapImage(indexed(6n, 1)),
    srcArea: rect(0, 0, 2, 1),
    brush: { kind: "pattern", image: bitmapImage(indexed(5n, 0xabc)), pos: { x: 0, y: 0 } },
    rop: ROP.put,
    scaleMode: 0,
    mask: NO_MASK,
  });
  send.inval_palette({ id: 5n });
  copy(drawn, image32(2, [1, 2]));
  copy(drawn, bitmapImage(indexed(5n, 0, PAL_FROM_CACHE)));
  assertEquals(rows(drawn), ["000abc 000000"]);
  assertEquals(ignored(drawn), {});
  send.inval_palette({ id: 5n });
  copy(drawn, bitmapImage(indexed(5n, 0, PAL_FROM_CACHE)));
  assertEquals(ignored(drawn), { "an image with a palette that was not kept": 1 });
});

Deno.test("a palette that comes with a mask is kept, too", () => {
  const drawn = display(2, 1);
  const mask = bitmapImage(bitmap(1, 2, 1, new Uint8Array(4), {
    flags: PAL_CACHE_ME,
    palette: { unique: 5n, entries: Uint32Array.of(0, 0xabc) },
  }));
  drawn.send.draw_blackness({
    base: base(rect(0, 0, 2, 1)),
    mask: { flags: 0, pos: { x: 0, y: 0 }, image: mask },
  });
  copy(drawn, bitmapImage(indexed(5n, 0, PAL_FROM_CACHE)));
  assertEquals(rows(drawn), ["000abc 000000"]);
  assertEquals(ignored(drawn), {});
});

Deno.test("no more palettes are kept than is stated", () => {
  const drawn = display(2, 1);
  for (let id = 0; id <= MAX_CACHED_PALETTES; id++) {
    copy(drawn, bitmapImage(indexed(BigInt(id), 1)));
  }
  assertEquals(ignored(drawn), { "a palette that there is no room to keep": 1 });
});

Deno.test("no more images are kept than is stated", () => {
  const drawn = display(2, 1);
  // 8 Mpx of one bit each, 32 MiB as pixels.
  const large = bitmap(1, 4096, 2048, new Uint8Array(1024 * 1024), {
    palette: { unique: 1n, entries: Uint32Array.of(1, 2) },
  });
  for (let id = 1n; id <= 6n; id++) copy(drawn, bitmapImage(large, id, CACHE_ME));
  assertEquals(ignored(drawn), { "an image that there is no room to keep": 2 });
});

Deno.test("areas that cannot be scaled leave their draw out", () => {
  const cases: [string, Parameters<typeof rect>, number][] = [
    ["a rectangle of impossible size", [1, 0, -1, 1], 1],
    ["an area too far away to be scaled", [0x8000, 0, 1, 1], 1],
    ["an unknown way of scaling", [0, 0, 1, 1], 2],
  ];
  for (const [reason, area, scaleMode] of cases) {
    const drawn = display(2, 1);
    drawn.send.draw_copy({
      base: base(rect(0, 0, 2, 1)),
      src: image32(2, [1, 2]),
      srcArea: rect(...area),
      rop: ROP.put,
      scaleMode,
      mask: NO_MASK,
    });
    assertEquals(ignored(drawn), { [reason]: 1 });
  }
});

Deno.test("HIGH_BITS_SET makes an image opaque", () => {
  const drawn = display(2, 1, FORMAT.argb);
  copy(drawn, { ...image32(2, [1, 2]), flags: HIGH_BITS_SET });
  assertEquals(rows(drawn), ["ff000001 ff000002"]);
});

Deno.test("what an off-screen surface holds is drawn as an image", () => {
  const drawn = display(2, 1);
  const { send } = drawn;
  send.surface_create({ surfaceId: 3, width: 2, height: 1, format: FORMAT.r5g6b5, flags: 0 });
  copy(drawn, image32(2, [0xffffff, 0x0000ff]), 3);
  copy(drawn, { id: 1n, flags: 0, width: 2, height: 1, kind: "surface", surfaceId: 3 });
  assertEquals(rows(drawn).map((row) => row.replaceAll(/ff(.{6})/g, "$1")), ["ffffff 0000ff"]);
  copy(drawn, { id: 1n, flags: 0, width: 2, height: 1, kind: "surface", surfaceId: 4 });
  assertEquals(ignored(drawn), { "an unknown surface as image": 1 });
});

Deno.test("bitmaps that contradict themselves are left out", () => {
  const good = bitmap(8, 2, 1, new Uint8Array(8));
  const image = (changes: Partial<Bitmap>): Image => ({
    ...bitmapImage(good),
    kind: "bitmap",
    bitmap: { ...good, ...changes },
  });
  const cases: [string, Image | undefined][] = [
    ["an image that is not in its message", undefined],
    ["a bitmap of an unknown format", image({ format: 0 })],
    ["a bitmap of an unknown format", image({ format: 11 })],
    ["a bitmap of another size than its image", image({ width: 1 })],
    ["a bitmap of another size than its image", image({ height: 2 })],
    ["a bitmap with too few bytes", image({ strideBytes: 7 })],
    ["a bitmap with too few bytes", image({ data: new Uint8Array(7) })],
    ["an image with a palette that was not kept", image({ format: 5 })],
    ["an image of an unknown type", { ...fromCache(1n), kind: "unknown", type: 77 }],
  ];
  for (const [reason, src] of cases) {
    const drawn = display(2, 1);
    copy(drawn, src);
    assertEquals(ignored(drawn), { [reason]: 1 });
  }
});

Deno.test("images beyond the limits are left out before anything is allocated for them", () => {
  const decoders: ImageDecoders = {
    lz4() {
      throw new Error("asked");
    },
  };
  for (const [width, height] of [[0, 1], [16385, 1], [16384, 16384], [2 ** 32 - 1, 2 ** 32 - 1]]) {
    const drawn = display(2, 1, FORMAT.xrgb, { decoders });
    const size = { width: width!, height: height! };
    drawn.send.draw_copy({
      base: base(rect(0, 0, 2, 1)),
      src: { id: 1n, flags: 0, ...size, kind: "lz4", data: new Uint8Array() },
      srcArea: rect(0, 0, 2, 1),
      rop: ROP.put,
      scaleMode: 1,
      mask: NO_MASK,
    });
    assertEquals(ignored(drawn), { "an image of a size beyond the limits": 1 });
  }
});

Deno.test("compressed images without a decoder, or broken, are left out and named", () => {
  const decoders: ImageDecoders = {
    lzRgb() {
      throw new ImageError("Cannot decode: 17 is 4711");
    },
    lz4: () => ({ width: 1, height: 1, pixels: new Uint32Array(1), hasAlpha: false }),
  };
  const drawn = display(2, 1, FORMAT.xrgb, { decoders });
  for (const kind of ["quic", "lz_rgb", "lz4"] as const) {
    copy(drawn, { ...fromCache(1n), kind, data: new Uint8Array() });
  }
  assertEquals(ignored(drawn), {
    "a QUIC image, for which there is no decoder": 1,
    "a broken LZ image": 1,
    "an image of another size than its descriptor says": 1,
  });
});

Deno.test("a mask of more than one bit, or one that was not kept, leaves its draw out", () => {
  const drawn = display(2, 1);
  const mask = (image: Image) => ({ flags: 0, pos: { x: 0, y: 0 }, image });
  const draw = (image: Image) =>
    drawn.send.draw_whiteness({ base: base(rect(0, 0, 2, 1)), mask: mask(image) });
  draw(image32(2, [1, 2]));
  draw(fromCache(9n));
  assertEquals(rows(drawn), ["000000 000000"]);
  const bits = bitmap(2, 2, 1, Uint8Array.of(0x40));
  draw(bitmapImage(bits, 9n, CACHE_ME));
  assertEquals(rows(drawn).map((row) => row.slice(-6)), ["ffffff"]);
  drawn.send.draw_blackness({ base: base(rect(0, 0, 2, 1)), mask: NO_MASK });
  draw(fromCache(9n));
  assertEquals(rows(drawn), ["000000 ffffffff"]);
  assertEquals(ignored(drawn), {
    "a mask of more than one bit a pixel": 1,
    "a mask that was not kept": 1,
  });
});

Deno.test("a surface of one bit a pixel is a mask", () => {
  const drawn = display(4, 2);
  const { send } = drawn;
  send.surface_create({ surfaceId: 2, width: 3, height: 2, format: FORMAT.a1, flags: 0 });
  send.draw_whiteness({ base: base(rect(1, 0, 1, 2), undefined, 2), mask: NO_MASK });
  const image: Image = { id: 1n, flags: 0, width: 3, height: 2, kind: "surface", surfaceId: 2 };
  send.draw_fill({
    base: base(rect(0, 0, 4, 2)),
    brush: { kind: "solid", color: 7 },
    rop: ROP.put,
    mask: { flags: 1, pos: { x: 0, y: 0 }, image },
  });
  assertEquals(rows(drawn), Array(2).fill("000007 000000 000007 000000"));
});
