/**
 * DRAW_TEXT: glyphs that say how much of each pixel they cover, put over a ground.
 *
 * Source: spice-common, sw_canvas.c, canvas_draw_text; canvas_base.c, canvas_get_str_mask.
 */
import type { Brush, Clip, Rect } from "../spice/draw_layouts.ts";
import type { Glyph, GlyphString } from "../spice/shape_layouts.ts";
import { fade, over } from "./blending.ts";
import { paintBrush, type Target } from "./drawing.ts";
import type { ImageSource } from "./image_source.ts";
import { NotDrawnError } from "./not_drawn.ts";
import { type PixelFormat, XRGB } from "./pixel_formats.ts";
import { rasterOp } from "./raster_ops.ts";
import { intersection, isEmpty, Region } from "./region.ts";
import { copyPart } from "./source_pixels.ts";
import { leaveTransform } from "./surface_transform.ts";

/** What DRAW_TEXT says. */
export interface Text {
  base: { clip: Clip };
  string: GlyphString | undefined;
  backArea: Rect;
  foreBrush: Brush;
  backBrush: Brush;
  foreMode: number;
}

/** The descriptor of a plain copy. */
const PUT = 8;
/** How a ground is painted. */
const GROUND = rasterOp(PUT, "brush,dest");

/** DRAW_TEXT. */
export function drawText(target: Target, images: ImageSource, text: Text): void {
  const { surface, region } = target;
  const { string, backArea, foreBrush } = text;
  if (!string) throw new NotDrawnError("a text that is not in its message");
  const bits = bitsOf(string);
  if (!isEmpty(backArea)) {
    if (text.foreMode !== PUT) throw new NotDrawnError("a text with a ground and an operation");
    const ground = new Region(intersection(region.bounds, backArea), text.base.clip);
    if (ground.isEmpty) images.touch(patternOf(text.backBrush), surface.format);
    else paintBrush({ ...target, region: ground }, images, text.backBrush, GROUND);
  }
  if (foreBrush.kind === "none" || string.glyphs.length === 0) return;
  const boxes = string.glyphs.map(glyphBox);
  const hull = boxes.reduce((all, box) => ({
    left: Math.min(all.left, box.left),
    top: Math.min(all.top, box.top),
    right: Math.max(all.right, box.right),
    bottom: Math.max(all.bottom, box.bottom),
  }));
  const area = intersection(hull, region.bounds);
  if (isEmpty(area)) return images.touch(patternOf(foreBrush), surface.format);

  const coverage = new Coverage(area);
  string.glyphs.forEach((glyph, i) => coverage.add(glyph, boxes[i]!, bits));
  const colorAt = brushColors(target, images, foreBrush, hull);
  const { pixels, width, format: { nearest } } = surface;
  // What is not visible of an xRGB surface stays 0.
  const kept = surface.format === XRGB ? 0x00ffffff : -1;
  region.forEachRect((left, top, right, bottom) => {
    const part = intersection({ left, top, right, bottom }, area);
    for (let y = part.top; y < part.bottom; y++) {
      for (let x = part.left; x < part.right; x++) {
        const alpha = coverage.at(x, y);
        if (alpha === 0) continue;
        const at = y * width + x;
        const pixel = over(fade(colorAt(x, y), alpha), pixels[at]!) & kept;
        pixels[at] = nearest ? nearest(pixel) : pixel;
      }
    }
  });
}

function patternOf(brush: Brush) {
  return brush.kind === "pattern" ? brush.image : undefined;
}

/** Returns how many bits say how much of a pixel is covered. */
function bitsOf({ flags }: GlyphString): 1 | 4 {
  if ((flags & 1) !== 0) return 1;
  if ((flags & 2) !== 0) return 4;
  // The server's canvas reads these a row too far, beyond the glyph: what it draws is chance.
  throw new NotDrawnError("a text of 8 bits a pixel");
}

function glyphBox({ renderPos, origin, width, height }: Glyph): Rect {
  const left = renderPos.x + origin.x, top = renderPos.y + origin.y;
  return { left, top, right: left + width, bottom: top + height };
}

/** How much of each pixel of an area is covered by any of some glyphs, 0 to 255. */
class Coverage {
  readonly #area: Rect;
  readonly #width: number;
  readonly #values: Uint8Array;

  constructor(area: Rect) {
    this.#area = area;
    this.#width = area.right - area.left;
    this.#values = new Uint8Array(this.#width * (area.bottom - area.top));
  }

  at(x: number, y: number): number {
    return this.#values[(y - this.#area.top) * this.#width + x - this.#area.left]!;
  }

  /** Adds a glyph. Its rows are bottom-up, whatever the text's flags say. */
  add({ width, height, data }: Glyph, box: Rect, bits: 1 | 4): void {
    const part = intersection(box, this.#area);
    const rowBytes = Math.ceil(width * bits / 8);
    for (let y = part.top; y < part.bottom; y++) {
      const row = (height - 1 - (y - box.top)) * rowBytes;
      const to = (y - this.#area.top) * this.#width - this.#area.left;
      for (let x = part.left; x < part.right; x++) {
        const column = x - box.left;
        const byte = data[row + (column * bits >> 3)]!;
        const old = this.#values[to + x]!;
        let value: number;
        if (bits === 1) value = (byte & 0x80 >> (column & 7)) !== 0 ? 255 : old;
        else if ((column & 1) === 0) value = Math.max(old, byte & 0xf0);
        // Here the server compares the whole byte, moved to the left, and keeps half of it.
        else value = byte << 4 > old ? byte << 4 & 0xff : old;
        this.#values[to + x] = value;
      }
    }
  }
}

/** Returns a function that has the brush's colour for each pixel, premultiplied. */
function brushColors(
  { surface }: Target,
  images: ImageSource,
  brush: Exclude<Brush, { kind: "none" }>,
  hull: Rect,
): (x: number, y: number) => number {
  if (brush.kind === "solid") {
    const color = solidColor(brush.color, surface.format);
    return () => color;
  }
  let tile = images.pixels(brush.image, { onto: surface.format });
  if (brush.image?.kind === "surface") {
    const { x, y } = brush.pos;
    const unit = { t00: 0x10000, t01: 0, t10: 0, t11: 0x10000 };
    leaveTransform(tile.pixels, { ...unit, t02: -x * 0x10000, t12: -y * 0x10000 });
  }
  if (tile.pixels === surface.pixels) tile = copyPart(tile, tile.part);
  const opaque = tile.format.hasAlpha ? 0 : 0xff000000;
  const { width, height, pixels } = tile;
  // A pattern's corner is counted from the corner of the text, not of the surface.
  const dx = hull.left + brush.pos.x, dy = hull.top + brush.pos.y;
  const modulo = (value: number, size: number) => (value % size + size) % size;
  return (x, y) => pixels[modulo(y - dy, height) * width + modulo(x - dx, width)]! | opaque;
}

/** Returns a solid brush's colour. The server takes any of 16 bits for five bits each. */
function solidColor(color: number, format: PixelFormat): number {
  const bits = format.name === "x1r5g5b5" || format.name === "r5g6b5" ? 5 : 8;
  const mask = (1 << bits) - 1;
  const widen = (value: number) => Math.floor((value & mask) * 0xffff / mask) >> 8;
  const blue = widen(color), green = widen(color >> bits), red = widen(color >> 2 * bits);
  return (0xff000000 | red << 16 | green << 8 | blue) >>> 0;
}
