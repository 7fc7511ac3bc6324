/** The screens of a SPICE server that is not ours: whatever it sends is drawn. */
import { SpiceError, type UtmostError } from "../base/errors.ts";
import { loadDecoders } from "../display/load_decoders.ts";
import { savePng } from "../display/png.ts";
import { SpiceSession } from "../spice/session.ts";
import { type SpiceTarget, targetText } from "../spice/transport.ts";
import type { DisplayReport } from "./screen.ts";
import { Screens } from "./screens.ts";
import type { ScreenshotReport } from "./screenshot.ts";

/** How long the first picture may take to come once we are attached, in milliseconds. */
const FIRST_PICTURE_MS = 10_000;

/** Options of {@linkcode RemoteScreens.attach}. */
export interface RemoteOptions {
  /** The server's password. */
  password?: string;
  /** Gives up attaching. */
  signal?: AbortSignal;
  /** Takes what the user should know: texts of the server, what cannot be drawn. */
  onWarning?: (text: string) => void;
}

/** A session with a SPICE server, and what it shows; owns the session. */
export class RemoteScreens implements AsyncDisposable {
  /** Where the server is, and what it calls its VM, for people. */
  readonly serverName: string;
  /** The channels that were linked. */
  readonly channels: string[];
  /** Resolves once the server has gone, with the error for that. Never rejects. */
  readonly ended: Promise<UtmostError | undefined>;
  readonly #session: SpiceSession;
  readonly #screens: Screens;

  private constructor(session: SpiceSession, screens: Screens, target: SpiceTarget) {
    this.#session = session;
    this.#screens = screens;
    const name = session.serverName;
    this.serverName = name === "" ? targetText(target) : `${targetText(target)} (${name})`;
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
   * Attaches, with the decoders of everything that a server may send. It is asked for plain pixels
   * where it can be: they cost the least on a local socket.
   *
   * @throws {SpiceError} when the server cannot be attached to.
   */
  static async attach(target: SpiceTarget, options: RemoteOptions = {}): Promise<RemoteScreens> {
    const { password, signal, onWarning } = options;
    const screens = new Screens({
      decoders: await loadDecoders(),
      ...(onWarning === undefined ? {} : { onWarning }),
    });
    const session = await SpiceSession.connect(target, {
      onDisplay: screens.onDisplay,
      onNotice: ({ severity, text }) => {
        if (severity !== "info") onWarning?.(`the server says: ${text}`);
      },
      ...(password === undefined ? {} : { password }),
      ...(signal === undefined ? {} : { signal }),
    });
    screens.attached(session);
    return new RemoteScreens(session, screens, target);
  }

  /** The displays as they are now. */
  get displays(): DisplayReport[] {
    return this.#screens.displays();
  }

  /** Resolves once display 0 shows a picture, at once where there is no display to show one. */
  async pictured(): Promise<void> {
    if (this.displays.length > 0) await this.#screens.pictured(0);
  }

  /** Saves display 0 as PNG. @throws {SpiceError} when no picture has come. {HostFailure} */
  async screenshot(path: string): Promise<ScreenshotReport> {
    const [picture, why] = await this.#screens.capture(0, { timeoutMs: FIRST_PICTURE_MS });
    if (picture === undefined) throw new SpiceError(`Cannot save the screen: ${why}`);
    await savePng(path, picture);
    return { path, display: 0, source: "spice" };
  }

  /** Ends the session. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#screens[Symbol.dispose]();
    await this.#session[Symbol.asyncDispose]();
  }
}
