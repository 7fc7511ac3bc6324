/**
 * SPICE's GLZ images: LZ whose matches may refer to pixels of earlier images as well, all images of
 * one session together. They are the window; its size is ours to say (DISPLAY_INIT, glz_window).
 *
 * ```text
 * u32 magic "  ZL"   u32 version   u8 type | top_down << 4   u32 width   u32 height   u32 stride
 * u64 id   u32 win_head_dist
 * operations: 000nnnnn                 n + 1 literal pixels follow
 *             LLLFoooo [L…] o iiDDDDDD a match: length L as in LZ, offset o, image distance D
 *             F = 0: offset of 12 bits; ii more bytes of D
 *             F = 1: iiVooooo, offset of 17 bits; ii bytes of D; V: one more byte of the offset
 * ```
 *
 * Numbers are big-endian, but the bytes of distances and offsets come lowest first. The offset goes
 * back from the pixel at hand, less one, if the image distance is 0, and else forward from the first
 * pixel of the image whose id is smaller by the distance. Images older than `id - win_head_dist` are
 * not referred to any more. ZLIB_GLZ is the same within a zlib stream.
 *
 * Source: spice-gtk decode-glz.c, decode-glz-tmpl.c; spice-server glz-encode-match.tmpl.c.
 */
import { inflateSync } from "node:zlib";
import { ImageError } from "./errors.ts";
import { expectLz, LZ_IMAGE_TYPE, LZ_PIXELS_PER_BYTE } from "./lz.ts";
import { AlphaPixels, type LzPixels, Rgb16Pixels, RgbPixels } from "./lz_pixels.ts";
import { countPixels, flipRows, type Picture, type PictureSize } from "./picture.ts";

/** The window to ask a server for, in pixels: 64 MiB. The most that a server takes is 2^25. */
const GLZ_WINDOW_PIXELS = 16 * 1024 * 1024;

const HEADER_BYTES = 33;
/** What a literal of RGBA takes, and its share in the bytes that announce it: the worst an encoder does. */
const MAX_BYTES_PER_PIXEL = 5;

/** What an image that is kept costs beside its pixels, counted as pixels: empty ones add up as well. */
const IMAGE_PIXELS = 64;

/** One image of the window. */
interface WindowImage {
  /** In the order in which they were coded; none if the image could not be decoded. */
  pixels: Uint32Array;
  hasAlpha: boolean;
  /** The oldest image that this one and those after it refer to. */
  oldest: number;
}

interface Header {
  type: number;
  topDown: boolean;
  id: number;
  oldest: number;
  pixels: number;
}

function broken(is: string, expected: string): ImageError {
  return new ImageError(`Cannot decode a GLZ image: ${is}, expected ${expected}`);
}

/**
 * The images that later ones may refer to. One for all display channels of a session: they share the
 * dictionary whose id DISPLAY_INIT names. It keeps at most twice its size in pixels.
 */
export class GlzWindow {
  /** In the order of their arrival. */
  readonly #images = new Map<number, WindowImage>();
  /** All images before this id have arrived, or are given up. */
  #next = 0;
  #keptPixels = 0;

  /** @param sizePixels The window's size as the server was told. */
  constructor(readonly sizePixels: number = GLZ_WINDOW_PIXELS) {}

  /** What is kept, in pixels of 4 bytes. */
  get keptPixels(): number {
    return this.#keptPixels;
  }

  /**
   * Decodes an image (GLZ_RGB) and keeps it for those to come.
   *
   * Images of several display channels may arrive in another order than they were made in. One that
   * refers to an image that is still to come is an error; it is not waited for.
   *
   * @param data The whole image; nothing may follow it.
   * @param size What the image's descriptor says.
   * @throws {ImageError} if the data is not such an image of that size, or refers to pixels that the
   *   window does not have.
   */
  decode(data: Uint8Array, size: PictureSize): Picture {
    const header = readHeader(data, size, this.sizePixels);
    const { type, id } = header;
    if (this.#images.has(id)) throw broken(`image ${id} came already`, "a new id");
    const hasAlpha = type === LZ_IMAGE_TYPE.RGBA;
    // An image that fails still takes its place, empty, or nothing after it would ever be given up.
    let image: WindowImage = { pixels: new Uint32Array(0), hasAlpha, oldest: header.oldest };
    try {
      const pixels = new Uint32Array(header.pixels);
      const colors = type === LZ_IMAGE_TYPE.RGB16 ? new Rgb16Pixels(pixels) : new RgbPixels(pixels);
      let end = this.#decodeStream(data, HEADER_BYTES, colors, id, hasAlpha);
      if (hasAlpha) end = this.#decodeStream(data, end, new AlphaPixels(pixels), id, hasAlpha);
      if (end !== data.length) {
        throw broken(`${data.length - end} bytes follow the last pixel`, "none");
      }
      image = { ...image, pixels };
    } finally {
      this.#keep(id, image);
    }

    // The window's own pixels must stay as they are.
    const pixels = image.pixels.slice();
    if (!header.topDown) flipRows(pixels, size.width);
    return { width: size.width, height: size.height, pixels, hasAlpha };
  }

  /**
   * Decodes an image within a zlib stream (ZLIB_GLZ_RGB) and keeps it for those to come.
   *
   * @param glzSize How many bytes the image has outside the zlib stream.
   * @throws {ImageError} as `decode`, or if the data does not inflate to that many bytes.
   */
  decodeZlib(data: Uint8Array, glzSize: number, size: PictureSize): Picture {
    const most = HEADER_BYTES + MAX_BYTES_PER_PIXEL * countPixels(size, "a GLZ image");
    if (glzSize < HEADER_BYTES || glzSize > most) {
      throw broken(`it has ${glzSize} bytes before zlib`, `${HEADER_BYTES} to ${most}`);
    }
    let glz: Uint8Array;
    try {
      glz = inflateSync(data, { maxOutputLength: glzSize });
    } catch (cause) {
      throw new ImageError(
        `Cannot decode a GLZ image: its zlib stream is damaged, expected ${glzSize} bytes in it`,
        { cause },
      );
    }
    if (glz.length !== glzSize) throw broken(`zlib gave ${glz.length} bytes`, `${glzSize}`);
    return this.decode(glz, size);
  }

  /** Adds an image and gives up those that no later one refers to. */
  #keep(id: number, image: WindowImage): void {
    this.#images.set(id, image);
    this.#keptPixels += image.pixels.length + IMAGE_PIXELS;
    // Only when everything before an image has arrived does its word on what is needed count: images
    // of other channels, still on their way, may refer to older ones.
    let oldest = 0;
    for (let next; (next = this.#images.get(this.#next)); this.#next++) oldest = next.oldest;
    for (const [old, { pixels }] of this.#images) {
      if (this.#keptPixels > 2 * this.sizePixels) this.#next = Math.max(this.#next, old + 1);
      else if (old >= oldest) break;
      this.#images.delete(old);
      this.#keptPixels -= pixels.length + IMAGE_PIXELS;
    }
  }

  /**
   * Decodes one stream of operations until its pixels are complete.
   *
   * @returns Where the stream ends.
   * @throws {ImageError} where it needs more bytes than there are, makes more pixels than there
   *   should be, or refers to pixels that are not there.
   */
  #decodeStream(
    input: Uint8Array,
    start: number,
    target: LzPixels,
    id: number,
    hasAlpha: boolean,
  ): number {
    const { length: total, literalBytes, extraLength } = target;
    const end = input.length;
    let at = start;
    for (let to = 0; to < total;) {
      if (at >= end) throw truncated(to, total);
      const control = input[at++]!;
      if (control < 32) {
        const count = control + 1;
        if (count * literalBytes > end - at) throw truncated(to, total);
        if (count > total - to) throw overlong(count, total - to);
        target.literals(input, at, to, count);
        at += count * literalBytes;
        to += count;
        continue;
      }

      let length = (control >> 5) + extraLength;
      if (control >= 7 << 5) {
        for (let more = 255; more === 255; length += more) {
          if (at >= end) throw truncated(to, total);
          more = input[at++]!;
        }
      }
      if (end - at < 2) throw truncated(to, total);
      let offset = control & 15 | input[at]! << 4;
      const last = input[at + 1]!;
      at += 2;
      const far = (control & 16) !== 0;
      const distanceBytes = last >> 6;
      let distance = 0, shift = 0;
      if (far) offset |= (last & 31) << 12;
      else {
        distance = last & 63;
        shift = 6;
      }
      const veryFar = far && (last & 32) !== 0;
      if (end - at < distanceBytes + (veryFar ? 1 : 0)) throw truncated(to, total);
      for (let i = 0; i < distanceBytes; i++, shift += 8) distance |= input[at++]! << shift;
      if (veryFar) offset |= input[at++]! << 17;

      if (length > total - to) throw overlong(length, total - to);
      if (distance === 0) {
        if (offset >= to) throw broken(`pixel ${to} refers ${offset + 1} back`, `at most ${to}`);
        target.copy(to - offset - 1, to, length);
      } else {
        target.copy(offset, to, length, this.#find(id - distance, offset + length, hasAlpha));
      }
      to += length;
    }
    return at;
  }

  /** Returns the pixels of an earlier image, `atLeast` of them. @throws {ImageError} */
  #find(id: number, atLeast: number, hasAlpha: boolean): Uint32Array {
    const image = this.#images.get(id);
    if (!image) throw broken(`it refers to image ${id}, which is not there`, "one of the window");
    // A real server refers to images of the same type only, so that the A bytes always fit.
    if (image.hasAlpha !== hasAlpha) {
      throw broken(`it refers to image ${id} of another type`, "one of its own");
    }
    if (atLeast > image.pixels.length) {
      throw broken(
        `it refers to pixel ${atLeast - 1} of image ${id}`,
        `one of its ${image.pixels.length} pixels`,
      );
    }
    return image.pixels;
  }
}

/** Reads the header, and checks it before anything is allocated. @throws {ImageError} */
function readHeader(data: Uint8Array, size: PictureSize, windowPixels: number): Header {
  const pixels = countPixels(size, "a GLZ image");
  if (data.length < HEADER_BYTES) {
    throw broken(`it has ${data.length} bytes`, `at least ${HEADER_BYTES}`);
  }
  const view = new DataView(data.buffer, data.byteOffset, HEADER_BYTES);
  expectLz(view, broken);
  const width = view.getUint32(9), height = view.getUint32(13);
  if (width !== size.width || height !== size.height) {
    throw broken(`its header says ${width} x ${height}`, `${size.width} x ${size.height}`);
  }
  const flags = view.getUint8(8), type = flags & 15;
  if (type < LZ_IMAGE_TYPE.RGB16 || type > LZ_IMAGE_TYPE.RGBA) {
    throw broken(`its type is ${type}`, "direct colours (6 to 9)");
  }
  if (pixels > windowPixels) throw broken(`it has ${pixels} pixels`, `at most ${windowPixels}`);
  if (pixels > data.length * LZ_PIXELS_PER_BYTE) {
    throw broken(`${data.length} bytes cannot hold ${pixels} pixels`, "more data");
  }
  const id = view.getUint32(21) * 2 ** 32 + view.getUint32(25);
  if (id > Number.MAX_SAFE_INTEGER) {
    throw broken("its id has more than 53 bits", "a count of images");
  }
  return { type, topDown: flags >> 4 !== 0, id, oldest: id - view.getUint32(29), pixels };
}

function truncated(done: number, total: number): ImageError {
  return broken(`its data ends after ${done} pixels`, `${total}`);
}

function overlong(length: number, left: number): ImageError {
  return broken(`an operation makes ${length} pixels`, `at most the ${left} that are left`);
}
