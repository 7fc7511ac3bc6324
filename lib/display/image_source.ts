/** Images of draws, wherever their pixels are: in the message, kept from before, or on a surface. */
import type { Bitmap, Image, IMAGE_FLAGS, Palette } from "../spice/image_layouts.ts";
import type { Rect } from "../spice/draw_layouts.ts";
import { bitmapFormat, bitmapPixels, checkBitmap, isIndexed, maskRows } from "./bitmaps.ts";
import type { ImageDecoders } from "./decoders.ts";
import { ImageError } from "./errors.ts";
import { type CachedImage, ImageCache, PaletteCache } from "./image_cache.ts";
import { MaskBits, type MaskRows } from "./mask.ts";
import { NotDrawnError } from "./not_drawn.ts";
import type { Picture } from "./picture.ts";
import { A1, ARGB, type PixelFormat, XRGB } from "./pixel_formats.ts";
import { intersection, isEmpty } from "./region.ts";
import { convert, copyPart, isCompatible, type SourcePixels, wholeOf } from "./source_pixels.ts";
import { isAllowedSize, type Surface } from "./surface.ts";

/** Bits of an image's flags. Source: spice/enums.h, SPICE_IMAGE_FLAGS. */
const IMAGE: typeof IMAGE_FLAGS = { cacheMe: 1, highBitsSet: 2, cacheReplaceMe: 4 };
/** Bit of the flags of an indexed image: keep the palette. Source: spice/enums.h. */
const PAL_CACHE_ME = 1;
/** Bit of a mask's flags: the pixels whose bits are 0 are drawn. */
const MASK_INVERS = 1;

/** The most pixels of a pattern, all of which are read even for a small draw. */
const MAX_PATTERN_PIXELS = 16 * 1024 * 1024;

/** Whether more comes of an image than what is drawn of it: it is kept, or later ones refer to it. */
function mustBeRead(image: Image): boolean {
  if ((image.flags & (IMAGE.cacheMe | IMAGE.cacheReplaceMe)) !== 0) return true;
  return image.kind === "glz_rgb" || image.kind === "zlib_glz_rgb";
}

/** How pixels are wanted. */
export interface Wanted {
  /** The format of the surface that is drawn on. */
  onto: PixelFormat;
  /** Which part of the image is needed; may reach beyond it. All when left out, as of a pattern. */
  part?: Rect;
  /** Keeps the image's own format: for blending, which needs the opacity. */
  isOriginal?: boolean;
  /** With `isOriginal`: takes the A byte of an xRGB surface for opacity. */
  hasSurfaceAlpha?: boolean;
}

/** Finds the pixels of images, and keeps what the server will refer to. */
export class ImageSource {
  /** Decoders of compressed images, once they are loaded. */
  decoders: ImageDecoders | undefined;
  readonly images: ImageCache;
  readonly palettes = new PaletteCache();
  readonly #surfaces: ReadonlyMap<number, Surface>;
  readonly #onFull: (reason: string) => void;
  /** Images of the message at hand that have been read to their end. */
  readonly #read = new Set<Image>();

  /**
   * @param surfaces Surfaces by their id.
   * @param onFull Is told that something could not be kept.
   * @param images What the server has told to keep, by this display or others of the session.
   */
  constructor(
    surfaces: ReadonlyMap<number, Surface>,
    onFull: (reason: string) => void,
    images = new ImageCache(),
  ) {
    this.images = images;
    this.#surfaces = surfaces;
    this.#onFull = onFull;
  }

  /** Forgets which images have been read: another message has come. */
  startMessage(): void {
    if (this.#read.size > 0) this.#read.clear();
  }

  /**
   * Keeps the palette of an image, if the server will refer to it. To be called once for each image
   * of a message, masks as well, whatever is drawn of it: it is how the server counts.
   */
  keepPalette(image: Image | undefined): void {
    if (image?.kind === "bitmap") this.#keepPalette(image.bitmap.palette, image.bitmap.flags);
    if (image?.kind === "lz_plt") this.#keepPalette(image.palette, image.paletteFlags);
  }

  #keepPalette(palette: Palette | undefined, flags: number): void {
    if (!palette || (flags & PAL_CACHE_ME) === 0) return;
    if (!this.palettes.put(palette.unique, palette.entries)) {
      this.#onFull("a palette that there is no room to keep");
    }
  }

  /**
   * Reads an image that is not drawn as far as later messages depend on it.
   *
   * @throws {ImageError}
   */
  touch(image: Image | undefined, onto: PixelFormat): void {
    if (!image || !mustBeRead(image) || this.#read.has(image)) return;
    this.pixels(image, { onto, part: { left: 0, top: 0, right: 0, bottom: 0 } });
  }

  /**
   * Returns the pixels of an image. They may be those of a surface or of the cache: they are not
   * to be changed, and are only valid until something is drawn.
   *
   * @throws {ImageError} if there are none.
   */
  pixels(image: Image | undefined, wanted: Wanted): SourcePixels {
    if (!image) throw new NotDrawnError("an image that is not in its message");
    const { onto, part, isOriginal = false } = wanted;
    const original = this.#original(image, wanted);
    if (!part && original.width * original.height > MAX_PATTERN_PIXELS) {
      throw new NotDrawnError("a pattern of a size beyond the limits");
    }
    if (isOriginal || isCompatible(original.format, onto)) return original;
    // Of a large picture that was kept, or a surface, a small draw converts a small part.
    return convert(part ? copyPart(original, common(original.part, part)) : original, onto);
  }

  #original(image: Image, wanted: Wanted): SourcePixels {
    const { onto } = wanted;
    if (image.kind === "surface") return this.#surface(image.surfaceId, wanted.hasSurfaceAlpha);
    if (image.kind === "from_cache" || image.kind === "from_cache_lossless") {
      const cached = this.images.get(image.id);
      if (cached?.kind !== "pixels") throw new NotDrawnError("an image that was not kept");
      if (cached.isLossy && image.kind === "from_cache_lossless") {
        throw new NotDrawnError("an image that was kept with losses");
      }
      return cached.pixels;
    }
    const isKept = (image.flags & (IMAGE.cacheMe | IMAGE.cacheReplaceMe)) !== 0;
    const isFirst = !this.#read.has(image);
    if (isFirst) this.#read.add(image);
    if (!isAllowedSize(image.width, image.height)) {
      throw new NotDrawnError("an image of a size beyond the limits");
    }
    const source = isKept
      ? this.#decode(image, { onto, isOriginal: true })
      : this.#decode(image, wanted);
    if ((image.flags & IMAGE.highBitsSet) !== 0 && source.format === XRGB) {
      source.pixels.forEach((pixel, i) => source.pixels[i] = pixel | 0xff000000);
    }
    if (isKept && isFirst) {
      const isLossy = image.kind === "jpeg" || image.kind === "jpeg_alpha";
      this.#keep(image, { kind: "pixels", pixels: source, isLossy });
    }
    return source;
  }

  #keep({ id, flags }: Image, image: CachedImage): void {
    const isReplacement = (flags & IMAGE.cacheReplaceMe) !== 0;
    if (!this.images.put(id, image, isReplacement)) {
      this.#onFull("an image that there is no room to keep");
    }
  }

  #surface(id: number, hasAlpha = false): SourcePixels {
    const surface = this.#surfaces.get(id);
    if (!surface) throw new NotDrawnError("an unknown surface as image");
    const { width, height, pixels } = surface;
    const format = hasAlpha && surface.format === XRGB ? ARGB : surface.format;
    return { width, height, part: wholeOf(surface), pixels, format };
  }

  /** Decodes an image that is in the message, at least the part of it that is wanted. */
  #decode(image: Image, wanted: Wanted): SourcePixels {
    switch (image.kind) {
      case "bitmap":
        return this.#bitmap(image, image.bitmap, wanted);
      case "lz_plt": {
        const colors = this.#palette(image, wanted.onto);
        return fromPicture(image, this.#decoder("lzPalette", "LZ")(image.data, image, colors));
      }
      case "lz_rgb":
        return fromPicture(image, this.#decoder("lzRgb", "LZ")(image.data, image));
      case "glz_rgb":
        return fromPicture(image, this.#decoder("glzRgb", "GLZ")(image.data, image));
      case "zlib_glz_rgb":
        return fromPicture(
          image,
          this.#decoder("zlibGlzRgb", "GLZ")(image.data, image, image.glzSize),
        );
      case "lz4":
        return fromPicture(image, this.#decoder("lz4", "LZ4")(image.data, image));
      case "quic":
        return fromPicture(image, this.#decoder("quic", "QUIC")(image.data, image));
      case "jpeg":
        return fromPicture(image, this.#decoder("jpeg", "JPEG")(image.data, image));
      case "jpeg_alpha": {
        const decode = this.#decoder("jpegAlpha", "JPEG");
        return fromPicture(image, decode(image.data, image, image.jpegSize, image.alphaFlags));
      }
      default:
        throw new NotDrawnError("an image of an unknown type");
    }
  }

  /** Returns a decoder that reports what it cannot decode as one reason. */
  #decoder<K extends keyof ImageDecoders>(
    name: K,
    format: string,
  ): (...args: Parameters<NonNullable<ImageDecoders[K]>>) => Picture {
    type Decode = (...args: unknown[]) => Picture;
    const decoders = this.decoders;
    const decode = decoders?.[name] as Decode | undefined;
    if (!decode) throw new NotDrawnError(`a ${format} image, for which there is no decoder`);
    return (...args) => {
      try {
        return decode.apply(decoders, args);
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
        throw new NotDrawnError(`a broken ${format} image`, { cause: error });
      }
    };
  }

  #bitmap(image: Image, bitmap: Bitmap, { onto, part, isOriginal = false }: Wanted): SourcePixels {
    checkBitmap(bitmap, image);
    const whole = wholeOf(bitmap);
    const needed = part ? common(whole, part) : whole;
    const colors = isIndexed(bitmap) ? this.#palette(bitmap, onto) : NO_COLORS;
    return {
      width: bitmap.width,
      height: bitmap.height,
      part: needed,
      pixels: bitmapPixels(bitmap, needed, colors),
      format: bitmapFormat(bitmap, onto, isOriginal),
    };
  }

  /** Returns the colours of an indexed image as pixels, 256 of them; black where it has none. */
  #palette(
    { palette, paletteId }: { palette: Palette | undefined; paletteId: bigint | undefined },
    onto: PixelFormat,
  ): Uint32Array {
    const entries = paletteId === undefined ? palette?.entries : this.palettes.get(paletteId);
    if (!entries) throw new NotDrawnError("an image with a palette that was not kept");
    if (!onto.takesPalettes) throw new NotDrawnError(`an indexed image on a ${onto.name} surface`);
    const colors = new Uint32Array(256);
    entries.subarray(0, 256).forEach((entry, i) => colors[i] = onto.fromNative(entry));
    return colors;
  }

  /**
   * Returns a mask.
   *
   * @throws {ImageError} unless it is a bitmap or a surface of one bit a pixel.
   */
  mask(image: Image, flags: number): MaskBits {
    return new MaskBits(this.#maskRows(image), (flags & MASK_INVERS) !== 0);
  }

  #maskRows(image: Image): MaskRows {
    if (image.kind === "surface") return surfaceMask(this.#surfaces.get(image.surfaceId));
    if (image.kind === "from_cache" || image.kind === "from_cache_lossless") {
      const cached = this.images.get(image.id);
      if (cached?.kind !== "mask") throw new NotDrawnError("a mask that was not kept");
      return cached.rows;
    }
    if (image.kind !== "bitmap") throw new NotDrawnError("a mask that is no bitmap");
    checkBitmap(image.bitmap, image);
    const rows = maskRows(image.bitmap);
    if ((image.flags & IMAGE.cacheMe) !== 0 && !this.#read.has(image)) {
      this.#read.add(image);
      this.#keep(image, { kind: "mask", rows: { ...rows, data: rows.data.slice() } });
    }
    return rows;
  }
}

const NO_COLORS = new Uint32Array();

/** Returns what two rectangles have in common; nothing at the origin if there is nothing. */
function common(a: Rect, b: Rect): Rect {
  const both = intersection(a, b);
  return isEmpty(both) ? { left: 0, top: 0, right: 0, bottom: 0 } : both;
}

function fromPicture(image: Image, { width, height, pixels, hasAlpha }: Picture): SourcePixels {
  if (width !== image.width || height !== image.height || pixels.length !== width * height) {
    throw new NotDrawnError("an image of another size than its descriptor says");
  }
  return { width, height, part: wholeOf(image), pixels, format: hasAlpha ? ARGB : XRGB };
}

/** Packs a surface of one bit a pixel. */
function surfaceMask(surface: Surface | undefined): MaskRows {
  if (!surface) throw new NotDrawnError("an unknown surface as mask");
  if (surface.format !== A1) throw new NotDrawnError("a mask of more than one bit a pixel");
  const { width, height, pixels } = surface;
  const strideBytes = Math.ceil(width / 8);
  const data = new Uint8Array(strideBytes * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (pixels[y * width + x] !== 0) data[y * strideBytes + (x >> 3)]! |= 1 << (x & 7);
    }
  }
  return { width, height, strideBytes, data, isTopDown: true, isMsbFirst: false };
}
