/**
 * Shapes of the mouse pointer: the kinds that a guest sends, made into one that is easily drawn.
 *
 * Source: spice.proto, Cursor; the masks' meaning is that of Windows' cursors.
 */
import type { WireCursor } from "../spice/cursor_messages.ts";
import { over } from "./blending.ts";
import { ImageError } from "./errors.ts";
import type { Picture } from "./picture.ts";
import { expand555 } from "./pixel_formats.ts";

/** The longest side of a shape, in pixels; the largest that guests use is 256. */
const MAX_CURSOR_SIDE = 512;

/** A shape of the pointer. */
export interface CursorShape {
  /** Its pixels, with premultiplied alpha; those of `inverts` are 0. */
  picture: Picture;
  /**
   * One byte a pixel: 1 where the shape inverts the red, green and blue of what is under it. Left
   * out where no pixel does.
   */
  inverts?: Uint8Array;
  /** The pixel that points, in pixels from the upper left corner; within the picture. */
  hotX: number;
  hotY: number;
}

/** What is read of one kind of shape. */
interface ShapeFormat {
  /** Bits of a pixel; each row begins with a byte of its own. */
  bits: number;
  /** Entries of the palette that follows the pixels, 0x00RRGGBB each. */
  colors: number;
  /** The colour of a value, 0xAARRGGBB or 0x00RRGGBB. */
  toColor(value: number): number;
}

const same = (value: number) => value;
/** By type; MONO and ALPHA are told apart below. */
const FORMATS: Readonly<Record<number, ShapeFormat>> = {
  0: { bits: 32, colors: 0, toColor: same },
  1: { bits: 1, colors: 0, toColor: same },
  2: { bits: 4, colors: 16, toColor: same },
  3: { bits: 8, colors: 256, toColor: same },
  4: { bits: 16, colors: 0, toColor: expand555 },
  5: { bits: 24, colors: 0, toColor: same },
  6: { bits: 32, colors: 0, toColor: same },
};
const [ALPHA, MONO] = [0, 1];
const WHITE = 0xffffff;
const OPAQUE = 0xff000000;

/**
 * Decodes a shape; undefined for one without pixels, which shows nothing.
 *
 * A set bit of a mask makes a pixel transparent, or lets it invert what is under it where it is
 * white. The hot spot is moved into the picture.
 *
 * @throws {ImageError} for a type that there is not, a side of more than 512 pixels, or too little
 *   data; before anything is allocated.
 */
export function decodeShape(
  shape: NonNullable<WireCursor["shape"]>,
  data: Uint8Array,
): CursorShape | undefined {
  const { type, width, height } = shape;
  const format = FORMATS[type];
  if (format === undefined) {
    throw new ImageError(`Cannot show a pointer of type ${type}: expected 0 to 6`);
  }
  if (width > MAX_CURSOR_SIDE || height > MAX_CURSOR_SIDE) {
    throw new ImageError(
      `Cannot show a pointer of ${width} x ${height} pixels: expected at most ` +
        `${MAX_CURSOR_SIDE} each way`,
    );
  }
  const rowBytes = Math.ceil(width * format.bits / 8);
  const maskRowBytes = Math.ceil(width / 8);
  const paletteAt = rowBytes * height;
  const maskAt = paletteAt + 4 * format.colors;
  const size = maskAt + (type === ALPHA ? 0 : maskRowBytes * height);
  if (data.length < size) {
    throw new ImageError(
      `Cannot show a pointer of type ${type}, ${width} x ${height}: it has ${data.length} bytes, ` +
        `expected ${size}`,
    );
  }
  if (width === 0 || height === 0) return undefined;

  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const pixels = new Uint32Array(width * height);
  const inverts = new Uint8Array(width * height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const value = valueAt(view, y * rowBytes, x, format.bits);
      if (type === ALPHA) {
        pixels[at] = value;
        continue;
      }
      const isMasked = bitAt(data, maskAt + y * maskRowBytes, x);
      if (type === MONO) { // the pixels are the AND mask, and the mask is the XOR mask
        if (value === 0) pixels[at] = isMasked ? OPAQUE | WHITE : OPAQUE;
        else if (isMasked) inverts[at] = 1;
        continue;
      }
      const color = format.colors > 0
        ? view.getUint32(paletteAt + 4 * value, true)
        : format.toColor(value);
      if (!isMasked) pixels[at] = OPAQUE | color & WHITE;
      else if ((color & WHITE) === WHITE) inverts[at] = 1;
    }
  }
  return {
    picture: { width, height, pixels, hasAlpha: true },
    ...inverts.includes(1) ? { inverts } : {},
    hotX: Math.min(shape.hotX, width - 1),
    hotY: Math.min(shape.hotY, height - 1),
  };
}

/** Reads pixel `x` of the row that begins at `row`; the first of two in a byte is the high one. */
function valueAt(view: DataView, row: number, x: number, bits: number): number {
  switch (bits) {
    case 1:
      return view.getUint8(row + (x >> 3)) >> (7 - (x & 7)) & 1;
    case 4:
      return view.getUint8(row + (x >> 1)) >> ((x & 1) === 0 ? 4 : 0) & 15;
    case 8:
      return view.getUint8(row + x);
    case 16:
      return view.getUint16(row + 2 * x, true);
    case 24:
      return view.getUint16(row + 3 * x, true) | view.getUint8(row + 3 * x + 2) << 16;
    default:
      return view.getUint32(row + 4 * x, true);
  }
}

function bitAt(data: Uint8Array, row: number, x: number): boolean {
  return (data[row + (x >> 3)]! & 0x80 >> (x & 7)) !== 0;
}

/**
 * Draws a shape onto a picture, in place, so that its hot spot is at `x`, `y`; what lies outside is
 * cut off. Blending rounds as pixman does. A picture without alpha stays one.
 */
export function drawShape(picture: Picture, shape: CursorShape, x: number, y: number): void {
  const { width, height, pixels, hasAlpha } = picture;
  const { picture: from, inverts } = shape;
  const [left, top] = [x - shape.hotX, y - shape.hotY];
  const kept = hasAlpha ? -1 : WHITE;
  const fromRow = Math.max(0, -top);
  const toRow = Math.min(from.height, height - top);
  const fromColumn = Math.max(0, -left);
  const toColumn = Math.min(from.width, width - left);
  for (let row = fromRow; row < toRow; row++) {
    for (let column = fromColumn; column < toColumn; column++) {
      const source = row * from.width + column;
      const to = (top + row) * width + left + column;
      pixels[to] = inverts?.[source] === 1
        ? pixels[to]! ^ WHITE
        : over(from.pixels[source]!, pixels[to]!) & kept;
    }
  }
}

/** The pointer of a guest whose shape cannot be shown: `#` is black, `.` white. */
const ARROW = [
  "#           ",
  "##          ",
  "#.#         ",
  "#..#        ",
  "#...#       ",
  "#....#      ",
  "#.....#     ",
  "#......#    ",
  "#.......#   ",
  "#........#  ",
  "#.........# ",
  "#......#####",
  "#...#..#    ",
  "#..##..#    ",
  "#.#  #..#   ",
  "##   #..#   ",
  "#     ##    ",
];

/** Returns an arrow, for a guest whose shape cannot be shown; the caller owns it. */
export function arrowShape(): CursorShape {
  const [width, height] = [ARROW[0]!.length, ARROW.length];
  const colors: Readonly<Record<string, number>> = { "#": OPAQUE, ".": OPAQUE | WHITE };
  const pixels = Uint32Array.from([...ARROW.join("")].map((cell) => colors[cell] ?? 0));
  return { picture: { width, height, pixels, hasAlpha: true }, hotX: 0, hotY: 0 };
}
