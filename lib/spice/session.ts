/**
 * A SPICE session: one connection per channel, main first, held for as long as the VM lives.
 *
 * Attaching costs the server an RSA key for every channel, 10 to 15 ms each, one after another in
 * QEMU's main loop. So only main and the displays are linked, and everything that need not wait for
 * an answer travels with the ticket: ATTACH_CHANNELS on main, INIT on a display (which moreover
 * spares its thread a poll every 10 ms for an INIT that comes too late).
 */
import { withDeadline } from "../base/deadline.ts";
import { DeadlineError, SpiceError } from "../base/errors.ts";
import { both, type Handlers, routes, SpiceChannel, type SpiceNotice } from "./channel.ts";
import type { ChannelEnd, ChannelLink, ChannelSetup, ChannelStats, PacedLink } from "./channel.ts";
import type { Decoded } from "./codec.ts";
import { DISPLAY_TYPE, type DisplayOptions, displaySetup } from "./display_channel.ts";
import { SpiceClosedError, SpiceLimitError, SpiceTimeoutError } from "./errors.ts";
import { encodeMessages } from "./framing.ts";
import { linkChannel, type LinkResult } from "./link.ts";
import { MAIN_CAPS, MAIN_MAX_BYTES, MAIN_MESSAGES, MAIN_REQUESTS } from "./main_messages.ts";
import { MouseMode, type PointerKind } from "./mouse_mode.ts";
import { connectStream, type SpiceStream, type SpiceTarget, targetText } from "./transport.ts";

export type { SpiceNotice, SpiceTarget };

/** Names of channel types. Source: spice/enums.h, SPICE_CHANNEL. */
const CHANNEL_TYPES: Readonly<Record<number, string>> = {
  1: "main",
  2: "display",
  3: "inputs",
  4: "cursor",
  5: "playback",
  6: "record",
  8: "smartcard",
  9: "usbredir",
  10: "port",
  11: "webdav",
};
const MAIN_TYPE = 1;

/** Displays that are linked at most; QEMU has at most 16 display devices. */
const MAX_DISPLAYS = 16;
/** A message that has begun, and a write, must go on within this time. */
const STALL_MS = 30_000;
const ATTACH_TIMEOUT_MS = 10_000;
/** How long a connection stays open before the server behind it counts as running. */
const PROBE_MS = 50;

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
   * at on a Unix socket that the server closed; `false` otherwise.
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
  /** Milliseconds until attaching fails; 10 s when left out. */
  timeoutMs?: number;
  /** Gives up attaching; the session is not affected later. */
  signal?: AbortSignal;
  /** Makes handlers of main's messages beside the session's own. */
  onMain?: (link: PacedLink) => Handlers<typeof MAIN_MESSAGES>;
  /** Is told what becomes of the channels. */
  onEvent?: (event: SpiceEvent) => void;
  /** Takes the server's texts for the user, safe to show. */
  onNotice?: (notice: SpiceNotice) => void;
}

/** A channel that was opened beside main and the displays. */
export interface OpenChannel extends PacedLink {
  /** Counts since the link, live. */
  readonly stats: Readonly<ChannelStats>;
}

/** Returns the name of a channel's type. */
function channelType(type: number): string {
  return CHANNEL_TYPES[type] ?? `type ${type}`;
}

/** Returns the name of one channel: "display", "display-1". */
export function channelName(type: number, id: number): string {
  return id === 0 ? channelType(type) : `${channelType(type)}-${id}`;
}

/** A session with a SPICE server; owns its connections and runs by itself. */
export class SpiceSession implements AsyncDisposable {
  readonly #target: SpiceTarget;
  readonly #options: SpiceSessionOptions;
  readonly #streams = new Set<SpiceStream>();
  readonly #linked = new Map<string, SpiceChannel>();
  readonly #running: Promise<unknown>[] = [];
  readonly #closed = Promise.withResolvers<SpiceCloseReason>();
  /** Rejects when the session ends: what attaching waits for will not come then. */
  readonly #lost = Promise.withResolvers<never>();
  #isClosing = false;
  #isDisposed = false;
  #waitingFor = "connection to the server";
  #stallTimer: ReturnType<typeof setInterval> | undefined;
  #sessionId = 0;
  #offered: OfferedChannel[] = [];
  readonly #mouseMode: MouseMode;
  #serverName = "";

  private constructor(target: SpiceTarget, options: SpiceSessionOptions) {
    this.#target = target;
    this.#options = options;
    this.#mouseMode = new MouseMode(options.pointer ?? "absolute");
    this.#lost.promise.catch(() => {}); // nobody may be waiting
  }

  /**
   * Attaches to a server. Resolves once main and, unless the server has none, every display are up:
   * what the guest draws from then on is seen.
   *
   * @throws {SpiceConnectError} when no connection can be made.
   * @throws {SpiceLinkError} when the server refuses a channel or does not speak SPICE.
   * @throws {SpiceTimeoutError} when `timeoutMs` passes first.
   * @throws {SpiceClosedError} when the server closes before the session is up.
   * @throws {SpiceLimitError} or {SpiceDecodeError} when the server sends what none would.
   * @throws the signal's reason when the caller's signal is aborted first.
   */
  static async connect(
    target: SpiceTarget,
    options: SpiceSessionOptions = {},
  ): Promise<SpiceSession> {
    const { timeoutMs = ATTACH_TIMEOUT_MS, signal } = options;
    const session = new SpiceSession(target, options);
    try {
      await withDeadline("SPICE session", (signal) => {
        const attaching = session.#attach(signal);
        session.#running.push(attaching.catch(() => {}));
        return attaching;
      }, { timeoutMs, ...(signal ? { signal } : {}) });
      return session;
    } catch (error) {
      await session[Symbol.asyncDispose]();
      if (!(error instanceof DeadlineError)) throw error;
      throw new SpiceTimeoutError(
        `Cannot attach to SPICE at ${targetText(target)}: no ${session.#waitingFor} ` +
          `within ${timeoutMs} ms`,
        { cause: error, hint: "Check that this is a SPICE server, and that it is not stopped" },
      );
    }
  }

  /** The linked channels: "main", "display", and "display-1" and so on for further displays. */
  get channels(): string[] {
    return [...this.#linked.keys()];
  }

  /** All channels that the server has announced, linked or not. */
  get offered(): readonly OfferedChannel[] {
    return this.#offered;
  }

  /** Mouse modes as bits, 1 relative and 2 absolute: what the server can do, and what is on. */
  get mouseMode(): Readonly<{ supported: number; current: number }> {
    return this.#mouseMode.bits;
  }

  /**
   * Waits until the guest's pointer is of one kind: `absolute` comes once the guest has a driver for
   * its tablet, or the agent runs.
   *
   * @throws {DeadlineError} when `timeoutMs` passes first, 10 s when left out.
   * @throws {SpiceClosedError} when the session ends first.
   * @throws the signal's reason when it is aborted first.
   */
  waitForPointer(
    kind: PointerKind,
    options: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<void> {
    return this.#mouseMode.wait(kind, this.closed, options);
  }

  /** The VM's name as the server tells it, safe to show; empty if it does not. */
  get serverName(): string {
    return this.#serverName;
  }

  /** Counts of each linked channel, live. */
  get stats(): ReadonlyMap<string, Readonly<ChannelStats>> {
    return new Map([...this.#linked].map(([name, channel]) => [name, channel.stats]));
  }

  /** Resolves when the session has ended, whoever ended it. Never rejects. */
  get closed(): Promise<SpiceCloseReason> {
    return this.#closed.promise;
  }

  async #attach(signal: AbortSignal): Promise<void> {
    const init = Promise.withResolvers<Decoded<typeof MAIN_MESSAGES[103]>>();
    const list = Promise.withResolvers<void>();
    await this.#open(signal, this.#mainSetup(init.resolve, list.resolve), 0);
    this.#sessionId = (await this.#wait("INIT of the main channel", init.promise)).sessionId;
    await this.#wait("list of channels", list.promise);
    this.#emit({ channel: "main", id: 0, state: "up" });

    if (this.#options.channels?.includes("display") ?? true) {
      const displays = this.#offered.filter(({ type }) => type === DISPLAY_TYPE)
        .map(({ id }) => id).sort((a, b) => a - b);
      if (displays.length > MAX_DISPLAYS) {
        throw new SpiceLimitError(
          `Cannot attach to SPICE: the server has ${displays.length} displays, ` +
            `expected at most ${MAX_DISPLAYS}`,
        );
      }
      const opening = displays.map((id) => this.#openDisplay(signal, id));
      this.#running.push(Promise.allSettled(opening)); // one may fail while others still open
      await Promise.all(opening);
    }
    if (this.#isClosing) return await this.#lost.promise;
    this.#stallTimer = setInterval(() => {
      for (const channel of this.#linked.values()) channel.endIfStalled(STALL_MS);
    }, STALL_MS);
  }

  /** How main is linked; ATTACH_CHANNELS travels with the ticket. */
  #mainSetup(
    onInit: (init: Decoded<typeof MAIN_MESSAGES[103]>) => void,
    onList: () => void,
  ): ChannelSetup {
    const handlers = (link: ChannelLink): Handlers<typeof MAIN_MESSAGES> => ({
      init: (value) => {
        const { supportedMouseModes: supported, currentMouseMode: current } = value;
        this.#mouseMode.update(link, { supported, current });
        onInit(value);
      },
      channels_list: ({ items }) => {
        this.#addOffered(items); // a later list holds additions only
        onList();
      },
      mouse_mode: (mode) => this.#mouseMode.update(link, mode),
      name: ({ text }) => this.#serverName = text,
      migrate_begin: () => this.#endForMigration(),
      migrate_switch_host: () => this.#endForMigration(),
      migrate_begin_seamless: () => this.#endForMigration(),
    });
    return {
      type: MAIN_TYPE,
      caps: [MAIN_CAPS.nameAndUuid, MAIN_CAPS.agentConnectedTokens],
      maxBytes: MAIN_MAX_BYTES,
      early: () => encodeMessages((add) => add(MAIN_REQUESTS.attach_channels, {})),
      routes: (link) =>
        routes(MAIN_MESSAGES, both(handlers(link), this.#options.onMain?.(link) ?? {})),
    };
  }

  /**
   * Links a display and waits until the server uses it. Its first message is the proof: the
   * server's display thread sends it after it has made this client one of its own, and only that
   * thread handles what the guest draws.
   */
  async #openDisplay(signal: AbortSignal, id: number): Promise<void> {
    const up = Promise.withResolvers<void>();
    await this.#open(signal, displaySetup(this.#options), id, up.resolve);
    await this.#wait(`first message of display ${id}`, up.promise);
    this.#emit({ channel: "display", id, state: "up" });
  }

  /**
   * Links one more channel of an attached session: the cursor, the inputs, a port.
   *
   * @param id Which one of its type, as in `offered`.
   * @throws {SpiceLinkError} when the server refuses or closes: an unknown channel, or a port that
   * another client has.
   * @throws {SpiceTimeoutError} when the server does not answer within `timeoutMs`, 10 s if left out.
   * @throws {SpiceClosedError} when the session has ended.
   * @throws the signal's reason when it is aborted first.
   */
  async open(
    setup: ChannelSetup,
    id = 0,
    options: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<OpenChannel> {
    const { timeoutMs = ATTACH_TIMEOUT_MS, signal } = options;
    const name = channelName(setup.type, id);
    if (this.#isClosing) {
      throw new SpiceClosedError(`Cannot link the ${name} channel: the session has ended`);
    }
    if (this.#linked.has(name)) throw new Error(`Cannot link the ${name} channel twice`);
    const tooLate = new SpiceTimeoutError(
      `Cannot link the ${name} channel: no answer within ${timeoutMs} ms`,
    );
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(tooLate), timeoutMs);
    const opening = this.#open(
      AbortSignal.any(signal ? [late.signal, signal] : [late.signal]),
      setup,
      id,
    );
    this.#running.push(opening.catch(() => {}));
    try {
      const channel = await opening;
      this.#emit({ channel: channelType(setup.type), id, state: "up" });
      return channel;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Connects and links a channel, and lets it run. */
  async #open(
    signal: AbortSignal,
    setup: ChannelSetup,
    id: number,
    onFirstMessage?: () => void,
  ): Promise<SpiceChannel> {
    const { type, caps, maxBytes, isPacedByGuest = false, early } = setup;
    const name = channelName(type, id);
    const onWait = (what: string) => this.#waitingFor = what;
    onWait(`connection for the ${name} channel`);
    const stream = await connectStream(this.#target, signal);
    this.#streams.add(stream);
    if (this.#isClosing) stream.close();
    const giveUp = () => stream.close();
    signal.addEventListener("abort", giveUp);
    const { password, onNotice } = this.#options;
    let linked: LinkResult;
    try {
      linked = await linkChannel(stream, {
        channel: name,
        type,
        id,
        connectionId: this.#sessionId,
        caps,
        onWait,
        ...(early ? { early } : {}),
        ...(password ? { password } : {}),
      });
      signal.throwIfAborted();
    } catch (error) {
      stream.close();
      this.#streams.delete(stream);
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }

    const channel = new SpiceChannel(stream, {
      name,
      id,
      caps: linked,
      maxBytes,
      isPacedByGuest,
      routes: (link) => setup.routes(link),
      onMigrate: () => this.#endForMigration(),
      ...(onFirstMessage ? { onFirstMessage } : {}),
      ...(onNotice ? { onNotice } : {}),
    });
    this.#linked.set(name, channel);
    this.#emit({ channel: channelType(type), id, state: "linked" });
    this.#running.push(this.#run(channel, stream, type));
    return channel;
  }

  /** Runs a channel to its end; main's end is the session's. */
  async #run(channel: SpiceChannel, stream: SpiceStream, type: number): Promise<void> {
    const end = await channel.run();
    this.#linked.delete(channel.name);
    this.#streams.delete(stream);
    this.#lose(end);
    try {
      const { id } = channel;
      this.#emit({ channel: channelType(type), id, state: "closed", reason: end.text });
    } finally {
      if (type === MAIN_TYPE) await this.#endWith(end);
    }
  }

  /** Ends attaching, if it is under way: a channel that it needs has ended. */
  #lose(end: ChannelEnd): void {
    const where = targetText(this.#target);
    this.#lost.reject(
      end.error ?? new SpiceClosedError(`Cannot attach to SPICE at ${where}: ${end.text}`),
    );
  }

  /** Waits for something that a running channel will bring. */
  #wait<T>(what: string, promise: Promise<T>): Promise<T> {
    this.#waitingFor = what;
    return Promise.race([promise, this.#lost.promise]);
  }

  #emit(event: SpiceEvent): void {
    this.#options.onEvent?.(event);
  }

  #addOffered(items: readonly { type: number; id: number }[]): void {
    const known = new Set(this.#offered.map(({ type, id }) => type << 8 | id));
    for (const { type, id } of items) {
      if (known.has(type << 8 | id)) continue;
      known.add(type << 8 | id);
      this.#offered.push({ channel: channelType(type), type, id });
    }
  }

  #endForMigration(): void {
    const error = new SpiceClosedError(
      "Cannot keep the SPICE session: the VM moves to another host, which this client cannot follow",
    );
    this.#endWith({ by: "error", text: error.message, error });
  }

  /** Ends the session: closes every connection, then tells why. */
  async #endWith(end: ChannelEnd): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#lose(end);
    clearInterval(this.#stallTimer);
    for (const channel of this.#linked.values()) channel.close(end.text);
    for (const stream of this.#streams) stream.close();
    const isServerAlive = end.by === "server" && await this.#isServerAlive();
    this.#closed.resolve({
      ...end,
      text: isServerAlive
        ? `${end.text}; it still takes others, so one may have come in`
        : end.text,
      isServerAlive,
    });
  }

  /**
   * Finds out whether the server still runs. A connection alone is no proof: a process that is
   * being torn down by its kernel accepts for a moment. So it has to stay open for a while.
   */
  async #isServerAlive(): Promise<boolean> {
    if (!("path" in this.#target)) return false;
    try {
      using stream = await connectStream(this.#target);
      if (this.#isDisposed) return false;
      this.#streams.add(stream); // so that disposing does not wait for it
      let isAlive = false;
      const timer = setTimeout(() => {
        isAlive = true;
        stream.close();
      }, PROBE_MS);
      await stream.chunk(); // nothing comes: a server does not speak first
      clearTimeout(timer);
      return isAlive;
    } catch (error) {
      if (error instanceof SpiceError) return false;
      throw error;
    }
  }

  /** Ends the session at once; resolves when nothing of it is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    await this.#endWith({ by: "client", text: "the client closed the session" });
    for (const stream of this.#streams) stream.close();
    while (this.#running.length > 0) await Promise.allSettled(this.#running.splice(0));
  }
}
