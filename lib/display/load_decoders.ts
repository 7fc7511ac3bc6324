/** Loads the decoders of compressed images: see `decoders.ts` for when. */
import type { ImageDecoders } from "./decoders.ts";

/**
 * Loads all decoders.
 *
 * @returns Decoders for all displays of one session: its GLZ images refer to one another across
 *   displays.
 */
export async function loadDecoders(): Promise<ImageDecoders> {
  const [lz, { GlzWindow }, { decodeLz4 }, { decodeQuic }, jpeg] = await Promise.all([
    import("./lz.ts"),
    import("./glz.ts"),
    import("./lz4.ts"),
    import("./quic.ts"),
    import("./jpeg.ts"),
  ]);
  const window = new GlzWindow();
  return {
    lzRgb: lz.decodeLzRgb,
    lzPalette: lz.decodeLzPalette,
    glzRgb: (data, size) => window.decode(data, size),
    zlibGlzRgb: (data, size, glzSize) => window.decodeZlib(data, glzSize, size),
    lz4: decodeLz4,
    quic: decodeQuic,
    jpeg: jpeg.decodeJpeg,
    jpegAlpha: (data, size, jpegSize, flags) => jpeg.decodeJpegAlpha(data, jpegSize, size, flags),
  };
}
