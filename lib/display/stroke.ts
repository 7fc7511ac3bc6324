/**
 * DRAW_STROKE: lines of one pixel, in one piece or in dashes.
 *
 * Source: spice-common, canvas_base.c, canvas_draw_stroke.
 */
import type { Brush } from "../spice/draw_layouts.ts";
import type { LineAttributes, PathSegment } from "../spice/shape_layouts.ts";
import { rasterCombine } from "./combine.ts";
import { dashedLine, type Dashes } from "./dashed_line.ts";
import type { Target } from "./drawing.ts";
import type { ImageSource } from "./image_source.ts";
import { NotDrawnError } from "./not_drawn.ts";
import { type RasterOp, rasterOp } from "./raster_ops.ts";
import { TileRows } from "./row_sources.ts";
import { type PaintSpan, SpanClip, Spans, SpanUnion } from "./spans.ts";
import { type Polyline, polylines, toPixel } from "./stroke_path.ts";
import type { Surface } from "./surface.ts";
import { addThinLine } from "./thin_line.ts";

/** What DRAW_STROKE says. */
export interface Stroke {
  path: readonly PathSegment[] | undefined;
  attributes: LineAttributes;
  brush: Brush;
  foreMode: number;
}

/** Bits of a line's flags. Source: spice/enums.h, SPICE_LINE_FLAGS. */
const LINE = { startsWithGap: 4, styled: 8 } as const;

/** The most pixels of all lines of a stroke, and the most dashes; more would take too long. */
const MAX_STROKE_PIXELS = 1 << 22;
const MAX_DASHES = 1 << 18;
/** Beyond this a dashed line is not calculated exactly. */
const MAX_DASHED_COORDINATE = 8192;

/** DRAW_STROKE. */
export function drawStroke(target: Target, images: ImageSource, stroke: Stroke): void {
  const { surface, region } = target;
  if (!stroke.path) throw new NotDrawnError("a path that is not in its message");
  const lines = polylines(stroke.path);
  const op = rasterOp(stroke.foreMode, "brush,dest");
  const isDashed = (stroke.attributes.flags & LINE.styled) !== 0;
  const dashes = isDashed ? dashesOf(stroke.attributes) : undefined;
  if (dashes) expectFewDashes(lines, dashes);
  else expectShort(lines, surface);
  const paint = spanPainter(target, images, stroke.brush, op);
  const clip = new SpanClip(region);
  for (const line of lines) {
    if (dashes) strokeDashed(line, dashes, op, (spans) => clip.paint(spans, true, paint));
    else strokeThin(line, surface, (spans) => clip.paint(spans, false, paint));
  }
}

/** Draws a line in one piece. */
function strokeThin(line: Polyline, { width, height }: Surface, emit: (spans: Spans) => void) {
  const spans = new Spans();
  for (let i = 2; i < line.length; i += 2) {
    spans.clear();
    addThinLine(spans, line[i - 2]!, line[i - 1]!, line[i]!, line[i + 1]!, width, height);
    emit(spans);
  }
}

/** Draws a dashed line. Where drawing a pixel twice would be seen, it is drawn once. */
function strokeDashed(
  line: Polyline,
  dashes: Dashes,
  op: RasterOp,
  emit: (spans: Spans) => void,
): void {
  const isOnce = line.length >= 6 && (invertsWith(op, 0) || invertsWith(op, -1));
  if (!isOnce) return dashedLine(line, dashes, false, emit);
  const union = new SpanUnion();
  dashedLine(line, dashes, true, (spans) => union.add(spans));
  emit(union.spans());
}

/** Whether an operation inverts the surface where the source's bits are `source`. */
function invertsWith({ one, s, d, sd }: RasterOp, source: 0 | -1): boolean {
  return ((one ^ (s & source)) & (d ^ (sd & source))) !== 0;
}

/** Reads the lengths of dashes, which the server keeps in bytes. */
function dashesOf({ flags, style }: LineAttributes): Dashes {
  const lengths = Array.from(style, (length) => toPixel(length) & 0xff);
  if (lengths.every((length) => length === 0)) throw new NotDrawnError("a line of no dashes");
  if ((flags & LINE.startsWithGap) === 0) return { lengths, offset: 0 };
  lengths.push(lengths.shift()!);
  return { lengths, offset: lengths[0]! };
}

/** Checks that lines have no more dashes than can be drawn in a moment. */
function expectFewDashes(lines: readonly Polyline[], { lengths }: Dashes): void {
  const period = lengths.reduce((sum, length) => sum + length, 0);
  let pixels = 0, corners = 0;
  for (const line of lines) {
    corners += line.length / 2;
    for (let i = 0; i < line.length; i++) {
      if (Math.abs(line[i]!) > MAX_DASHED_COORDINATE) {
        throw new NotDrawnError("a line too far away");
      }
      if (i >= 2) pixels += Math.abs(line[i]! - line[i - 2]!);
    }
  }
  const dashes = (pixels / period + corners) * lengths.length;
  if (dashes > MAX_DASHES || pixels > MAX_STROKE_PIXELS) {
    throw new NotDrawnError("a line that never ends");
  }
}

/** Checks that lines take no more steps than can be made in a moment. */
function expectShort(lines: readonly Polyline[], { width, height }: Surface): void {
  let pixels = 0;
  for (const line of lines) {
    for (let i = 2; i < line.length; i += 2) {
      const dx = Math.abs(line[i]! - line[i - 2]!), dy = Math.abs(line[i + 1]! - line[i - 1]!);
      pixels += Math.max(Math.min(dx, width), Math.min(dy, height)) + 1;
    }
  }
  if (pixels > MAX_STROKE_PIXELS) throw new NotDrawnError("a line that never ends");
}

/** Returns what combines runs of pixels with a brush. */
function spanPainter(
  { surface, region }: Target,
  images: ImageSource,
  brush: Brush,
  op: RasterOp,
): PaintSpan {
  const { pixels, width } = surface;
  if (brush.kind === "pattern") {
    // The server takes such a surface for an image, and crashes.
    if (brush.image?.kind === "surface") throw new NotDrawnError("a line drawn with a surface");
    const tile = images.pixels(brush.image, { onto: surface.format });
    const { left, right } = region.bounds;
    const rows = new TileRows(tile, brush.pos.x, brush.pos.y, right - left);
    const combine = rasterCombine(op);
    return (y, from, to) => {
      combine(pixels, y * width + from, rows.pixels, rows.row(y, from, to), to - from);
    };
  }
  const color = brush.kind === "solid" ? surface.format.fromNative(brush.color) : 0;
  const one = op.one ^ (op.s & color), dest = op.d ^ (op.sd & color);
  return (y, from, to) => {
    const end = y * width + to;
    for (let i = y * width + from; i < end; i++) pixels[i] = one ^ (dest & pixels[i]!);
  };
}
