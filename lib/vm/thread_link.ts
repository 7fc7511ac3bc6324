/** One channel of a display's thread, from before its link until its end, as the main thread has it. */
import type { UnixSocket } from "../../ffi/socket.ts";
import { SpiceError } from "../base/errors.ts";
import type { GlLedger } from "../display/gl_ledger.ts";
import { endBy } from "../spice/channel.ts";
import type { ChannelEnd } from "../spice/channel_link.ts";
import { DISPLAY_REQUESTS } from "../spice/display_messages.ts";
import { encodeMessage } from "../spice/framing.ts";
import type { DisplayOpening } from "../spice/session_options.ts";
import type { DisplayCells } from "./display_cells.ts";
import { type DisplayCommand, type DisplayNews, errorOf, plainError } from "./display_protocol.ts";
import { GlWatchdog } from "./gl_watchdog.ts";
import { ThreadChannel } from "./thread_channel.ts";

const GL_DRAW_DONE = encodeMessage(
  DISPLAY_REQUESTS.gl_draw_done.id,
  DISPLAY_REQUESTS.gl_draw_done.body,
  {},
).slice();

/** What a channel needs of its thread. */
export interface LinkThread {
  cells: DisplayCells;
  ledger: GlLedger;
  /** Has the thread do something. */
  post: (command: DisplayCommand) => void;
  /** What the display shows, for texts: "1280×800". */
  describe: () => string;
  /** A draw was not acknowledged in time. */
  onGuard: (text: string) => void;
  /** The thread does not come back, and has to be given up. */
  onHang: (text: string) => void;
  /** As in `ThreadOptions`. */
  hangMs?: number;
}

/** A channel, its connection and its watchdog; owns them. */
export class ThreadLink {
  readonly channel: ThreadChannel;
  /** Resolves once the server has accepted the ticket; rejects if the channel ends before. */
  readonly linked: Promise<void>;
  readonly #linked = Promise.withResolvers<void>();
  readonly #opening: DisplayOpening;
  readonly #socket: UnixSocket;
  readonly #thread: LinkThread;
  readonly #watchdog: GlWatchdog;
  /** What a listener has thrown: the channel ends with it. */
  #defect: { error: unknown } | undefined;

  /** @param socket The connection, of which the thread has another descriptor; taken over. */
  constructor(opening: DisplayOpening, socket: UnixSocket, thread: LinkThread) {
    const { name, id } = opening;
    const { cells, ledger, post, describe, onGuard, onHang, hangMs } = thread;
    this.#opening = opening;
    this.#socket = socket;
    this.#thread = thread;
    this.channel = new ThreadChannel({ name, id }, cells, post);
    this.linked = this.#linked.promise;
    this.linked.catch(() => {}); // nobody may be waiting any more
    this.#watchdog = new GlWatchdog({
      ...{ name, cells, ledger, describe, onHang },
      onTrip: onGuard,
      acknowledge: () => this.#acknowledge(),
      ...(hangMs === undefined ? {} : { hangMs }),
    });
  }

  /** Sends GL_DRAW_DONE in place of the thread. @returns Whether it has left. */
  #acknowledge(): boolean {
    try {
      return this.#socket.send(GL_DRAW_DONE, [], { timeoutMs: 0 }) === GL_DRAW_DONE.length;
    } catch {
      return true; // the server has gone, and owes nothing to the guest any more
    }
  }

  /** Hears what the thread tells of the channel; its end, too, is told to those who wait for it. */
  hear(news: DisplayNews): void {
    switch (news.is) {
      case "waiting":
        return this.#opening.onWait(news.what);
      case "linked":
        return this.#linked.resolve();
      case "first message":
        return this.#opening.onFirstMessage();
      case "await":
        return void this.#await(news);
      case "reached":
        return this.channel.tellReached();
      case "migrating":
        return this.#opening.onMigrate();
      case "notice":
        return this.#opening.onNotice(news.notice);
      case "warning":
        return this.#opening.onWarning(news.warning);
    }
  }

  /** Waits for other channels of the session, for the thread. */
  async #await({ call, awaited }: DisplayNews & { is: "await" }): Promise<void> {
    let failed = {};
    try {
      await this.#opening.waitFor(this.channel, awaited);
    } catch (error) {
      failed = { error: plainError(error) };
    }
    this.#thread.post({ do: "go on", call, ...failed });
  }

  /** A listener's defect ends the channel: it must not be overlooked. */
  fail(error: unknown): void {
    this.#defect ??= { error };
    this.channel.close("its listener failed");
  }

  /** Has the server go on without this display, whatever the thread does. */
  shutdown(): void {
    this.#socket.shutdown();
  }

  /** Takes note of the end, and lets go of everything. */
  end(end: ChannelEnd): void {
    this.#watchdog[Symbol.dispose]();
    this.#socket[Symbol.dispose]();
    const { channel } = this;
    const error = this.#defect === undefined ? end.error : this.#defect.error;
    this.#linked.reject(
      error ?? new SpiceError(`Cannot link the ${channel.name} channel: ${end.text}`),
    );
    channel.end(this.#defect === undefined ? end : endBy(error));
  }
}

/** The end of a channel, as the thread tells it. */
export function endOf({ by, text, error }: DisplayNews & { is: "ended" }): ChannelEnd {
  return { by, text, ...(error === undefined ? {} : { error: errorOf(error) }) };
}
