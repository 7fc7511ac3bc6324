/** A display that is drawn in a thread of its own: pixels in shared memory, or buffers of the GPU. */
import { withDeadline } from "../base/deadline.ts";
import { DeadlineError, UtmostError } from "../base/errors.ts";
import type { DisplayThread, LentTexture } from "./display_thread.ts";
import type { CapturedPicture, ShownPicture } from "./display_protocol.ts";
import {
  type Captured,
  type DisplayReport,
  firstPicture,
  FRAME_MS,
  guarded,
  type Screen,
  type ScreenOptions,
  type ScreenPicture,
} from "./screen.ts";
import type { ThreadChannel } from "./thread_channel.ts";

/** How long the thread may take to read a picture back, in milliseconds: it may be in a driver. */
const READ_MS = 2_000;

/** One display in a thread; the thread is its owner's. */
export class ThreadScreen implements Screen {
  readonly name: string;
  readonly id: number;
  ended: string | undefined;
  readonly #thread: DisplayThread;
  readonly #options: ScreenOptions;
  readonly #onFrame: () => void;
  #first = Promise.withResolvers<void>();
  /** What was counted before this thread's first channel, and before its present one. */
  #base: { frames: number; messages: number; bytes: number };
  #channel: ThreadChannel | undefined;
  #isFollowed = false;
  #isArmed = false;
  /** Whether our texture is lent as plain memory, which is brought up to date for it. */
  #lendsMemory = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param onFrame Called with changes, at a screen's pace, while it is followed.
   * @param before The screen whose place it takes: counts go on, for those who look on.
   */
  constructor(
    { name, id }: { name: string; id: number },
    thread: DisplayThread,
    options: ScreenOptions,
    onFrame: () => void,
    before?: Screen,
  ) {
    this.name = name;
    this.id = id;
    this.#thread = thread;
    this.#options = options;
    this.#onFrame = onFrame;
    const { frames = 0, surface = { messages: 0, bytes: 0 } } = before?.report() ?? {};
    this.#base = { frames, ...surface };
    const warn = (text: string) => options.onWarning?.(text);
    thread.events = {
      onShown: (picture) => this.#guard(() => this.#shown(picture)),
      onChanged: () => this.#changed(),
      onWarning: (text) => this.#guard(() => warn(text)),
      onGuard: (text) =>
        this.#guard(() => {
          options.onGuard?.(text);
          warn(text);
        }),
      onDefect: (error) => options.onDefect?.(error),
    };
  }

  /** Whether it is drawn in `thread`. */
  isIn(thread: DisplayThread): boolean {
    return this.#thread === thread;
  }

  /** Takes note of a channel that is linked, the first or a later one. */
  linked(channel: ThreadChannel): void {
    this.ended = undefined;
    this.#channel = channel;
    const before = this.#first;
    this.#first = Promise.withResolvers();
    before.resolve(this.#first.promise); // who waits since the channel before gets this one's
    if (this.#thread.shown.width > 0) this.#first.resolve();
    void channel.closed.then(({ text }) => {
      const { messages, bytes } = channel.stats;
      this.#base = {
        ...this.#base,
        messages: this.#base.messages + messages,
        bytes: this.#base.bytes + bytes,
      };
      if (this.#channel !== channel) return;
      this.#channel = undefined;
      this.ended = text;
    });
  }

  get changes(): number {
    return this.#thread.cells.changes;
  }

  get pixels(): ScreenPicture | undefined {
    const { width, height, pixels } = this.#thread.shown;
    if (pixels === undefined) return undefined;
    return { width, height, pixels: new Uint32Array(pixels, 0, width * height) };
  }

  #shown({ width }: ShownPicture): void {
    if (width === 0) return;
    this.#first.resolve();
    this.#options.onMode?.(this.report());
  }

  get isFollowed(): boolean {
    return this.#isFollowed;
  }

  set isFollowed(isFollowed: boolean) {
    this.#isFollowed = isFollowed;
    if (isFollowed) this.#arm();
  }

  #arm(): void {
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.#thread.cells.arm();
  }

  #changed(): void {
    this.#isArmed = false;
    if (!this.#isFollowed) return;
    const { changes } = this;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (!this.#isFollowed) return;
      this.#arm(); // before it is looked at, so that nothing is missed
      this.#guard(this.#onFrame);
      // Memory that is lent holds what was drawn until the change was told, and nothing later.
      if (this.#lendsMemory && this.changes !== changes) this.#thread.refresh();
    }, FRAME_MS);
  }

  #guard(call: () => void): void {
    guarded(this.#options, call);
  }

  pictured(signal?: AbortSignal): Promise<void> {
    return firstPicture(this.#first.promise, signal);
  }

  async picture(signal: AbortSignal): Promise<Captured> {
    if (this.#thread.shown.kind === "surface") return this.#surface();
    let picture: CapturedPicture;
    try {
      picture = await withDeadline(
        `the picture of display ${this.id}`,
        (signal) => this.#thread.capture(signal),
        { timeoutMs: READ_MS, signal },
      );
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof UtmostError)) throw error;
      if (!(error instanceof DeadlineError)) return [undefined, error.message];
      return [undefined, `display ${this.id} does not answer: its thread is busy or hangs`];
    }
    if (picture === "surface") return this.#surface(); // since just now
    if ("why" in picture) return [undefined, `display ${this.id}: ${picture.why}`];
    const { width, height, pixels } = picture;
    return [{ width, height, pixels: new Uint32Array(pixels) }];
  }

  #surface(): Captured {
    const { pixels } = this;
    return pixels === undefined ? [undefined, `display ${this.id} is off`] : [pixels];
  }

  report(): DisplayReport {
    const { kind, width, height } = this.#thread.shown;
    const { messages, bytes } = this.#channel?.stats ?? { messages: 0, bytes: 0 };
    return {
      id: this.id,
      kind,
      width,
      height,
      frames: this.#base.frames + this.#thread.cells.frames,
      gl: this.#thread.ledger.report(),
      surface: { messages: this.#base.messages + messages, bytes: this.#base.bytes + bytes },
    };
  }

  /** A thread of its own holds nobody up, and a scanout has to be looked at when it comes. */
  release(): void {}

  loadDecoders(): Promise<void> {
    this.#thread.loadDecoders();
    return Promise.resolve();
  }

  watch(isWatched: boolean): void {
    this.#thread.watch(isWatched);
  }

  async texture(signal: AbortSignal): Promise<LentTexture | undefined> {
    const texture = await this.#thread.texture(signal);
    this.#lendsMemory = texture?.kind === "memory";
    return texture;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#isFollowed = false;
    this.#thread.events = undefined;
  }
}
