/**
 * The draws of the display channel, each on the pixels of one region of a surface.
 *
 * The result is that of the server's own canvas, bit by bit, in all that can be seen.
 * Source: spice-common, canvas_base.c and sw_canvas.c.
 */
import type { Brush, Point, Rect } from "../spice/draw_layouts.ts";
import type { Image } from "../spice/image_layouts.ts";
import { checkBitmap, isWords } from "./bitmaps.ts";
import { overCombine } from "./blending.ts";
import {
  colorKeyCombine,
  combineRows,
  copy,
  raster3Combine,
  raster3Rows,
  rasterCombine,
} from "./combine.ts";
import { expectDrawable } from "./draw_cost.ts";
import { fill } from "./fills.ts";
import type { ImageSource, Wanted } from "./image_source.ts";
import { NotDrawnError } from "./not_drawn.ts";
import type { Picture } from "./picture.ts";
import { XRGB } from "./pixel_formats.ts";
import { type RasterOp, rasterOp, rasterOp3 } from "./raster_ops.ts";
import { intersection, isRect, isSameSize, type Region } from "./region.ts";
import {
  BilinearRows,
  ImageRows,
  NearestRows,
  roundedAxis,
  type RowSource,
  type ScaledAxis,
  scaledAxis,
  TileRows,
  touchedRange,
} from "./row_sources.ts";
import { convert, copyPart, type SourcePixels, wholeOf } from "./source_pixels.ts";
import type { Surface } from "./surface.ts";
import { forgetTransform, isTransformed } from "./surface_transform.ts";
import { copyWords } from "./word_copy.ts";

/** Where a draw goes. */
export interface Target {
  surface: Surface;
  /** The draw's box as the guest gave it. */
  box: Rect;
  /** The pixels that may change. */
  region: Region;
}

/** What a draw takes from an image. */
export interface Source {
  src: Image | undefined;
  srcArea: Rect;
}

/** How pixels of an image become others. */
export interface Scaling {
  /** 0 interpolate, 1 nearest. */
  scaleMode: number;
}

/** Beyond this a place in an image does not fit into pixman's fixed point: it draws nothing. */
const MAX_SCALED_COORDINATE = 0x7fff;

/** DRAW_FILL. */
export function drawFill(
  target: Target,
  images: ImageSource,
  { brush, rop }: { brush: Brush; rop: number },
): void {
  paintBrush(target, images, brush, rasterOp(rop, "brush,dest"));
}

/** Fills the region with a brush. */
export function paintBrush(
  { surface, region }: Target,
  images: ImageSource,
  brush: Brush,
  op: RasterOp,
): void {
  switch (brush.kind) {
    case "none":
      return fill(surface, region, 0, op);
    case "solid":
      return fill(surface, region, surface.format.fromNative(brush.color), op);
    case "pattern": {
      const tiles = tileRows(surface, region, images, brush.image, brush.pos);
      return combineRows(surface, region, tiles, rasterCombine(op));
    }
  }
}

/** Returns the rows of a pattern for a region. */
function tileRows(
  surface: Surface,
  region: Region,
  images: ImageSource,
  image: Image | undefined,
  { x, y }: Point,
): TileRows {
  let tile = images.pixels(image, { onto: surface.format });
  if (tile.pixels === surface.pixels) tile = copyPart(tile, tile.part);
  return new TileRows(tile, x, y, region.bounds.right - region.bounds.left);
}

/** DRAW_COPY and DRAW_BLEND. */
export function drawCopy(
  target: Target,
  images: ImageSource,
  draw: Source & Scaling & { rop: number },
): void {
  const op = rasterOp(draw.rop, "src,dest");
  if (op.isCopy && copyPlain(target, draw)) return;
  paintImage(target, images, draw, op);
}

/** Copies a 32-bit bitmap straight from its message, if that is all there is to do. */
function copyPlain({ surface, box, region }: Target, { src, srcArea }: Source): boolean {
  if (src?.kind !== "bitmap" || src.flags !== 0 || !isWords(src.bitmap)) return false;
  if (surface.format.nearest !== undefined || !isSameSize(box, srcArea)) return false;
  checkBitmap(src.bitmap, src);
  copyWords(surface, region, src.bitmap, srcArea.left - box.left, srcArea.top - box.top);
  return true;
}

/** Combines an image with the region. */
function paintImage(
  target: Target,
  images: ImageSource,
  draw: Source & Scaling,
  op: RasterOp,
): void {
  const rows = sourceRows(target, images, draw, { isComposited: op.isCopy });
  combineRows(target.surface, target.region, rows, rasterCombine(op));
}

/**
 * A frame of a video stream: a picture in the place of the region, scaled to the box where its size
 * differs. Source: spice-common, sw_canvas.c, canvas_put_image.
 */
export function drawPicture({ surface, region, box }: Target, picture: Picture): void {
  const { width, height, pixels } = picture;
  const part = wholeOf(picture);
  const source = convert({ width, height, part, pixels, format: XRGB }, surface.format);
  const { left, top, right, bottom } = box;
  const rows = isSameSize(box, part) ? new ImageRows(source, -left, -top) : new NearestRows(
    source,
    scaledAxis(0, width, left, right - left),
    scaledAxis(0, height, top, bottom - top),
    region.bounds.right - region.bounds.left,
    { isComposited: true, nearest: undefined }, // they are the surface's already
  );
  combineRows(surface, region, rows, copy);
}

/** DRAW_OPAQUE: the image, and then the brush combined with it. */
export function drawOpaque(
  target: Target,
  images: ImageSource,
  draw: Source & Scaling & { brush: Brush; rop: number },
): void {
  paintImage(target, images, draw, rasterOp(PUT, "src,dest"));
  paintBrush(target, images, draw.brush, rasterOp(draw.rop, "brush,src"));
}

/** The descriptor of a plain copy. */
const PUT = 8;

/** DRAW_TRANSPARENT: the image, except where it has a certain colour. */
export function drawTransparent(
  target: Target,
  images: ImageSource,
  draw: Source & { trueColor: number },
): void {
  const { surface, region } = target;
  const { format } = surface;
  const rows = sourceRows(target, images, { ...draw, scaleMode: NEAREST }, {});
  const key = format.fromKey(draw.trueColor);
  combineRows(surface, region, rows, colorKeyCombine(key, format.keyMask));
}

const INTERPOLATE = 0;
const NEAREST = 1;

/** Bits of DRAW_ALPHA_BLEND's flags. Source: spice/enums.h, SPICE_ALPHA_FLAGS. */
const ALPHA = { destHasAlpha: 1, srcSurfaceHasAlpha: 2 } as const;

/** DRAW_ALPHA_BLEND. */
export function drawAlphaBlend(
  target: Target,
  images: ImageSource,
  draw: Source & { alphaFlags: number; alpha: number },
): void {
  const { surface, region } = target;
  if (draw.alpha === 0) return images.touch(draw.src, surface.format);
  const rows = sourceRows(target, images, { ...draw, scaleMode: NEAREST }, {
    isComposited: true,
    isOriginal: true,
    hasSurfaceAlpha: (draw.alphaFlags & ALPHA.srcSurfaceHasAlpha) !== 0,
  });
  const combine = overCombine({
    alpha: draw.alpha,
    hasSourceAlpha: rows.hasAlpha,
    onto: surface.format,
  });
  const isXrgb = surface.format === XRGB && (draw.alphaFlags & ALPHA.destHasAlpha) === 0;
  const isCopy = isXrgb && draw.alpha === 255 && isOpaque(rows, region.bounds);
  combineRows(surface, region, rows, isCopy ? copy : combine);
  if (isXrgb) clearUnused(target);
}

/** Whether blending an xRGB image is copying it, unused byte and all: for pixman, if it covers all. */
function isOpaque(rows: RowSource, bounds: Rect): boolean {
  return rows instanceof ImageRows && rows.format === XRGB && covers(rows.extent, bounds);
}

/**
 * Clears the unused byte of a box on an xRGB surface if its corner says that it has been set: the
 * server's canvas does so behind each blend, and what is there can be taken for opacity later.
 * Source: spice-common, sw_canvas.c, clear_dest_alpha.
 */
function clearUnused({ surface, box }: Target): void {
  const { pixels, width } = surface;
  const { left, top, right, bottom } = intersection(box, wholeOf(surface));
  if (pixels[top * width + left]! >>> 24 !== 255) return;
  for (let y = top; y < bottom; y++) {
    for (let i = y * width + left; i < y * width + right; i++) pixels[i]! &= 0xffffff;
  }
}

/** DRAW_ROP3: pattern, image and surface combined bit by bit. */
export function drawRop3(
  target: Target,
  images: ImageSource,
  draw: Source & Scaling & { brush: Brush; rop3: number },
): void {
  const { surface, region } = target;
  const { brush } = draw;
  const op = rasterOp3(draw.rop3);
  expectDrawable(region, "a ternary operation");
  const rows = sourceRows(target, images, draw, { axis: roundedAxis });
  if (rows.extent && !covers(rows.extent, region.bounds)) {
    throw new NotDrawnError("a ternary operation on less image than its box");
  }
  if (brush.kind === "pattern") {
    const tiles = tileRows(surface, region, images, brush.image, brush.pos);
    raster3Rows(surface, region, rows, tiles, op);
  } else {
    const color = brush.kind === "solid" ? surface.format.fromNative(brush.color) : 0;
    combineRows(surface, region, rows, raster3Combine(op, color));
  }
}

/** Whether one rectangle holds all of the other. */
function covers(outer: Rect, { left, top, right, bottom }: Rect): boolean {
  return left >= outer.left && top >= outer.top && right <= outer.right && bottom <= outer.bottom;
}

/** What rows of an image are for. */
interface RowsUse extends Pick<Wanted, "isOriginal" | "hasSurfaceAlpha"> {
  /** Whether they go onto the surface as a picture; for other operations pixels are just bits. */
  isComposited?: boolean;
  /** How a scaled image is placed. */
  axis?: typeof scaledAxis;
}

/**
 * Returns the rows of an image that a region needs: as it is, or scaled where area and box differ.
 *
 * @throws {ImageError} if there is no image, or none that can be scaled so.
 */
function sourceRows(
  { surface, box, region }: Target,
  images: ImageSource,
  { src, srcArea, scaleMode }: Source & Scaling,
  { axis = scaledAxis, isComposited = false, ...rest }: RowsUse,
): RowSource {
  const wanted: Wanted = { ...rest, onto: surface.format };
  const { bounds } = region;
  if (isSameSize(box, srcArea)) {
    const dx = srcArea.left - box.left;
    const dy = srcArea.top - box.top;
    const part = {
      left: bounds.left + dx,
      top: bounds.top + dy,
      right: bounds.right + dx,
      bottom: bounds.bottom + dy,
    };
    const pixels = images.pixels(src, { ...wanted, part });
    if (wanted.isOriginal && src?.kind === "surface" && isTransformed(pixels.pixels)) {
      throw new NotDrawnError("a blend of a surface that a transform was left on");
    }
    return new ImageRows(apart(pixels, surface, part), dx, dy);
  }
  expectDrawable(region, "a scaled draw");
  if (scaleMode !== INTERPOLATE && scaleMode !== NEAREST) {
    throw new NotDrawnError("an unknown way of scaling");
  }
  if (!isRect(srcArea)) throw new NotDrawnError("a rectangle of impossible size");
  if (Object.values(srcArea).some((side) => Math.abs(side) > MAX_SCALED_COORDINATE)) {
    throw new NotDrawnError("an area too far away to be scaled");
  }
  const { left, top, right, bottom } = box;
  const x = axis(srcArea.left, srcArea.right - srcArea.left, left, right - left);
  const y = axis(srcArea.top, srcArea.bottom - srcArea.top, top, bottom - top);
  const part = touchedPart(x, y, bounds);
  const pixels = images.pixels(src, { ...wanted, part });
  if (src?.kind === "surface") forgetTransform(pixels.pixels);
  const source = apart(pixels, surface, part);
  const Rows = scaleMode === NEAREST ? NearestRows : BilinearRows;
  return new Rows(source, x, y, bounds.right - bounds.left, {
    isComposited,
    nearest: wanted.isOriginal ? undefined : surface.format.nearest,
  });
}

/** Returns the part of an image that can be touched when it is scaled to `bounds`. */
function touchedPart(x: ScaledAxis, y: ScaledAxis, bounds: Rect): Rect {
  const columns = touchedRange(x, bounds.left, bounds.right);
  const rows = touchedRange(y, bounds.top, bounds.bottom);
  return { left: columns.from, top: rows.from, right: columns.to, bottom: rows.to };
}

/** Returns pixels that stay as they are while the surface is drawn on. */
function apart(source: SourcePixels, surface: Surface, part: Rect): SourcePixels {
  if (source.pixels.buffer !== surface.pixels.buffer) return source;
  const needed = intersection(part, wholeOf(source));
  if (needed.left >= needed.right || needed.top >= needed.bottom) {
    return copyPart(source, { left: 0, top: 0, right: 0, bottom: 0 });
  }
  return copyPart(source, needed);
}
