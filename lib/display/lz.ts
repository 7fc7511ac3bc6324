/**
 * SPICE's LZ images: FastLZ over pixels, each image for itself.
 *
 * ```text
 * u32 magic "  ZL"   u32 version   u32 type   u32 width   u32 height   u32 stride   u32 top_down
 * operations: 000nnnnn              n + 1 literal pixels follow
 *             LLLddddd [L…] d [dd]  a match: length L (7: bytes follow and are added up to the first
 *                                   that is not 255), distance d + 1 (0x1fff: two bytes more)
 * ```
 *
 * Unlike the rest of SPICE, its numbers are big-endian. An RGBA image is a stream of colours and then
 * one of A bytes. Source: spice-common lz.c, lz_common.h, lz_decompress_tmpl.c.
 */
import { ImageError } from "./errors.ts";
import { AlphaPixels, BytePixels, type LzPixels, Rgb16Pixels, RgbPixels } from "./lz_pixels.ts";
import { countPixels, flipRows, type Picture, type PictureSize } from "./picture.ts";

/** What LZ and GLZ images hold. Source: spice-common lz_common.h, LzImageType. */
export const LZ_IMAGE_TYPE = {
  PLT1_LE: 1,
  PLT1_BE: 2,
  PLT4_LE: 3,
  PLT4_BE: 4,
  PLT8: 5,
  RGB16: 6,
  RGB24: 7,
  RGB32: 8,
  RGBA: 9,
  XXXA: 10,
  A8: 11,
} as const;

/** "  ZL", the first four bytes of LZ and GLZ images. */
const LZ_MAGIC = 0x20205a4c;
/** The only version of LZ and GLZ there is: 1.1. */
const LZ_VERSION = 0x00010001;

/** No byte of LZ or GLZ stands for more pixels than this (but for a few at the end of a match). */
export const LZ_PIXELS_PER_BYTE = 256;

const HEADER_BYTES = 28;
/** The largest distance that is written in 13 bits. */
const NEAR_DISTANCE = 0x1fff;

/** The header of an image, its size checked. */
interface Header {
  type: number;
  strideBytes: number;
  topDown: boolean;
  pixels: number;
}

function broken(is: string, expected: string): ImageError {
  return new ImageError(`Cannot decode an LZ image: ${is}, expected ${expected}`);
}

/**
 * Decodes an image of direct colours (LZ_RGB): 16, 24 or 32 bits, with or without alpha, or alpha
 * alone (A8: black, as opaque as it says).
 *
 * @param data The whole image; nothing may follow it.
 * @param size What the image's descriptor says.
 * @throws {ImageError} if the data is not such an image of that size.
 */
export function decodeLzRgb(data: Uint8Array, size: PictureSize): Picture {
  const { type, topDown, pixels: count } = readHeader(data, size);
  const pixels = new Uint32Array(count);
  let end: number;
  switch (type) {
    case LZ_IMAGE_TYPE.RGB16:
      end = decodeStream(data, HEADER_BYTES, new Rgb16Pixels(pixels));
      break;
    case LZ_IMAGE_TYPE.RGB24:
    case LZ_IMAGE_TYPE.RGB32:
      end = decodeStream(data, HEADER_BYTES, new RgbPixels(pixels));
      break;
    case LZ_IMAGE_TYPE.RGBA:
      end = decodeStream(data, HEADER_BYTES, new RgbPixels(pixels));
      end = decodeStream(data, end, new AlphaPixels(pixels));
      break;
    case LZ_IMAGE_TYPE.A8:
      end = decodeStream(data, HEADER_BYTES, new AlphaPixels(pixels));
      break;
    default:
      throw broken(`its type is ${type}`, "direct colours (6 to 9) or A8 (11)");
  }
  expectEnd(data, end);
  if (!topDown) flipRows(pixels, size.width);
  const hasAlpha = type === LZ_IMAGE_TYPE.RGBA || type === LZ_IMAGE_TYPE.A8;
  return { width: size.width, height: size.height, pixels, hasAlpha };
}

/**
 * Decodes an image of palette indices (LZ_PLT): 1, 4 or 8 bits each.
 *
 * @param data The whole image; nothing may follow it.
 * @param size What the image's descriptor says.
 * @param palette The colours, 0x00RRGGBB; an index that it does not have is black.
 * @throws {ImageError} if the data is not such an image of that size.
 */
export function decodeLzPalette(
  data: Uint8Array,
  size: PictureSize,
  palette: Uint32Array,
): Picture {
  const { type, strideBytes, topDown, pixels: count } = readHeader(data, size);
  const layout = PALETTE_LAYOUTS[type];
  if (!layout) throw broken(`its type is ${type}`, "palette indices (1 to 5)");
  const { width, height } = size;
  const { bits } = layout;
  const rowBytes = Math.ceil(width * bits / 8);
  if (strideBytes !== rowBytes) {
    throw broken(`a row of ${width} indices takes ${strideBytes} bytes`, `${rowBytes}`);
  }

  const indices = new Uint8Array(rowBytes * height);
  expectEnd(data, decodeStream(data, HEADER_BYTES, new BytePixels(indices)));

  const colors = new Uint32Array(256);
  for (let i = 0; i < Math.min(palette.length, 256); i++) colors[i] = palette[i]! & 0xffffff;
  const pixels = new Uint32Array(count);
  const mask = (1 << bits) - 1;
  const perByte = 8 / bits;
  for (let y = 0, to = 0; y < height; y++) {
    const row = (topDown ? y : height - 1 - y) * rowBytes;
    for (let x = 0; x < width; x++) {
      const place = x % perByte * bits;
      const shift = layout.highFirst ? 8 - bits - place : place;
      pixels[to++] = colors[indices[row + Math.floor(x / perByte)]! >> shift & mask]!;
    }
  }
  return { width, height, pixels, hasAlpha: false };
}

/**
 * Decodes the alpha of an image whose colours came otherwise (XXXA, the second half of JPEG_ALPHA).
 *
 * @param data The whole image; nothing may follow it.
 * @param picture Top-down, as large as the image says; its A bytes are set.
 * @param isTopDown What was said elsewhere of the image's rows; its header must say so, too.
 * @throws {ImageError} if the data is not such an image of that size; some A bytes may be set then.
 */
export function decodeLzAlpha(data: Uint8Array, picture: Picture, isTopDown: boolean): void {
  const { type, topDown } = readHeader(data, picture);
  if (topDown !== isTopDown) {
    const order = (is: boolean) => is ? "top-down" : "bottom-up";
    throw broken(`its header says ${order(topDown)}`, order(isTopDown));
  }
  if (type !== LZ_IMAGE_TYPE.XXXA) throw broken(`its type is ${type}`, "alpha alone (10)");
  const { pixels, width } = picture;
  if (!topDown) flipRows(pixels, width);
  expectEnd(data, decodeStream(data, HEADER_BYTES, new AlphaPixels(pixels)));
  if (!topDown) flipRows(pixels, width);
  picture.hasAlpha = true;
}

/** How palette indices lie in their bytes, by type. */
const PALETTE_LAYOUTS: Readonly<Record<number, { bits: number; highFirst: boolean }>> = {
  [LZ_IMAGE_TYPE.PLT1_LE]: { bits: 1, highFirst: false },
  [LZ_IMAGE_TYPE.PLT1_BE]: { bits: 1, highFirst: true },
  [LZ_IMAGE_TYPE.PLT4_LE]: { bits: 4, highFirst: false },
  [LZ_IMAGE_TYPE.PLT4_BE]: { bits: 4, highFirst: true },
  [LZ_IMAGE_TYPE.PLT8]: { bits: 8, highFirst: true },
};

/** Reads the header, and checks it before anything is allocated. @throws {ImageError} */
function readHeader(data: Uint8Array, size: PictureSize): Header {
  const pixels = countPixels(size, "an LZ image");
  if (data.length < HEADER_BYTES) {
    throw broken(`it has ${data.length} bytes`, `at least ${HEADER_BYTES}`);
  }
  const view = new DataView(data.buffer, data.byteOffset, HEADER_BYTES);
  expectLz(view, broken);
  const width = view.getUint32(12), height = view.getUint32(16);
  if (width !== size.width || height !== size.height) {
    throw broken(`its header says ${width} x ${height}`, `${size.width} x ${size.height}`);
  }
  const type = view.getUint32(8);
  const perByte = PALETTE_LAYOUTS[type] ? 8 * LZ_PIXELS_PER_BYTE : LZ_PIXELS_PER_BYTE;
  if (pixels > data.length * perByte) {
    throw broken(`${data.length} bytes cannot hold ${pixels} pixels`, "more data");
  }
  return { type, strideBytes: view.getUint32(20), topDown: view.getUint32(24) !== 0, pixels };
}

/**
 * Checks magic and version, which LZ and GLZ images share.
 *
 * @param view At the image's start, 8 bytes at least.
 * @param broken Makes the error.
 * @throws {ImageError} by `broken`.
 */
export function expectLz(
  view: DataView,
  broken: (is: string, expected: string) => ImageError,
): void {
  const magic = view.getUint32(0), version = view.getUint32(4);
  if (magic !== LZ_MAGIC) throw broken(`it starts with 0x${magic.toString(16)}`, "0x20205a4c");
  if (version !== LZ_VERSION) throw broken(`its version is 0x${version.toString(16)}`, "0x10001");
}

function expectEnd(data: Uint8Array, end: number): void {
  if (end !== data.length) {
    throw broken(`${data.length - end} bytes follow the last pixel`, "none");
  }
}

/**
 * Decodes one stream of operations until its pixels are complete.
 *
 * @returns Where the stream ends.
 * @throws {ImageError} where it needs more bytes than there are, makes more pixels than there should
 *   be, or refers to pixels before the first.
 */
function decodeStream(input: Uint8Array, start: number, target: LzPixels): number {
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
    if (at >= end) throw truncated(to, total);
    let distance = (control & 31) << 8 | input[at++]!;
    if (distance === NEAR_DISTANCE) {
      if (end - at < 2) throw truncated(to, total);
      distance = (input[at]! << 8 | input[at + 1]!) + NEAR_DISTANCE;
      at += 2;
    }
    distance++;
    if (distance > to) throw broken(`pixel ${to} refers ${distance} back`, `at most ${to}`);
    if (length > total - to) throw overlong(length, total - to);
    target.copy(to - distance, to, length);
    to += length;
  }
  return at;
}

function truncated(done: number, total: number): ImageError {
  return broken(`its data ends after ${done} pixels`, `${total}`);
}

function overlong(length: number, left: number): ImageError {
  return broken(`an operation makes ${length} pixels`, `at most the ${left} that are left`);
}
