/**
 * The guest's mouse pointer: where it is, what it looks like, and whether it is shown.
 *
 * Source: spice.proto, CursorChannel.
 */
import type { CursorHandlers } from "../spice/cursor_channel.ts";
import type { WireCursor } from "../spice/cursor_messages.ts";
import { arrowShape, type CursorShape, decodeShape, drawShape } from "./cursor_shape.ts";
import { ImageError } from "./errors.ts";
import type { Picture } from "./picture.ts";

/** Bits of a cursor's flags. Source: spice/enums.h, SPICE_CURSOR_FLAGS. */
const FLAGS = { none: 1, cacheMe: 2, fromCache: 4 } as const;

/** Shapes that are kept: as many as the server remembers, … */
const MAX_CACHED_SHAPES = 256;
/** … and pixels of them: 64 KiB for each on average, so that a hostile guest cannot fill memory. */
const MAX_CACHED_PIXELS = MAX_CACHED_SHAPES * 128 * 128;

/** Options of {@linkcode GuestCursor}. */
export interface GuestCursorOptions {
  /** Called after each message that changes what is shown. */
  onChange?: () => void;
  /** Takes what the user should know, once for each reason. */
  onWarning?: (text: string) => void;
}

/** Counts of a pointer. */
export interface CursorStats {
  /** Shapes that came with their pixels. */
  shapes: number;
  /** Shapes that were taken from the cache. */
  cacheHits: number;
  /** Shapes that could not be shown, and were replaced by an arrow. */
  refused: number;
}

/** A pointer as it can be drawn. */
export interface ShownCursor {
  /** Where it points, in pixels of the picture. */
  x: number;
  y: number;
  /** Whether it is to be seen. */
  isVisible: boolean;
  /** What it looks like; undefined where the guest has none. */
  shape: CursorShape | undefined;
}

/** The pointer of a guest, following the cursor channel. */
export class GuestCursor implements ShownCursor {
  readonly stats: CursorStats = { shapes: 0, cacheHits: 0, refused: 0 };
  readonly #options: GuestCursorOptions;
  readonly #warned = new Set<string>();
  /** By name, oldest first. */
  readonly #cache = new Map<bigint, CursorShape | undefined>();
  #cachedPixels = 0;
  #x = 0;
  #y = 0;
  #isVisible = false;
  #shape: CursorShape | undefined;
  #trail = { length: 0, frequencyMs: 0 };

  constructor(options: GuestCursorOptions = {}) {
    this.#options = options;
  }

  /**
   * Where the guest drew it last. Stale in client mouse mode, in which the client places the pointer
   * and the server tells no places.
   */
  get x(): number {
    return this.#x;
  }

  get y(): number {
    return this.#y;
  }

  get isVisible(): boolean {
    return this.#isVisible;
  }

  /** What it looks like; lent, not to be changed. */
  get shape(): CursorShape | undefined {
    return this.#shape;
  }

  /** How many pictures of a moving pointer the guest wants to be seen, and how far apart. */
  get trail(): Readonly<{ length: number; frequencyMs: number }> {
    return this.#trail;
  }

  /** Shapes that are kept for the server to refer to. */
  get cachedShapes(): number {
    return this.#cache.size;
  }

  /** The handlers of the channel's messages. */
  handlers(): CursorHandlers {
    const changing = <T>(change: (message: T) => void) => (message: T) => {
      change(message);
      this.#options.onChange?.();
    };
    return {
      init: changing(({ x, y, visible, cursor, trailLength, trailFrequency }) => {
        this.#trail = { length: trailLength, frequencyMs: trailFrequency };
        this.#set(x, y, visible !== 0, cursor);
      }),
      reset: changing(() => {
        this.#shape = undefined;
        this.#isVisible = false;
      }),
      set: changing(({ x, y, visible, cursor }) => this.#set(x, y, visible !== 0, cursor)),
      move: changing(({ x, y }) => {
        [this.#x, this.#y] = [x, y];
        this.#isVisible = true;
      }),
      hide: changing(() => this.#isVisible = false),
      trail: changing(({ length, frequency }) => {
        this.#trail = { length, frequencyMs: frequency };
      }),
      inval_one: ({ unique }) => this.#forget(unique),
      inval_all: () => {
        this.#cache.clear();
        this.#cachedPixels = 0;
      },
    };
  }

  #set(x: number, y: number, isVisible: boolean, cursor: WireCursor): void {
    [this.#x, this.#y] = [x, y];
    this.#isVisible = isVisible;
    this.#shape = this.#shapeOf(cursor);
  }

  #shapeOf({ flags, shape, data }: WireCursor): CursorShape | undefined {
    if (shape === undefined) return undefined;
    if ((flags & FLAGS.fromCache) !== 0) {
      if (!this.#cache.has(shape.unique)) return this.#refuse("the guest names an unknown shape");
      this.stats.cacheHits++;
      return this.#cache.get(shape.unique);
    }
    try {
      const decoded = decodeShape(shape, data);
      this.stats.shapes++;
      if ((flags & FLAGS.cacheMe) !== 0) this.#keep(shape.unique, decoded);
      return decoded;
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      return this.#refuse(error.message);
    }
  }

  /** Returns an arrow in place of a shape, and says why. */
  #refuse(reason: string): CursorShape {
    this.stats.refused++;
    // One warning for each kind of mistake, whatever its numbers are.
    const kind = reason.replaceAll(/\d+/g, "#");
    if (!this.#warned.has(kind)) {
      this.#warned.add(kind);
      this.#options.onWarning?.(`The pointer is shown as an arrow: ${reason}`);
    }
    return arrowShape();
  }

  #keep(unique: bigint, shape: CursorShape | undefined): void {
    this.#forget(unique);
    this.#cache.set(unique, shape);
    this.#cachedPixels += pixelsOf(shape);
    for (const oldest of this.#cache.keys()) {
      const fits = this.#cachedPixels <= MAX_CACHED_PIXELS;
      if (fits && this.#cache.size <= MAX_CACHED_SHAPES) break;
      this.#forget(oldest);
    }
  }

  #forget(unique: bigint): void {
    this.#cachedPixels -= pixelsOf(this.#cache.get(unique));
    this.#cache.delete(unique);
  }
}

function pixelsOf(shape: CursorShape | undefined): number {
  return shape?.picture.pixels.length ?? 0;
}

/**
 * Returns a copy of a picture with the pointer on it; the picture itself where there is none to see.
 *
 * @param at Where it points instead of where the guest drew it: in client mouse mode, where the
 *   client has placed it.
 */
export function drawCursor(
  picture: Picture,
  cursor: ShownCursor,
  at: { x: number; y: number } = cursor,
): Picture {
  if (!cursor.isVisible || cursor.shape === undefined) return picture;
  const copy = { ...picture, pixels: picture.pixels.slice() };
  drawShape(copy, cursor.shape, at.x, at.y);
  return copy;
}
