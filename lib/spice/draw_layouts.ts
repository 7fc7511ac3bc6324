/**
 * Layouts that the draws of the display channel share: boxes, clips, brushes, masks.
 *
 * Everything decoded as bytes is a view of the message and only valid while it is handled.
 * Sources: spice.proto, DisplayChannel; spice/enums.h for the numbers.
 */
import { type Codec, type Decoded, i32, struct, u32, u8 } from "./codec.ts";
import { SpiceDecodeError } from "./errors.ts";
import { type Image, imagePointer } from "./image_layouts.ts";

/** A place, in pixels. */
export const point = struct({ x: i32, y: i32 });
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

/** A count, then that many items; the count is checked against the bytes left. */
export function listOf<T>(count: Codec<number>, item: Codec<T>): Codec<readonly T[]> {
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
