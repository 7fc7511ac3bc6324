/** A client of ours on a {@linkcode SpicePeer}: what it has drawn, beside what it should have. */
import { withDeadline } from "../../lib/base/deadline.ts";
import { GuestDisplay } from "../../lib/display/guest_display.ts";
import { loadDecoders } from "../../lib/display/load_decoders.ts";
import { DISPLAY_MESSAGES } from "../../lib/spice/display_messages.ts";
import { SpiceSession } from "../../lib/spice/session.ts";
import type { SpicePeer } from "./spice_peer.ts";

/** How the viewer attaches. */
export interface ViewerOptions {
  /** Lets the server compress, with all decoders loaded. */
  takesCompression?: boolean;
  /** Pixels that the server may refer to later; 0 when left out. */
  cachePixels?: number;
  /** Pixels of the GLZ window; 0 when left out. */
  glzPixels?: number;
  /** Is told each message of display 0 once it is drawn. */
  onMessage?: (name: string, display: GuestDisplay) => void;
}

/** The first pixel that differs. */
export interface Difference {
  /** Pixels that differ. */
  count: number;
  x: number;
  y: number;
  /** 0xAARRGGBB */
  actual: number;
  expected: number;
}

/** A session on a peer that draws what comes. */
export class SpiceViewer implements AsyncDisposable {
  /** The picture of each display. */
  readonly displays: GuestDisplay[] = [];
  /** Messages of the display channels by name. */
  readonly counts = new Map<string, number>();
  readonly #peer: SpicePeer;
  #session!: SpiceSession;
  #marks: number[] = [];
  #wake: () => void = () => {};
  #ended: string | undefined;

  private constructor(peer: SpicePeer) {
    this.#peer = peer;
  }

  static async connect(peer: SpicePeer, options: ViewerOptions = {}): Promise<SpiceViewer> {
    const { takesCompression = false, cachePixels = 0, glzPixels = 0 } = options;
    const viewer = new SpiceViewer(peer);
    const decoders = takesCompression ? await loadDecoders() : undefined;
    viewer.#session = await SpiceSession.connect(peer.target, {
      takesCompression,
      caches: { pixmapCacheSize: BigInt(cachePixels), glzWindowSize: glzPixels },
      onDisplay: ({ id }) => {
        const display = new GuestDisplay(decoders ? { decoders } : {});
        viewer.displays[id] = display;
        return viewer.#counting(id, display, options.onMessage);
      },
    });
    viewer.#session.closed.then(({ text }) => viewer.#end(text));
    return viewer;
  }

  #end(text: string): void {
    this.#ended = text;
    this.#wake();
  }

  /** The display's handlers, with each message counted and marks noticed. */
  #counting(
    id: number,
    display: GuestDisplay,
    onMessage: ViewerOptions["onMessage"],
  ): ReturnType<GuestDisplay["handlers"]> {
    const handlers = display.handlers() as Record<string, ((value: unknown) => void) | undefined>;
    const counting: Record<string, (value: unknown) => void> = {};
    for (const { name } of Object.values(DISPLAY_MESSAGES)) {
      counting[name] = (value) => {
        this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
        handlers[name]?.(value);
        if (id === 0) onMessage?.(name, display);
        if (name === "monitors_config") {
          this.#marks[id] = (value as { maxAllowed: number }).maxAllowed;
          this.#wake();
        }
      };
    }
    return counting;
  }

  /** Bytes received on display 0. */
  get bytes(): number {
    return this.#session.stats.get("display")?.bytes ?? 0;
  }

  /** Complete messages with a broken structure. */
  get malformed(): number {
    return this.#session.stats.get("display")?.malformed ?? 0;
  }

  /** Waits until all that the peer has drawn so far on its chosen display is drawn here. */
  async sync(display = 0): Promise<void> {
    const mark = await this.#peer.sync();
    await withDeadline("the end of the draws", async () => {
      while (this.#marks[display] !== mark) {
        if (this.#ended !== undefined) throw new Error(`The session has ended: ${this.#ended}`);
        const woken = Promise.withResolvers<void>();
        this.#wake = woken.resolve;
        await woken.promise;
      }
    }, { timeoutMs: 120_000 });
  }

  /** Compares a surface of display 0 with a picture of the same size; nothing if they are equal. */
  difference(expected: Uint32Array, surfaceId = 0): Difference | undefined {
    const surface = this.displays[0]?.surfaces.get(surfaceId);
    if (!surface) throw new Error(`Cannot compare surface ${surfaceId}: it was not created`);
    if (surface.pixels.length !== expected.length) {
      throw new Error(`Cannot compare surface ${surfaceId}: it is ${surface.pixels.length} pixels`);
    }
    const bits = surface.format.hasAlpha ? 0xffffffff : 0x00ffffff;
    let difference: Difference | undefined;
    for (let at = 0; at < expected.length; at++) {
      const actual = (surface.pixels[at]! & bits) >>> 0;
      const wanted = (expected[at]! & bits) >>> 0;
      if (actual === wanted) continue;
      difference ??= {
        count: 0,
        x: at % surface.width,
        y: Math.floor(at / surface.width),
        actual,
        expected: wanted,
      };
      difference.count++;
    }
    return difference;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}

/** A difference as a clause. */
export function differenceText({ count, x, y, actual, expected }: Difference): string {
  const hex = (word: number) => word.toString(16).padStart(8, "0");
  return `${count} pixels differ, first ${x},${y}: ${hex(actual)}, expected ${hex(expected)}`;
}
