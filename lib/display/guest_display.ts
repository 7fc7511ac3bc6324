/**
 * The picture of one display channel: the surfaces that the guest draws on, and which of them is
 * shown.
 *
 * What cannot be drawn is never drawn wrong in silence: it is left out, counted by its reason, and
 * told once.
 */
import { MAX_SURFACES } from "../base/surface_limits.ts";
import type { ChannelLink } from "../spice/channel_link.ts";
import type { Handlers } from "../spice/message_routes.ts";
import type { DISPLAY_MESSAGES } from "../spice/display_messages.ts";
import type { Brush, Clip, DrawBase, Mask, Rect } from "../spice/draw_layouts.ts";
import type { Image } from "../spice/image_layouts.ts";
import { Damage } from "./damage.ts";
import { drawComposite } from "./composite.ts";
import type { ImageDecoders } from "./decoders.ts";
import {
  drawAlphaBlend,
  drawCopy,
  drawFill,
  drawOpaque,
  drawPicture,
  drawRop3,
  drawTransparent,
  type Target,
} from "./drawing.ts";
import { ImageError } from "./errors.ts";
import { copyWithin, fill } from "./fills.ts";
import type { ImageCache } from "./image_cache.ts";
import { ImageSource } from "./image_source.ts";
import { NotDrawnError } from "./not_drawn.ts";
import { PIXEL_FORMATS, XRGB } from "./pixel_formats.ts";
import { INVERT, type RasterOp, rasterOp } from "./raster_ops.ts";
import { intersection, isEmpty, isRect, Region } from "./region.ts";
import { wholeOf } from "./source_pixels.ts";
import { drawStroke } from "./stroke.ts";
import { type AllocatePixels, isAllowedSize, MAX_SURFACE_BYTES, Surface } from "./surface.ts";
import { drawText } from "./text.ts";
import { VideoStreams } from "./video_stream.ts";

/** A screen of the guest: which part of which surface it shows. */
export interface DisplayHead {
  /** The guest's number of it. */
  id: number;
  /** The surface it shows. */
  surfaceId: number;
  /** The part of the surface, in pixels; as the guest said, so it may reach beyond the surface. */
  x: number;
  y: number;
  width: number;
  height: number;
}

/** What has changed since the last time. */
export interface DisplayChange {
  /** What is shown now; `undefined` if nothing is. */
  primary: Surface | undefined;
  /** Whether that is another surface than before. */
  isReplaced: boolean;
  /** Rectangles of it that hold all that has changed; they may overlap. */
  damage: readonly Rect[];
  /** Whether the heads have changed. */
  hasNewHeads: boolean;
}

/** Counts of one display. */
export interface DisplayStats {
  /** Messages that draw, drawn or not. */
  draws: number;
  /** Turns of the event loop in which what is shown has changed. */
  frames: number;
  /** Messages that were not drawn, by the reason. */
  ignored: Map<string, number>;
}

/** Options of {@linkcode GuestDisplay}. */
export interface GuestDisplayOptions {
  /** Where surfaces take their memory from; it must be zeroed. */
  allocate?: AllocatePixels;
  /**
   * Called at most once per turn of the event loop, after the messages of that turn. What it throws
   * ends the channel with its next message that changes something.
   */
  onChange?: (change: DisplayChange) => void;
  /** Is told, once per reason, what is not drawn; safe to show. */
  onWarning?: (text: string) => void;
  /** Decoders of compressed images; can also be set later. */
  decoders?: ImageDecoders;
  /**
   * Images that the server has told to keep. Displays of one session share it where the session
   * offers a cache: the server keeps one list for all of them. Its own when left out. An image that
   * is referred to before the other display's channel has brought it is not drawn, and told.
   */
  imageCache?: ImageCache;
}

/** Heads that are looked at; a guest has no more. */
const MAX_HEADS = 16;
/** Bit of a surface's flags: it is the one to show. */
const PRIMARY = 1;
const BLACK = 0;
const WHITE = 0xffffffff;
/** Replaces what is there. */
const PUT: RasterOp = rasterOp(8, "brush,dest");

/** Handlers of the display channel's messages. */
type DisplayHandlers = Handlers<typeof DISPLAY_MESSAGES>;

/** The picture of one display channel. */
export class GuestDisplay {
  readonly stats: DisplayStats = { draws: 0, frames: 0, ignored: new Map() };
  readonly #options: GuestDisplayOptions;
  readonly #surfaces = new Map<number, Surface>();
  readonly #images: ImageSource;
  readonly #damage = new Damage();
  #surfaceBytes = 0;
  /** The surface that the guest wants to be shown. */
  #current: Surface | undefined;
  #shown: Surface | undefined;
  #heads: readonly DisplayHead[] = [];
  #isReplaced = false;
  #hasNewHeads = false;
  #isNotifying = false;
  /** What `onChange` threw. */
  #failure: { error: unknown } | undefined;

  constructor(options: GuestDisplayOptions = {}) {
    this.#options = options;
    this.#images = new ImageSource(
      this.#surfaces,
      (reason) => this.#ignore(reason),
      options.imageCache,
    );
    this.#images.decoders = options.decoders;
  }

  /**
   * What is shown. After a mode set the old picture stays until the new one is marked as complete
   * or drawn on.
   */
  get primary(): Surface | undefined {
    return this.#shown;
  }

  /** The screens that the guest has said it has; empty while they are off. */
  get heads(): readonly DisplayHead[] {
    return this.#heads;
  }

  /** The surfaces that live, by their id. */
  get surfaces(): ReadonlyMap<number, Surface> {
    return this.#surfaces;
  }

  /** Decoders of compressed images. */
  get decoders(): ImageDecoders | undefined {
    return this.#images.decoders;
  }

  set decoders(decoders: ImageDecoders | undefined) {
    this.#images.decoders = decoders;
  }

  /** Returns the part of its surface that a head shows; `undefined` if there is none. */
  visibleArea({ surfaceId, x, y, width, height }: DisplayHead): Rect | undefined {
    const surface = this.#shown?.id === surfaceId ? this.#shown : this.#surfaces.get(surfaceId);
    if (!surface) return undefined;
    const area = { left: x, top: y, right: x + width, bottom: y + height };
    const visible = intersection(area, wholeOf(surface));
    return isEmpty(visible) ? undefined : visible;
  }

  /** Returns the handlers that draw what comes over a channel: `onDisplay` of a session. */
  handlers(_link?: ChannelLink): DisplayHandlers {
    const images = this.#images;
    const streams = new VideoStreams({
      decoders: () => this.decoders,
      paint: ({ surfaceId, box, clip, picture }) =>
        this.#draw({ surfaceId, box, clip }, {}, (target) => drawPicture(target, picture())),
      ignore: (reason) => this.#ignore(reason),
    });
    return {
      ...streams.handlers,
      mode: ({ width, height, bits }) => this.#setMode(width, height, bits),
      mark: () => this.#show(),
      reset: () => this.#reset(),
      surface_create: (message) => this.#createSurface(message),
      surface_destroy: ({ surfaceId }) => this.#destroySurface(surfaceId),
      monitors_config: ({ items }) => this.#setHeads(items),

      inval_list: ({ items }) => items.forEach(({ id }) => images.images.delete(id)),
      inval_all_pixmaps: () => images.images.clear(),
      inval_palette: ({ id }) => images.palettes.delete(id),
      inval_all_palettes: () => images.palettes.clear(),

      copy_bits: ({ base, srcPos }) =>
        this.#draw(base, {}, ({ surface, box, region }) => {
          expectPoint(srcPos.x, srcPos.y);
          copyWithin(surface, region, srcPos.x - box.left, srcPos.y - box.top);
        }),
      draw_fill: (draw) => this.#draw(draw.base, draw, (target) => drawFill(target, images, draw)),
      draw_opaque: (draw) =>
        this.#draw(draw.base, draw, (target) => drawOpaque(target, images, draw)),
      draw_copy: (draw) => this.#draw(draw.base, draw, (target) => drawCopy(target, images, draw)),
      draw_blend: (draw) => this.#draw(draw.base, draw, (target) => drawCopy(target, images, draw)),
      draw_blackness: ({ base, mask }) => this.#fill(base, mask, BLACK, PUT),
      draw_whiteness: ({ base, mask }) => this.#fill(base, mask, WHITE, PUT),
      draw_invers: ({ base, mask }) => this.#fill(base, mask, 0, INVERT),
      draw_rop3: (draw) => this.#draw(draw.base, draw, (target) => drawRop3(target, images, draw)),
      draw_transparent: (draw) =>
        this.#draw(draw.base, draw, (target) => drawTransparent(target, images, draw)),
      draw_alpha_blend: (draw) =>
        this.#draw(draw.base, draw, (target) => drawAlphaBlend(target, images, draw)),

      draw_stroke: (draw) =>
        this.#draw(draw.base, draw, (target) => drawStroke(target, images, draw)),
      draw_text: (draw) =>
        this.#draw(
          draw.base,
          { brush: draw.foreBrush, backBrush: draw.backBrush },
          (target) => drawText(target, images, draw),
        ),
      draw_composite: ({ base, composite }) =>
        this.#draw(
          base,
          { src: composite.src, compositeMask: composite.mask },
          (target) => drawComposite(target, images, composite),
        ),
    };
  }

  /** Counts a message that is not drawn, and tells of the first one with its reason. */
  #ignore(reason: string): void {
    const { ignored } = this.stats;
    const count = ignored.get(reason) ?? 0;
    ignored.set(reason, count + 1);
    if (count > 0) return;
    this.#options.onWarning?.(`The picture may differ from the guest's: ${reason} is left out`);
  }

  /** MODE: the screen of a server that has no surfaces. */
  #setMode(width: number, height: number, bits: number): void {
    const format = bits === 32 ? 32 : 16; // numbers of xRGB and x1r5g5b5
    this.#createSurface({ surfaceId: 0, width, height, format, flags: PRIMARY });
  }

  #createSurface(
    { surfaceId, width, height, format, flags }: {
      surfaceId: number;
      width: number;
      height: number;
      format: number;
      flags: number;
    },
  ): void {
    this.#destroySurface(surfaceId);
    const pixelFormat = PIXEL_FORMATS.get(format);
    if (!pixelFormat) return this.#ignore("a surface of an unknown format");
    if (!isAllowedSize(width, height)) return this.#ignore("a surface of a size beyond the limits");
    const bytes = width * height * 4;
    const total = this.#surfaceBytes + bytes;
    if (this.#surfaces.size >= MAX_SURFACES || total > MAX_SURFACE_BYTES) {
      return this.#ignore("a surface that there is no room for");
    }
    // The picture of a surface that is no more must not take room from those that are.
    if (total + this.#staleBytes() > MAX_SURFACE_BYTES) this.#hide();
    try {
      const surface = new Surface(surfaceId, width, height, pixelFormat, this.#options.allocate);
      this.#surfaces.set(surfaceId, surface);
      this.#surfaceBytes += bytes;
      if ((flags & PRIMARY) !== 0) this.#current = surface;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error; // what an ArrayBuffer throws for want of memory
      this.#ignore("a surface that there is no memory for");
    }
  }

  #destroySurface(id: number): void {
    const surface = this.#surfaces.get(id);
    if (!surface) return; // of a size that was refused, for one
    this.#surfaces.delete(id);
    this.#surfaceBytes -= surface.bytes.length;
    if (this.#current === surface) this.#current = undefined; // what is shown stays for now
  }

  /** Returns the bytes of what is shown of a surface that is no more. */
  #staleBytes(): number {
    const shown = this.#shown;
    return shown && this.#surfaces.get(shown.id) !== shown ? shown.bytes.length : 0;
  }

  /** Shows the surface that the guest wants to be shown. */
  #show(): void {
    if (this.#current === undefined || this.#current === this.#shown) return;
    this.#shown = this.#current;
    this.#damage.take();
    this.#isReplaced = true;
    this.#damage.add(wholeOf(this.#shown));
    this.#notify();
  }

  /** RESET: clears the screen, and shows nothing until it is marked or drawn on. */
  #reset(): void {
    this.#images.palettes.clear();
    this.#current?.pixels.fill(0);
    this.#hide();
  }

  /** Shows nothing. */
  #hide(): void {
    if (!this.#shown) return;
    this.#shown = undefined;
    this.#damage.take();
    this.#isReplaced = true;
    this.#notify();
  }

  #setHeads(
    items: readonly {
      monitorId: number;
      surfaceId: number;
      x: number;
      y: number;
      width: number;
      height: number;
    }[],
  ): void {
    if (items.length > MAX_HEADS) this.#ignore("a screen that there is no room for");
    const heads = items.slice(0, MAX_HEADS).map((
      { monitorId: id, surfaceId, x, y, width, height },
    ) => ({ id, surfaceId, x, y, width, height }));
    if (JSON.stringify(heads) === JSON.stringify(this.#heads)) return;
    this.#heads = heads;
    this.#hasNewHeads = true;
    this.#notify();
  }

  /** Fills a box with one pixel. */
  #fill(base: DrawBase, mask: Mask, value: number, op: RasterOp): void {
    this.#draw(base, { mask }, ({ surface, region }) => {
      fill(surface, region, surface.format.fromNative(value), op);
    });
  }

  /** Draws, or counts why not. `paint` is called only if there is something to paint on. */
  #draw(base: DrawBase, parts: DrawParts, paint: (target: Target) => void): void {
    this.stats.draws++;
    this.#startMessage(parts);
    let target: Target | undefined;
    try {
      target = this.#target(base, parts.mask);
      if (target.region.isEmpty) return this.#touch(parts, base.surfaceId);
      paint(target);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      this.#ignore(error instanceof NotDrawnError ? error.reason : "an image that is broken");
      this.#touch(parts, base.surfaceId);
    }
    if (target) this.#changed(target); // also what was drawn in part
  }

  /** Keeps what later messages refer to, apart from images, which are yet to be read. */
  #startMessage({ src, brush, backBrush, compositeMask, mask }: DrawParts): void {
    const images = this.#images;
    images.startMessage();
    images.keepPalette(src);
    images.keepPalette(patternOf(brush));
    images.keepPalette(patternOf(backBrush));
    images.keepPalette(compositeMask);
    images.keepPalette(mask?.image);
  }

  /** Reads images that are not drawn as far as later ones depend on them. */
  #touch({ src, brush, backBrush, compositeMask }: DrawParts, surfaceId: number): void {
    const onto = this.#surfaces.get(surfaceId)?.format ?? XRGB;
    for (const image of [src, patternOf(brush), patternOf(backBrush), compositeMask]) {
      try {
        this.#images.touch(image, onto);
      } catch (error) {
        if (!(error instanceof NotDrawnError)) throw error;
        this.#ignore(error.reason);
      }
    }
  }

  /** Returns what a draw may change. @throws {ImageError} if it makes no sense */
  #target({ surfaceId, box, clip }: DrawBase, mask: Mask | undefined): Target {
    const surface = this.#surfaces.get(surfaceId);
    if (!surface) throw new NotDrawnError("a draw on an unknown surface");
    if (!isRect(box) || !areRects(clip)) throw new NotDrawnError("a rectangle of impossible size");
    const inside = intersection(box, wholeOf(surface));
    if (mask?.image === undefined) return { surface, box, region: new Region(inside, clip) };
    const { pos, image, flags } = mask;
    expectPoint(pos.x, pos.y);
    const bits = this.#images.mask(image, flags); // may have to be kept, whatever is drawn
    const region = new Region(inside, clip, bits, pos.x - box.left, pos.y - box.top);
    return { surface, box, region };
  }

  /** Notes that a draw has changed a surface. */
  #changed({ surface, region }: Target): void {
    if (surface === this.#current && surface !== this.#shown) this.#show();
    if (surface !== this.#shown || region.isEmpty) return;
    this.#damage.add(region.bounds);
    this.#notify();
  }

  /** Tells of changes once the messages of this turn are done. */
  #notify(): void {
    if (this.#failure) throw this.#failure.error;
    if (this.#isNotifying) return;
    this.#isNotifying = true;
    queueMicrotask(() => {
      this.#isNotifying = false;
      const change: DisplayChange = {
        primary: this.#shown,
        isReplaced: this.#isReplaced,
        damage: this.#damage.take(),
        hasNewHeads: this.#hasNewHeads,
      };
      this.#isReplaced = false;
      this.#hasNewHeads = false;
      if (change.isReplaced || change.damage.length > 0) this.stats.frames++;
      try {
        this.#options.onChange?.(change);
      } catch (error) {
        this.#failure = { error }; // nobody would catch it here
      }
    });
  }
}

/** Parts of draws that refer to images. */
interface DrawParts {
  src?: Image | undefined;
  brush?: Brush;
  backBrush?: Brush;
  compositeMask?: Image | undefined;
  mask?: Mask;
}

function patternOf(brush: Brush | undefined): Image | undefined {
  return brush?.kind === "pattern" ? brush.image : undefined;
}

function areRects(clip: Clip): boolean {
  return clip === undefined || clip.every(isRect);
}

/** Checks that a place is believable. */
function expectPoint(x: number, y: number): void {
  if (!isRect({ left: x, top: y, right: x, bottom: y })) {
    throw new NotDrawnError("a place of impossible distance");
  }
}
