/** What the stand-in of a display's thread does, by where a draw is; for tests and for the thread. */

/** Copying from here on hangs for as long as it says, in milliseconds: a driver that does not answer. */
export const HANGS_AT = 10_000;
/** Copying from here is a defect. */
export const THROWS_AT = 5_000;
/** Copying from here kills the thread. */
export const DIES_AT = 6_000;

/** Reading a buffer of this width back is a defect. */
export const READ_THROWS = 30_000;

/** All pixels of a buffer of this width. */
export const pixelOf = (width: number): number => (0xff000000 | width) >>> 0;
