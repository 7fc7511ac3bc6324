/**
 * JPEG, as SPICE servers send it: images over slow networks, and the frames of video streams.
 *
 * `jpeg-js` does the decoding. It is meant for files of one's own: it takes several frames and any
 * number of scans, decodes what is missing as zeros, and counts on a header that is honest. So the
 * markers are read here first, and only what a server's libjpeg makes gets through to it: one
 * baseline frame of the expected size in one scan, and nothing behind it.
 */
import { decode } from "jpeg-js";
import { printable } from "../base/text.ts";
import { ImageError } from "./errors.ts";
import { STANDARD_HUFFMAN_TABLES } from "./jpeg_tables.ts";
import { decodeLzAlpha } from "./lz.ts";
import { countPixels, type Picture, type PictureSize } from "./picture.ts";

/** Codes of markers, which stand behind a byte of 0xff. Source: ITU-T T.81, table B.1. */
const MARKER = {
  baselineFrame: 0xc0,
  extendedFrame: 0xc1,
  huffmanTables: 0xc4,
  firstRestart: 0xd0,
  lastRestart: 0xd7,
  startOfImage: 0xd8,
  endOfImage: 0xd9,
  scan: 0xda,
  quantizationTables: 0xdb,
  restartInterval: 0xdd,
  firstApplication: 0xe0,
  lastApplication: 0xef,
  comment: 0xfe,
} as const;

/** Bit of an image's flags: its alpha is top-down. Source: spice/enums.h, SPICE_JPEG_ALPHA_FLAGS. */
const ALPHA_TOP_DOWN = 1;

/** Bytes of the marker that begins an image. */
const SOI_BYTES = 2;

/**
 * Bytes before the picture's data: tables and the like, some 600 from a server. Tables take memory
 * once decoded, so they must be few.
 */
const MAX_HEAD_BYTES = 16 * 1024;

/**
 * Bytes that the decoder may take for each pixel by its own count: three components of full size as
 * coefficients (4 bytes each) and as samples (1 byte), then as colours, twice.
 */
const WORKING_BYTES_PER_PIXEL = 24;

/**
 * The most pixels of a JPEG image: 5K. The decoder holds every block as an object of its own, so that
 * each pixel takes up to 35 bytes while it works: half a gigabyte then, and a second.
 */
const MAX_JPEG_PIXELS = 5120 * 2880;

/** Every block of 8 by 8 samples takes two bits at least: its mean, and that there is no more. */
const PIXELS_PER_BYTE = 4 * 64;

/** Bytes that the decoder may take besides: tables, and blocks that reach over the edges. */
const WORKING_BYTES = 4 * 1024 * 1024;

/**
 * Decodes a JPEG image.
 *
 * @param data The image as it came, borrowed; what follows its end is ignored.
 * @param size What is known of the image already, in pixels.
 * @throws {ImageError} unless the data is a sound image as servers make it, of that size.
 */
export function decodeJpeg(data: Uint8Array, size: PictureSize): Picture {
  const count = countPixels(size, "a JPEG image");
  if (count > MAX_JPEG_PIXELS) throw broken(`it has ${count} pixels`, `at most ${MAX_JPEG_PIXELS}`);
  if (count > data.length * PIXELS_PER_BYTE) {
    throw broken(`${data.length} bytes cannot hold ${count} pixels`, "more data");
  }
  const { end, hasHuffmanTables } = checkMarkers(data, size);
  const image = hasHuffmanTables
    ? data.subarray(0, end)
    : insert(data.subarray(0, end), SOI_BYTES, STANDARD_HUFFMAN_TABLES);
  let decoded;
  try {
    decoded = decode(image, {
      useTArray: true,
      formatAsRGBA: true,
      tolerantDecoding: false,
      maxResolutionInMP: count / 1e6,
      maxMemoryUsageInMB: (count * WORKING_BYTES_PER_PIXEL + WORKING_BYTES) / (1024 * 1024),
    }).data;
  } catch (error) {
    throw broken("the decoder says " + printable(String(error)), "valid data", { cause: error });
  }
  const pixels = new Uint32Array(decoded.buffer, decoded.byteOffset, count);
  for (let i = 0; i < count; i++) {
    const rgba = pixels[i]!; // 0xAABBGGRR
    pixels[i] = (rgba & 0xff) << 16 | rgba & 0xff00 | rgba >>> 16 & 0xff;
  }
  return { width: size.width, height: size.height, pixels, hasAlpha: false };
}

/**
 * Decodes an image whose colours are a JPEG and whose alpha is an LZ image behind it.
 *
 * @param data Both, borrowed.
 * @param jpegSize Bytes of the JPEG.
 * @param size What the image's descriptor says, in pixels.
 * @param flags 1: the alpha plane is top-down, which its own header says, too. The JPEG always is.
 * @throws {ImageError} when one of both cannot be decoded, or the flags contradict the header.
 */
export function decodeJpegAlpha(
  data: Uint8Array,
  jpegSize: number,
  size: PictureSize,
  flags: number,
): Picture {
  if (jpegSize > data.length) {
    throw broken(`${jpegSize} bytes of colours are announced`, `at most ${data.length}`);
  }
  const picture = decodeJpeg(data.subarray(0, jpegSize), size);
  decodeLzAlpha(data.subarray(jpegSize), picture, (flags & ALPHA_TOP_DOWN) !== 0);
  return picture;
}

/** Returns `data` with `more` in it, before the byte at `at`. */
function insert(data: Uint8Array, at: number, more: Uint8Array): Uint8Array {
  const all = new Uint8Array(data.length + more.length);
  all.set(data.subarray(0, at));
  all.set(more, at);
  all.set(data.subarray(at), at + more.length);
  return all;
}

function broken(is: string, expected: string, options?: ErrorOptions): ImageError {
  return new ImageError(`Cannot decode a JPEG image: ${is}, expected ${expected}`, options);
}

/**
 * Reads an image's markers.
 *
 * @returns Where the image ends, and whether it brings tables: a server leaves them out from the
 *   second frame of a video stream on, for its libjpeg has written them once.
 * @throws {ImageError} unless it is one baseline frame of `size` in one scan.
 */
function checkMarkers(
  data: Uint8Array,
  size: PictureSize,
): { end: number; hasHuffmanTables: boolean } {
  const u16 = (at: number) => data[at]! << 8 | data[at + 1]!;
  if (data.length < 4 || u16(0) !== (0xff00 | MARKER.startOfImage)) {
    throw broken("it does not begin as one", "an SOI marker");
  }
  let components = 0;
  let hasHuffmanTables = false;
  for (let at = SOI_BYTES; at <= MAX_HEAD_BYTES;) {
    // A segment: its marker, its length (which counts itself), what it holds.
    if (at + 4 > data.length) throw broken(`it ends after ${data.length} bytes`, "a scan");
    if (data[at] !== 0xff) throw broken(`byte ${at} is ${data[at]}`, "a marker");
    const marker = data[at + 1]!;
    if (marker === 0xff) { // a fill byte
      at++;
      continue;
    }
    const length = u16(at + 2);
    const end = at + 2 + length;
    if (length < 2 || end > data.length) {
      throw broken(`a segment has ${length} bytes`, `2 to ${data.length - at - 2}`);
    }
    const body = data.subarray(at + 4, end);
    if (marker === MARKER.baselineFrame || marker === MARKER.extendedFrame) {
      if (components > 0) throw broken("it has another frame", "one");
      components = checkFrame(body, size);
    } else if (marker === MARKER.scan) {
      if (components === 0) throw broken("a scan comes first", "a frame before it");
      if (body[0] !== components) {
        throw broken(`a scan has ${body[0]} components`, `all ${components}`);
      }
      return { end: findEnd(data, end), hasHuffmanTables };
    } else if (!isTableOrText(marker)) {
      throw broken(`it has a marker 0x${marker.toString(16)}`, "a baseline frame, tables, a scan");
    }
    if (marker === MARKER.huffmanTables) hasHuffmanTables = true;
    at = end;
  }
  throw broken("no scan begins", `one within ${MAX_HEAD_BYTES} bytes`);
}

function isTableOrText(marker: number): boolean {
  return marker === MARKER.huffmanTables || marker === MARKER.quantizationTables ||
    marker === MARKER.restartInterval || marker === MARKER.comment ||
    marker >= MARKER.firstApplication && marker <= MARKER.lastApplication;
}

/** Checks a frame header and returns how many components the frame has. @throws {ImageError} */
function checkFrame(body: Uint8Array, size: PictureSize): number {
  const [precision, , , , , components] = body;
  if (components === undefined || body.length !== 6 + 3 * components) {
    throw broken(`its frame header has ${body.length} bytes`, "6 and 3 for each component");
  }
  if (precision !== 8) throw broken(`its samples have ${precision} bits`, "8");
  const height = body[1]! << 8 | body[2]!;
  const width = body[3]! << 8 | body[4]!;
  if (width !== size.width || height !== size.height) {
    throw broken(`its size is ${width}×${height}`, `${size.width}×${size.height}`);
  }
  if (components !== 1 && components !== 3) {
    throw broken(`it has ${components} components`, "1 or 3");
  }
  for (let i = 0; i < components; i++) {
    const sampling = body[7 + 3 * i]!;
    const across = sampling >>> 4, down = sampling & 15;
    if (across < 1 || across > 4 || down < 1 || down > 4) {
      throw broken(`a component's sampling is ${across}×${down}`, "1 to 4 each way");
    }
  }
  return components;
}

/** Returns where the image ends whose scan's data begins at `start`. @throws {ImageError} */
function findEnd(data: Uint8Array, start: number): number {
  for (let at = data.indexOf(0xff, start); at >= 0; at = data.indexOf(0xff, at + 1)) {
    const marker = data[at + 1];
    if (marker === MARKER.endOfImage) return at + 2;
    const isData = marker === 0 || marker === 0xff ||
      marker !== undefined && marker >= MARKER.firstRestart && marker <= MARKER.lastRestart;
    if (marker !== undefined && !isData) {
      throw broken(`its scan is followed by a marker 0x${marker.toString(16)}`, "the end");
    }
  }
  throw broken(`it ends after ${data.length} bytes`, "an EOI marker");
}
