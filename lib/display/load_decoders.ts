/** Loads the decoders of compressed images, which only servers that are not ours send. */
import type { ImageDecoders } from "./decoders.ts";

/**
 * Loads all decoders.
 *
 * @returns Decoders for all displays of one session: its GLZ images refer to one another across
 *   displays.
 */
export async function loadDecoders(): Promise<ImageDecoders> {
  const [{ decodeLzPalette, decodeLzRgb }, { GlzWindow }, { decodeLz4 }] = await Promise.all([
    import("./lz.ts"),
    import("./glz.ts"),
    import("./lz4.ts"),
  ]);
  const window = new GlzWindow();
  return {
    lzRgb: decodeLzRgb,
    lzPalette: decodeLzPalette,
    glzRgb: (data, size) => window.decode(data, size),
    zlibGlzRgb: (data, size, glzSize) => window.decodeZlib(data, glzSize, size),
    lz4: decodeLz4,
  };
}
