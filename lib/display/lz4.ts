/**
 * SPICE's LZ4 images: a header of two bytes (top_down, the bitmap format of the pixels), then blocks
 * of LZ4, each with its length before it as a big-endian u32. A block's matches may reach into the
 * output of the blocks before it. Rows have no padding.
 *
 * The blocks are decoded here. Of the libraries on npm, those that decode blocks after a history do
 * not check offsets and lengths, which a hostile server chooses; the others know frames only or are
 * native add-ons.
 *
 * Source: spice-server lz4-encoder.c; spice-common canvas_base.c, canvas_get_lz4; LZ4 block format.
 */
import { ImageError } from "./errors.ts";
import { widen } from "./lz_pixels.ts";
import { countPixels, flipRows, type Picture, type PictureSize } from "./picture.ts";

const HEADER_BYTES = 2;
/** The shortest match; lengths are coded less this. */
const MIN_MATCH = 4;
/** Up to this many bytes, a loop is faster than a call of the array's own methods. */
const SHORT = 32;
/** No byte of LZ4 stands for more bytes than this. */
const OUTPUT_PER_BYTE = 255;

/** The bitmap formats that come as LZ4. Source: spice-protocol enums.h, SpiceBitmapFmt. */
const FORMAT = { BIT16: 6, BIT24: 7, BIT32: 8, RGBA: 9, A8: 10 } as const;
const PIXEL_BYTES: Readonly<Record<number, number>> = {
  [FORMAT.BIT16]: 2,
  [FORMAT.BIT24]: 3,
  [FORMAT.BIT32]: 4,
  [FORMAT.RGBA]: 4,
  [FORMAT.A8]: 1,
};

function broken(is: string, expected: string): ImageError {
  return new ImageError(`Cannot decode an LZ4 image: ${is}, expected ${expected}`);
}

/**
 * Decodes an image (LZ4): direct colours of 16, 24 or 32 bits, with or without alpha, or alpha alone
 * (black, as opaque as it says).
 *
 * @param data The whole image; nothing may follow it.
 * @param size What the image's descriptor says.
 * @throws {ImageError} if the data is not such an image of that size.
 */
export function decodeLz4(data: Uint8Array, size: PictureSize): Picture {
  const count = countPixels(size, "an LZ4 image");
  if (data.length < HEADER_BYTES) {
    throw broken(`it has ${data.length} bytes`, `at least ${HEADER_BYTES}`);
  }
  const format = data[1]!;
  const pixelBytes = PIXEL_BYTES[format];
  if (pixelBytes === undefined) {
    throw broken(`its bitmap format is ${format}`, "direct colours (6 to 9) or alpha (10)");
  }
  const total = count * pixelBytes;
  if (total > data.length * OUTPUT_PER_BYTE) {
    throw broken(`${data.length} bytes cannot hold ${count} pixels`, "more data");
  }

  const pixels = new Uint32Array(count);
  // Pixels of four bytes are decoded in place.
  const bytes = pixelBytes === 4 ? new Uint8Array(pixels.buffer) : new Uint8Array(total);
  decodeBlocks(data, bytes);
  fill(pixels, bytes, format);
  if (data[0] === 0) flipRows(pixels, size.width);
  const hasAlpha = format === FORMAT.RGBA || format === FORMAT.A8;
  return { width: size.width, height: size.height, pixels, hasAlpha };
}

/** Makes pixels of the bytes of one bitmap format. */
function fill(pixels: Uint32Array, bytes: Uint8Array, format: number): void {
  const count = pixels.length;
  switch (format) {
    case FORMAT.BIT16:
      for (let i = 0; i < count; i++) {
        pixels[i] = widen(bytes[2 * i]! | bytes[2 * i + 1]! << 8);
      }
      break;
    case FORMAT.BIT24:
      for (let i = 0, from = 0; i < count; i++, from += 3) {
        pixels[i] = bytes[from]! | bytes[from + 1]! << 8 | bytes[from + 2]! << 16;
      }
      break;
    case FORMAT.BIT32:
      for (let i = 0; i < count; i++) pixels[i] = pixels[i]! & 0xffffff;
      break;
    case FORMAT.A8:
      for (let i = 0; i < count; i++) pixels[i] = bytes[i]! << 24;
      break;
  }
}

/** Decodes all blocks; together they must fill `output`. @throws {ImageError} */
function decodeBlocks(data: Uint8Array, output: Uint8Array): void {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  let to = 0;
  for (let at = HEADER_BYTES; at < data.length;) {
    if (data.length - at < 4) throw broken("it ends within the length of a block", "4 bytes");
    const blockBytes = view.getUint32(at);
    at += 4;
    if (blockBytes === 0 || blockBytes > data.length - at) {
      throw broken(`a block has ${blockBytes} bytes`, `1 to ${data.length - at}`);
    }
    to = decodeBlock(data, at, at + blockBytes, output, to);
    at += blockBytes;
  }
  if (to !== output.length) throw broken(`it has ${to} bytes of pixels`, `${output.length}`);
}

/**
 * Decodes one block behind what was decoded before it.
 *
 * @returns Where its output ends.
 * @throws {ImageError} where it reads beyond its end, writes beyond the output's, or refers to bytes
 *   before the first.
 */
function decodeBlock(
  input: Uint8Array,
  start: number,
  end: number,
  output: Uint8Array,
  outputStart: number,
): number {
  let at = start, to = outputStart;
  const readLength = (coded: number): number => {
    let length = coded;
    if (coded === 15) {
      for (let more = 255; more === 255; length += more) {
        if (at >= end) throw truncated();
        more = input[at++]!;
      }
    }
    return length;
  };
  while (at < end) {
    const token = input[at++]!;
    const literals = readLength(token >> 4);
    if (literals > end - at) throw truncated();
    if (literals > output.length - to) throw overlong(literals, output.length - to);
    if (literals > SHORT) output.set(input.subarray(at, at + literals), to);
    else for (let i = 0; i < literals; i++) output[to + i] = input[at + i]!;
    at += literals;
    to += literals;
    // The last sequence of a block is literals alone.
    if (at === end) return to;

    if (end - at < 2) throw truncated();
    const distance = input[at]! | input[at + 1]! << 8;
    at += 2;
    const length = readLength(token & 15) + MIN_MATCH;
    if (distance === 0 || distance > to) {
      throw broken(`byte ${to} refers ${distance} back`, `1 to ${to}`);
    }
    if (length > output.length - to) throw overlong(length, output.length - to);
    repeat(output, to, distance, length);
    to += length;
  }
  throw truncated();
}

/** Copies bytes from `distance` before `to` on; what is written there may be part of it. */
function repeat(output: Uint8Array, to: number, distance: number, length: number): void {
  if (length <= SHORT) {
    for (let i = 0; i < length; i++) output[to + i] = output[to + i - distance]!;
    return;
  }
  // What is there is copied, and then that with its copy, and so on.
  output.copyWithin(to, to - distance, to - distance + Math.min(distance, length));
  for (let done = distance; done < length; done *= 2) {
    output.copyWithin(to + done, to, to + Math.min(done, length - done));
  }
}

function truncated(): ImageError {
  return broken("a block ends within a sequence", "literals at its end");
}

function overlong(length: number, left: number): ImageError {
  return broken(`a sequence makes ${length} bytes`, `at most the ${left} that are left`);
}
