/**
 * Layouts that the draws of the display channel share: boxes, clips, images, brushes, masks.
 *
 * Everything decoded as bytes is a view of the message and only valid while it is handled.
 * Sources: spice.proto, DisplayChannel; spice/enums.h for the numbers.
 */
import {
  type ByteReader,
  type ByteWriter,
  type Codec,
  countedBytes,
  type Decoded,
  i16,
  i32,
  pointer,
  struct,
  u16,
  u32,
  u64,
  u8,
} from "./codec.ts";
import { SpiceDecodeError } from "./errors.ts";

/** A place, in pixels. */
export const point = struct({ x: i32, y: i32 });
/** A place, in pixels, in short form. */
export const point16 = struct({ x: i16, y: i16 });
/** A rectangle in pixels; `bottom` and `right` are outside of it. */
export const rect = struct({ top: i32, left: i32, bottom: i32, right: i32 });

export type Point = Decoded<typeof point>;
export type Rect = Decoded<typeof rect>;

/**
 * The most items of a list: rectangles of a clip, groups of a line. Each becomes an object of many
 * times its bytes, so that the size of a message alone would not bound the memory it takes.
 */
const MAX_LIST_ITEMS = 65_536;

/** Rectangles that a draw is cut to; undefined does not cut. */
export type Clip = readonly Rect[] | undefined;

const CLIP_NONE = 0;
const CLIP_RECTS = 1;

/** A list of rectangles: a count (u32), then each of them. */
const rects: Codec<readonly Rect[]> = listOf(u32, rect);

/** A clip stands inside its message, so that what follows it moves. */
export const clip: Codec<Clip> = {
  minBytes: 1,
  decode(reader) {
    const type = reader.u8();
    if (type === CLIP_NONE) return undefined;
    if (type === CLIP_RECTS) return rects.decode(reader);
    throw new SpiceDecodeError(`Cannot read a clip: its type is ${type}, expected 0 or 1`);
  },
  encode(writer, value) {
    writer.u8(value === undefined ? CLIP_NONE : CLIP_RECTS);
    if (value !== undefined) rects.encode(writer, value);
  },
};

/** What every draw begins with: where it goes. */
export const drawBase = struct({ surfaceId: u32, box: rect, clip });
export type DrawBase = Decoded<typeof drawBase>;

/** Colours of an indexed image. */
export interface Palette {
  /** The name under which the server may refer to it later. */
  unique: bigint;
  /** 0x00RRGGBB each. */
  entries: Uint32Array;
}

/** The most colours of a palette. */
const MAX_PALETTE_ENTRIES = 256;

const palette: Codec<Palette> = {
  minBytes: 10,
  decode(reader) {
    const unique = reader.u64();
    const count = reader.u16();
    if (count > MAX_PALETTE_ENTRIES) {
      throw new SpiceDecodeError(
        `Cannot read a palette: it has ${count} colours, expected at most ${MAX_PALETTE_ENTRIES}`,
      );
    }
    reader.expectItems(count, 4);
    return { unique, entries: Uint32Array.from({ length: count }, () => reader.u32()) };
  },
  encode(writer, { unique, entries }) {
    writer.u64(unique);
    writer.u16(entries.length);
    for (const entry of entries) writer.u32(entry);
  },
};
const palettePointer = pointer(palette);

/** A palette, given or named: one of both, or neither. */
interface PaletteReference {
  palette: Palette | undefined;
  /** Of a palette that was sent before. */
  paletteId: bigint | undefined;
}

/** Bits of a bitmap's flags. Source: spice/enums.h, SPICE_BITMAP_FLAGS. */
export const BITMAP_FLAGS = { palCacheMe: 1, palFromCache: 2, topDown: 4 } as const;

/** Pixels as the guest had them. */
export interface Bitmap extends PaletteReference {
  /** 1 1BIT_LE … 10 8BIT_A: spice/enums.h, SPICE_BITMAP_FMT. */
  format: number;
  /** Bits of {@linkcode BITMAP_FLAGS}. */
  flags: number;
  /** Pixels. */
  width: number;
  /** Rows. */
  height: number;
  /** Bytes from one row to the next; more than a row where the guest's own image is wider. */
  strideBytes: number;
  /** `strideBytes * height` bytes; the first row is the bottom one without `topDown`. */
  data: Uint8Array;
}

/** Bits of an image's flags. Source: spice/enums.h, SPICE_IMAGE_FLAGS. */
export const IMAGE_FLAGS = { cacheMe: 1, highBitsSet: 2, cacheReplaceMe: 4 } as const;

/** Where the pixels of an image are. */
export type ImageContent =
  | { kind: "bitmap"; bitmap: Bitmap }
  /** A picture that was sent before, kept under the image's id. */
  | { kind: "from_cache" | "from_cache_lossless" }
  | { kind: "surface"; surfaceId: number }
  | { kind: "quic" | "lz_rgb" | "glz_rgb" | "jpeg" | "lz4"; data: Uint8Array }
  /** `paletteFlags`: bits of {@linkcode BITMAP_FLAGS}. */
  | { kind: "lz_plt"; paletteFlags: number; data: Uint8Array } & PaletteReference
  /** `glzSize`: bytes of the GLZ data once unpacked by zlib. */
  | { kind: "zlib_glz_rgb"; glzSize: number; data: Uint8Array }
  /** `alphaFlags`: 1 the alpha plane is top-down. `data`: a JPEG of `jpegSize` bytes, then LZ. */
  | { kind: "jpeg_alpha"; alphaFlags: number; jpegSize: number; data: Uint8Array }
  | { kind: "unknown"; type: number };

/** An image. */
export type Image = {
  id: bigint;
  /** Bits of {@linkcode IMAGE_FLAGS}. */
  flags: number;
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
} & ImageContent;

/** Images of plain compressed data, by type. Source: spice/enums.h, SPICE_IMAGE_TYPE. */
const DATA_KINDS = { 1: "quic", 101: "lz_rgb", 102: "glz_rgb", 105: "jpeg", 109: "lz4" } as const;
/** All types, by kind. */
const IMAGE_TYPES = {
  bitmap: 0,
  quic: 1,
  lz_plt: 100,
  lz_rgb: 101,
  glz_rgb: 102,
  from_cache: 103,
  surface: 104,
  jpeg: 105,
  from_cache_lossless: 106,
  zlib_glz_rgb: 107,
  jpeg_alpha: 108,
  lz4: 109,
} as const;

const imageHead = struct({ id: u64, type: u8, flags: u8, width: u32, height: u32 });

/** Reads a palette's name or a link to it, as `flags` say. */
function decodePalette(reader: ByteReader, flags: number): PaletteReference {
  if ((flags & BITMAP_FLAGS.palFromCache) !== 0) {
    return { palette: undefined, paletteId: reader.u64() };
  }
  return { palette: palettePointer.decode(reader), paletteId: undefined };
}

function encodePalette(writer: ByteWriter, flags: number, value: PaletteReference): void {
  if ((flags & BITMAP_FLAGS.palFromCache) !== 0) writer.u64(value.paletteId ?? 0n);
  else palettePointer.encode(writer, value.palette);
}

const bitmapHead = struct({ format: u8, flags: u8, width: u32, height: u32, strideBytes: u32 });

const bitmap: Codec<Bitmap> = {
  minBytes: bitmapHead.minBytes + 4,
  decode(reader) {
    const head = bitmapHead.decode(reader);
    const reference = decodePalette(reader, head.flags);
    // Both are u32: the product is exact in a double, and reading checks it against what is left.
    return { ...head, ...reference, data: reader.bytes(head.strideBytes * head.height) };
  },
  encode(writer, value) {
    bitmapHead.encode(writer, value);
    encodePalette(writer, value.flags, value);
    writer.bytes(value.data);
  },
};

function decodeContent(reader: ByteReader, type: number): ImageContent {
  switch (type) {
    case IMAGE_TYPES.bitmap:
      return { kind: "bitmap", bitmap: bitmap.decode(reader) };
    case IMAGE_TYPES.from_cache:
      return { kind: "from_cache" };
    case IMAGE_TYPES.from_cache_lossless:
      return { kind: "from_cache_lossless" };
    case IMAGE_TYPES.surface:
      return { kind: "surface", surfaceId: reader.u32() };
    case IMAGE_TYPES.lz_plt: {
      const paletteFlags = reader.u8();
      const size = reader.u32();
      const reference = decodePalette(reader, paletteFlags);
      return { kind: "lz_plt", paletteFlags, ...reference, data: reader.bytes(size) };
    }
    case IMAGE_TYPES.zlib_glz_rgb:
      return { kind: "zlib_glz_rgb", glzSize: reader.u32(), data: countedBytes.decode(reader) };
    case IMAGE_TYPES.jpeg_alpha: {
      const [alphaFlags, jpegSize] = [reader.u8(), reader.u32()];
      return { kind: "jpeg_alpha", alphaFlags, jpegSize, data: countedBytes.decode(reader) };
    }
  }
  const kind = DATA_KINDS[type as keyof typeof DATA_KINDS];
  if (kind === undefined) return { kind: "unknown", type };
  return { kind, data: countedBytes.decode(reader) };
}

function encodeContent(writer: ByteWriter, image: ImageContent): void {
  switch (image.kind) {
    case "bitmap":
      return bitmap.encode(writer, image.bitmap);
    case "surface":
      return writer.u32(image.surfaceId);
    case "lz_plt":
      writer.u8(image.paletteFlags);
      writer.u32(image.data.length);
      encodePalette(writer, image.paletteFlags, image);
      return writer.bytes(image.data);
    case "zlib_glz_rgb":
      writer.u32(image.glzSize);
      return countedBytes.encode(writer, image.data);
    case "jpeg_alpha":
      writer.u8(image.alphaFlags);
      writer.u32(image.jpegSize);
      return countedBytes.encode(writer, image.data);
    case "quic":
    case "lz_rgb":
    case "glz_rgb":
    case "jpeg":
    case "lz4":
      return countedBytes.encode(writer, image.data);
    case "from_cache":
    case "from_cache_lossless":
    case "unknown":
      return;
  }
}

/** An image: a descriptor, then what its type says. */
export const image: Codec<Image> = {
  minBytes: imageHead.minBytes,
  decode(reader) {
    const { type, ...head } = imageHead.decode(reader);
    return { ...head, ...decodeContent(reader, type) };
  },
  encode(writer, value) {
    const type = value.kind === "unknown" ? value.type : IMAGE_TYPES[value.kind];
    imageHead.encode(writer, { ...value, type });
    encodeContent(writer, value);
  },
};
/** A link to an image. */
export const imagePointer: Codec<Image | undefined> = pointer(image);

/** What areas are filled with. */
export type Brush =
  | { kind: "none" }
  /** 0x00RRGGBB. */
  | { kind: "solid"; color: number }
  /** Tiles of an image, one of which has its corner at `pos`. */
  | { kind: "pattern"; image: Image | undefined; pos: Point };

const BRUSH_NONE = 0;
const BRUSH_SOLID = 1;
const BRUSH_PATTERN = 2;

export const brush: Codec<Brush> = {
  minBytes: 1,
  decode(reader) {
    const type = reader.u8();
    switch (type) {
      case BRUSH_NONE:
        return { kind: "none" };
      case BRUSH_SOLID:
        return { kind: "solid", color: reader.u32() };
      case BRUSH_PATTERN:
        return { kind: "pattern", image: imagePointer.decode(reader), pos: point.decode(reader) };
    }
    throw new SpiceDecodeError(`Cannot read a brush: its type is ${type}, expected 0, 1 or 2`);
  },
  encode(writer, value) {
    switch (value.kind) {
      case "none":
        return writer.u8(BRUSH_NONE);
      case "solid":
        writer.u8(BRUSH_SOLID);
        return writer.u32(value.color);
      case "pattern":
        writer.u8(BRUSH_PATTERN);
        imagePointer.encode(writer, value.image);
        return point.encode(writer, value.pos);
    }
  },
};

/** A 1-bit image that says which pixels of the box are drawn; no image draws all of them. */
export const mask = struct({
  flags: u8, // 1: inverted
  pos: point, // of the mask's pixel that belongs to the box's corner
  image: imagePointer,
});
export type Mask = Decoded<typeof mask>;

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
export function glyphBits(flags: number): number {
  if ((flags & 1) !== 0) return 1;
  if ((flags & 2) !== 0) return 4;
  if ((flags & 4) !== 0) return 8;
  throw new SpiceDecodeError(
    `Cannot read a text: its flags are ${flags}, expected 1, 2 or 4 in it`,
  );
}

export const glyphString: Codec<GlyphString> = {
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

/** A count, then that many items; the count is checked against the bytes left. */
function listOf<T>(count: Codec<number>, item: Codec<T>): Codec<readonly T[]> {
  return {
    minBytes: count.minBytes,
    decode(reader) {
      const length = count.decode(reader);
      reader.expectItems(length, item.minBytes);
      if (length > MAX_LIST_ITEMS) {
        throw new SpiceDecodeError(
          `Cannot read a list: it has ${length} items, expected at most ${MAX_LIST_ITEMS}`,
        );
      }
      return Array.from({ length }, () => item.decode(reader));
    },
    encode(writer, items) {
      count.encode(writer, items.length);
      for (const one of items) item.encode(writer, one);
    },
  };
}
