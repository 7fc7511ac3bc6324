/** How much a display may hold; how large its messages may be follows from that. */

/** The most pixels of one side of a surface, and of an image. */
export const MAX_SURFACE_SIDE = 16384;
/** The most pixels of a surface, and of an image. */
export const MAX_SURFACE_PIXELS = 64 * 1024 * 1024;
/** Surfaces of one display that live at the same time. */
export const MAX_SURFACES = 1024;
