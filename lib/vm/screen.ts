/** One display of a guest: its picture, and how often that has changed. */
import { withDeadline } from "../base/deadline.ts";
import type { ImageDecoders } from "../display/decoders.ts";
import { GuestDisplay } from "../display/guest_display.ts";
import type { ChannelStats, PacedLink } from "../spice/channel_link.ts";
import type { DisplayHandlers } from "../spice/display_channel.ts";

/** How often a follower hears of a display that changes, in milliseconds: a screen's own pace. */
const FRAME_MS = 16;

/** One display as it is now. Source: the contract in README.md, "view". */
export interface DisplayReport {
  /** Which display; they count from 0. */
  id: number;
  kind: "surface" | "gl";
  /** Pixels; 0 while nothing is shown. */
  width: number;
  height: number;
  /** How often the picture has changed; changes within 16 ms are one. */
  frames: number;
  /** GL scanouts: there are none yet. */
  gl: {
    scanouts: number;
    draws: number;
    acks: number;
    ackMicros: { p50: number; p99: number };
    cpuBytes: number;
  };
  /** All that came on the display's channel. */
  surface: { messages: number; bytes: number };
}

/** Options of {@linkcode Screen}. */
export interface ScreenOptions {
  /** Decodes compressed images from the first message on. */
  decoders?: ImageDecoders;
  /** Called with each picture of another size or kind: a mode set. */
  onMode?: (display: DisplayReport) => void;
  /** Takes what cannot be drawn, one text for each kind of it. */
  onWarning?: (text: string) => void;
  /** Takes what a callback has thrown, which is a defect of ours and must not end the VM. */
  onDefect?: (error: unknown) => void;
}

/** One display; its link is the session's. */
export class Screen implements Disposable {
  readonly link: PacedLink;
  readonly display: GuestDisplay;
  readonly handlers: DisplayHandlers;
  /** Turns of the event loop in which the picture has changed. */
  changes = 0;
  /** Why its channel has ended; its picture may be old from then on. */
  ended: string | undefined;
  /** Whether somebody wants to know of frames as they come. */
  isFollowed = false;
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
  constructor(link: PacedLink, options: ScreenOptions, onFrame: () => void, before?: Screen) {
    const { frames = 0, surface = { messages: 0, bytes: 0 } } = before?.report() ?? {};
    this.#frames = frames;
    this.#base = surface;
    this.link = link;
    this.#options = options;
    this.#onFrame = onFrame;
    const { decoders, onWarning } = options;
    this.display = new GuestDisplay({
      onChange: ({ isReplaced }) => this.#guard(() => this.#changed(isReplaced)),
      ...(decoders === undefined ? {} : { decoders }),
      ...(onWarning === undefined ? {} : { onWarning }),
    });
    this.handlers = this.display.handlers(link);
    void link.closed.then(({ text }) => this.ended = text);
  }

  #changed(isReplaced: boolean): void {
    this.changes++;
    if (isReplaced && this.display.primary !== undefined) {
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

  /** Calls what is not ours; nobody could catch what it throws. */
  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#options.onDefect?.(error);
    }
  }

  /** Resolves once there is a picture. @throws the signal's reason when it is aborted. */
  async pictured(signal?: AbortSignal): Promise<void> {
    await withDeadline(
      "a picture",
      () => this.#first.promise,
      signal === undefined ? {} : { signal },
    );
  }

  /** How it is now. @param stats Live counts of its channel; those known before when left out. */
  report(stats?: Readonly<ChannelStats>): DisplayReport {
    this.#stats ??= stats;
    const { messages = 0, bytes = 0 } = this.#stats ?? {};
    const { primary } = this.display;
    return {
      id: this.link.id,
      kind: "surface",
      width: primary?.width ?? 0,
      height: primary?.height ?? 0,
      frames: this.#frames,
      gl: { scanouts: 0, draws: 0, acks: 0, ackMicros: { p50: 0, p99: 0 }, cpuBytes: 0 },
      surface: { messages: this.#base.messages + messages, bytes: this.#base.bytes + bytes },
    };
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
