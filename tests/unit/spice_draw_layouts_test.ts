import { assertEquals, assertThrows } from "@std/assert";
import { ByteReader, ByteWriter, type Codec } from "../../lib/spice/codec.ts";
import { DISPLAY_MESSAGES } from "../../lib/spice/display_messages.ts";
import type { Image } from "../../lib/spice/image_layouts.ts";
import { brush, clip } from "../../lib/spice/draw_layouts.ts";
import { image } from "../../lib/spice/image_layouts.ts";
import { lineAttributes, path } from "../../lib/spice/shape_layouts.ts";
import { SpiceDecodeError } from "../../lib/spice/errors.ts";
import { encodeMessage, HEADER_BYTES } from "../../lib/spice/framing.ts";
import { join, le } from "../fakes/spice_server.ts";

const box = { top: 1, left: 2, bottom: 3, right: 5 };
const base = { surfaceId: 7, box, clip: undefined };
const clipped = { surfaceId: 7, box, clip: [box, { ...box, right: 4 }] };
const pos = { x: -1, y: 4 };
const head = { id: 9n, flags: 0, width: 2, height: 1 };
const data = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const palette = { unique: 3n, entries: Uint32Array.of(0xff0000, 0xff00) };
const noPalette = { palette: undefined, paletteId: undefined };
const bits = { width: 2, height: 1, strideBytes: 8, data };

const direct: Image = {
  ...head,
  kind: "bitmap",
  bitmap: { ...bits, format: 8, flags: 4, ...noPalette },
};
const indexed: Image = {
  ...head,
  kind: "bitmap",
  bitmap: { ...bits, format: 5, flags: 5, palette, paletteId: undefined },
};
const images: Image[] = [
  direct,
  indexed,
  {
    ...head,
    kind: "bitmap",
    bitmap: { ...bits, format: 5, flags: 2, palette: undefined, paletteId: 3n },
  },
  { ...head, kind: "from_cache" },
  { ...head, kind: "from_cache_lossless" },
  { ...head, kind: "surface", surfaceId: 5 },
  { ...head, kind: "quic", data },
  { ...head, kind: "lz_rgb", data },
  { ...head, kind: "glz_rgb", data },
  { ...head, kind: "jpeg", data },
  { ...head, kind: "lz4", data },
  { ...head, kind: "lz_plt", paletteFlags: 0, palette, paletteId: undefined, data },
  { ...head, kind: "lz_plt", paletteFlags: 2, palette: undefined, paletteId: 3n, data },
  { ...head, kind: "zlib_glz_rgb", glzSize: 100, data },
  { ...head, kind: "jpeg_alpha", alphaFlags: 1, jpegSize: 5, data },
];
const mask = { flags: 1, pos, image: { ...direct, flags: 1 } };
const noMask = { flags: 0, pos, image: undefined };
const solid = { kind: "solid", color: 0x123456 } as const;
const pattern = { kind: "pattern", image: indexed, pos } as const;
const copy = { src: direct, srcArea: box };
const how = { rop: 8, scaleMode: 1, mask };
const matrix = { t00: 65536, t01: 0, t02: 1, t10: 0, t11: 65536, t12: -1 };

type Sample = readonly [id: keyof typeof DISPLAY_MESSAGES, value: unknown];
/** A value of each message whose layout has links or parts of changing size. */
const SAMPLES: readonly Sample[] = [
  [104, { base: clipped, srcPos: pos }],
  [122, {
    surfaceId: 0,
    streamId: 1,
    flags: 1,
    codec: 1,
    stamp: 5n,
    streamWidth: 2,
    streamHeight: 3,
    srcWidth: 2,
    srcHeight: 3,
    dest: box,
    clip: [box],
  }],
  [123, { streamId: 1, mmTime: 2, data }],
  [302, { base, brush: solid, rop: 8, mask: noMask }],
  [302, { base: clipped, brush: pattern, rop: 8, mask }],
  [303, { base, ...copy, brush: pattern, ...how }],
  ...images.map((src): Sample => [304, { base: clipped, ...copy, src, ...how }]),
  [305, { base, ...copy, ...how, mask: noMask }],
  [306, { base, mask }],
  [309, { base: clipped, ...copy, brush: { kind: "none" }, rop3: 0xca, scaleMode: 0, mask }],
  [310, {
    base: clipped,
    path: [
      { flags: 1, points: Int32Array.of(0, 16, -32, 48) },
      { flags: 2, points: Int32Array.of(1, 2) },
    ],
    attributes: { flags: 8, style: Int32Array.of(48, 16) },
    brush: pattern,
    foreMode: 8,
    backMode: 8,
  }],
  [311, {
    base,
    string: {
      flags: 1,
      glyphs: [
        { renderPos: pos, origin: pos, width: 9, height: 2, data: data.subarray(0, 4) },
        { renderPos: pos, origin: pos, width: 0, height: 2, data: data.subarray(0, 0) },
      ],
    },
    backArea: box,
    foreBrush: pattern,
    backBrush: solid,
    foreMode: 8,
    backMode: 8,
  }],
  [312, { base, ...copy, srcColor: 1, trueColor: 2 }],
  [313, { base: clipped, alphaFlags: 1, alpha: 128, ...copy }],
  [318, {
    base,
    composite: {
      flags: 1 << 19 | 1 << 20 | 1 << 21 | 3,
      src: direct,
      mask: indexed,
      srcTransform: matrix,
      maskTransform: matrix,
      srcOrigin: pos,
      maskOrigin: { x: 1, y: 2 },
    },
  }],
];

const body = <T>(codec: Codec<T>, value: T) => encodeMessage(0, codec, value).slice(HEADER_BYTES);
const decode = <T>(codec: Codec<T>, bytes: Uint8Array) => codec.decode(new ByteReader(bytes));

for (const [index, [id, value]] of SAMPLES.entries()) {
  const layout = DISPLAY_MESSAGES[id] as { name: string } & Codec<unknown>;
  Deno.test(`${layout.name} survives, and no shorter body is taken (sample ${index})`, () => {
    const bytes = body(layout, value);
    assertEquals(decode(layout, bytes), value);
    for (let length = 0; length < bytes.length; length++) {
      assertThrows(() => decode(layout, bytes.subarray(0, length)), SpiceDecodeError);
    }
  });
}

Deno.test("a plain draw_copy has its image and pixels where QEMU puts them", () => {
  const bytes = body(DISPLAY_MESSAGES[304], { base, ...copy, rop: 8, scaleMode: 0, mask: noMask });
  assertEquals(new DataView(bytes.buffer).getUint32(21, true), 57);
  assertEquals(bytes.length, 93 + data.length);
});

Deno.test("links that lead back or out of the message are refused", () => {
  const bytes = body(DISPLAY_MESSAGES[302], { base, brush: pattern, rop: 8, mask: noMask });
  const link = 21 + 1;
  for (const offset of [1, link, link + 3, bytes.length - 1, bytes.length, 0xffff_ffff]) {
    const wrong = bytes.slice();
    new DataView(wrong.buffer).setUint32(link, offset, true);
    assertThrows(() => decode(DISPLAY_MESSAGES[302], wrong), SpiceDecodeError, "link");
  }
});

Deno.test("two links may name the same place, as mask and brush of one image do", () => {
  const value = { base, brush: pattern, rop: 8, mask: { ...mask, image: indexed } };
  const bytes = body(DISPLAY_MESSAGES[302], value);
  const view = new DataView(bytes.buffer);
  view.setUint32(21 + 1 + 12 + 2 + 9, view.getUint32(22, true), true);
  assertEquals(decode(DISPLAY_MESSAGES[302], bytes), value);
});

Deno.test("a body is read a few times at most, however often its links name the same bytes", () => {
  const reader = new ByteReader(new Uint8Array(100));
  assertThrows(
    () => {
      for (let i = 0; i < 5; i++) reader.at(0).bytes(100);
    },
    SpiceDecodeError,
    "too often",
  );
});

Deno.test("a bitmap of more rows than bytes is refused before anything is made for it", () => {
  const writer = new ByteWriter();
  image.encode(writer, direct);
  const bytes = writer.finish();
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(24, 0xffff_ffff, true); // height
  view.setUint32(28, 0xffff_ffff, true); // stride: the product overflows 32 bits
  assertThrows(() => decode(image, bytes), SpiceDecodeError);
});

Deno.test("counts are checked against the bytes left", () => {
  assertThrows(() => decode(clip, le([1, 1], [4, 0xffff_ffff])), SpiceDecodeError, "4294967295");
  const path = join(le([4, 1]), le([1, 0], [4, 0x1fff_ffff]));
  const stroke = join(
    le([4, 0], [4, 0], [4, 0], [4, 1], [4, 1], [1, 0]), // base
    le([4, 21 + 4 + 1 + 1 + 4], [1, 0], [1, 0], [4, 8]), // path, attributes, brush, modes
  );
  assertThrows(
    () => decode(DISPLAY_MESSAGES[310], join(stroke, path)),
    SpiceDecodeError,
  );
});

Deno.test("a clip of too many rectangles and a line of too many groups are refused", () => {
  const most = 65_536;
  const rects = (count: number) => join(le([1, 1], [4, count]), new Uint8Array(16 * count));
  assertEquals(decode(clip, rects(most))?.length, most);
  assertThrows(() => decode(clip, rects(most + 1)), SpiceDecodeError, "at most 65536");
  const groups = (count: number) => join(le([4, count]), new Uint8Array(5 * count));
  assertEquals(decode(path, groups(most)).length, most);
  assertThrows(() => decode(path, groups(most + 1)), SpiceDecodeError, "at most 65536");
});

Deno.test("unknown kinds of clip and brush are refused, of images kept apart", () => {
  assertThrows(() => decode(clip, Uint8Array.of(2)), SpiceDecodeError, "type is 2");
  assertThrows(() => decode(brush, Uint8Array.of(3)), SpiceDecodeError, "type is 3");
  const unknown: Image = { ...head, kind: "unknown", type: 99 };
  assertEquals(decode(image, body(image, unknown)), unknown);
});

Deno.test("a line without the styled flag has no style on the wire", () => {
  assertEquals(body(lineAttributes, { flags: 0, style: new Int32Array() }).length, 1);
});
