/** Messages of the cursor channel. Source: spice.proto, CursorChannel. */
import { type Codec, empty, i16, message, restBytes, struct, u16, u64, u8 } from "./codec.ts";

/** The channel's type. Source: spice/enums.h, SPICE_CHANNEL. */
export const CURSOR_TYPE = 4;

/** The most bytes of a message: a shape of 512 × 512 pixels, and a little. */
export const CURSOR_MAX_BYTES = 2 * 1024 * 1024;

/** Bits of a cursor's flags. Source: spice/enums.h, SPICE_CURSOR_FLAGS. */
const CURSOR_FLAGS = { none: 1, cacheMe: 2, fromCache: 4 } as const;

/** Kinds of shapes. Source: spice/enums.h, SPICE_CURSOR_TYPE. */
export const CURSOR_SHAPES = {
  alpha: 0,
  mono: 1,
  color4: 2,
  color8: 3,
  color16: 4,
  color24: 5,
  color32: 6,
} as const;

/** What a shape is; it is there for one from the cache, too. */
const SHAPE = struct({
  unique: u64, // its name in the cache
  type: u8, // one of CURSOR_SHAPES
  width: u16, // pixels
  height: u16,
  hotX: u16, // pixels from the left of the pixel that points
  hotY: u16,
});

/** A cursor as it is on the wire. */
export interface WireCursor {
  /** Bits of CURSOR_FLAGS. */
  flags: number;
  /** Absent with the flag `none`. */
  shape?: {
    unique: bigint;
    type: number;
    width: number;
    height: number;
    hotX: number;
    hotY: number;
  };
  /** The pixels, as the type has them; a view of the message. Nothing for one from the cache. */
  data: Uint8Array;
}

/** A cursor, which fills its message to the end. */
export const CURSOR: Codec<WireCursor> = {
  minBytes: 2,
  decode(reader) {
    const flags = reader.u16();
    if ((flags & CURSOR_FLAGS.none) !== 0) return { flags, data: new Uint8Array() };
    return { flags, shape: SHAPE.decode(reader), data: restBytes.decode(reader) };
  },
  encode(writer, { flags, shape, data }) {
    writer.u16(flags);
    if (shape !== undefined) SHAPE.encode(writer, shape);
    writer.bytes(data);
  },
};

/** Server messages: id to name and layout. Places are those of the pixel that points. */
export const CURSOR_MESSAGES = {
  101: message(
    "init",
    struct({
      x: i16,
      y: i16,
      trailLength: u16, // pictures
      trailFrequency: u16, // ms from one to the next
      visible: u8,
      cursor: CURSOR,
    }),
  ),
  102: message("reset", empty),
  103: message("set", struct({ x: i16, y: i16, visible: u8, cursor: CURSOR })),
  104: message("move", struct({ x: i16, y: i16 })),
  105: message("hide", empty),
  106: message("trail", struct({ length: u16, frequency: u16 })),
  107: message("inval_one", struct({ unique: u64 })),
  108: message("inval_all", empty),
} as const;
