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

/** Images by their id. The server says what is kept and for how long; here are only the limits. */
export class ImageCache {
  readonly #images = new Map<bigint, CachedImage>();
  #bytes = 0;

  /** Keeps an image, in place of one with the same id; returns whether there was room for it. */
  put(id: bigint, image: CachedImage): boolean {
    this.delete(id);
    const bytes = bytesOf(image);
    if (this.#bytes + bytes > MAX_CACHE_BYTES || this.#images.size >= MAX_CACHED_IMAGES) {
      return false;
    }
    this.#images.set(id, image);
    this.#bytes += bytes;
    return true;
  }

  get(id: bigint): CachedImage | undefined {
    return this.#images.get(id);
  }

  delete(id: bigint): void {
    const image = this.#images.get(id);
    if (!image) return;
    this.#bytes -= bytesOf(image);
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
