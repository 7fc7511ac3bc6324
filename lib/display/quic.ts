/**
 * SPICE's QUIC images (no relation of the transport protocol): lossless, row by row, each pixel
 * predicted from its neighbours to the left and above.
 *
 * Source: spice-common 0.15.1, common/quic.c, quic_tmpl.c and quic_family_tmpl.c.
 */
import { ImageError } from "./errors.ts";
import { countPixels, type Picture, type PictureSize } from "./picture.ts";
import { QuicBits } from "./quic_bits.ts";
import { type CodeFamily, EIGHT_BITS, FIVE_BITS } from "./quic_codes.ts";
import { Component, Pace, RunLengths } from "./quic_model.ts";

/** "QUIC" in the order of the words. */
const MAGIC = 0x43495551;
const VERSION = 0;
/** Magic, version, type, width, height. */
const HEADER_BYTES = 5 * 4;

/** What a pixel is made of, as the header says. */
const TYPE = { gray: 1, rgb16: 2, rgb24: 3, rgb32: 4, rgba: 5 } as const;

/**
 * Decodes a QUIC image.
 *
 * @param data The image as it came, borrowed.
 * @param size What the image's descriptor says, in pixels.
 * @throws {ImageError} when the data is no QUIC image, of another size, or ends too early.
 */
export function decodeQuic(data: Uint8Array, size: PictureSize): Picture {
  const { width, height } = size;
  const count = countPixels(size, "a QUIC image");
  const bits = new QuicBits(data);
  const type = readHeader(bits, data.byteLength, size);
  // Nothing is allocated for pixels that cannot be there: the first row takes a bit for each of
  // its pixels, every other row at least one.
  const leastBits = HEADER_BYTES * 8 + width + height - 1;
  if (data.byteLength * 8 < leastBits) {
    throw new ImageError(
      `Cannot decode a QUIC image: it has ${data.byteLength} bytes, ` +
        `expected at least ${Math.ceil(leastBits / 8)} for ${width}×${height} pixels`,
    );
  }
  const pixels = new Uint32Array(count);
  const family = type === TYPE.rgb16 ? FIVE_BITS : EIGHT_BITS;
  const planes: Plane[] = [];
  if (type === TYPE.gray) planes.push(new SinglePlane(bits, family, pixels, width, 0));
  else planes.push(new ColourPlane(bits, family, pixels, width));
  if (type === TYPE.rgba) planes.push(new SinglePlane(bits, family, pixels, width, 3));
  for (let y = 0; y < height; y++) {
    for (const plane of planes) plane.decodeRow(y);
  }
  if (type === TYPE.gray) spreadGray(pixels);
  if (type === TYPE.rgb16) widenFiveBits(pixels);
  return { width, height, pixels, hasAlpha: type === TYPE.rgba };
}

/** Reads the header and returns the type. @throws {ImageError} when it is not what is expected. */
function readHeader(
  bits: QuicBits,
  byteLength: number,
  size: PictureSize,
): number {
  if (byteLength < HEADER_BYTES) {
    throw new ImageError(
      `Cannot decode a QUIC image: it has ${byteLength} bytes, expected a header of ${HEADER_BYTES}`,
    );
  }
  const expect = (what: string, is: number, expected: number) => {
    if (is !== expected) {
      throw new ImageError(
        `Cannot decode a QUIC image: its ${what} is ${is}, expected ${expected}`,
      );
    }
  };
  expect("magic number", bits.word(), MAGIC);
  expect("version", bits.word(), VERSION);
  const type = bits.word();
  if (type < TYPE.gray || type > TYPE.rgba) {
    throw new ImageError(
      `Cannot decode a QUIC image: its type is ${type}, expected ${TYPE.gray} to ${TYPE.rgba}`,
    );
  }
  expect("width", bits.word(), size.width);
  expect("height", bits.word(), size.height);
  return type;
}

/** Makes gray pixels, whose value lies in the blue byte, gray. */
function spreadGray(pixels: Uint32Array): void {
  for (let i = 0; i < pixels.length; i++) pixels[i] = pixels[i]! * 0x010101;
}

/** Widens components of five bits to eight: the highest bits are repeated in the lowest. */
function widenFiveBits(pixels: Uint32Array): void {
  for (let i = 0; i < pixels.length; i++) {
    const pixel = pixels[i]!;
    pixels[i] = pixel << 3 & 0xf8f8f8 | pixel >>> 2 & 0x070707;
  }
}

/**
 * Components that are decoded together, pixel by pixel, and that learn together. Indices count
 * pixels from the start of the picture, columns from the start of the row.
 */
abstract class Plane {
  protected readonly bits: QuicBits;
  protected readonly width: number;
  readonly #pace = new Pace();
  readonly #runs = new RunLengths();

  constructor(bits: QuicBits, width: number) {
    this.bits = bits;
    this.width = width;
  }

  /** Gets ready for the next row. */
  protected abstract beginRow(): void;
  /** Decodes the pixel at `index`, predicted to be like the pixel `like`, or 0 without one. */
  protected abstract decodeLike(x: number, index: number, like: number | undefined): void;
  /** Decodes the pixel at `index`, predicted to be between its neighbours to the left and above. */
  protected abstract decodeBetween(x: number, index: number, above: number): void;
  /** Whether two pixels are the same, as far as these components go. */
  protected abstract same(index: number, other: number): boolean;
  /** Makes the pixels from `start` to before `end` like the one before them. */
  protected abstract repeat(start: number, end: number): void;
  /** Learns from the pixel at column `x`. */
  protected abstract learn(x: number, enough: number): void;

  /** Decodes row `y`, which must be the one after the row decoded last. */
  decodeRow(y: number): void {
    if (y > 0) this.beginRow();
    for (let x = 0; x < this.width;) {
      const end = x + this.#pace.pixelsOf(this.width - x);
      if (y === 0) this.#decodeFirst(x, end);
      else this.#decodeStretch(y * this.width, x, end);
      this.#pace.pass(end - x);
      x = end;
    }
  }

  /** Decodes columns of the first row: only the left neighbour is known, and there are no runs. */
  #decodeFirst(start: number, end: number): void {
    for (let x = start; x < end; x++) {
      this.decodeLike(x, x, x > 0 ? x - 1 : undefined);
      this.#settle(x);
    }
  }

  /** Decodes columns of another row, which begins at index `row`. */
  #decodeStretch(row: number, start: number, end: number): void {
    const aboveRow = row - this.width;
    let x = start;
    if (x === 0) {
      this.decodeLike(0, row, aboveRow);
      this.#settle(0);
      x++;
    }
    // A run can be empty; then a pixel follows that is decoded.
    let runStart = 0;
    while (x < end) {
      if (
        x > 2 && x !== runStart && this.same(aboveRow + x - 1, aboveRow + x) &&
        this.same(row + x - 1, row + x - 2)
      ) {
        runStart = x;
        x += this.#readRun(end - x);
        this.repeat(row + runStart, row + x);
      } else {
        this.decodeBetween(x, row + x, aboveRow + x);
        this.#settle(x);
        x++;
      }
    }
  }

  /** Reads the length of a run of at most `most` pixels. @throws {ImageError} when it is longer. */
  #readRun(most: number): number {
    const length = this.#runs.read(this.bits, most);
    if (length > most) {
      throw new ImageError(
        `Cannot decode a QUIC image: a run has ${length} pixels, expected at most ${most}`,
      );
    }
    this.bits.expectInside();
    return length;
  }

  /** Ends the pixel at column `x`: learns from it when it is time. */
  #settle(x: number): void {
    this.bits.expectInside();
    const pace = this.#pace;
    if (pace.wait > 0) {
      pace.wait--;
    } else {
      this.learn(x, pace.enough);
      pace.wait = pace.nextWait();
    }
  }
}

/** Red, green and blue: the lower three bytes of the pixels. */
class ColourPlane extends Plane {
  readonly #pixels: Uint32Array;
  readonly #largest: number;
  readonly #red: Component;
  readonly #green: Component;
  readonly #blue: Component;

  constructor(bits: QuicBits, family: CodeFamily, pixels: Uint32Array, width: number) {
    super(bits, width);
    this.#pixels = pixels;
    this.#largest = family.largest;
    this.#red = new Component(family, bits, width);
    this.#green = new Component(family, bits, width);
    this.#blue = new Component(family, bits, width);
  }

  protected override beginRow(): void {
    this.#red.beginRow();
    this.#green.beginRow();
    this.#blue.beginRow();
  }

  protected override decodeLike(x: number, index: number, like: number | undefined): void {
    this.#decode(x, index, like === undefined ? 0 : this.#pixels[like]!);
  }

  protected override decodeBetween(x: number, index: number, above: number): void {
    const a = this.#pixels[index - 1]!;
    const b = this.#pixels[above]!;
    // The mean of each byte by itself: what they share, and half of what they do not.
    this.#decode(x, index, (a & b) + ((a ^ b) >>> 1 & 0x7f7f7f7f));
  }

  #decode(x: number, index: number, predicted: number): void {
    const largest = this.#largest;
    const red = (predicted >>> 16) + this.#red.read(x) & largest;
    const green = (predicted >>> 8) + this.#green.read(x) & largest;
    const blue = predicted + this.#blue.read(x) & largest;
    this.#pixels[index] = red << 16 | green << 8 | blue;
  }

  protected override same(index: number, other: number): boolean {
    return ((this.#pixels[index]! ^ this.#pixels[other]!) & 0xffffff) === 0;
  }

  protected override repeat(start: number, end: number): void {
    this.#pixels.fill(this.#pixels[start - 1]! & 0xffffff, start, end);
  }

  protected override learn(x: number, enough: number): void {
    this.#red.learn(x, enough);
    this.#green.learn(x, enough);
    this.#blue.learn(x, enough);
  }
}

/** One component by itself, in one byte of the pixels: gray, or alpha beside the colours. */
class SinglePlane extends Plane {
  /** The byte of each pixel, at four times its index. */
  readonly #bytes: Uint8Array;
  readonly #component: Component;

  /** @param byte Which byte of a pixel, 0 the lowest. */
  constructor(
    bits: QuicBits,
    family: CodeFamily,
    pixels: Uint32Array,
    width: number,
    byte: number,
  ) {
    super(bits, width);
    this.#bytes = new Uint8Array(pixels.buffer, pixels.byteOffset + byte);
    this.#component = new Component(family, bits, width);
  }

  protected override beginRow(): void {
    this.#component.beginRow();
  }

  protected override decodeLike(x: number, index: number, like: number | undefined): void {
    const predicted = like === undefined ? 0 : this.#bytes[4 * like]!;
    this.#bytes[4 * index] = predicted + this.#component.read(x);
  }

  protected override decodeBetween(x: number, index: number, above: number): void {
    const predicted = this.#bytes[4 * index - 4]! + this.#bytes[4 * above]! >>> 1;
    this.#bytes[4 * index] = predicted + this.#component.read(x);
  }

  protected override same(index: number, other: number): boolean {
    return this.#bytes[4 * index] === this.#bytes[4 * other];
  }

  protected override repeat(start: number, end: number): void {
    const value = this.#bytes[4 * start - 4]!;
    for (let at = start; at < end; at++) this.#bytes[4 * at] = value;
  }

  protected override learn(x: number, enough: number): void {
    this.#component.learn(x, enough);
  }
}
