/** A channel as others see it: those who link it, who handle its messages, and who watch it. */
import type { OwnedFd } from "../../ffi/fd.ts";
import type { AWAITED_MESSAGES, NOTIFY_SEVERITIES } from "./base_messages.ts";
import type { Codec, Decoded } from "./codec.ts";
import type { LinkResult } from "./link.ts";
import type { Routes } from "./message_routes.ts";

/** What the server told: NOTIFY, made safe to show. */
export interface SpiceNotice {
  /** The channel's name. */
  channel: string;
  severity: typeof NOTIFY_SEVERITIES[number];
  text: string;
}

/** What this client could not make sense of; told once for each kind of message. */
export interface SpiceWarning {
  /** The channel's name. */
  channel: string;
  /** What was left out and why, one clause, safe to show. */
  text: string;
}

/** A message of another channel, named by the server. */
export type AwaitedMessage = Decoded<typeof AWAITED_MESSAGES>["items"][number];

/** How a channel ended. */
export interface ChannelEnd {
  /** `client`: we closed it. `server`: it closed the connection. `error`: we had to close it. */
  by: "client" | "server" | "error";
  /** Why, one clause. */
  text: string;
  /** What went wrong, with `by: "error"`; a defect of ours where it is no `SpiceError`. */
  error?: unknown;
}

/** Counts of one channel. */
export interface ChannelStats {
  /** Messages received, all kinds. */
  messages: number;
  /** Bytes received, headers included. */
  bytes: number;
  /** ACKs sent. */
  acks: number;
  /** Complete messages with a broken structure. */
  malformed: number;
  /** Messages of ids that are in no table: id to count. */
  unknown: Map<number, number>;
}

/** A message of ours: its id and layout. */
export interface Request<T> {
  readonly id: number;
  readonly body: Codec<T>;
  /** The whole message, where it is always the same: one that is sent all the time. */
  readonly framed?: Uint8Array;
}

/** A linked channel, as those see it who handle its messages. */
export interface ChannelLink {
  /** The channel's name: "main", "display", "display-1". */
  readonly name: string;
  /** Which one of its type. */
  readonly id: number;
  /** What the server can do on this channel. */
  readonly caps: LinkResult;
  /**
   * Sends a message; what is sent in one turn of the event loop leaves in one write. Nothing is
   * sent once the channel has ended.
   *
   * @throws {SpiceLimitError} when the server has not read our messages for long.
   */
  send<T>(request: Request<T>, value: T): void;
}

/** A linked channel, as those see it who carry more than messages of a few bytes. */
export interface PacedLink extends ChannelLink {
  /**
   * Resolves once the socket has taken what was sent so far.
   *
   * @throws {SpiceClosedError} when the channel has ended.
   */
  drained(): Promise<void>;
  /**
   * Stops reading, so that the server stops sending, until `resume` is called; not before the first
   * message is complete, which attaching waits for.
   */
  pause(): void;
  /** Goes on after `pause`. */
  resume(): void;
  /**
   * Takes the descriptor that came with the message that is being handled; the caller owns it.
   * Returns nothing where none came, and on connections that carry none. What a handler does not take
   * is closed.
   */
  takeFd(): OwnedFd | undefined;
  /** Resolves when the channel has ended, whoever ended it. Never rejects. */
  readonly closed: Promise<ChannelEnd>;
  /** Ends the channel for the reason `text`, at once. */
  close(text: string): void;
}

/**
 * A linked channel, as the session sees it that keeps it, wherever its messages are handled: in this
 * thread or in another.
 */
export interface RunningChannel {
  readonly name: string;
  readonly id: number;
  /** Counts since the link, live. */
  readonly stats: Readonly<ChannelStats>;
  /** Resolves as soon as the channel is about to end. */
  readonly ending: Promise<void>;
  /** Resolves with how the channel ended, once nothing of it is left. Never rejects. */
  readonly closed: Promise<ChannelEnd>;
  /**
   * Resolves once the server's message number `serial`, counted from 1, has been handled, or the
   * channel has ended; undefined if that is so already.
   */
  reached(serial: bigint): Promise<void> | undefined;
  /** Ends the channel if nothing has moved since the last call, `periodMs` ago, though it should. */
  endIfStalled(periodMs: number): void;
  /** Ends the channel for the reason `text`, at once. */
  close(text: string): void;
}

/** A kind of channel: how it is linked, and what is done with its messages. */
export interface ChannelSetup {
  /** The channel's type. Source: spice/enums.h, SPICE_CHANNEL. */
  readonly type: number;
  /** Bits of the channel's own capabilities that we have. */
  readonly caps: readonly number[];
  /** The most bytes of a message body; called for each message where it varies. */
  readonly maxBytes: number | (() => number);
  /** Messages that begin with a list of messages of other channels that have to be handled first. */
  readonly waitsBefore?: readonly number[];
  /** Messages that are followed by a byte which their size does not count, by type: the byte. */
  readonly trailers?: ReadonlyMap<number, number>;
  /** Whether the server reads only as fast as the guest does: then it may stop for any time. */
  readonly isPacedByGuest?: boolean;
  /** Framed messages to send as early as possible, for a server that can do `caps`. */
  readonly early?: (caps: LinkResult) => Uint8Array;
  /** Called once the channel is linked, before its first message is read. */
  routes(link: PacedLink): Routes;
}
