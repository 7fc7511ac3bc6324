/** Messages of the display channel. Source: spice.proto, DisplayChannel. */
import {
  type Codec,
  countedBytes,
  countedList,
  empty,
  i32,
  i64,
  message,
  struct,
  u16,
  u32,
  u64,
  u8,
} from "./codec.ts";
import { brush, clip, drawBase, mask, point, rect } from "./draw_layouts.ts";
import { composite, glyphStringPointer, lineAttributes, pathPointer } from "./shape_layouts.ts";
import { imagePointer } from "./image_layouts.ts";

/** Bits of the display channel's capabilities. Source: spice/protocol.h, SPICE_DISPLAY_CAP. */
export const DISPLAY_CAPS = {
  sizedStream: 0,
  monitorsConfig: 1,
  composite: 2,
  a8Surface: 3,
  streamReport: 4,
  lz4Compression: 5,
  prefCompression: 6,
  glScanout: 7,
  multiCodec: 8,
  codecMjpeg: 9,
  codecVp8: 10,
  codecH264: 11,
  prefVideoCodecType: 12,
  codecVp9: 13,
  codecH265: 14,
} as const;

const head = struct({
  monitorId: u32,
  surfaceId: u32,
  width: u32, // pixels
  height: u32, // pixels
  x: u32, // pixels
  y: u32, // pixels
  flags: u32,
});

/** What copies take from an image: which part, and how. */
const source = {
  src: imagePointer,
  srcArea: rect,
};
/** How pixels are combined. Bits of `rop`: spice/enums.h, SPICE_ROPD. */
const combination = {
  rop: u16,
  scaleMode: u8, // 0 interpolate, 1 nearest
  mask,
};
const masked = struct({ base: drawBase, mask });

/** Server messages: id to name and, where we read them, layout. */
export const DISPLAY_MESSAGES = {
  101: message("mode", struct({ width: u32, height: u32, bits: u32 })), // servers without surfaces
  102: message("mark", empty),
  103: message("reset", empty),
  104: message("copy_bits", struct({ base: drawBase, srcPos: point })),
  105: message(
    "inval_list",
    countedList(struct({ count: u16 }), struct({ type: u8, id: u64 })), // type 1: an image
  ),
  106: message(
    "inval_all_pixmaps",
    countedList(struct({ count: u8 }), struct({ type: u8, id: u8, serial: u64 })),
  ),
  107: message("inval_palette", struct({ id: u64 })),
  108: message("inval_all_palettes", empty),
  122: message(
    "stream_create",
    struct({
      surfaceId: u32,
      streamId: u32,
      flags: u8, // 1 top-down
      codec: u8, // 1 MJPEG, 2 VP8, 3 H264, 4 VP9, 5 H265
      stamp: u64,
      streamWidth: u32, // pixels
      streamHeight: u32,
      srcWidth: u32,
      srcHeight: u32,
      dest: rect,
      clip,
    }),
  ),
  123: message("stream_data", struct({ streamId: u32, mmTime: u32, data: countedBytes })),
  124: message("stream_clip", struct({ streamId: u32, clip })),
  125: message("stream_destroy", struct({ streamId: u32 })),
  126: message("stream_destroy_all", empty),
  302: message("draw_fill", struct({ base: drawBase, brush, rop: u16, mask })),
  303: message("draw_opaque", struct({ base: drawBase, ...source, brush, ...combination })),
  304: message("draw_copy", struct({ base: drawBase, ...source, ...combination })),
  305: message("draw_blend", struct({ base: drawBase, ...source, ...combination })),
  306: message("draw_blackness", masked),
  307: message("draw_whiteness", masked),
  308: message("draw_invers", masked),
  309: message(
    "draw_rop3",
    struct({ base: drawBase, ...source, brush, rop3: u8, scaleMode: u8, mask }),
  ),
  310: message(
    "draw_stroke",
    struct({
      base: drawBase,
      path: pathPointer,
      attributes: lineAttributes,
      brush,
      foreMode: u16, // bits as in rop
      backMode: u16,
    }),
  ),
  311: message(
    "draw_text",
    struct({
      base: drawBase,
      string: glyphStringPointer,
      backArea: rect,
      foreBrush: brush,
      backBrush: brush,
      foreMode: u16, // bits as in rop
      backMode: u16,
    }),
  ),
  312: message(
    "draw_transparent",
    struct({ base: drawBase, ...source, srcColor: u32, trueColor: u32 }),
  ),
  313: message(
    "draw_alpha_blend",
    struct({
      base: drawBase,
      alphaFlags: u8, // 1 the surface has alpha, 2 the source has
      alpha: u8,
      ...source,
    }),
  ),
  314: message(
    "surface_create",
    struct({
      surfaceId: u32,
      width: u32, // pixels
      height: u32, // pixels
      format: u32, // 32 xRGB, 96 ARGB, …: spice/enums.h, SPICE_SURFACE_FMT
      flags: u32, // 1 primary, 2 streaming hint
    }),
  ),
  315: message("surface_destroy", struct({ surfaceId: u32 })),
  316: message(
    "stream_data_sized",
    struct({
      streamId: u32,
      mmTime: u32,
      width: u32, // pixels
      height: u32,
      dest: rect,
      data: countedBytes,
    }),
  ),
  317: message("monitors_config", countedList(struct({ count: u16, maxAllowed: u16 }), head)),
  318: message("draw_composite", struct({ base: drawBase, composite })),
  319: message(
    "stream_activate_report",
    struct({ streamId: u32, uniqueId: u32, maxWindowSize: u32, timeoutMs: u32 }),
  ),
  320: message(
    "gl_scanout_unix", // a descriptor comes with the byte that follows: GL_SCANOUT_TRAILERS
    struct({
      width: u32, // pixels
      height: u32, // pixels
      stride: u32, // bytes; 0 from macOS
      fourcc: u32,
      flags: u32, // 1 Y0TOP
    }),
  ),
  321: message("gl_draw", struct({ x: u32, y: u32, w: u32, h: u32 })), // pixels
  322: { name: "quality_indicator" },
} as const;

/**
 * The byte that follows GL_SCANOUT_UNIX, "@", beyond its size: the descriptor rides on it. It comes
 * after every such message, also where there is no descriptor. Source: spice, red-stream.cpp.
 */
export const GL_SCANOUT_TRAILERS: ReadonlyMap<number, number> = new Map([[320, 0x40]]);

/** A list of codecs: a count (u8), then each of them (u8). */
const codecs: Codec<readonly number[]> = {
  minBytes: 1,
  decode: (reader) => [...reader.bytes(reader.u8())],
  encode(writer, value) {
    u8.encode(writer, value.length);
    writer.bytes(Uint8Array.from(value));
  },
};

/** Ids and layouts of client messages. */
export const DISPLAY_REQUESTS = {
  init: {
    id: 101,
    body: struct({
      pixmapCacheId: u8,
      pixmapCacheSize: i64, // pixels
      glzDictionaryId: u8,
      glzWindowSize: i32, // pixels
    }),
  },
  stream_report: {
    id: 102,
    body: struct({
      streamId: u32,
      uniqueId: u32,
      startFrameMmTime: u32,
      endFrameMmTime: u32,
      numFrames: u32,
      numDrops: u32, // 0xffffffff beside no frames: this client cannot decode the stream
      lastFrameDelay: i32,
      audioDelay: u32,
    }),
  },
  preferred_compression: { id: 103, body: struct({ compression: u8 }) },
  gl_draw_done: { id: 104, body: empty, framed: Uint8Array.of(104, 0, 0, 0, 0, 0) },
  preferred_video_codec_type: { id: 105, body: codecs },
} as const;

/** Values of PREFERRED_COMPRESSION. Source: spice/enums.h, SPICE_IMAGE_COMPRESSION. */
export const IMAGE_COMPRESSIONS = {
  off: 1,
  auto_glz: 2,
  auto_lz: 3,
  quic: 4,
  glz: 5,
  lz: 6,
  lz4: 7,
} as const;

/** What we send as INIT: no caches, so the server never refers to a picture it sent before. */
export const NO_CACHES = {
  pixmapCacheId: 1,
  pixmapCacheSize: 0n,
  glzDictionaryId: 1,
  glzWindowSize: 0,
} as const;
