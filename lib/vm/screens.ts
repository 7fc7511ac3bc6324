/**
 * What a guest shows, and its keyboard and pointer: a SPICE session with one picture per display,
 * the cursor and the inputs, put together.
 *
 * Only what has to be there before the guest's first instruction is in the way of a launch: the
 * displays. The rest is linked by `complete`, while the guest boots.
 */
import { pause, withDeadline } from "../base/deadline.ts";
import { DeadlineError, UsageError, UtmostError } from "../base/errors.ts";
import type { GuestCursor } from "../display/cursor.ts";
import type { PacedLink } from "../spice/channel_link.ts";
import type { CursorHandlers } from "../spice/cursor_channel.ts";
import type { DisplayHandlers } from "../spice/display_channel.ts";
import type { SpiceInputs } from "../spice/inputs.ts";
import type { RunningChannel } from "../spice/channel_link.ts";
import type { DisplayOpening, SpiceSession, SpiceSessionOptions } from "../spice/session.ts";
import type { LentTexture } from "./display_thread.ts";
import type { DisplayThreads } from "./display_threads.ts";
import type { Captured, DisplayReport, Screen, ScreenOptions, ScreenPicture } from "./screen.ts";
import { SurfaceScreen } from "./surface_screen.ts";
import type { ThreadScreen } from "./thread_screen.ts";

export type { Captured, ScreenPicture };

/** QEMU brings what the guest has drawn every 30 ms; so long it takes at most, and a little more. */
const REFRESH_MS = 40;
/** A change comes in many messages; it is complete when none has come for so long, … */
const QUIET_MS = 8;
/** … or after so long, for a guest that never stops drawing. */
const SETTLE_MS = 200;
const NEVER = new AbortController().signal;

/** How long the end of a session may lag behind a link that it refuses, in milliseconds. */
const END_LAG_MS = 300;

/** The mouse mode in which a guest takes places. Source: spice/enums.h, SPICE_MOUSE_MODE_CLIENT. */
const ABSOLUTE = 2;

/** Called with a display that has changed. */
export type DisplayListener = (display: DisplayReport) => void;

/** Options of {@linkcode Screens}; a server of ours sends no compressed images at first. */
export interface ScreensOptions extends ScreenOptions {
  /**
   * Draws nothing before `release` or `complete` is called: the first picture takes milliseconds
   * that a launch does not wait for. A guest that runs must not be held: its first mode set waits,
   * and QEMU with it, until the display is read, for 30 s. Displays in threads are never held.
   */
  isHeld?: boolean;
  /** Draws displays there, so that their pictures can come as buffers of the GPU; the caller's. */
  threads?: DisplayThreads;
  /** What images displays in threads ask for; plain pixels when left out. */
  compression?: "off" | "lz";
}

/** Options of {@linkcode Screens.complete}. */
export interface CompleteOptions {
  signal?: AbortSignal;
  inputs?: boolean;
}

/** The screens of one guest, and its keyboard. */
export class Screens implements Disposable {
  readonly #options: ScreensOptions;
  readonly #screens = new Map<number, Screen>();
  readonly #listeners = new Set<DisplayListener>();
  /** How many watch each display. */
  readonly #watchers = new Map<number, number>();
  #isHeld: boolean;
  #session: SpiceSession | undefined;
  /** Why the session has ended. */
  #ended: string | undefined;
  /** What is being linked, each of which settles in any case. */
  #parts: { inputs: Promise<void>; cursors: Promise<void> } | undefined;
  #inputs: SpiceInputs | undefined;
  readonly #cursors = new Map<number, GuestCursor>();
  /** Whether all displays draw compressed images by now. */
  #hasDecoders = false;
  /** Where we have put the pointer, in a guest whose pointer is absolute. */
  #placed: { display: number; x: number; y: number } | undefined;

  constructor(options: ScreensOptions = {}) {
    this.#options = options;
    this.#isHeld = options.isHeld ?? false;
  }

  /** What a session has to be given so that its displays are drawn here. */
  get sessionOptions(): Pick<SpiceSessionOptions, "onDisplay" | "openDisplay"> {
    const { threads } = this.#options;
    if (threads === undefined) return { onDisplay: this.onDisplay };
    return { openDisplay: (signal, opening) => this.#openInThread(threads, signal, opening) };
  }

  /** Makes what draws a display in this thread. */
  readonly onDisplay = (link: PacedLink): DisplayHandlers => {
    const before = this.#screens.get(link.id);
    const screen: SurfaceScreen = new SurfaceScreen(
      link,
      this.#options,
      () => this.#tellFrame(screen),
      before,
    );
    this.#add(screen);
    if (this.#isHeld) link.pause();
    return screen.handlers;
  };

  /** Links a display in a thread of its own. */
  async #openInThread(
    threads: DisplayThreads,
    signal: AbortSignal,
    opening: DisplayOpening,
  ): Promise<RunningChannel> {
    const { ThreadScreen } = await import("./thread_screen.ts");
    const { compression, decoders } = this.#options;
    const thread = threads.of(opening.id);
    const before = this.#screens.get(opening.id);
    const isSame = before instanceof ThreadScreen && before.isIn(thread);
    const screen: ThreadScreen = isSame
      ? before
      : new ThreadScreen(opening, thread, this.#options, () => this.#tellFrame(screen), before);
    const channel = await thread.open(signal, opening, {
      hasDecoders: decoders !== undefined || this.#hasDecoders,
      ...(compression === undefined ? {} : { compression }),
    });
    screen.linked(channel);
    if (!isSame) this.#add(screen);
    return channel;
  }

  #add(screen: Screen): void {
    this.#screens.get(screen.id)?.[Symbol.dispose]();
    screen.isFollowed = this.#listeners.size > 0;
    if ((this.#watchers.get(screen.id) ?? 0) > 0) screen.watch(true);
    this.#screens.set(screen.id, screen);
    if (!this.#hasDecoders) return;
    void screen.loadDecoders().catch((error) =>
      this.#tell("compressed images cannot be drawn", error)
    );
  }

  #tellFrame(screen: Screen): void {
    for (const listener of this.#listeners) listener(this.#report(screen));
  }

  /** Takes note of a session once it is attached, which is the caller's; of a later one, too. */
  attached(session: SpiceSession): void {
    this.#session = session;
    this.#ended = undefined;
    this.#parts = undefined;
    this.#cursors.clear();
    this.#placed = undefined;
    for (const screen of this.#screens.values()) this.#report(screen); // begins to count
    void session.closed.then(({ text }) => {
      if (this.#session === session) this.#ended = text;
    });
  }

  /** Draws from now on, where it was held. */
  release(): void {
    this.#isHeld = false;
    for (const screen of this.#screens.values()) screen.release();
  }

  /**
   * Links what a launch does not wait for: the keyboard and the pointer. Returns at once; what the
   * server does not have or does not give stays unlinked.
   *
   * @param options.signal Gives up linking.
   * @param options.inputs Whether the keyboard is linked, too; so it is when left out.
   */
  complete({ signal, inputs: hasInputs = true }: CompleteOptions = {}): void {
    this.release();
    const session = this.#session;
    if (session === undefined || this.#parts !== undefined) return;
    const options = signal === undefined ? {} : { signal };
    const failed = (what: string) => async (error: unknown) => {
      // A QEMU that ends refuses links before its end is known, which then says enough.
      await pause(END_LAG_MS, signal).catch(() => {});
      if (signal?.aborted || this.#session !== session || this.#ended !== undefined) return;
      this.#tell(what, error);
    };
    const inputs = (hasInputs ? this.#openInputs(session, options) : Promise.resolve())
      .catch(failed("there is no keyboard and pointer through SPICE"));
    const cursors = inputs.then(() => this.#openCursors(session, options, failed))
      .catch(failed("the pointer is not seen"));
    this.#parts = { inputs, cursors };
    void cursors.then(() => this.#loadDecoders())
      .catch(failed("compressed images cannot be drawn"));
  }

  /** Resolves once all that `complete` links is linked, or is known not to be. */
  async completed(): Promise<void> {
    await this.#parts?.cursors;
  }

  /** Tells what is done without; an error that is not one of ours is a defect. */
  #tell(what: string, error: unknown): void {
    const { onWarning, onDefect } = this.#options;
    if (!(error instanceof UtmostError)) onDefect?.(error);
    onWarning?.(`${what}: ${error instanceof Error ? error.message : error}`);
  }

  async #openInputs(session: SpiceSession, options: { signal?: AbortSignal }): Promise<void> {
    if (!session.offered.some(({ channel }) => channel === "inputs")) return;
    const { SpiceInputs } = await import("../spice/inputs.ts");
    const inputs = await SpiceInputs.open(session, options);
    this.#inputs = inputs;
    void inputs.closed.then(() => {
      if (this.#inputs === inputs) this.#inputs = undefined;
    });
  }

  /** Follows the pointer of each display; once it is linked, its channel has to be read. */
  async #openCursors(
    session: SpiceSession,
    options: { signal?: AbortSignal },
    failed: (what: string) => (error: unknown) => Promise<void>,
  ): Promise<void> {
    const offered = session.offered.filter(({ channel }) => channel === "cursor");
    if (offered.length === 0) return;
    const [{ GuestCursor }, { cursorSetup }, { both }] = await Promise.all([
      import("../display/cursor.ts"),
      import("../spice/cursor_channel.ts"),
      import("../spice/message_routes.ts"),
    ]);
    const { onWarning } = this.#options;
    for (const { id } of offered) {
      const cursor = new GuestCursor(onWarning === undefined ? {} : { onWarning });
      const forget = () => {
        if (this.#placed?.display === id) this.#placed = undefined;
      };
      const watch: CursorHandlers = { move: forget, reset: forget };
      const setup = cursorSetup(() => both(cursor.handlers(), watch));
      await session.open(setup, id, options)
        .then(
          () => this.#cursors.set(id, cursor),
          failed(`the pointer of display ${id} is not seen`),
        );
    }
  }

  /** A guest's own driver may hand over images that are compressed, whatever the server does. */
  async #loadDecoders(): Promise<void> {
    if (this.#options.decoders !== undefined) return;
    this.#hasDecoders = true;
    await Promise.all([...this.#screens.values()].map((screen) => screen.loadDecoders()));
  }

  /**
   * Keyboard and pointer through SPICE, waiting for their channel where it is being linked;
   * undefined where there is none.
   */
  async inputs(): Promise<SpiceInputs | undefined> {
    await this.#parts?.inputs;
    return this.#inputs;
  }

  /** Every display as it is now, in the order of their ids. */
  displays(): DisplayReport[] {
    return [...this.#screens.values()].map((screen) => this.#report(screen))
      .sort((a, b) => a.id - b.id);
  }

  #report(screen: Screen): DisplayReport {
    return screen.report(this.#session?.stats.get(screen.name));
  }

  /** Calls `listener` with each display that has changed, every 16 ms at most for each. */
  follow(listener: DisplayListener): Disposable {
    this.#listeners.add(listener);
    for (const screen of this.#screens.values()) screen.isFollowed = true;
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(listener);
        if (this.#listeners.size > 0) return;
        for (const screen of this.#screens.values()) screen.isFollowed = false;
      },
    };
  }

  /**
   * The pixels of display `id`, which change while the guest draws; undefined while nothing is
   * shown, or what is shown is on the GPU. They are the surface's own memory, not a copy.
   */
  pixels(id: number): ScreenPicture | undefined {
    return this.#screens.get(id)?.pixels;
  }

  /**
   * Keeps a copy of what display `id` shows on the GPU up to date, for a viewer, until it is disposed.
   * Viewers are never waited for; with none of them nothing is copied.
   *
   * @throws {UsageError} when there is no such display.
   */
  watch(id: number): Disposable {
    const screen = this.#screen(id);
    const count = this.#watchers.get(id) ?? 0;
    this.#watchers.set(id, count + 1);
    if (count === 0) screen.watch(true);
    let isWatching = true;
    return {
      [Symbol.dispose]: () => {
        if (!isWatching) return;
        isWatching = false;
        const left = (this.#watchers.get(id) ?? 1) - 1;
        this.#watchers.set(id, left);
        if (left === 0) this.#screens.get(id)?.watch(false);
      },
    };
  }

  /**
   * The texture that display `id` is copied to, for a viewer to show; its holder owns the descriptor. It
   * is another one after a mode set, and undefined where nobody watches or `pixels` has the picture.
   *
   * @throws {UsageError} when there is no such display. The signal's reason when it is aborted.
   */
  async texture(id: number, signal: AbortSignal): Promise<LentTexture | undefined> {
    return await this.#screen(id).texture(signal);
  }

  /** @throws {UsageError} when there is no such display. */
  #screen(id: number): Screen {
    const screen = this.#screens.get(id);
    if (screen !== undefined) return screen;
    const ids = [...this.#screens.keys()].sort((a, b) => a - b);
    if (ids.length === 0) throw new UsageError(`Cannot find display ${id}: there are none`);
    const isOnly = ids.length === 1;
    const there = isOnly ? "is only display" : "are only displays";
    throw new UsageError(
      `Cannot find display ${id}: there ${there} ${ids.join(", ")}`,
      isOnly ? {} : { hint: "Name one of them with --display." },
    );
  }

  /**
   * The picture of display `id`, with what the guest has drawn before the call. It is the surface's
   * own memory unless a cursor is drawn onto a copy.
   *
   * @returns Why there is none, where SPICE has brought nothing to show.
   * @throws {UsageError} when there is no such display. The signal's reason when it is aborted.
   */
  async capture(
    id: number,
    options: { cursor?: boolean; timeoutMs: number; signal?: AbortSignal },
  ): Promise<Captured> {
    if (this.#ended !== undefined) return [undefined, `SPICE is lost (${this.#ended})`];
    if (this.#screens.size === 0) return [undefined, "the server has no display"];
    const screen = this.#screen(id);
    if (screen.ended !== undefined) return [undefined, `display ${id} is lost (${screen.ended})`];
    try {
      await withDeadline(
        `a picture of display ${id}`,
        (signal) => screen.pictured(signal),
        options,
      );
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error;
      return [undefined, `no picture of display ${id} has come within ${options.timeoutMs} ms`];
    }
    await this.#settle(screen, options.signal);
    const [picture, why] = await screen.picture(options.signal ?? NEVER);
    if (picture === undefined) return [undefined, why];
    return [options.cursor ? await this.#withCursor(id, picture) : picture];
  }

  /**
   * The picture of display `id` that came last, waiting for nothing: it is there, too, once SPICE is
   * lost. Its memory is as with `capture`.
   *
   * @returns Why there is none.
   */
  async latest(id: number, { cursor = false }: { cursor?: boolean } = {}): Promise<Captured> {
    if (this.#screens.size === 0) return [undefined, "the server has no display"];
    const [picture, why] = await this.#latest(id);
    if (picture === undefined) return [undefined, why];
    return [cursor ? await this.#withCursor(id, picture) : picture];
  }

  async #latest(id: number): Promise<Captured> {
    const screen = this.#screens.get(id);
    if (screen?.pixels !== undefined) return [screen.pixels];
    if (screen?.report().kind === "gl") return await screen.picture(NEVER);
    return [undefined, `no picture of display ${id} has come`];
  }

  /** A copy of a picture with the guest's pointer on it, where that is to be seen. */
  async #withCursor(id: number, { width, height, pixels }: ScreenPicture): Promise<ScreenPicture> {
    await this.#parts?.cursors;
    const cursor = this.#cursors.get(id);
    if (cursor === undefined) return { width, height, pixels };
    const { drawCursor } = await import("../display/cursor.ts");
    const picture = { width, height, pixels: pixels.slice(), hasAlpha: false };
    // The guest tells where its pointer is, but not while it takes places from us.
    const isAbsolute = this.#session?.mouseMode.current === ABSOLUTE;
    const placed = isAbsolute && this.#placed?.display === id ? this.#placed : undefined;
    return drawCursor(picture, cursor, placed ?? cursor);
  }

  /** Takes note of where the pointer was put: a guest with an absolute one does not tell. */
  placed(display: number, x: number, y: number): void {
    this.#placed = { display, x, y };
  }

  /** Waits for what is on its way: QEMU looks every 30 ms for what the guest has drawn. */
  async #settle(screen: Screen, signal?: AbortSignal): Promise<void> {
    await pause(REFRESH_MS, signal);
    const end = performance.now() + SETTLE_MS;
    for (let seen = -1; seen !== screen.changes && performance.now() < end;) {
      seen = screen.changes;
      await pause(QUIET_MS, signal);
    }
  }

  [Symbol.dispose](): void {
    for (const screen of this.#screens.values()) screen[Symbol.dispose]();
  }
}
