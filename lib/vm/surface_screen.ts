/** A display that is drawn in this thread. */
import { GuestDisplay } from "../display/guest_display.ts";
import type { ChannelStats, PacedLink } from "../spice/channel_link.ts";
import type { DisplayHandlers } from "../spice/display_channel.ts";
import {
  type Captured,
  type DisplayReport,
  firstPicture,
  FRAME_MS,
  guarded,
  NO_GL,
  type Screen,
  type ScreenOptions,
  type ScreenPicture,
} from "./screen.ts";

/** One display; its link is the session's. */
export class SurfaceScreen implements Screen {
  readonly handlers: DisplayHandlers;
  changes = 0;
  ended: string | undefined;
  isFollowed = false;
  readonly #link: PacedLink;
  readonly #display: GuestDisplay;
  readonly #options: ScreenOptions;
  readonly #onFrame: () => void;
  #frames: number;
  #frameAt = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #first = Promise.withResolvers<void>();
  /** Counts of the channel, live for as long as it is. */
  #stats: Readonly<ChannelStats> | undefined;
  /** What came on the channels before this one. */
  readonly #base: Readonly<{ messages: number; bytes: number }>;

  /**
   * @param onFrame Called with changes, at a screen's pace, while it is followed.
   * @param before The screen whose place it takes: counts go on, for those who look on.
   */
  constructor(
    link: PacedLink,
    options: ScreenOptions,
    onFrame: () => void,
    before?: Screen,
  ) {
    const { frames = 0, surface = { messages: 0, bytes: 0 } } = before?.report() ?? {};
    this.#frames = frames;
    this.#base = surface;
    this.#link = link;
    this.#options = options;
    this.#onFrame = onFrame;
    const { decoders, onWarning } = options;
    this.#display = new GuestDisplay({
      onChange: ({ isReplaced }) => this.#guard(() => this.#changed(isReplaced)),
      ...(decoders === undefined ? {} : { decoders }),
      ...(onWarning === undefined ? {} : { onWarning }),
    });
    this.handlers = this.#display.handlers(link);
    void link.closed.then(({ text }) => this.ended = text);
  }

  get name(): string {
    return this.#link.name;
  }

  get id(): number {
    return this.#link.id;
  }

  get pixels(): ScreenPicture | undefined {
    return this.#display.primary;
  }

  #changed(isReplaced: boolean): void {
    this.changes++;
    if (isReplaced && this.#display.primary !== undefined) {
      this.#first.resolve();
      this.#options.onMode?.(this.report());
    }
    const now = performance.now();
    if (now - this.#frameAt >= FRAME_MS) {
      this.#frameAt = now;
      this.#frames++;
    }
    if (this.isFollowed) {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        this.#guard(this.#onFrame);
      }, FRAME_MS);
    }
  }

  #guard(call: () => void): void {
    guarded(this.#options, call);
  }

  pictured(signal?: AbortSignal): Promise<void> {
    return firstPicture(this.#first.promise, signal);
  }

  picture(): Promise<Captured> {
    const { pixels } = this;
    return Promise.resolve(
      pixels === undefined ? [undefined, `display ${this.id} is off`] : [pixels],
    );
  }

  release(): void {
    this.#link.resume();
  }

  async loadDecoders(): Promise<void> {
    const { loadDecoders } = await import("../display/load_decoders.ts");
    this.#display.decoders ??= await loadDecoders();
  }

  /** There is nothing to be done: the pixels are there. */
  watch(): void {}

  texture(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  report(stats?: Readonly<ChannelStats>): DisplayReport {
    this.#stats ??= stats;
    const { messages = 0, bytes = 0 } = this.#stats ?? {};
    const { primary } = this.#display;
    return {
      id: this.id,
      kind: "surface",
      width: primary?.width ?? 0,
      height: primary?.height ?? 0,
      frames: this.#frames,
      gl: NO_GL,
      surface: { messages: this.#base.messages + messages, bytes: this.#base.bytes + bytes },
    };
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
