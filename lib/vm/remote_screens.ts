/** The screens of a SPICE server that is not ours: whatever it sends is drawn. */
import { ShimError, SpiceError, type UtmostError } from "../base/errors.ts";
import { loadDecoders } from "../display/load_decoders.ts";
import { savePng } from "../display/png.ts";
import { printable } from "../base/text.ts";
import { SpiceSession } from "../spice/session.ts";
import { targetUri } from "../spice/spice_uri.ts";
import { type SpiceTarget, targetText } from "../spice/transport.ts";
import type { DisplayThreads } from "./display_threads.ts";
import type { DisplayReport } from "./screen.ts";
import { Screens } from "./screens.ts";
import type { ScreenshotOptions, ScreenshotReport } from "./screenshot.ts";
import { toldOnce } from "./told_once.ts";

/** How long the first picture may take to come once we are attached, in milliseconds. */
const FIRST_PICTURE_MS = 10_000;

/** Options of {@linkcode RemoteScreens.attach}. */
export interface RemoteOptions {
  /** The server's password. */
  password?: string;
  /** Gives up attaching. */
  signal?: AbortSignal;
  /** Follows the mouse pointer, too, so that pictures can have it. */
  cursor?: boolean;
  /** How long the first picture may take to come, in milliseconds; 10 s when left out. */
  pictureTimeoutMs?: number;
  /**
   * What images are asked for: plain pixels from this host, packed ones from another, when left out.
   * Both are exact.
   */
  compression?: "off" | "lz";
  /**
   * Whether GL scanouts are taken from a server behind a Unix socket, where the native library is there;
   * so they are when left out.
   */
  gl?: "auto" | "off";
  /** Takes what the user should know: warnings of the server, what is left out. Each is told once. */
  onWarning?: (text: string) => void;
  /** Takes the server's other texts, each once. */
  onDetail?: (text: string) => void;
}

/** A session with a SPICE server, and what it shows; owns the session. */
export class RemoteScreens implements AsyncDisposable {
  /** Where the server is, and what it calls its VM, for people. */
  readonly serverName: string;
  /** The channels that were linked. */
  readonly channels: string[];
  /** Resolves once the server has gone, with the error for that. Never rejects. */
  readonly ended: Promise<UtmostError | undefined>;
  /** What it shows, for who looks at it more closely than by pictures. */
  readonly screens: Screens;
  readonly #session: SpiceSession;
  readonly #gl: GlScanoutsAbility;
  readonly #pictureTimeoutMs: number;

  private constructor(
    session: SpiceSession,
    screens: Screens,
    gl: GlScanoutsAbility,
    target: SpiceTarget,
    pictureTimeoutMs = FIRST_PICTURE_MS,
  ) {
    this.#session = session;
    this.screens = screens;
    this.#gl = gl;
    this.#pictureTimeoutMs = pictureTimeoutMs;
    const name = session.serverName;
    const uri = printable(targetUri(target));
    this.serverName = name === "" ? uri : `${uri} (${name})`;
    this.channels = session.channels;
    this.ended = session.closed.then(({ by, text, error }) => {
      if (by === "client") return undefined;
      if (error instanceof SpiceError) return error;
      return new SpiceError(`Cannot look any longer at ${targetText(target)}: ${text}`, {
        cause: error,
      });
    });
  }

  /**
   * Attaches, with the decoders of everything that a server may send. It is asked for what is exact:
   * plain pixels on this host, where they cost the least, LZ on a network.
   *
   * @throws {SpiceError} when the server cannot be attached to.
   */
  static async attach(target: SpiceTarget, options: RemoteOptions = {}): Promise<RemoteScreens> {
    const { password, signal, cursor = false } = options;
    const onWarning = toldOnce(options.onWarning ?? (() => {}));
    const onDetail = toldOnce(options.onDetail ?? (() => {}));
    const compression = options.compression ?? (isOnThisHost(target) ? "off" : "lz");
    await using stack = new AsyncDisposableStack();
    const gl = await startThreads(target, options);
    const threads = stack.use(gl.threads);
    const screens = stack.use(
      new Screens({
        decoders: await loadDecoders(),
        compression,
        onWarning,
        ...(threads === undefined ? {} : { threads }),
      }),
    );
    let hasLost = false;
    const session = await SpiceSession.connect(target, {
      ...screens.sessionOptions,
      compression,
      onEvent: ({ channel, state }) => {
        if (channel !== "display") return;
        if (hasLost && state === "linked" && gl.lack !== undefined) onWarning(gl.lack);
        hasLost ||= state === "closed";
      },
      onWarning: ({ channel, text }) => onWarning(`${channel}: ${text}`),
      onNotice: ({ severity, text }) => {
        (severity === "info" ? onDetail : onWarning)(`the server says: ${text}`);
      },
      ...(password === undefined ? {} : { password }),
      ...(signal === undefined ? {} : { signal }),
    });
    stack.use(session);
    screens.attached(session);
    if (cursor) {
      screens.complete({ inputs: false, ...(signal === undefined ? {} : { signal }) });
      await screens.completed();
    }
    stack.move();
    return new RemoteScreens(session, screens, gl, target, options.pictureTimeoutMs);
  }

  /** The displays as they are now. */
  get displays(): DisplayReport[] {
    return this.screens.displays();
  }

  /**
   * Saves a display as PNG; the first one that there is, if none is named. Waits for the first
   * picture.
   *
   * @throws {SpiceError} when none comes in time. {UsageError} where there is no such display.
   * @throws {HostFailure} when the file cannot be written. The signal's reason when it is aborted.
   */
  async screenshot(
    path: string,
    options: ScreenshotOptions & { signal?: AbortSignal } = {},
  ): Promise<ScreenshotReport> {
    const { cursor = false, signal } = options;
    const display = options.display ?? this.displays[0]?.id ?? 0;
    const [picture, why] = await this.screens.capture(display, {
      cursor,
      timeoutMs: this.#pictureTimeoutMs,
      ...(signal === undefined ? {} : { signal }),
    });
    if (picture === undefined) {
      throw new SpiceError(`Cannot save the screen: ${why}`, {
        hint: this.#gl.hint ??
          "A guest may draw on a display late, or never: look longer with --duration.",
      });
    }
    await savePng(path, picture);
    return { path, display, source: "spice" };
  }

  /**
   * Saves the picture of a display that came last, waiting for nothing: also once the server has
   * gone.
   *
   * @throws {SpiceError} when none has come. {HostFailure} when the file cannot be written.
   */
  async lastScreenshot(path: string, options: ScreenshotOptions = {}): Promise<ScreenshotReport> {
    const { cursor = false, display = this.displays[0]?.id ?? 0 } = options;
    const [picture, why] = await this.screens.latest(display, { cursor });
    if (picture === undefined) throw new SpiceError(`Cannot save the screen: ${why}`);
    await savePng(path, picture);
    return { path, display, source: "spice" };
  }

  /** Ends the session. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
    this.screens[Symbol.dispose]();
    await this.#gl.threads?.[Symbol.asyncDispose]();
  }
}

/** What takes GL scanouts, or why nothing does although there may be some. */
interface GlScanoutsAbility {
  threads?: DisplayThreads;
  /** One clause, and what the user can do. */
  lack?: string;
  hint?: string;
}

/**
 * Starts threads that take GL scanouts, where the server is behind a Unix socket: one with such a
 * picture on it ends the display of a client that does not take it, without a word.
 */
async function startThreads(
  target: SpiceTarget,
  { gl = "auto", onWarning, onDetail, signal }: RemoteOptions,
): Promise<GlScanoutsAbility> {
  if (gl === "off" || !("path" in target)) return {};
  const [{ DisplayThreads }, { obtainShim }] = await Promise.all([
    import("./display_threads.ts"),
    import("../../ffi/release.ts"),
  ]);
  try {
    const { path } = await obtainShim({
      announce: (text) => onWarning?.(text),
      ...(signal === undefined ? {} : { signal }),
    });
    return { threads: DisplayThreads.start({ shim: path }) };
  } catch (error) {
    if (!(error instanceof ShimError)) throw error;
    const lack = `GL scanouts cannot be shown: ${error.message}`;
    onDetail?.(lack);
    const hint = "Where the guest draws by the GPU its pictures need the native library: " +
      (error.hint ?? "build it (deno task native)");
    return { lack, hint };
  }
}

/** Whether a server is on this host, so that sending costs less than packing. */
export function isOnThisHost(target: SpiceTarget): boolean {
  return "path" in target || /^(localhost|127\.[\d.]+|::1)$/i.test(target.host);
}
