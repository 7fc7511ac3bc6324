/** How large a message of a display may be: as the surfaces that the guest draws on. */
import { MAX_SURFACE_PIXELS, MAX_SURFACES } from "../base/surface_limits.ts";
import type { DisplayHandlers } from "./display_channel.ts";

/**
 * What a message may always have: pictures are drawn that are larger than the surface they go to, a
 * wallpaper of 2048 × 2048 pixels for example.
 */
const MIN_BYTES = 16 * 1024 * 1024;
/** What is beside the pixels: the box, clip rectangles, a palette. */
const HEAD_BYTES = 64 * 1024;
const PIXEL_BYTES = 4;

/** Follows which surfaces there are. */
export class DisplayLimit {
  readonly #pixels = new Map<number, number>();
  #largest = 0;

  /** The most bytes of the next message. */
  get maxBytes(): number {
    return Math.max(MIN_BYTES, PIXEL_BYTES * this.#largest + HEAD_BYTES);
  }

  /** What has to see the display's messages. */
  readonly handlers: DisplayHandlers = {
    surface_create: ({ surfaceId, width, height }) => {
      this.#pixels.delete(surfaceId); // a new one takes the place
      const pixels = width * height; // exact in a double for any two u32 that matter
      if (pixels <= MAX_SURFACE_PIXELS && this.#pixels.size < MAX_SURFACES) {
        this.#pixels.set(surfaceId, pixels);
      }
      this.#update();
    },
    surface_destroy: ({ surfaceId }) => {
      if (this.#pixels.delete(surfaceId)) this.#update();
    },
  };

  #update(): void {
    this.#largest = 0;
    for (const pixels of this.#pixels.values()) this.#largest = Math.max(this.#largest, pixels);
  }
}
