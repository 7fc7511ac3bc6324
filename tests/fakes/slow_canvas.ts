/**
 * The draws of the display channel once more, for tests: each pixel for itself, in the format's own
 * bits, straight from the definitions. Slow, and shares nothing with `lib/display`.
 */
import type { Bitmap, Image } from "../../lib/spice/image_layouts.ts";
import type { Clip, Mask, Point, Rect } from "../../lib/spice/draw_layouts.ts";

/** Number of a surface format on the wire. */
export type Format = 1 | 8 | 16 | 80 | 32 | 96;

/** A pixel of an image: its bits, and what they are. */
interface Sample {
  bits: number;
  /** The format whose bits they are. */
  format: Format;
}

const BITS: Record<Format, number> = { 1: 1, 8: 8, 16: 16, 80: 16, 32: 32, 96: 32 };

/** Repeats the bits of a value of `bits` bits to fill a byte. */
function toByte(value: number, bits: number): number {
  return bits === 5 ? value * 8 + (value >> 2) : bits === 6 ? value * 4 + (value >> 4) : value;
}

/** Returns a pixel as alpha, red, green and blue of a byte each. */
export function channels(bits: number, format: Format): [number, number, number, number] {
  switch (format) {
    case 1:
      return [bits * 255, 0, 0, 0];
    case 8:
      return [bits, 0, 0, 0];
    case 16:
      return [255, toByte(bits >> 10 & 31, 5), toByte(bits >> 5 & 31, 5), toByte(bits & 31, 5)];
    case 80:
      return [255, toByte(bits >> 11, 5), toByte(bits >> 5 & 63, 6), toByte(bits & 31, 5)];
    case 32:
      return [255, bits >>> 16 & 255, bits >>> 8 & 255, bits & 255];
    case 96:
      return [bits >>> 24, bits >>> 16 & 255, bits >>> 8 & 255, bits & 255];
  }
}

function fromChannels([a, r, g, b]: number[], format: Format): number {
  switch (format) {
    case 1:
      return a! >> 7;
    case 8:
      return a!;
    case 16:
      return (r! >> 3) * 1024 + (g! >> 3) * 32 + (b! >> 3);
    case 80:
      return (r! >> 3) * 2048 + (g! >> 2) * 32 + (b! >> 3);
    default:
      return (((a! * 256 + r!) * 256 + g!) * 256 + b!) >>> 0;
  }
}

/** Returns a sample in another format's bits. */
function converted({ bits, format }: Sample, to: Format): number {
  const is32 = (one: Format) => one === 32 || one === 96;
  return format === to || (is32(format) && is32(to))
    ? bits
    : fromChannels(channels(bits, format), to);
}

/** A palette's entry: a pixel of the surface; its opacity counts where an image is blended. */
function indexed(bitmap: Bitmap, index: number, onto: Format, isBlended: boolean): Sample {
  const mask = 2 ** BITS[onto] - 1;
  const bits = ((bitmap.palette?.entries[index] ?? 0) & mask) >>> 0;
  return { bits, format: onto === 96 && !isBlended ? 32 : onto };
}

function bitmapSample(
  bitmap: Bitmap,
  x: number,
  y: number,
  onto: Format,
  isBlended: boolean,
): Sample | undefined {
  if (x < 0 || y < 0 || x >= bitmap.width || y >= bitmap.height) return undefined;
  const row = bitmap.strideBytes * (bitmap.flags & 4 ? y : bitmap.height - 1 - y);
  const byte = (at: number) => bitmap.data[row + at]!;
  switch (bitmap.format) {
    case 1:
      return indexed(bitmap, byte(x >> 3) >> x % 8 & 1, onto, isBlended);
    case 2:
      return indexed(bitmap, byte(x >> 3) >> (7 - x % 8) & 1, onto, isBlended);
    case 3:
      return indexed(bitmap, byte(x >> 1) >> (x % 2 ? 4 : 0) & 15, onto, isBlended);
    case 4:
      return indexed(bitmap, byte(x >> 1) >> (x % 2 ? 0 : 4) & 15, onto, isBlended);
    case 5:
      return indexed(bitmap, byte(x), onto, isBlended);
    case 6:
      return { bits: byte(2 * x) + 256 * byte(2 * x + 1), format: 16 };
    case 7:
      return { bits: byte(3 * x) + 256 * byte(3 * x + 1) + 65536 * byte(3 * x + 2), format: 32 };
    case 10:
      return { bits: byte(x), format: 8 };
    default: {
      const low = byte(4 * x) + 256 * byte(4 * x + 1) + 65536 * byte(4 * x + 2);
      return { bits: low + 2 ** 24 * byte(4 * x + 3), format: bitmap.format === 8 ? 32 : 96 };
    }
  }
}

/** Combines two operands bit by bit as a descriptor says. */
function descriptor(rop: number, src: number, dest: number, invertSrc: number, invertDest: number) {
  const s = rop & invertSrc ? ~src : src;
  const d = rop & invertDest ? ~dest : dest;
  const invert = (value: number) => rop & 1024 ? ~value : value;
  if (rop & 8) return invert(s);
  if (rop & 16) return invert(s | d);
  if (rop & 32) return invert(s & d);
  if (rop & 64) return invert(s ^ d);
  if (rop & 128) return 0;
  if (rop & 256) return -1;
  if (rop & 512) return ~dest;
  return src;
}

function ternary(rop3: number, pattern: number, src: number, dest: number): number {
  let result = 0;
  for (let bit = 0; bit < 32; bit++) {
    const at = (index: number) => index >>> bit & 1;
    result |= (rop3 >> (4 * at(pattern) + 2 * at(src) + at(dest)) & 1) << bit;
  }
  return result;
}

/** Rounds `value` / 255 for products of two bytes. */
function by255(value: number): number {
  return Math.floor((value + 127.5) / 255);
}

const modulo = (value: number, divisor: number) => ((value % divisor) + divisor) % divisor;

/** Whether a descriptor makes a copy of its source. */
function isCopy(rop: number): boolean {
  return [0, 1, 2, 3].every((bits) =>
    (descriptor(rop, bits >> 1, bits & 1, 1, 4) & 1) === bits >> 1
  );
}

/** What a scaled image is for: as a picture what has no opacity is opaque, else it is just bits. */
type Use = "picture" | "bits" | "rop3";

/** Where a draw goes. */
export interface Where {
  box: Rect;
  clip: Clip;
  mask?: Mask;
}

/** What it takes from an image. */
export interface From {
  src: Image;
  srcArea: Rect;
  /** 0 interpolate, 1 nearest. */
  scaleMode: number;
}

/** What it fills with. */
export type Fill = { kind: "none" } | { kind: "solid"; color: number } | {
  kind: "pattern";
  image: Image | undefined;
  pos: Point;
};

/** A surface whose every pixel is worked out by itself. */
export class SlowCanvas {
  readonly width: number;
  readonly height: number;
  readonly format: Format;
  /** The bits of each pixel. */
  pixels: number[];
  #before: number[] = [];

  constructor(width: number, height: number, format: Format) {
    this.width = width;
    this.height = height;
    this.format = format;
    this.pixels = new Array(width * height).fill(0);
  }

  /** Works out every pixel that a draw reaches; `undefined` leaves it as it is. */
  #each(where: Where, pixel: (x: number, y: number, dest: number) => number | undefined): void {
    this.#before = [...this.pixels];
    const limit = 2 ** BITS[this.format];
    for (let y = 0; y < this.height; y++) {
      for (let x = 0; x < this.width; x++) {
        if (!reaches(where, x, y)) continue;
        const dest = this.#before[y * this.width + x]!;
        const bits = pixel(x, y, dest);
        if (bits !== undefined) this.pixels[y * this.width + x] = modulo(bits, limit);
      }
    }
  }

  /** Returns a pixel of an image, or nothing outside of it. */
  #sample(image: Image, x: number, y: number, isBlended = false): Sample | undefined {
    if (image.kind === "bitmap") {
      return bitmapSample(image.bitmap, x, y, this.format, isBlended);
    }
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return undefined;
    return { bits: this.#before[y * this.width + x]!, format: this.format }; // itself
  }

  /** Returns the bits of a pixel of a draw's image; nothing where there is none. */
  #source({ src, srcArea, scaleMode }: From, box: Rect, x: number, y: number, use: Use) {
    const own = (sample: Sample | undefined): Sample | undefined =>
      sample && { bits: converted(sample, this.format), format: this.format };
    const [columns, rows] = [srcArea.right - srcArea.left, srcArea.bottom - srcArea.top];
    if (columns === box.right - box.left && rows === box.bottom - box.top) {
      const sample = this.#sample(src, x - box.left + srcArea.left, y - box.top + srcArea.top);
      return own(sample)?.bits;
    }
    const place = use === "rop3" ? roundedPlace : scaledPlace;
    const fx = place(srcArea.left, columns, x - box.left, box.right - box.left);
    const fy = place(srcArea.top, rows, y - box.top, box.bottom - box.top);
    const at = (sx: number, sy: number): number[] => {
      const sample = this.#sample(src, sx, sy);
      if (!sample) return [0, 0, 0, 0];
      const bits = converted(sample, this.format);
      const has = channels(bits, this.format);
      if (this.format === 96 && !hasAlpha(sample.format)) {
        has[0] = use === "picture" || sample.format !== 32 ? 255 : sample.bits >>> 24;
      }
      return has;
    };
    if (scaleMode === 1) {
      return fromChannels(at(Math.ceil(fx) - 1, Math.ceil(fy) - 1), this.format);
    }
    const [left, top] = [Math.floor(fx - 0.5), Math.floor(fy - 0.5)];
    const wx = Math.floor((fx - 0.5 - left) * 128);
    const wy = Math.floor((fy - 0.5 - top) * 128);
    const four = [at(left, top), at(left + 1, top), at(left, top + 1), at(left + 1, top + 1)];
    const mixed = [0, 1, 2, 3].map((i) =>
      Math.floor(
        (four[0]![i]! * (128 - wx) * (128 - wy) + four[1]![i]! * wx * (128 - wy) +
          four[2]![i]! * (128 - wx) * wy + four[3]![i]! * wx * wy) / 16384,
      )
    );
    return fromChannels(mixed, this.format);
  }

  #brush(brush: Fill, x: number, y: number): number {
    if (brush.kind === "none") return 0;
    if (brush.kind === "solid") return brush.color;
    const { image, pos } = brush;
    const [tileX, tileY] = [modulo(x - pos.x, image!.width), modulo(y - pos.y, image!.height)];
    return converted(this.#sample(image!, tileX, tileY)!, this.format);
  }

  fill(where: Where, brush: Fill, rop: number): void {
    this.#each(where, (x, y, dest) => descriptor(rop, this.#brush(brush, x, y), dest, 2, 4));
  }

  constant(where: Where, value: (dest: number) => number): void {
    this.#each(where, (_x, _y, dest) => value(dest));
  }

  copy(where: Where, from: From, rop: number): void {
    this.#each(where, (x, y, dest) => {
      const src = this.#source(from, where.box, x, y, isCopy(rop) ? "picture" : "bits");
      return src === undefined ? undefined : descriptor(rop, src, dest, 1, 4);
    });
  }

  opaque(where: Where, from: From, brush: Fill, rop: number): void {
    this.copy(where, from, 8);
    this.#each(where, (x, y, dest) => descriptor(rop, this.#brush(brush, x, y), dest, 2, 1));
  }

  transparent(where: Where, from: From, color: number): void {
    const hasColor = this.format !== 8 && this.format !== 1; // else the key is 0
    const key = hasColor ? fromChannels(channels(color, 32), this.format) : 0;
    const kept = this.format === 32 || this.format === 96 ? 0xffffff : -1;
    this.#each(where, (x, y) => {
      const src = this.#source(from, where.box, x, y, "bits");
      return src === undefined || (src & kept) === (key & kept) ? undefined : src;
    });
  }

  rop3(where: Where, from: From, brush: Fill, rop3: number): void {
    this.#each(where, (x, y, dest) => {
      const src = this.#source(from, where.box, x, y, "rop3");
      return ternary(rop3, this.#brush(brush, x, y), src!, dest);
    });
  }

  /** Blends an image that is not scaled. */
  blend(where: Where, { src, srcArea }: From, alpha: number): void {
    if (alpha === 0) return; // not even the unused bit of a pixel changes
    this.#each(where, (x, y, dest) => {
      const [dx, dy] = [srcArea.left - where.box.left, srcArea.top - where.box.top];
      const sample = this.#sample(src, x + dx, y + dy, true);
      if (!sample) return undefined;
      const faded = channels(sample.bits, sample.format).map((value) => by255(value * alpha));
      const under = channels(dest, this.format);
      const blended = under.map((value, i) =>
        Math.min(255, faded[i]! + by255(value * (255 - faded[0]!)))
      );
      return fromChannels(blended, this.format);
    });
  }

  move(where: Where, from: Point): void {
    this.#each(where, (x, y) => {
      const [sx, sy] = [x - where.box.left + from.x, y - where.box.top + from.y];
      if (sx < 0 || sy < 0 || sx >= this.width || sy >= this.height) return undefined;
      return this.#before[sy * this.width + sx];
    });
  }
}

function hasAlpha(format: Format): boolean {
  return format === 96 || format === 8 || format === 1;
}

/** Where the middle of a scaled pixel lies in its image, with pixman's precision of 1/65536. */
function scaledPlace(start: number, size: number, at: number, destSize: number): number {
  const step = Math.floor(size * 65536 / destSize);
  return (step * at + Math.floor(step / 2 + 0.5)) / 65536 + start;
}

/** The same for ternary operations, whose image begins at a whole pixel of the destination. */
function roundedPlace(start: number, size: number, at: number, destSize: number): number {
  const ratio = size / destSize;
  const step = Math.floor(ratio * 65536);
  const skipped = ratio > 0 ? Math.floor(start / ratio + 0.5) : 0;
  return (step * (at + skipped) + Math.floor(step / 2 + 0.5)) / 65536;
}

function contains({ left, top, right, bottom }: Rect, x: number, y: number): boolean {
  return x >= left && y >= top && x < right && y < bottom;
}

/** Whether a draw reaches a pixel. */
function reaches({ box, clip, mask }: Where, x: number, y: number): boolean {
  if (!contains(box, x, y) || (clip && !clip.some((rect) => contains(rect, x, y)))) return false;
  if (mask?.image?.kind !== "bitmap") return true;
  const { bitmap } = mask.image;
  const [mx, my] = [x - box.left + mask.pos.x, y - box.top + mask.pos.y];
  if (mx < 0 || my < 0 || mx >= bitmap.width || my >= bitmap.height) return false;
  const row = bitmap.strideBytes * (bitmap.flags & 4 ? my : bitmap.height - 1 - my);
  const bit = bitmap.format === 1 ? 1 << mx % 8 : 128 >> mx % 8;
  return ((bitmap.data[row + (mx >> 3)]! & bit) !== 0) !== ((mask.flags & 1) !== 0);
}
