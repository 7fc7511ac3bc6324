/**
 * DRAW_COMPOSITE: Render's Composite.
 *
 * Source: spice-common, canvas_base.c, canvas_draw_composite.
 */
import type { Composite, Transform } from "../spice/shape_layouts.ts";
import type { Image } from "../spice/image_layouts.ts";
import { overCombine } from "./blending.ts";
import { combineRows } from "./combine.ts";
import { expectDrawable } from "./draw_cost.ts";
import type { Target } from "./drawing.ts";
import type { ImageSource } from "./image_source.ts";
import { NotDrawnError } from "./not_drawn.ts";
import { A1, A8, XRGB } from "./pixel_formats.ts";
import { renderOperator } from "./render_ops.ts";
import { ImageRows } from "./row_sources.ts";
import { Sampler } from "./sampling.ts";
import { copyPart, type SourcePixels } from "./source_pixels.ts";
import { leaveTransform, leftTransform } from "./surface_transform.ts";

/** Parts of a composite's flags. Source: spice/enums.h, SPICE_COMPOSITE_FLAGS. */
const FLAGS = {
  operator: (flags: number) => flags & 0xff,
  sourceFilter: (flags: number) => flags >> 8 & 7,
  maskFilter: (flags: number) => flags >> 11 & 7,
  sourceRepeat: (flags: number) => flags >> 14 & 3,
  maskRepeat: (flags: number) => flags >> 16 & 3,
  isComponent: (flags: number) => (flags & 1 << 18) !== 0,
  hasMask: (flags: number) => (flags & 1 << 19) !== 0,
  isSourceOpaque: (flags: number) => (flags & 1 << 22) !== 0,
};

/** The operator that nearly all compositions are made by. */
const OVER = 3;

/** What there is without a mask. */
const ALL = 0xffffffff;

/** DRAW_COMPOSITE. */
export function drawComposite(target: Target, images: ImageSource, composite: Composite): void {
  const { surface, region, box } = target;
  const { flags, srcOrigin, maskOrigin } = composite;
  const hasMask = FLAGS.hasMask(flags);
  const sourcePixels = pixelsOf(target, images, composite.src);
  const maskPixels = hasMask ? pixelsOf(target, images, composite.mask) : undefined;
  const isComponent = FLAGS.isComponent(flags) && maskPixels !== undefined;
  const combine = renderOperator(FLAGS.operator(flags), isComponent);
  if (!combine) throw new NotDrawnError("a composition by an unknown operator");

  const isOpaque = FLAGS.isSourceOpaque(flags) && composite.src?.kind === "surface" &&
    sourcePixels.format.hasAlpha;
  if (isOpaque && isAlphaOnly(sourcePixels)) {
    throw new NotDrawnError("a composition of opacity without opacity");
  }
  const transform = isOpaque
    ? composite.srcTransform
    : transformOf(sourcePixels, composite.srcTransform);
  const mask = maskPixels && new Sampler(
    apart(maskPixels, target),
    transformOf(maskPixels, composite.maskTransform),
    FLAGS.maskFilter(flags),
    FLAGS.maskRepeat(flags),
    false,
  );
  // A surface that is both has its settings once: those of the mask, which are made last.
  const isSame = maskPixels?.pixels === sourcePixels.pixels && !isOpaque;
  const source = isSame ? mask! : new Sampler(
    apart(sourcePixels, target),
    transform,
    FLAGS.sourceFilter(flags),
    FLAGS.sourceRepeat(flags),
    isOpaque,
  );
  const sourceDx = srcOrigin.x - box.left, sourceDy = srcOrigin.y - box.top;
  if (FLAGS.operator(flags) === OVER && source.isPlain && !mask) {
    const rows = new ImageRows(apart(sourcePixels, target), sourceDx, sourceDy);
    const hasSourceAlpha = rows.hasAlpha && !isOpaque;
    const options = { alpha: 255, hasSourceAlpha, onto: surface.format, hasDestAlpha: false };
    return combineRows(surface, region, rows, overCombine(options));
  }
  expectDrawable(region, "a composition");
  const maskDx = maskOrigin.x - box.left, maskDy = maskOrigin.y - box.top;
  const { left, top, right, bottom } = box;
  source.expectNear(left + sourceDx, top + sourceDy, right + sourceDx, bottom + sourceDy);
  mask?.expectNear(left + maskDx, top + maskDy, right + maskDx, bottom + maskDy);

  const { pixels, width, format } = surface;
  const opaque = format.hasAlpha ? 0 : 0xff000000;
  // What is not visible of an xRGB surface stays 0.
  const kept = format === XRGB ? 0x00ffffff : -1;
  region.forEachRect((left, top, right, bottom) => {
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        const at = y * width + x;
        const covered = mask ? mask.at(x + maskDx, y + maskDy) : ALL;
        const dest = (pixels[at]! | opaque) >>> 0;
        const pixel = combine(source.at(x + sourceDx, y + sourceDy), covered, dest) & kept;
        pixels[at] = format.nearest ? format.nearest(pixel) : pixel;
      }
    }
  });
}

/** Returns the pixels of an image; those of a surface in its own format. */
function pixelsOf(
  { surface }: Target,
  images: ImageSource,
  image: Image | undefined,
): SourcePixels {
  return images.pixels(image, { onto: surface.format, isOriginal: image?.kind === "surface" });
}

function isAlphaOnly({ format }: SourcePixels): boolean {
  return format === A8 || format === A1;
}

/** Returns pixels that stay as they are while the surface is drawn on. */
function apart(source: SourcePixels, { surface }: Target): SourcePixels {
  return source.pixels === surface.pixels ? copyPart(source, source.part) : source;
}

/** Returns an image's transform: where there is none, the one that an earlier draw left on it. */
function transformOf(
  { pixels }: SourcePixels,
  transform: Transform | undefined,
): Transform | undefined {
  if (!transform) return leftTransform(pixels);
  leaveTransform(pixels, transform);
  return transform;
}
