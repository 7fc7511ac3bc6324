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
/** How long the channels of a QEMU that has ended are waited for, in milliseconds. */
const END_MS = 250;
/** The pause before a session is taken up again, in milliseconds; each loss doubles it, … */
const FIRST_PAUSE_MS = 500;
/** … up to this: what a guest makes its server send may end every session at once. */
const MAX_PAUSE_MS = 60_000;
/** A session that has lasted so long, in milliseconds, makes the losses before it forgotten. */
const LASTING_MS = 60_000;

/** How long to wait before a lost session is taken up again. */
export class TakeUpPause {
  #nextMs = FIRST_PAUSE_MS;

  /** Counts a loss. @param lastedMs How long the session was there. @returns Milliseconds. */
  after(lastedMs: number): number {
    const ms = lastedMs >= LASTING_MS ? FIRST_PAUSE_MS : this.#nextMs;
    this.#nextMs = Math.min(ms * 2, MAX_PAUSE_MS);
    return ms;
  }
}

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
  /** Takes what is left out of what the server sends, and its errors. */
  onWarning?: (text: string) => void;
  /** Takes the server's other texts. */
  onDetail?: (text: string) => void;
  /** Takes what a callback has thrown, which is a defect of ours: the session goes on. */
  onDefect?: (error: unknown) => void;
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
      if (!this.#signal.aborted) options.onDefect?.(error);
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

  /**
   * Resolves once every channel has ended, and has been told: with QEMU they end by themselves, and
   * are closed where that takes longer than a moment.
   */
  async ended(): Promise<void> {
    await Promise.race([this.#session.closed, pause(END_MS, this.#closing.signal).catch(() => {})]);
    await this[Symbol.asyncDispose]();
  }

  async #keep(): Promise<void> {
    for (const pauses = new TakeUpPause();;) {
      const since = performance.now();
      const { by, text, isServerAlive } = await this.#session.closed;
      const pauseMs = pauses.after(performance.now() - since);
      if (by === "client") return;
      // A QEMU that ends closes its connections first.
      if (!isServerAlive) await pause(EXIT_LAG_MS, this.#signal);
      this.#signal.throwIfAborted();
      this.#tell({ kind: "lost", why: text });
      await this.#session[Symbol.asyncDispose]();
      this.#session = await this.#takeUp(pauseMs);
      if (this.#signal.aborted) return await this.#session[Symbol.asyncDispose]();
      this.screens.attached(this.#session);
      this.screens.complete({ signal: this.#signal });
      this.#tell({ kind: "back" });
    }
  }

  #tell(news: SpiceNews): void {
    try {
      this.#options.onNews?.(news);
    } catch (error) {
      this.#options.onDefect?.(error);
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
        if (!(error instanceof UtmostError)) this.#options.onDefect?.(error);
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
  { path, screens, timeoutMs, onEvent, onWarning, onDetail }: SpiceKeeperOptions,
  signal: AbortSignal,
): Promise<SpiceSession> {
  const options: SpiceSessionOptions = {
    timeoutMs,
    signal,
    ...screens.sessionOptions,
    onEvent,
    onWarning: ({ channel, text }) => onWarning?.(`SPICE, ${channel}: ${text}`),
    // A QEMU warns of a connection without TLS, which means nothing on a Unix socket.
    onNotice: ({ severity, text }) => {
      (severity === "error" ? onWarning : onDetail)?.(`SPICE, the server says: ${text}`);
    },
  };
  return await SpiceSession.connect({ path }, options).catch((error: unknown) => {
    if (error instanceof SpiceError || signal.aborted) throw error;
    throw new SpiceError(`Cannot attach SPICE: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  });
}
