/**
 * Images and their palettes, as draws of the display channel and cursors have them.
 *
 * Everything decoded as bytes is a view of the message and only valid while it is handled.
 * Sources: spice.proto, Image; spice/enums.h for the numbers.
 */
import {
  type ByteReader,
  type ByteWriter,
  type Codec,
  countedBytes,
  pointer,
  struct,
  u32,
  u64,
  u8,
} from "./codec.ts";
import { SpiceDecodeError } from "./errors.ts";

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
