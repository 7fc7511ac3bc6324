/**
 * Encoders for what `lz.ts`, `glz.ts` and `lz4.ts` decode: they take any of the valid choices at
 * random, so that every form of every operation comes up, and make no effort to be small.
 */

/** A generator of numbers in [0, 1) that repeats itself for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = state + 0x6d2b79f5 | 0;
    let t = Math.imul(state ^ state >>> 15, state | 1);
    t ^= t + Math.imul(t ^ t >>> 7, t | 61);
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  };
}

/** Values that repeat often enough for matches of all lengths: runs, copies of what came, noise. */
export function repetitive(length: number, values: number, random: () => number): number[] {
  const out: number[] = [];
  while (out.length < length) {
    const count = Math.ceil(random() ** 3 * Math.min(600, length));
    const choice = random();
    if (choice < 0.3) {
      const value = Math.floor(random() * values);
      for (let i = 0; i < count; i++) out.push(value);
    } else if (choice < 0.7 && out.length > 0) {
      const from = Math.floor(random() * out.length);
      for (let i = 0; i < count; i++) out.push(out[from + i]!);
    } else for (let i = 0; i < count / 8; i++) out.push(Math.floor(random() * values));
  }
  return out.slice(0, length);
}

/** How one pass of LZ or GLZ codes its values. */
export interface LzPass {
  literal: (value: number) => number[];
  extraLength: number;
}

/** The passes by name; values are 0xAARRGGBB, x1r5g5b5, or bytes. */
export const PASSES = {
  rgb: { literal: (v) => [v & 255, v >> 8 & 255, v >> 16 & 255], extraLength: 0 },
  rgb16: { literal: (v) => [v >> 8, v & 255], extraLength: 1 },
  alpha: { literal: (v) => [v >>> 24], extraLength: 2 },
  bytes: { literal: (v) => [v], extraLength: 2 },
} as const satisfies Record<string, LzPass>;

/** An earlier image of a GLZ window. */
export interface GlzImage {
  id: number;
  values: ArrayLike<number>;
}

const be32 = (value: number): number[] => [24, 16, 8, 0].map((shift) => value >>> shift & 255);

function lengthBytes(coded: number): number[] {
  if (coded < 7) return [];
  return [...Array(Math.floor((coded - 7) / 255)).fill(255), (coded - 7) % 255];
}

/** Encodes values as one LZ or GLZ stream. `same` compares what this pass codes of them. */
function encodeStream(
  values: ArrayLike<number>,
  pass: LzPass,
  random: () => number,
  match: (distance: number, length: number, image: number) => number[],
  earlier: readonly { distance: number; values: ArrayLike<number> }[],
): number[] {
  const key = (value: number) => pass.literal(value).join();
  const keys = Array.from(values, key);
  const sources = [
    { distance: 0, keys },
    ...earlier.map((image) => ({
      distance: image.distance,
      keys: Array.from(image.values, key),
    })),
  ];
  const out: number[] = [];
  let pending: number[] = [];
  const flush = () => {
    if (pending.length) out.push(pending.length - 1, ...pending.flatMap(pass.literal));
    pending = [];
  };
  for (let at = 0; at < values.length;) {
    const source = sources[random() < 0.6 ? 0 : Math.floor(random() * sources.length)]!;
    const end = source.distance === 0 ? at : source.keys.length;
    const from = random() < 0.3 ? end - 1 : Math.floor(random() * end);
    let length = 0;
    if (end > 0) {
      while (at + length < keys.length && source.keys[from + length] === keys[at + length]) {
        length++;
      }
    }
    if (length > pass.extraLength) {
      flush();
      const take = random() < 0.8
        ? length
        : pass.extraLength + 1 + Math.floor(random() * (length - pass.extraLength));
      const place = source.distance === 0 ? at - from - 1 : from;
      out.push(...match(place, take - pass.extraLength, source.distance));
      at += take;
    } else {
      pending.push(values[at++]!);
      if (pending.length === 32 || random() < 0.05) flush();
    }
  }
  flush();
  return out;
}

/** One match of LZ; `distance` is coded, that is less by one, and so is `length` by its bias. */
export function lzMatch(distance: number, length: number): number[] {
  const near = Math.min(distance, 0x1fff);
  return [
    Math.min(length, 7) << 5 | near >> 8,
    ...lengthBytes(length),
    near & 255,
    ...(near === 0x1fff ? [distance - near >> 8, distance - near & 255] : []),
  ];
}

/** One match of GLZ, as coded; `image` is the distance of ids. */
export function glzMatch(offset: number, length: number, image: number): number[] {
  const head = Math.min(length, 7) << 5 | offset & 15;
  const lengths = lengthBytes(length), low = offset >> 4 & 255;
  const bytes = (value: number): number[] => value ? [value & 255, ...bytes(value >>> 8)] : [];
  if (offset < 4096) {
    const far = bytes(image >> 6);
    return [head, ...lengths, low, far.length << 6 | image & 63, ...far];
  }
  const far = bytes(image);
  const veryFar = offset >= 1 << 17;
  return [
    head | 16,
    ...lengths,
    low,
    far.length << 6 | (veryFar ? 32 : 0) | offset >> 12 & 31,
    ...far,
    ...(veryFar ? [offset >> 17] : []),
  ];
}

/** What an LZ image starts with. */
export function lzHeader(
  type: number,
  width: number,
  height: number,
  strideBytes: number,
  topDown: boolean,
): number[] {
  return [0x20205a4c, 0x10001, type, width, height, strideBytes, topDown ? 1 : 0].flatMap(be32);
}

/** Encodes one pass of an LZ image. */
export function lzStream(
  values: ArrayLike<number>,
  pass: LzPass,
  random: () => number,
): number[] {
  return encodeStream(values, pass, random, lzMatch, []);
}

/** What a GLZ image starts with. */
export function glzHeader(
  type: number,
  size: { width: number; height: number },
  topDown: boolean,
  id: number,
  headDistance: number,
): number[] {
  return [
    ...be32(0x20205a4c),
    ...be32(0x10001),
    type | (topDown ? 16 : 0),
    ...[size.width, size.height, size.width * 4, Math.floor(id / 2 ** 32), id, headDistance]
      .flatMap(be32),
  ];
}

/** Encodes one pass of a GLZ image that may refer to earlier ones. */
export function glzStream(
  values: ArrayLike<number>,
  pass: LzPass,
  id: number,
  earlier: readonly GlzImage[],
  random: () => number,
): number[] {
  const images = earlier.map((image) => ({ distance: id - image.id, values: image.values }));
  return encodeStream(values, pass, random, glzMatch, images);
}

/** Encodes bytes as LZ4 blocks that refer back across their borders, each after its length. */
export function lz4Blocks(bytes: ArrayLike<number>, random: () => number): number[] {
  const out: number[] = [];
  const tail = (n: number) =>
    n < 15 ? [] : [...Array(Math.floor((n - 15) / 255)).fill(255), (n - 15) % 255];
  for (let at = 0; at < bytes.length;) {
    const end = random() < 0.5
      ? bytes.length
      : Math.min(bytes.length, at + 1 + Math.floor(random() * 400));
    const block: number[] = [];
    let literals: number[] = [];
    const sequence = (length: number) =>
      block.push(
        Math.min(literals.length, 15) << 4 | length,
        ...tail(literals.length),
        ...literals,
      );
    while (at < end) {
      const from = random() < 0.3 ? at - 1 : Math.floor(random() * at);
      let length = 0;
      if (from >= 0 && from < at && at - from < 65536) {
        // A block ends with literals, one at least.
        while (at + length < end - 1 && bytes[from + length] === bytes[at + length]) length++;
      }
      if (length >= 4) {
        sequence(Math.min(length - 4, 15));
        block.push(at - from & 255, at - from >> 8, ...tail(length - 4));
        literals = [];
        at += length;
      } else literals.push(bytes[at++]!);
    }
    sequence(0);
    out.push(...be32(block.length), ...block);
  }
  return out;
}
