/** What a session is told, and what it tells. */
import type {
  AwaitedMessage,
  ChannelEnd,
  ChannelStats,
  PacedLink,
  RunningChannel,
  SpiceNotice,
  SpiceWarning,
} from "./channel_link.ts";
import type { DisplayOptions } from "./display_channel.ts";
import type { MainHandlers } from "./main_channel.ts";
import type { PointerKind } from "./mouse_mode.ts";
import type { SpiceTarget } from "./transport.ts";

/** Channels that can be asked for; main is always linked. */
export type SpiceChannelKind = "display";

/** A channel's life, as the event stream shows it. */
export interface SpiceEvent {
  /** The channel's type: "main", "display". */
  channel: string;
  /** Which one of that type; displays count from 0. */
  id: number;
  /**
   * `linked`: the server accepted our ticket. `up`: the channel is in use; from then on a display
   * misses nothing. `closed`: it is no more.
   */
  state: "linked" | "up" | "closed";
  /** Why it closed. */
  reason?: string;
}

/** Why a session ended. */
export interface SpiceCloseReason extends ChannelEnd {
  /**
   * Whether the server still takes connections: then another client may have come in. Only looked
   * at where the server closed; `false` otherwise.
   */
  isServerAlive: boolean;
}

/** A channel that the server has. */
export interface OfferedChannel {
  /** Its type's name, or `type N`. */
  channel: string;
  type: number;
  id: number;
}

/** A display that is to be linked elsewhere than in the session's thread, and what the session does. */
export interface DisplayOpening {
  target: SpiceTarget;
  /** The channel's name: "display", "display-1". */
  name: string;
  /** Which display. */
  id: number;
  /** The session id out of main's INIT. */
  connectionId: number;
  /** The server's password, if there is one. */
  password?: string;
  /** Is told what is waited for, for the message of a deadline. */
  onWait(what: string): void;
  /** To be called once, when the first message has come. */
  onFirstMessage(): void;
  /**
   * Waits until other channels of the session have handled the messages `awaited`.
   *
   * @returns undefined if there is nothing to wait for.
   * @throws {SpiceDecodeError} if that can never be: the channel then ends with it.
   */
  waitFor(
    channel: RunningChannel,
    awaited: readonly AwaitedMessage[],
  ): Promise<void> | undefined;
  /** The server wants to move the session to another host. */
  onMigrate(): void;
  onNotice(notice: SpiceNotice): void;
  onWarning(warning: SpiceWarning): void;
}

/** Options of {@linkcode SpiceSession.connect}. */
export interface SpiceSessionOptions extends DisplayOptions {
  /** The server's password, at most 60 bytes of UTF-8; none when left out or empty. */
  password?: string;
  /** What to link besides main, where the server has it; displays when left out. */
  channels?: readonly SpiceChannelKind[];
  /**
   * How the guest's pointer is moved: `absolute` wherever the guest can take places, as when left
   * out, or always `relative`, for who captures the pointer.
   */
  pointer?: PointerKind;
  /**
   * Links each display, in place of the session: in another thread, for one. Resolves once the
   * server has accepted the ticket; gives up, and closes what it has opened, when `signal` is
   * aborted. `onDisplay` is not called then.
   *
   * @throws what linking a channel throws; the signal's reason when it is aborted.
   */
  openDisplay?: (signal: AbortSignal, opening: DisplayOpening) => Promise<RunningChannel>;
  /** Milliseconds until attaching fails; 10 s when left out. */
  timeoutMs?: number;
  /** Gives up attaching; the session is not affected later. */
  signal?: AbortSignal;
  /** Makes handlers of main's messages beside the session's own. */
  onMain?: (link: PacedLink) => MainHandlers;
  /**
   * Is told of channels that the server has later than at first, in `offered`; displays among them
   * are linked without being asked for.
   */
  onOffered?: (channel: OfferedChannel) => void;
  /** Is told what becomes of the channels. */
  onEvent?: (event: SpiceEvent) => void;
  /** Takes the server's texts for the user, safe to show. */
  onNotice?: (notice: SpiceNotice) => void;
  /** Is told what of the server's messages is left out, once for each kind. */
  onWarning?: (warning: SpiceWarning) => void;
}

/** A channel that was opened beside main and the displays. */
export interface OpenChannel extends PacedLink {
  /** Counts since the link, live. */
  readonly stats: Readonly<ChannelStats>;
}
