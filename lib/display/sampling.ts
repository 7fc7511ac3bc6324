/**
 * Pixels of images that are transformed, filtered and repeated, as pixman takes them.
 *
 * Source: pixman, pixman-bits-image.c, pixman-inlines.h, pixman-matrix.c.
 */
import type { Transform } from "../spice/shape_layouts.ts";
import { NotDrawnError } from "./not_drawn.ts";
import { blend4 } from "./row_sources.ts";
import type { SourcePixels } from "./source_pixels.ts";

/** How an image goes on beyond its sides. Source: pixman.h, pixman_repeat_t. */
const REPEAT = { none: 0, normal: 1, pad: 2, reflect: 3 } as const;

/** Whether neighbours are weighed, by the filter's number. Source: pixman.h, pixman_filter_t. */
const IS_BILINEAR: readonly (boolean | undefined)[] = [false, true, true, false, true];

const FIXED_ONE = 0x10000, FIXED_HALF = 0x8000;
/** Beyond this a place does not fit into pixman's fixed point. */
const MAX_PLACE = 0x7ffe;

/** Where a transform has a place: in 16.16 fixed point. */
interface Place {
  x: number;
  y: number;
}

/** An image, to be asked for single pixels. */
export class Sampler {
  readonly #source: SourcePixels;
  readonly #opaque: number;
  readonly #transform: Transform | undefined;
  readonly #isBilinear: boolean;
  readonly #repeat: number;

  /**
   * @param source A whole image.
   * @param isOpaque Whether its A byte, if it has one, is not looked at.
   * @param filter,repeat Their numbers.
   * @throws {NotDrawnError} for another filter than nearest and bilinear.
   */
  constructor(
    source: SourcePixels,
    transform: Transform | undefined,
    filter: number,
    repeat: number,
    isOpaque: boolean,
  ) {
    const isBilinear = IS_BILINEAR[filter];
    if (isBilinear === undefined) throw new NotDrawnError("a composition with an unknown filter");
    this.#source = source;
    this.#opaque = source.format.hasAlpha && !isOpaque ? 0 : 0xff000000;
    this.#transform = transform;
    this.#isBilinear = isBilinear;
    this.#repeat = repeat;
  }

  /** Whether pixels are taken as they are, and there are none beyond the image. */
  get isPlain(): boolean {
    return !this.#transform && this.#repeat === REPEAT.none;
  }

  /** Checks that places are not too far away for pixman. @throws {NotDrawnError} */
  expectNear(left: number, top: number, right: number, bottom: number): void {
    for (const [x, y] of [[left, top], [right, top], [left, bottom], [right, bottom]] as const) {
      const place = this.#place(x, y);
      const far = Math.max(Math.abs(place.x), Math.abs(place.y)) / FIXED_ONE;
      if (far > MAX_PLACE || Math.max(Math.abs(x), Math.abs(y)) > MAX_PLACE) {
        throw new NotDrawnError("a composition too far away");
      }
    }
  }

  /** Returns the pixel for a place of the untransformed plane. */
  at(x: number, y: number): number {
    if (!this.#transform) return this.#pixel(x, y);
    const place = this.#place(x, y);
    if (!this.#isBilinear) {
      return this.#pixel(
        Math.floor((place.x - 1) / FIXED_ONE),
        Math.floor((place.y - 1) / FIXED_ONE),
      );
    }
    const fixedX = place.x - FIXED_HALF, fixedY = place.y - FIXED_HALF;
    const left = Math.floor(fixedX / FIXED_ONE), top = Math.floor(fixedY / FIXED_ONE);
    return blend4(
      this.#pixel(left, top),
      this.#pixel(left + 1, top),
      this.#pixel(left, top + 1),
      this.#pixel(left + 1, top + 1),
      Math.floor((fixedX - left * FIXED_ONE) / 512),
      Math.floor((fixedY - top * FIXED_ONE) / 512),
    ) >>> 0;
  }

  /** Transforms the middle of a pixel, rounded. */
  #place(x: number, y: number): Place {
    if (!this.#transform) return { x: x * FIXED_ONE, y: y * FIXED_ONE };
    const { t00, t01, t02, t10, t11, t12 } = this.#transform;
    return { x: apply(t00, t01, t02, x, y), y: apply(t10, t11, t12, x, y) };
  }

  /** Returns a pixel of the image, repeated; transparent black beyond one that is not. */
  #pixel(x: number, y: number): number {
    const { width, height, pixels } = this.#source;
    if (x < 0 || y < 0 || x >= width || y >= height) {
      if (this.#repeat === REPEAT.none) return 0;
      x = repeated(x, width, this.#repeat);
      y = repeated(y, height, this.#repeat);
    }
    return (pixels[y * width + x]! | this.#opaque) >>> 0;
  }
}

/** One row of a transform, for the middle of a pixel; products of fixed point are rounded. */
function apply(a: number, b: number, c: number, x: number, y: number): number {
  return a * x + b * y + c + Math.floor(((a + b) * FIXED_HALF + FIXED_HALF) / FIXED_ONE);
}

function repeated(at: number, size: number, repeat: number): number {
  if (repeat === REPEAT.pad) return Math.min(Math.max(at, 0), size - 1);
  const period = repeat === REPEAT.normal ? size : 2 * size;
  const within = (at % period + period) % period;
  return within < size ? within : period - 1 - within;
}
