/** Where rows of source pixels come from: an image, a pattern, a scaled image. */
import type { Rect } from "../spice/draw_layouts.ts";
import type { PixelFormat } from "./pixel_formats.ts";
import type { SourcePixels } from "./source_pixels.ts";

/** Delivers source pixels for rows of the destination. */
export interface RowSource {
  /** Where there are source pixels, in coordinates of the destination; `undefined`: everywhere. */
  readonly extent: Rect | undefined;
  /** Whether the A byte says how opaque a pixel is. */
  readonly hasAlpha: boolean;
  /** Holds the row that was asked for last. */
  readonly pixels: Uint32Array<ArrayBufferLike>;
  /**
   * Makes the source pixels for the destination's row `y`, from column `left` to before `right`,
   * and returns where in `pixels` the first of them is. All lie within `extent`.
   */
  row(y: number, left: number, right: number): number;
}

/** An image as it is. */
export class ImageRows implements RowSource {
  readonly extent: Rect;
  readonly format: PixelFormat;
  readonly hasAlpha: boolean;
  readonly pixels: Uint32Array<ArrayBufferLike>;
  readonly #stride: number;

  /**
   * @param dx,dy From a pixel of the destination to its pixel in the image. Only the part of the
   * image that is there has pixels.
   */
  constructor({ pixels, part, format }: SourcePixels, dx: number, dy: number) {
    this.pixels = pixels;
    this.format = format;
    this.hasAlpha = format.hasAlpha;
    this.#stride = part.right - part.left;
    this.extent = {
      left: part.left - dx,
      top: part.top - dy,
      right: part.right - dx,
      bottom: part.bottom - dy,
    };
  }

  row(y: number, left: number): number {
    return (y - this.extent.top) * this.#stride + left - this.extent.left;
  }
}

/** Returns the remainder that is never negative. */
function modulo(value: number, divisor: number): number {
  const rest = value % divisor;
  return rest < 0 ? rest + divisor : rest;
}

/** A pattern that is repeated in both directions. */
export class TileRows implements RowSource {
  readonly extent = undefined;
  readonly hasAlpha: boolean;
  readonly pixels: Uint32Array;
  readonly #tile: SourcePixels;
  readonly #x: number;
  readonly #y: number;

  /**
   * @param tile A whole image.
   * @param x,y Where the corner of one tile is, in coordinates of the destination.
   * @param width The most pixels of a row that are asked for.
   */
  constructor(tile: SourcePixels, x: number, y: number, width: number) {
    this.hasAlpha = tile.format.hasAlpha;
    this.#tile = tile;
    this.#x = x;
    this.#y = y;
    this.pixels = new Uint32Array(width);
  }

  row(y: number, left: number, right: number): number {
    const { pixels, width, height } = this.#tile;
    const start = modulo(y - this.#y, height) * width;
    let x = modulo(left - this.#x, width);
    for (let i = 0; i < right - left; i++) {
      this.pixels[i] = pixels[start + x]!;
      if (++x === width) x = 0;
    }
    return 0;
  }
}

/** One axis of a scaled image, in 16.16 fixed point as pixman counts. */
export interface ScaledAxis {
  /** Source pixels per destination pixel. */
  readonly step: number;
  /** The middle of the destination's pixel 0, in the source. */
  readonly start: number;
}

const FIXED_ONE = 0x10000;
const FIXED_HALF = 0x8000;

/**
 * Returns the axis on which `sourceSize` pixels from `sourceStart` on become `destSize` pixels from
 * `destStart` on. Source: spice-common, sw_canvas.c, __scale_image.
 */
export function scaledAxis(
  sourceStart: number,
  sourceSize: number,
  destStart: number,
  destSize: number,
): ScaledAxis {
  const step = Math.floor(sourceSize * FIXED_ONE / destSize);
  return { step, start: middle(step) + sourceStart * FIXED_ONE - step * destStart };
}

/**
 * Returns the axis of a ternary raster operation, which rounds where its source starts to whole
 * pixels of the destination. Source: spice-common, canvas_base.c, canvas_scale_surface.
 */
export function roundedAxis(
  sourceStart: number,
  sourceSize: number,
  destStart: number,
  destSize: number,
): ScaledAxis {
  const ratio = sourceSize / destSize;
  const step = Math.floor(ratio * FIXED_ONE);
  const skipped = ratio > 0 ? Math.floor(sourceStart / ratio + 0.5) : 0;
  return { step, start: middle(step) + step * (skipped - destStart) };
}

/** The middle of a pixel, rounded as pixman rounds products. */
function middle(step: number): number {
  return Math.floor((step * FIXED_HALF + FIXED_HALF) / FIXED_ONE);
}

/** Returns which source pixels an axis can touch for the destination's from `from` to before `to`. */
export function touchedRange(
  { step, start }: ScaledAxis,
  from: number,
  to: number,
): { from: number; to: number } {
  return {
    from: Math.floor((start + step * from - FIXED_HALF) / FIXED_ONE) - 1,
    to: Math.floor((start + step * to) / FIXED_ONE) + 2,
  };
}

/** What a scaled image is for. */
export interface ScaledUse {
  /**
   * Whether it goes onto the surface as a picture, so that pixels without opacity are opaque; for
   * raster operations and colour keys pixels are just bits.
   */
  isComposited: boolean;
  /**
   * Makes pixels those of the surface; not where they are yet to be blended, which needs their
   * opacity.
   */
  nearest: ((pixel: number) => number) | undefined;
}

/** What scaled images have in common. */
abstract class ScaledRows implements RowSource {
  readonly extent = undefined;
  /** Outside of the image there is nothing, whatever its format. */
  readonly hasAlpha = true;
  readonly pixels: Uint32Array;
  readonly #source: SourcePixels;
  readonly #opaque: number;
  protected readonly x: ScaledAxis;
  protected readonly y: ScaledAxis;
  protected readonly nearest: ((pixel: number) => number) | undefined;

  /** @param width The most pixels of a row that are asked for. */
  constructor(
    source: SourcePixels,
    x: ScaledAxis,
    y: ScaledAxis,
    width: number,
    { isComposited, nearest }: ScaledUse,
  ) {
    this.#source = source;
    this.#opaque = isComposited && !source.format.hasAlpha ? 0xff000000 : 0;
    this.x = x;
    this.y = y;
    this.nearest = nearest;
    this.pixels = new Uint32Array(width);
  }

  /** Returns a source pixel; transparent black outside of the image. */
  protected at(x: number, y: number): number {
    const { part: { left, top, right, bottom }, pixels } = this.#source;
    if (x < left || x >= right || y < top || y >= bottom) return 0;
    return pixels[(y - top) * (right - left) + x - left]! | this.#opaque;
  }

  abstract row(y: number, left: number, right: number): number;
}

/** An image scaled by taking the nearest pixel. */
export class NearestRows extends ScaledRows {
  row(y: number, left: number, right: number): number {
    const sourceY = Math.floor((this.y.start + this.y.step * y - 1) / FIXED_ONE);
    let x = this.x.start + this.x.step * left - 1;
    for (let i = 0; i < right - left; i++, x += this.x.step) {
      const pixel = this.at(Math.floor(x / FIXED_ONE), sourceY);
      this.pixels[i] = this.nearest ? this.nearest(pixel) : pixel;
    }
    return 0;
  }
}

/** pixman weighs neighbours in 128ths. */
const WEIGHT_ONE = 128;
const WEIGHT_STEP = FIXED_ONE / WEIGHT_ONE;

/** An image scaled by weighing four neighbours. */
export class BilinearRows extends ScaledRows {
  row(y: number, left: number, right: number): number {
    const sourceY = this.y.start + this.y.step * y - FIXED_HALF;
    const topY = Math.floor(sourceY / FIXED_ONE);
    const weightY = Math.floor((sourceY - topY * FIXED_ONE) / WEIGHT_STEP);
    let x = this.x.start + this.x.step * left - FIXED_HALF;
    for (let i = 0; i < right - left; i++, x += this.x.step) {
      const leftX = Math.floor(x / FIXED_ONE);
      const weightX = Math.floor((x - leftX * FIXED_ONE) / WEIGHT_STEP);
      const pixel = blend4(
        this.at(leftX, topY),
        this.at(leftX + 1, topY),
        this.at(leftX, topY + 1),
        this.at(leftX + 1, topY + 1),
        weightX,
        weightY,
      );
      this.pixels[i] = this.nearest ? this.nearest(pixel) : pixel;
    }
    return 0;
  }
}

/** Weighs four pixels: `weightX` of the right ones and `weightY` of the lower ones, in 128ths. */
export function blend4(
  topLeft: number,
  topRight: number,
  bottomLeft: number,
  bottomRight: number,
  weightX: number,
  weightY: number,
): number {
  const wBottomRight = weightX * weightY;
  const wTopRight = weightX * WEIGHT_ONE - wBottomRight;
  const wBottomLeft = weightY * WEIGHT_ONE - wBottomRight;
  const wTopLeft = WEIGHT_ONE * WEIGHT_ONE - weightX * WEIGHT_ONE - wBottomLeft;
  let pixel = 0;
  for (let shift = 0; shift < 32; shift += 8) {
    const sum = (topLeft >>> shift & 0xff) * wTopLeft + (topRight >>> shift & 0xff) * wTopRight +
      (bottomLeft >>> shift & 0xff) * wBottomLeft + (bottomRight >>> shift & 0xff) * wBottomRight;
    pixel |= sum >> 14 << shift;
  }
  return pixel;
}
