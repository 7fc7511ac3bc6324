/**
 * What draws of the display channel have beside boxes and images: paths, lines, texts, compositions.
 *
 * Everything decoded as bytes is a view of the message and only valid while it is handled.
 * Sources: spice.proto, DisplayChannel; spice/enums.h for the numbers.
 */
import { type Codec, type Decoded, i16, i32, pointer, struct, u16, u32 } from "./codec.ts";
import { listOf, type Point, point } from "./draw_layouts.ts";
import { SpiceDecodeError } from "./errors.ts";
import { type Image, imagePointer } from "./image_layouts.ts";

/** A place, in pixels, in short form. */
const point16 = struct({ x: i16, y: i16 });

/** A line: points in 28.4 fixed point, in groups. Groups follow each other without links. */
const pathSegment: Codec<PathSegment> = {
  minBytes: 5,
  decode(reader) {
    const flags = reader.u8();
    const count = reader.u32();
    reader.expectItems(count, 8);
    return { flags, points: Int32Array.from({ length: 2 * count }, () => reader.i32()) };
  },
  encode(writer, { flags, points }) {
    writer.u8(flags);
    writer.u32(points.length >>> 1);
    for (const value of points) writer.i32(value);
  },
};

/** Part of a path. */
export interface PathSegment {
  /** 1 begin, 2 end, 8 close, 16 Bézier: spice/enums.h, SPICE_PATH_FLAGS. */
  flags: number;
  /** x and y in turn, in sixteenths of a pixel. */
  points: Int32Array;
}

export const path: Codec<readonly PathSegment[]> = listOf(u32, pathSegment);
/** A link to a path. */
export const pathPointer: Codec<readonly PathSegment[] | undefined> = pointer(path);

/** How a line is interrupted. */
export interface LineAttributes {
  /** 4: begins with a gap. 8: interrupted. Source: spice/enums.h, SPICE_LINE_FLAGS. */
  flags: number;
  /** Lengths of dashes and gaps in turn, in sixteenths of a pixel. */
  style: Int32Array;
}

const LINE_STYLED = 8;

/** Dashes and gaps are read only behind the flag that says so. */
export const lineAttributes: Codec<LineAttributes> = {
  minBytes: 1,
  decode(reader) {
    const flags = reader.u8();
    if ((flags & LINE_STYLED) === 0) return { flags, style: new Int32Array() };
    const count = reader.u8();
    const style = pointer<Int32Array>({
      minBytes: 4 * count,
      decode: (lengths) => Int32Array.from({ length: count }, () => lengths.i32()),
      encode() {},
    }).decode(reader);
    return { flags, style: style ?? new Int32Array() };
  },
  encode(writer, { flags, style }) {
    writer.u8(flags);
    if ((flags & LINE_STYLED) === 0) return;
    writer.u8(style.length);
    writer.link(() => style.forEach((length) => writer.i32(length)));
  },
};

/** One glyph: how much of each of its pixels the text covers. */
export interface Glyph {
  /** Where it goes. */
  renderPos: Point;
  /** From there to the glyph's own corner. */
  origin: Point;
  width: number;
  height: number;
  /** Rows of whole bytes with 1, 4 or 8 bits a pixel, by the text's flags. */
  data: Uint8Array;
}

/** A line of text. */
export interface GlyphString {
  /** 1, 2, 4: 1, 4 or 8 bits a pixel. 8: rows are top-down. spice/enums.h, SPICE_STRING_FLAGS. */
  flags: number;
  glyphs: readonly Glyph[];
}

const glyphHead = struct({ renderPos: point, origin: point, width: u16, height: u16 });

/** Returns how many bits a pixel of a glyph has. */
function glyphBits(flags: number): number {
  if ((flags & 1) !== 0) return 1;
  if ((flags & 2) !== 0) return 4;
  if ((flags & 4) !== 0) return 8;
  throw new SpiceDecodeError(
    `Cannot read a text: its flags are ${flags}, expected 1, 2 or 4 in it`,
  );
}

const glyphString: Codec<GlyphString> = {
  minBytes: 3,
  decode(reader) {
    const count = reader.u16();
    const flags = reader.u8();
    const bits = glyphBits(flags);
    reader.expectItems(count, glyphHead.minBytes);
    const glyphs = Array.from({ length: count }, () => {
      const head = glyphHead.decode(reader);
      const rowBytes = Math.ceil(head.width * bits / 8);
      return { ...head, data: reader.bytes(rowBytes * head.height) };
    });
    return { flags, glyphs };
  },
  encode(writer, { flags, glyphs }) {
    writer.u16(glyphs.length);
    writer.u8(flags);
    for (const glyph of glyphs) {
      glyphHead.encode(writer, glyph);
      writer.bytes(glyph.data);
    }
  },
};
/** A link to a line of text. */
export const glyphStringPointer: Codec<GlyphString | undefined> = pointer(glyphString);

/** An affine transform, rows of it, in 16.16 fixed point. */
export const transform = struct({ t00: i32, t01: i32, t02: i32, t10: i32, t11: i32, t12: i32 });
export type Transform = Decoded<typeof transform>;

/** Bits of a composite's flags that say which parts it has. Source: spice/enums.h, SPICE_COMPOSITE. */
const COMPOSITE_HAS = { mask: 1 << 19, srcTransform: 1 << 20, maskTransform: 1 << 21 } as const;

/** What Render's Composite takes. */
export interface Composite {
  /** Operator, filters and repeats: spice/enums.h, SPICE_COMPOSITE. */
  flags: number;
  src: Image | undefined;
  mask: Image | undefined;
  srcTransform: Transform | undefined;
  maskTransform: Transform | undefined;
  srcOrigin: Point;
  maskOrigin: Point;
}

export const composite: Codec<Composite> = {
  minBytes: 16,
  decode(reader) {
    const flags = reader.u32();
    const has = (bit: number) => (flags & bit) !== 0;
    return {
      flags,
      src: imagePointer.decode(reader),
      mask: has(COMPOSITE_HAS.mask) ? imagePointer.decode(reader) : undefined,
      srcTransform: has(COMPOSITE_HAS.srcTransform) ? transform.decode(reader) : undefined,
      maskTransform: has(COMPOSITE_HAS.maskTransform) ? transform.decode(reader) : undefined,
      srcOrigin: point16.decode(reader),
      maskOrigin: point16.decode(reader),
    };
  },
  encode(writer, value) {
    const has = (bit: number) => (value.flags & bit) !== 0;
    writer.u32(value.flags);
    imagePointer.encode(writer, value.src);
    if (has(COMPOSITE_HAS.mask)) imagePointer.encode(writer, value.mask);
    for (const bit of ["srcTransform", "maskTransform"] as const) {
      const matrix = value[bit];
      if (has(COMPOSITE_HAS[bit]) && matrix !== undefined) transform.encode(writer, matrix);
    }
    point16.encode(writer, value.srcOrigin);
    point16.encode(writer, value.maskOrigin);
  },
};
