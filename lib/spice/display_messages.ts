/** Messages of the display channel. Source: spice.proto, DisplayChannel. */
import { countedList, empty, i32, i64, message, struct, u16, u32, u8 } from "./codec.ts";

/**
 * The most bytes of a message on the display channel: one surface of 64 megapixels. Bodies are
 * dropped as they arrive, so this bounds time, not memory.
 */
export const DISPLAY_MAX_BYTES = 256 * 1024 * 1024 + 64 * 1024;

/** Bits of the display channel's capabilities in use. Source: spice/protocol.h, SPICE_DISPLAY_CAP. */
export const DISPLAY_CAPS = { monitorsConfig: 1 } as const;

const head = struct({
  monitorId: u32,
  surfaceId: u32,
  width: u32, // pixels
  height: u32, // pixels
  x: u32, // pixels
  y: u32, // pixels
  flags: u32,
});

/** Server messages: id to name and, where we read them, layout. */
export const DISPLAY_MESSAGES = {
  101: { name: "mode" },
  102: message("mark", empty),
  103: message("reset", empty),
  104: { name: "copy_bits" },
  105: { name: "inval_list" },
  106: { name: "inval_all_pixmaps" },
  107: { name: "inval_palette" },
  108: { name: "inval_all_palettes" },
  122: { name: "stream_create" },
  123: { name: "stream_data" },
  124: { name: "stream_clip" },
  125: { name: "stream_destroy" },
  126: { name: "stream_destroy_all" },
  302: { name: "draw_fill" },
  303: { name: "draw_opaque" },
  304: { name: "draw_copy" },
  305: { name: "draw_blend" },
  306: { name: "draw_blackness" },
  307: { name: "draw_whiteness" },
  308: { name: "draw_invers" },
  309: { name: "draw_rop3" },
  310: { name: "draw_stroke" },
  311: { name: "draw_text" },
  312: { name: "draw_transparent" },
  313: { name: "draw_alpha_blend" },
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
  316: { name: "stream_data_sized" },
  317: message("monitors_config", countedList(struct({ count: u16, maxAllowed: u16 }), head)),
  318: { name: "draw_composite" },
  319: { name: "stream_activate_report" },
  320: { name: "gl_scanout_unix" },
  321: message("gl_draw", struct({ x: u32, y: u32, w: u32, h: u32 })),
  322: { name: "quality_indicator" },
} as const;

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
} as const;

/** What we send as INIT: no caches, so the server never refers to a picture it sent before. */
export const NO_CACHES = {
  pixmapCacheId: 1,
  pixmapCacheSize: 0n,
  glzDictionaryId: 1,
  glzWindowSize: 0,
} as const;
