/** What a server sends once and refers to later: images and palettes. */
import type { MaskRows } from "./mask.ts";
import type { SourcePixels } from "./source_pixels.ts";

/** Bytes of the images that are kept. */
export const MAX_CACHE_BYTES = 128 * 1024 * 1024;
/** Images that are kept. */
const MAX_CACHED_IMAGES = 65536;
/** Palettes that are kept. A server keeps count of 128, and takes old ones back behind new ones. */
export const MAX_CACHED_PALETTES = 512;

/** An image that is kept: pixels to draw, or a mask. */
export type CachedImage =
  | { kind: "pixels"; pixels: SourcePixels; isLossy: boolean }
  | { kind: "mask"; rows: MaskRows };

function bytesOf(image: CachedImage): number {
  return image.kind === "pixels" ? image.pixels.pixels.byteLength : image.rows.data.byteLength;
}

/**
 * Images by their id. The server says what is kept and for how long; here are only the limits.
 *
 * Displays may share it: the server drops an image by a word on one channel and may bring it anew
 * on another, whose messages can be here first. So each deletion takes back one put.
 */
export class ImageCache {
  readonly #images = new Map<bigint, { image: CachedImage; times: number }>();
  #bytes = 0;

  /**
   * Keeps an image, in place of one with the same id; returns whether there was room for it.
   *
   * @param isReplacement It takes the place of one that the server keeps already.
   */
  put(id: bigint, image: CachedImage, isReplacement = false): boolean {
    const times = this.#images.get(id)?.times ?? 0;
    this.#remove(id);
    const bytes = bytesOf(image);
    if (this.#bytes + bytes > MAX_CACHE_BYTES || this.#images.size >= MAX_CACHED_IMAGES) {
      return false;
    }
    this.#images.set(id, { image, times: isReplacement ? Math.max(times, 1) : times + 1 });
    this.#bytes += bytes;
    return true;
  }

  get(id: bigint): CachedImage | undefined {
    return this.#images.get(id)?.image;
  }

  /** Takes one put back. */
  delete(id: bigint): void {
    const kept = this.#images.get(id);
    if (kept && --kept.times <= 0) this.#remove(id);
  }

  #remove(id: bigint): void {
    const kept = this.#images.get(id);
    if (!kept) return;
    this.#bytes -= bytesOf(kept.image);
    this.#images.delete(id);
  }

  clear(): void {
    this.#images.clear();
    this.#bytes = 0;
  }
}

/** A palette that is kept. */
interface CachedPalette {
  entries: Uint32Array;
  /** How many times it has been put, less how many times it has been deleted. */
  times: number;
}

/**
 * Palettes by their id, entries as they came.
 *
 * The server tells that it has dropped a palette behind the message whose other palette needed the
 * room. Where that message goes on to bring the dropped one anew (source and brush have one each),
 * the word of the dropping comes after it, and is not about the new one: so each deletes one put.
 * Source: spice-server, cache-item.tmpl.cpp, remove.
 */
export class PaletteCache {
  readonly #palettes = new Map<bigint, CachedPalette>();

  /** Keeps a palette; returns whether there was room for it. */
  put(id: bigint, entries: Uint32Array): boolean {
    const kept = this.#palettes.get(id);
    if (!kept && this.#palettes.size >= MAX_CACHED_PALETTES) return false;
    this.#palettes.set(id, { entries: entries.slice(), times: (kept?.times ?? 0) + 1 });
    return true;
  }

  get(id: bigint): Uint32Array | undefined {
    return this.#palettes.get(id)?.entries;
  }

  /** Takes back one put. */
  delete(id: bigint): void {
    const kept = this.#palettes.get(id);
    if (kept && --kept.times === 0) this.#palettes.delete(id);
  }

  clear(): void {
    this.#palettes.clear();
  }
}
