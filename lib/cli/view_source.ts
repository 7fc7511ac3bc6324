/** Whose screen `utmost view` looks at: a VM's through its supervisor, or a SPICE server's. */
import { NotRunningError, type UtmostError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import type { SpiceTarget } from "../spice/transport.ts";
import type { ControlClient } from "../vm/control.ts";
import type { LoggedEvent } from "../vm/events.ts";
import { connectVm } from "../vm/find.ts";
import type { RemoteOptions, RemoteScreens } from "../vm/remote_screens.ts";
import type { DisplayReport } from "../vm/screen.ts";
import type { ScreenshotOptions, ScreenshotReport } from "../vm/screenshot.ts";

/** How long a supervisor may take to tell its last counts, in milliseconds. */
const STATS_MS = 5_000;
/** How long a supervisor may take to save the picture of a look-out that is cut short. */
const LAST_PICTURE_MS = 5_000;
/** Timers count in 32 bits. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** What came while somebody looked on. Source: the contract in README.md, "view". */
export interface ViewStats {
  /** The linked channels; for SPICE servers only. */
  channels?: string[];
  displays: DisplayReport[];
}

/** What a viewer sees. */
export interface ViewSource extends AsyncDisposable {
  /** What is looked at, for people. */
  readonly name: string;
  /** Resolves once there is nothing more to see, with the error if that is one. Never rejects. */
  readonly ended: Promise<UtmostError | undefined>;
  /** Saves a display's picture as PNG, waiting for one to come; the first display if none is named. */
  screenshot(
    path: string,
    options: ScreenshotOptions & { signal: AbortSignal },
  ): Promise<ScreenshotReport>;
  /**
   * Saves the picture that came last, of a look-out that is cut short; waits for none to come where
   * there is nothing more to see.
   *
   * @throws {UtmostError} when there is none.
   */
  lastScreenshot(
    path: string,
    options: ScreenshotOptions & { signal: AbortSignal },
  ): Promise<ScreenshotReport>;
  /** What came since the look-out began. @param signal Does with what is known already. */
  stats(signal: AbortSignal): Promise<ViewStats>;
}

/** Looks at a VM of ours: the supervisor tells what changes, and has the pixels. */
export class VmSource implements ViewSource {
  readonly name: string;
  readonly ended: Promise<UtmostError | undefined>;
  readonly #client: ControlClient;
  readonly #before = new Map<number, DisplayReport>();
  readonly #now = new Map<number, DisplayReport>();
  #isStopped = false;
  #isClosed = false;
  /** The supervisor's answer once it has saved the picture that the VM showed last. */
  #last: Promise<ScreenshotReport> | undefined;

  private constructor(client: ControlClient, name: string, id: string) {
    this.#client = client;
    this.name = name;
    client.onNotification((method, params) => {
      if (method === "frame") this.#see(params as DisplayReport);
      if (method === "event") {
        const event = params as LoggedEvent;
        if (event.event === "state" && event.to === "stopped") this.#isStopped = true;
      }
    });
    this.ended = client.closed.then(() => {
      this.#isClosed = true;
      return this.#isStopped
        ? undefined
        : new NotRunningError(`Cannot look any longer: the supervisor of ${id} has ended`);
    });
  }

  /**
   * Begins to look.
   *
   * @param picture What `lastScreenshot` will save: at the end of the VM only its supervisor can.
   * @throws as `connectVm` does, and the signal's reason.
   */
  static async open(
    target: string,
    signal: AbortSignal,
    picture?: ScreenshotOptions & { path: string },
  ): Promise<VmSource> {
    const { vm, client } = await connectVm(target, signal);
    try {
      const source = new VmSource(client, `${vm.id} (${vm.name})`, vm.id);
      await client.call("events", {}, { signal });
      const displays = await client.call("frames", {}, { signal }) as DisplayReport[];
      for (const display of displays) source.#see(display);
      if (picture !== undefined) source.#askForLast(picture);
      return source;
    } catch (error) {
      await client[Symbol.asyncDispose]();
      throw error;
    }
  }

  #askForLast(picture: ScreenshotOptions & { path: string }): void {
    const options = { timeoutMs: LONGEST_TIMER_MS };
    this.#last = this.#client.call("lastScreenshot", { ...picture }, options) as Promise<
      ScreenshotReport
    >;
    this.#last.catch(() => {}); // told to whoever asks
  }

  #see(display: DisplayReport): void {
    if (!this.#before.has(display.id)) this.#before.set(display.id, display);
    this.#now.set(display.id, display);
  }

  async screenshot(
    path: string,
    { signal, ...options }: ScreenshotOptions & { signal: AbortSignal },
  ): Promise<ScreenshotReport> {
    const params = { path, ...options };
    return await this.#client.call("screenshot", params, { signal }) as ScreenshotReport;
  }

  async lastScreenshot(
    path: string,
    { signal, ...options }: ScreenshotOptions & { signal: AbortSignal },
  ): Promise<ScreenshotReport> {
    if (this.#isClosed && this.#last !== undefined) {
      return await this.#last.catch((cause) => {
        if (!(cause instanceof NotRunningError)) throw cause; // the supervisor's own
        const message = `Cannot save the screen to ${quoted(path)}: ${this.name} has ended`;
        throw new NotRunningError(message, { cause });
      });
    }
    const waits = { timeoutMs: LAST_PICTURE_MS, signal };
    return await this.#client.call("screenshot", { path, ...options }, waits) as ScreenshotReport;
  }

  async stats(signal: AbortSignal): Promise<ViewStats> {
    // A VM that has ended has told its last frames before.
    const options = { timeoutMs: STATS_MS, signal };
    const fresh = await this.#client.call("displays", {}, options).catch(
      () => [],
    ) as DisplayReport[];
    for (const display of fresh) this.#see(display);
    return {
      displays: [...this.#now.values()].map((now) => since(this.#before.get(now.id) ?? now, now)),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }
}

/** What came between two reports of a display; sizes are the later ones. */
export function since(before: DisplayReport, now: DisplayReport): DisplayReport {
  const { gl, surface } = now;
  return {
    ...now,
    frames: now.frames - before.frames,
    gl: {
      ...gl,
      scanouts: gl.scanouts - before.gl.scanouts,
      draws: gl.draws - before.gl.draws,
      acks: gl.acks - before.gl.acks,
      copies: gl.copies - before.gl.copies,
      imports: gl.imports - before.gl.imports,
      textures: gl.textures - before.gl.textures,
      cpuBytes: gl.cpuBytes - before.gl.cpuBytes,
    },
    surface: {
      messages: surface.messages - before.surface.messages,
      bytes: surface.bytes - before.surface.bytes,
    },
  };
}

/** Looks at any SPICE server, as its client. */
export class SpiceSource implements ViewSource {
  readonly name: string;
  readonly ended: Promise<UtmostError | undefined>;
  readonly #screens: RemoteScreens;

  private constructor(screens: RemoteScreens) {
    this.#screens = screens;
    this.name = screens.serverName;
    this.ended = screens.ended;
  }

  /**
   * Attaches.
   *
   * @throws {SpiceError} when the server cannot be attached to.
   */
  static async open(
    target: SpiceTarget,
    options: RemoteOptions,
  ): Promise<SpiceSource> {
    const { RemoteScreens } = await import("../vm/remote_screens.ts");
    return new SpiceSource(await RemoteScreens.attach(target, options));
  }

  async screenshot(
    path: string,
    options: ScreenshotOptions & { signal: AbortSignal },
  ): Promise<ScreenshotReport> {
    return await this.#screens.screenshot(path, options);
  }

  async lastScreenshot(path: string, options: ScreenshotOptions): Promise<ScreenshotReport> {
    return await this.#screens.lastScreenshot(path, options);
  }

  stats(): Promise<ViewStats> {
    const { channels, displays } = this.#screens;
    return Promise.resolve({ channels, displays });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#screens[Symbol.asyncDispose]();
  }
}
