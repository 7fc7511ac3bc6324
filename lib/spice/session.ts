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
import type {
  ChannelEnd,
  ChannelSetup,
  ChannelStats,
  RunningChannel,
  SpiceNotice,
  SpiceWarning,
} from "./channel_link.ts";
import { endBy, SpiceChannel } from "./channel.ts";
import { channelName, channelType } from "./channel_types.ts";
import { ChannelWaits } from "./channel_waits.ts";
import { DISPLAY_TYPE, displaySetup } from "./display_channel.ts";
import { DisplayRelinks } from "./display_relinks.ts";
import { SpiceClosedError, SpiceLimitError, SpiceTimeoutError } from "./errors.ts";
import { linkChannel, type LinkResult } from "./link.ts";
import { MAIN_TYPE, mainSetup } from "./main_channel.ts";
import { MAX_DISPLAYS, MessageMemory } from "./memory.ts";
import { MouseMode, type PointerKind } from "./mouse_mode.ts";
import { isServing } from "./server_probe.ts";
import type {
  DisplayOpening,
  OfferedChannel,
  OpenChannel,
  SpiceCloseReason,
  SpiceEvent,
  SpiceSessionOptions,
} from "./session_options.ts";
import { connectStream, type SpiceStream, type SpiceTarget, targetText } from "./transport.ts";

export type { SpiceNotice, SpiceTarget, SpiceWarning };
export type {
  DisplayOpening,
  OfferedChannel,
  OpenChannel,
  SpiceCloseReason,
  SpiceEvent,
  SpiceSessionOptions,
};

/** A message that has begun, and a write, must go on within this time. */
const STALL_MS = 30_000;
const ATTACH_TIMEOUT_MS = 10_000;

/** A session with a SPICE server; owns its connections and runs by itself. */
export class SpiceSession implements AsyncDisposable {
  readonly #target: SpiceTarget;
  readonly #options: SpiceSessionOptions;
  readonly #streams = new Set<SpiceStream>();
  readonly #linked = new Map<string, RunningChannel>();
  /** Channels that `open` is linking. */
  readonly #opening = new Set<string>();
  readonly #running: Promise<unknown>[] = [];
  readonly #memory = new MessageMemory();
  readonly #waits = new ChannelWaits((type, id) => this.#linked.get(channelName(type, id)));
  readonly #closed = Promise.withResolvers<SpiceCloseReason>();
  /** Rejects when the session ends: what attaching waits for will not come then. */
  readonly #lost = Promise.withResolvers<never>();
  /** Ends what the session does by itself: linking displays again. */
  readonly #ending = new AbortController();
  readonly #displays = new DisplayRelinks({
    ending: this.#ending.signal,
    link: (signal, id) => this.#openDisplay(signal, id),
    warn: (id, text) => this.#warn(channelName(DISPLAY_TYPE, id), text),
  });
  #isAttached = false;
  #isDisposed = false;
  #waitingFor = "connection to the server";
  #stallTimer: ReturnType<typeof setInterval> | undefined;
  #sessionId = 0;
  readonly #offered: OfferedChannel[] = [];
  /** Types and ids of `offered`. */
  readonly #known = new Set<number>();
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

  get #isClosing(): boolean {
    return this.#ending.signal.aborted;
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
    const init = Promise.withResolvers<void>();
    const list = Promise.withResolvers<void>();
    const setup = mainSetup({
      onSession: (id) => {
        this.#sessionId = id;
        init.resolve();
      },
      onChannels: (channels) => {
        this.#offer(channels);
        list.resolve();
      },
      onMouseMode: (link, modes) => this.#mouseMode.update(link, modes),
      onName: (name) => this.#serverName = name,
      onMigrate: () => this.#endForMigration(),
    }, (link) => this.#options.onMain?.(link) ?? {});
    await this.#open(signal, setup, 0);
    await this.#wait("INIT of the main channel", init.promise);
    await this.#wait("list of channels", list.promise);
    this.#emit({ channel: "main", id: 0, state: "up" });

    const known = this.#offered.length;
    if (this.#linksDisplays) {
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
    this.#isAttached = true;
    for (const later of this.#offered.slice(known)) this.#addLater(later); // came meanwhile
    this.#stallTimer = setInterval(() => {
      for (const channel of this.#linked.values()) channel.endIfStalled(STALL_MS);
    }, STALL_MS);
  }

  get #linksDisplays(): boolean {
    return this.#options.channels?.includes("display") ?? true;
  }

  /**
   * Links a display and waits until the server uses it. Its first message is the proof: the
   * server's display thread sends it after it has made this client one of its own, and only that
   * thread handles what the guest draws.
   */
  async #openDisplay(signal: AbortSignal, id: number): Promise<void> {
    const up = Promise.withResolvers<void>();
    const channel = this.#options.openDisplay === undefined
      ? await this.#open(signal, displaySetup({ ...this.#options, gl: false }), id, up.resolve)
      : await this.#openElsewhere(signal, this.#options.openDisplay, id, up.resolve);
    const lost = channel.closed.then((end) => Promise.reject(this.#lossOf(end)));
    await this.#wait(`first message of display ${id}`, Promise.race([up.promise, lost]));
    this.#announce(channel, DISPLAY_TYPE, "up");
  }

  /** Has a display linked and run by somebody else, and keeps it like a channel of its own. */
  async #openElsewhere(
    signal: AbortSignal,
    open: NonNullable<SpiceSessionOptions["openDisplay"]>,
    id: number,
    onFirstMessage: () => void,
  ): Promise<RunningChannel> {
    const { password, onNotice, onWarning } = this.#options;
    const opening: DisplayOpening = {
      target: this.#target,
      name: channelName(DISPLAY_TYPE, id),
      id,
      connectionId: this.#sessionId,
      onWait: (what) => this.#waitingFor = what,
      onFirstMessage,
      waitFor: (channel, awaited) => this.#waits.waitFor(channel, awaited),
      onMigrate: () => this.#endForMigration(),
      onNotice: (notice) => onNotice?.(notice),
      onWarning: (warning) => onWarning?.(warning),
      ...(password ? { password } : {}),
    };
    let channel: RunningChannel;
    try {
      channel = await open(AbortSignal.any([signal, this.#ending.signal]), opening);
    } catch (error) {
      signal.throwIfAborted();
      if (this.#isClosing) return await this.#lost.promise; // which tells why
      throw error;
    }
    this.#keep(channel, DISPLAY_TYPE, channel.closed);
    return channel;
  }

  /**
   * Does something beside what the caller waits for, until the session ends. What goes wrong there
   * is a defect, of a listener for one, and ends the session.
   */
  #background(work: Promise<void>): void {
    const running = work.catch((error) => this.#endWith(endBy(error))).finally(() => {
      const at = this.#running.indexOf(running);
      if (at >= 0) this.#running.splice(at, 1);
    });
    this.#running.push(running);
  }

  /**
   * Links one more channel of an attached session: the cursor, the inputs, a port.
   *
   * @param id Which one of its type, as in `offered`.
   * @throws {SpiceLinkError} when the server refuses or closes: an unknown channel, or a port that
   * another client has.
   * @throws {SpiceTimeoutError} when the server does not answer within `timeoutMs`, 10 s if left out.
   * @throws {SpiceClosedError} when the session has ended.
   * @throws {SpiceError} when the channel is linked already.
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
    if (this.#linked.has(name) || this.#opening.has(name)) {
      throw new SpiceError(`Cannot link the ${name} channel: it is linked already`);
    }
    const tooLate = new SpiceTimeoutError(
      `Cannot link the ${name} channel: no answer within ${timeoutMs} ms`,
    );
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(tooLate), timeoutMs);
    this.#opening.add(name);
    const opening = this.#open(
      AbortSignal.any(signal ? [late.signal, signal] : [late.signal]),
      setup,
      id,
    );
    this.#running.push(opening.catch(() => {}));
    try {
      const channel = await opening;
      this.#announce(channel, setup.type, "up");
      return channel;
    } finally {
      clearTimeout(timer);
      this.#opening.delete(name);
    }
  }

  /** Connects and links a channel, and lets it run. */
  async #open(
    signal: AbortSignal,
    setup: ChannelSetup,
    id: number,
    onFirstMessage?: () => void,
  ): Promise<SpiceChannel> {
    const { type, caps, maxBytes, isPacedByGuest = false, waitsBefore = [], trailers, early } =
      setup;
    const name = channelName(type, id);
    const onWait = (what: string) => this.#waitingFor = what;
    onWait(`connection for the ${name} channel`);
    const stream = await connectStream(this.#target, signal);
    this.#streams.add(stream);
    if (this.#isClosing) stream.close();
    const giveUp = () => stream.close();
    signal.addEventListener("abort", giveUp);
    const { password, onNotice, onWarning } = this.#options;
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

    const channel: SpiceChannel = new SpiceChannel(stream, {
      name,
      id,
      caps: linked,
      maxBytes,
      isPacedByGuest,
      memory: this.#memory,
      waitsBefore,
      ...(trailers ? { trailers } : {}),
      waitFor: (awaited) => this.#waits.waitFor(channel, awaited),
      routes: (link) => setup.routes(link),
      onMigrate: () => this.#endForMigration(),
      ...(onFirstMessage ? { onFirstMessage } : {}),
      ...(onNotice ? { onNotice } : {}),
      ...(onWarning ? { onWarning } : {}),
    });
    void channel.closed.then(() => this.#streams.delete(stream));
    this.#keep(channel, type, channel.run()); // reads nothing before this turn ends
    return channel;
  }

  /** Keeps a channel until it ends, and tells of both. */
  #keep(channel: RunningChannel, type: number, running: Promise<ChannelEnd>): void {
    this.#linked.set(channel.name, channel);
    this.#background(this.#watch(channel, running, type));
    this.#announce(channel, type, "linked");
    if (this.#isClosing) channel.close("the client closed the session");
  }

  /** Waits for a channel's end; main's end is the session's. */
  async #watch(
    channel: RunningChannel,
    running: Promise<ChannelEnd>,
    type: number,
  ): Promise<void> {
    const end = await running;
    this.#linked.delete(channel.name);
    if (!this.#isAttached) this.#lost.reject(this.#lossOf(end)); // attaching needs all of them
    const { id } = channel;
    let why = end;
    try {
      this.#emit({ channel: channelType(type), id, state: "closed", reason: end.text });
    } catch (error) {
      why = endBy(error); // the listener's defect must not be overlooked
    }
    if (type === MAIN_TYPE || why !== end) return await this.#endWith(why);
    if (type === DISPLAY_TYPE && this.#isAttached && end.by !== "client" && !this.#isClosing) {
      this.#background(this.#displays.again(id));
    }
  }

  /** The error of who needs a channel that has ended. */
  #lossOf(end: ChannelEnd): unknown {
    const where = targetText(this.#target);
    return end.error ?? new SpiceClosedError(`Cannot attach to SPICE at ${where}: ${end.text}`);
  }

  /** Waits for something that a running channel will bring. */
  #wait<T>(what: string, promise: Promise<T>): Promise<T> {
    this.#waitingFor = what;
    return Promise.race([promise, this.#lost.promise]);
  }

  /** Tells what has become of a channel that is kept only if it could be told. */
  #announce(channel: RunningChannel, type: number, state: "linked" | "up"): void {
    try {
      this.#emit({ channel: channelType(type), id: channel.id, state });
    } catch (error) {
      channel.close("its listener failed");
      throw error;
    }
  }

  #emit(event: SpiceEvent): void {
    this.#options.onEvent?.(event);
  }

  #warn(channel: string, text: string): void {
    this.#options.onWarning?.({ channel, text });
  }

  /** Takes note of channels that the server has; a later list holds additions only. */
  #offer(channels: readonly { type: number; id: number }[]): void {
    for (const { type, id } of channels) {
      const key = type << 8 | id;
      if (this.#known.has(key)) continue;
      this.#known.add(key);
      const channel = { channel: channelType(type), type, id };
      this.#offered.push(channel);
      if (this.#isAttached) this.#addLater(channel);
    }
  }

  #addLater(channel: OfferedChannel): void {
    this.#options.onOffered?.(channel);
    if (channel.type !== DISPLAY_TYPE || !this.#linksDisplays) return;
    const displays = this.#offered.filter(({ type }) => type === DISPLAY_TYPE).length;
    if (displays <= MAX_DISPLAYS) return this.#background(this.#displays.open(channel.id));
    const text =
      `the display is not shown: there are ${displays}, expected at most ${MAX_DISPLAYS}`;
    this.#warn(channelName(DISPLAY_TYPE, channel.id), text);
  }

  #endForMigration(): void {
    const error = new SpiceClosedError(
      "Cannot keep the SPICE session: the VM moves to another host, which this client cannot follow",
    );
    this.#background(this.#endWith(endBy(error)));
  }

  /** Ends the session: closes every connection, then tells why. Never rejects. */
  async #endWith(end: ChannelEnd): Promise<void> {
    if (this.#isClosing) return;
    this.#ending.abort();
    this.#lost.reject(this.#lossOf(end));
    clearInterval(this.#stallTimer);
    for (const channel of this.#linked.values()) channel.close(end.text);
    for (const stream of this.#streams) stream.close();
    const isServerAlive = end.by === "server" && await this.#isServing();
    this.#closed.resolve({
      ...end,
      text: isServerAlive ? `${end.text}, maybe for another client` : end.text,
      isServerAlive: isServerAlive && !this.#isDisposed,
    });
  }

  async #isServing(): Promise<boolean> {
    try {
      return await isServing(this.#target, (stream) => {
        this.#streams.add(stream); // so that disposing does not wait for it
        if (this.#isDisposed) stream.close();
      });
    } catch {
      return false; // why the session ended is what matters
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
