/** QUIC images against recorded ones, and against data that lies. */
import { assertEquals, assertGreater, assertLess, assertThrows } from "@std/assert";
import { ImageError } from "../../lib/display/errors.ts";
import { decodeQuic } from "../../lib/display/quic.ts";
import { QuicBits } from "../../lib/display/quic_bits.ts";
import { EIGHT_BITS, FIVE_BITS, LONGEST_CODEWORD } from "../../lib/display/quic_codes.ts";
import { fuzzDecoder } from "./image_fuzz.ts";

/** A recorded image and the digest of its pixels (u32, little-endian). */
interface Recorded {
  file: string;
  width: number;
  height: number;
  hasAlpha: boolean;
  sha256: string;
  source: string;
}

const DIR = new URL("../fixtures/spice/quic/", import.meta.url);
const IMAGES: Recorded[] = JSON.parse(Deno.readTextFileSync(new URL("images.json", DIR)));

function recorded(file: string): { data: Uint8Array; width: number; height: number } {
  const image = IMAGES.find((image) => image.file === file);
  if (image === undefined) throw new Error(`No fixture ${file}`);
  return { ...image, data: Deno.readFileSync(new URL(file, DIR)) };
}

async function digest(pixels: Uint32Array): Promise<string> {
  const bytes = new Uint8Array(pixels.buffer as ArrayBuffer, pixels.byteOffset, pixels.byteLength);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

for (const { file, width, height, hasAlpha, sha256 } of IMAGES) {
  Deno.test(`decodeQuic decodes ${file} to its pixels`, async () => {
    // At an odd address, as it may stand in a message.
    const message = new Uint8Array([0, ...Deno.readFileSync(new URL(file, DIR))]);
    const picture = decodeQuic(message.subarray(1), { width, height });
    assertEquals([picture.width, picture.height, picture.hasAlpha], [width, height, hasAlpha]);
    assertEquals(await digest(picture.pixels), sha256);
  });
}

Deno.test("decodeQuic refuses another size, type, version or magic number", () => {
  const { data, width, height } = recorded("blocks-rgb32-127x61.quic");
  for (const size of [{ width: width + 1, height }, { width, height: height - 1 }]) {
    assertThrows(() => decodeQuic(data, size), ImageError, "expected");
  }
  for (const [offset, what] of [[0, "magic"], [4, "version"], [8, "type"]] as const) {
    const changed = data.slice();
    changed[offset]! ^= 0x80;
    assertThrows(() => decodeQuic(changed, { width, height }), ImageError, `its ${what}`);
  }
  const header = (width: number, height: number) =>
    new Uint8Array(Uint32Array.of(0x43495551, 0, 4, width, height, 0, 0).buffer);
  for (const [width, height] of [[0, 1], [1, 0], [100_000, 100_000], [0xffffffff, 1]] as const) {
    assertThrows(() => decodeQuic(header(width, height), { width, height }), ImageError);
  }
});

Deno.test("decodeQuic refuses an image that ends early, wherever it ends", () => {
  const { data, width, height } = recorded("blocks-rgba-127x61.quic");
  // The encoder closes with a word and a bit of zeros, of which the last word may be spared.
  for (let end = 0; end < data.length - 8; end += 1 + end % 13) {
    assertThrows(() => decodeQuic(data.subarray(0, end), { width, height }), ImageError);
  }
});

Deno.test("decodeQuic refuses runs without an end", () => {
  const { data, width, height } = recorded("blocks-rgb32-127x61.quic");
  for (const fill of [0x00, 0xff]) {
    const changed = data.slice();
    changed.fill(fill, 20);
    const longer = new Uint8Array(1 << 20).fill(fill);
    longer.set(data.subarray(0, 400));
    for (const image of [changed, longer]) {
      try {
        decodeQuic(image, { width, height });
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
      }
    }
  }
});

Deno.test("decodeQuic ends in pixels or an ImageError whatever is changed in an image", () => {
  const size = { width: 17, height: 13 };
  const images = IMAGES.filter(({ width }) => width === size.width)
    .map(({ file }) => recorded(file).data);
  assertEquals(images.length, 10);
  const decoded = fuzzDecoder(images, size, 100_000, (data) => decodeQuic(data, size));
  assertGreater(decoded, 1000);
});

Deno.test("every code of a QUIC family is complete, and no codeword is too long", () => {
  for (const family of [EIGHT_BITS, FIVE_BITS]) {
    const { codes, largest, codewordBits, escapeBits } = family;
    for (let code = 0; code < codes; code++) {
      let space = 0;
      for (let error = 0; error <= largest; error++) {
        const bits = codewordBits[error * codes + code]!;
        assertLess(bits, LONGEST_CODEWORD + 1);
        space += 2 ** -bits;
      }
      // An escape may have room for a few errors that do not exist.
      assertLess(space, 1 + 1e-9);
      assertLess(1 - space, 2 ** -(escapeBits[code]! - codes) + 1e-9);
    }
  }
});

Deno.test("QuicBits reads words from their highest bit, and knows its end", () => {
  const bits = new QuicBits(Uint8Array.of(0x78, 0x56, 0x34, 0x12, 0x01, 0, 0, 0x80, 0xff));
  assertEquals(bits.window(), 0x12345678);
  bits.skip(4);
  assertEquals(bits.window(), 0x23456788);
  bits.skip(28);
  assertEquals(bits.word(), 0x80000001);
  bits.expectInside();
  bits.skip(1);
  assertThrows(() => bits.expectInside(), ImageError, "ends after 8 bytes");
});
