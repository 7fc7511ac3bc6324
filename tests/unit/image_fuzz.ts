/** Mutates encoded images and checks that a decoder yields a whole picture or an ImageError. */
import { assert, assertEquals, AssertionError } from "@std/assert";
import { ImageError } from "../../lib/display/errors.ts";
import type { Picture, PictureSize } from "../../lib/display/picture.ts";
import { randomFrom } from "./lz_encoder.ts";

/**
 * Runs `decode` on `rounds` mutations of `images`: bytes changed, removed, repeated, cut off.
 *
 * @returns How many of them were decoded all the same.
 */
export function fuzzDecoder(
  images: readonly Uint8Array[],
  size: PictureSize,
  rounds: number,
  decode: (data: Uint8Array) => Picture,
): number {
  const random = randomFrom(0x5eed);
  const below = (limit: number) => Math.floor(random() * limit);
  let decoded = 0;
  for (let round = 0; round < rounds; round++) {
    const original = images[round % images.length]!;
    let data = original.slice();
    for (let i = below(4); i >= 0; i--) {
      const at = random() < 0.2 ? below(Math.min(40, data.length)) : below(data.length);
      const change = below(4);
      if (change === 0) data[at] = below(256);
      else if (change === 1) data[at]! ^= 1 << below(8);
      else if (change === 2) data[at] = 255;
      else data.copyWithin(at, below(data.length));
    }
    if (random() < 0.2) data = data.subarray(0, below(data.length));
    try {
      const { width, height, pixels } = decode(data);
      assertEquals([width, height, pixels.length], [size.width, size.height, width * height]);
      decoded++;
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      assert(error instanceof ImageError, `${error} for ${data.toHex()}`);
    }
  }
  return decoded;
}
