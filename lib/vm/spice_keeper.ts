/**
 * A VM's SPICE session for as long as the VM lives. A server takes one client: one that comes in
 * throws the one before out. So a session that is lost although QEMU lives is taken up again, once
 * nobody else has it.
 */
import { pause } from "../base/deadline.ts";
import { SpiceError, UtmostError } from "../base/errors.ts";
import { SpiceSession, type SpiceSessionOptions } from "../spice/session.ts";
import type { Screens } from "./screens.ts";

/** How long the end of QEMU may lag behind the end of its connections, in milliseconds. */
const EXIT_LAG_MS = 3_000;
/** The pause before a session is taken up again, in milliseconds; each loss doubles it, … */
const FIRST_PAUSE_MS = 500;
/** … up to this: what a guest makes its server send may end every session at once. */
const MAX_PAUSE_MS = 60_000;

/** What became of the session. */
export interface SpiceNews {
  kind: "lost" | "back";
  /** Why it was lost, one clause. */
  why?: string;
}

/** Options of {@linkcode SpiceKeeper.attach}. */
export interface SpiceKeeperOptions {
  /** The server's Unix socket. */
  path: string;
  screens: Screens;
  /** How long attaching may take, in milliseconds. */
  timeoutMs: number;
  /** Gives up attaching; a session that is attached is not affected. */
  signal: AbortSignal;
  /** Aborted when QEMU has ended. */
  gone: AbortSignal;
  /** Whether the server has a client, as QMP tells. */
  hasClient: () => Promise<boolean>;
  onEvent: NonNullable<SpiceSessionOptions["onEvent"]>;
  onNews?: (news: SpiceNews) => void;
}

/** Holds a VM's SPICE session; disposing it ends the session. */
export class SpiceKeeper implements AsyncDisposable {
  /** What the guest shows. */
  readonly screens: Screens;
  readonly #options: SpiceKeeperOptions;
  readonly #closing = new AbortController();
  readonly #signal: AbortSignal;
  #session: SpiceSession;
  #keeping: Promise<void>;

  private constructor(session: SpiceSession, options: SpiceKeeperOptions) {
    this.#session = session;
    this.#options = options;
    this.screens = options.screens;
    this.#signal = AbortSignal.any([this.#closing.signal, options.gone]);
    this.screens.attached(session);
    this.#keeping = this.#keep().catch((error: unknown) => {
      if (!this.#signal.aborted) throw error;
    });
  }

  /** Attaches. @throws as `SpiceSession.connect`. */
  static async attach(options: SpiceKeeperOptions): Promise<SpiceKeeper> {
    return new SpiceKeeper(await connect(options, options.signal), options);
  }

  /** The names of the linked channels. */
  get channels(): string[] {
    return this.#session.channels;
  }

  async #keep(): Promise<void> {
    for (let losses = 0;; losses++) {
      const { by, text, isServerAlive } = await this.#session.closed;
      if (by === "client") return;
      // A QEMU that ends closes its connections first.
      if (!isServerAlive) await pause(EXIT_LAG_MS, this.#signal);
      this.#signal.throwIfAborted();
      this.#options.onNews?.({ kind: "lost", why: text });
      await this.#session[Symbol.asyncDispose]();
      this.#session = await this.#takeUp(Math.min(FIRST_PAUSE_MS * 2 ** losses, MAX_PAUSE_MS));
      if (this.#signal.aborted) return await this.#session[Symbol.asyncDispose]();
      this.screens.attached(this.#session);
      this.screens.complete(this.#signal);
      this.#options.onNews?.({ kind: "back" });
    }
  }

  /** Attaches once no other client has the server; tries for as long as QEMU lives. */
  async #takeUp(pauseMs: number): Promise<SpiceSession> {
    for (;;) {
      await pause(pauseMs, this.#signal);
      try {
        if (!await this.#options.hasClient()) return await connect(this.#options, this.#signal);
      } catch (error) {
        this.#signal.throwIfAborted();
        if (!(error instanceof UtmostError)) throw error;
        pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS);
      }
    }
  }

  /** Ends the session, and does not take it up again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new DOMException("the VM is let go", "AbortError"));
    await this.#session[Symbol.asyncDispose]();
    await this.#keeping;
  }
}

async function connect(
  { path, screens, timeoutMs, onEvent }: SpiceKeeperOptions,
  signal: AbortSignal,
): Promise<SpiceSession> {
  const options = { timeoutMs, signal, onDisplay: screens.onDisplay, onEvent };
  return await SpiceSession.connect({ path }, options).catch((error: unknown) => {
    if (error instanceof SpiceError || signal.aborted) throw error;
    throw new SpiceError(`Cannot attach SPICE: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  });
}
