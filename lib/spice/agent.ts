/**
 * The guest's agent (vdagent), on the main channel: the guest's resolution and its clipboards.
 *
 * It comes and goes with the guest's session. When it goes, everything about it is forgotten and
 * whoever waits for it is told at once. The pointer is not here: the server itself tells the agent
 * the positions that are sent on the inputs channel.
 */
import { withDeadline } from "../base/deadline.ts";
import {
  AGENT_DATA_BYTES,
  AGENT_MESSAGES,
  AGENT_SUCCESS,
  AGENT_TYPES,
  type AgentCap,
  type AgentHandlers,
  agentLayouts,
  type AgentValues,
  capWords,
  MAX_AGENT_BYTES,
  MAX_CLIPBOARD_BYTES,
  MONITORS_FLAGS,
  namedCaps,
  OUR_AGENT_CAPS,
} from "./agent_messages.ts";
import { AgentAssembler, AgentSender, encodeAgentMessage } from "./agent_stream.ts";
import type { Handlers } from "./message_routes.ts";
import type { PacedLink } from "./channel_link.ts";
import { type ClipboardEvent, GuestClipboard } from "./clipboard.ts";
import { ByteReader } from "./codec.ts";
import { linkErrorName, SpiceAgentError, SpiceClosedError, SpiceDecodeError } from "./errors.ts";
import { MAIN_MESSAGES, MAIN_REQUESTS } from "./main_messages.ts";

/** No limit for what the server sends: we read all the time, and keep only what was asked for. */
const UNLIMITED_TOKENS = 0xffff_ffff;
const TIMEOUT_MS = 10_000;
const MAX_MONITORS = 16;
const MAX_MONITOR_PIXELS = 16384;

/** What happened in the guest's agent. */
export type AgentEvent =
  /** It has said what it can do, and can be used. */
  | { kind: "connected"; caps: readonly AgentCap[] }
  /** It has gone, and with it whatever it knew. */
  | { kind: "disconnected"; reason: string }
  /** The guest copied something, or let go of it; `clipboard.read` gets it. */
  | { kind: "clipboard" } & ClipboardEvent
  /** It answered a request of ours, such as "monitors_config". */
  | { kind: "reply"; to: string; isSuccess: boolean };

/** The place and size of one of the guest's monitors, in pixels. */
export interface MonitorPlace {
  width: number;
  height: number;
  /** From the left edge of all monitors; 0 when left out. */
  x?: number;
  /** From the upper edge of all monitors; 0 when left out. */
  y?: number;
}

/** Options of a wait. */
export interface AgentWait {
  /** Milliseconds until it fails; 10 s when left out. */
  timeoutMs?: number;
  /** Gives up. */
  signal?: AbortSignal;
}

/** Counts since the session began. */
export interface AgentStats {
  /** Messages that were handled. */
  received: number;
  /** Messages that were dropped: of unknown types, too large, or not asked for. */
  dropped: number;
  /** Messages with a broken structure, and data that is no agent's. */
  malformed: number;
  /** Requests of the guest for clipboard contents that were not granted. */
  refused: number;
}

/** Options of {@linkcode SpiceAgent}. */
export interface AgentOptions {
  /** Is told what happens; contents of clipboards are never in it. */
  onEvent?: (event: AgentEvent) => void;
}

/**
 * The agent of one session's guest. Make it first, then connect with
 * `onMain: (link) => agent.handlers(link)`.
 */
export class SpiceAgent {
  /** The clipboards that the guest shares. */
  readonly clipboard: GuestClipboard;
  /** Counts, live. */
  readonly stats: AgentStats = { received: 0, dropped: 0, malformed: 0, refused: 0 };
  readonly #onEvent: (event: AgentEvent) => void;
  readonly #assembler: AgentAssembler;
  #sender: AgentSender | undefined;
  #link: PacedLink | undefined;
  #caps: ReadonlySet<AgentCap> | undefined;
  readonly #handlers: AgentHandlers;
  #layouts = agentLayouts(new Set());
  #announcing: Promise<void> | undefined;
  #ready = unheard();
  #ended: SpiceClosedError | undefined;

  constructor(options: AgentOptions = {}) {
    this.#onEvent = options.onEvent ?? (() => {});
    this.#assembler = new AgentAssembler({
      wants: (type, size) => this.#wants(type, size),
      message: (type, body) => this.#onMessage(type, body),
    });
    const { stats } = this;
    const caps = () => this.#caps;
    this.clipboard = new GuestClipboard({
      get caps() {
        return caps();
      },
      expectCap: (what, cap) => this.#expectCap(what, cap),
      send: (name, value, options) => this.#send(name, value, options),
      onClipboard: (event) => this.#onEvent({ kind: "clipboard", ...event }),
      onRefused: () => stats.refused++,
    });
    this.#handlers = {
      ...this.clipboard.handlers,
      announce_capabilities: (announced) => this.#onCapabilities(announced),
      reply: (reply) => this.#onReply(reply),
    };
  }

  /** What the guest's agent can do; `undefined` while there is none, or it has not said. */
  get caps(): ReadonlySet<AgentCap> | undefined {
    return this.#caps;
  }

  /** Returns handlers of the main channel's messages; for one session's `onMain`. */
  handlers(link: PacedLink): Handlers<typeof MAIN_MESSAGES> {
    if (this.#link) throw new TypeError("Cannot use an agent for two sessions");
    this.#link = link;
    this.#sender = new AgentSender(link);
    let tokens = 0;
    link.closed.then(({ text }) => this.#end(text)).catch(() => {}); // onEvent's affair: it is over
    return {
      init: ({ agentConnected, agentTokens }) => {
        tokens = agentTokens;
        if (agentConnected) this.#start(tokens);
      },
      agent_connected: () => this.#start(tokens),
      agent_connected_tokens: (connected) => this.#start(connected.tokens),
      agent_disconnected: ({ reason }) =>
        this.#forget(
          reason === 0
            ? "the agent has gone"
            : `the server ended the agent with ${linkErrorName(reason)}`,
        ),
      agent_token: ({ count }) => this.#sender?.grant(count),
      agent_data: ({ data }) => this.#onData(data),
    };
  }

  /**
   * Waits until an agent runs in the guest and has said what it can do.
   *
   * @throws {DeadlineError} when none comes within `timeoutMs`.
   * @throws {SpiceClosedError} when the session ends first.
   * @throws the signal's reason when the caller's signal is aborted first.
   */
  async connected(options: AgentWait = {}): Promise<void> {
    const { timeoutMs = TIMEOUT_MS } = options;
    await withDeadline("an agent in the guest", async (signal) => {
      while (!this.#caps) {
        await this.#ready.promise;
        signal.throwIfAborted(); // it may have come and gone
      }
    }, { ...options, timeoutMs });
  }

  /**
   * Asks the guest for monitors of these sizes. Resolves once the request is on its way: the guest
   * may take it or leave it, and the display channel shows what it does. Guests whose display device
   * can be told by the server (virtio-gpu, qxl) learn it without the agent's help, but only while an
   * agent runs.
   *
   * @param monitors Each monitor's size and place; 0 × 0 is a monitor that is off.
   * @throws {RangeError} for sizes that no monitor has.
   * @throws {SpiceAgentError} when there is no agent, or it cannot do this.
   * @throws {DeadlineError} when the guest reads nothing for `timeoutMs`.
   * @throws the signal's reason when the caller's signal is aborted first.
   */
  async resize(monitors: readonly MonitorPlace[], options: AgentWait = {}): Promise<void> {
    const { timeoutMs = TIMEOUT_MS } = options;
    if (monitors.length < 1 || monitors.length > MAX_MONITORS) {
      throw new RangeError(`Cannot resize ${monitors.length} monitors: expected 1 to 16`);
    }
    const isOff = ({ width, height }: MonitorPlace) => width === 0 && height === 0;
    const isSize = (pixels: number) =>
      Number.isInteger(pixels) && pixels >= 1 && pixels <= MAX_MONITOR_PIXELS;
    for (const monitor of monitors) {
      if (isOff(monitor) || (isSize(monitor.width) && isSize(monitor.height))) continue;
      throw new RangeError(
        `Cannot resize a monitor to ${monitor.width} × ${monitor.height}: expected 1 to 16384`,
      );
    }
    const caps = this.#expectCap("resize the guest's monitors", "monitorsConfig");
    if (monitors.some(isOff)) this.#expectCap("turn a monitor off", "sparseMonitorsConfig");
    const config = {
      count: monitors.length,
      flags: caps.has("monitorsConfigPosition") ? MONITORS_FLAGS.usePositions : 0,
      items: monitors.map(({ width, height, x = 0, y = 0 }) => ({
        width,
        height,
        depth: 32,
        x,
        y,
      })),
    };
    await withDeadline(
      "the agent's attention",
      (signal) => this.#send("monitors_config", config, { signal }),
      { ...options, timeoutMs },
    );
  }

  /** Returns what the agent can do, `cap` included, if it takes a message now. */
  #expectCap(what: string, cap: AgentCap): ReadonlySet<AgentCap> {
    if (this.#ended) throw this.#ended;
    if (!this.#caps) {
      throw new SpiceAgentError(`Cannot ${what}: no agent runs in the guest`, {
        hint: "Install spice-vdagent (Linux) or the SPICE guest tools (Windows) in the guest",
      });
    }
    if (!this.#caps.has(cap)) {
      throw new SpiceAgentError(`Cannot ${what}: the guest's agent lacks "${cap}"`);
    }
    if (!this.#sender?.hasRoom()) {
      throw new SpiceAgentError(`Cannot ${what}: the guest's agent reads nothing`);
    }
    return this.#caps;
  }

  /** Begins with an agent that has just come. */
  #start(tokens: number): void {
    this.#forget("another agent came");
    this.#sender?.grant(tokens);
    this.#link?.send(MAIN_REQUESTS.agent_start, { tokens: UNLIMITED_TOKENS });
    this.#announce(1);
  }

  /** Says what we can do; one such message waits at most, however often the guest asks. */
  #announce(request: 0 | 1): void {
    if (this.#announcing) return;
    const announcing = this.#send("announce_capabilities", {
      request,
      words: capWords(OUR_AGENT_CAPS),
    })
      .catch(() => {}) // it has gone, and who waits for it knows
      .finally(() => {
        if (this.#announcing === announcing) this.#announcing = undefined;
      });
    this.#announcing = announcing;
  }

  /** Forgets the agent: it has gone. */
  #forget(reason: string): void {
    const error = this.#ended ?? new SpiceAgentError(`Cannot reach the guest's agent: ${reason}`);
    const wasConnected = this.#caps !== undefined;
    this.#caps = undefined;
    this.#announcing = undefined;
    this.#assembler.reset();
    this.#sender?.reset(error);
    this.clipboard.reset(error);
    if (!wasConnected) return;
    this.#ready = unheard();
    this.#onEvent({ kind: "disconnected", reason });
  }

  #end(text: string): void {
    this.#ended = new SpiceClosedError(`Cannot reach the guest's agent: ${text}`);
    this.#forget(text);
    this.#ready.reject(this.#ended);
  }

  async #send<N extends keyof AgentValues>(
    name: N,
    value: AgentValues[N],
    options: { signal?: AbortSignal; capacity?: number } = {},
  ): Promise<void> {
    if (this.#ended) throw this.#ended;
    const layout = this.#layouts[name];
    const bytes = encodeAgentMessage(AGENT_TYPES[name], layout, value, options.capacity);
    await this.#sender?.send(bytes, options.signal);
  }

  #onData(data: Uint8Array): void {
    const isAgents = data.length <= AGENT_DATA_BYTES && this.#assembler.feed(data);
    if (!isAgents) this.stats.malformed++;
  }

  /** Whether a message is collected at all. */
  #wants(type: number, size: number): boolean {
    const name = AGENT_MESSAGES.get(type);
    const isWanted = name !== undefined && this.#handlers[name] !== undefined &&
      (this.#caps !== undefined || name === "announce_capabilities") && // no layout is certain yet
      (name === "clipboard" ? this.clipboard.wantsContents(size) : size <= MAX_AGENT_BYTES);
    if (!isWanted) this.stats.dropped++;
    return isWanted;
  }

  /** Handles a message; a broken one is the guest's business, and ends nothing. */
  #onMessage(type: number, body: Uint8Array): void {
    try {
      this.#handle(AGENT_MESSAGES.get(type)!, new ByteReader(body)); // a wanted one
      this.stats.received++;
    } catch (error) {
      if (!(error instanceof SpiceDecodeError)) throw error;
      this.stats.malformed++;
    }
  }

  #handle<N extends keyof AgentValues>(name: N, reader: ByteReader): void {
    this.#handlers[name]?.(this.#layouts[name].decode(reader));
  }

  #onCapabilities({ request, words }: AgentValues["announce_capabilities"]): void {
    const isNew = this.#caps === undefined;
    this.#caps = namedCaps(words);
    this.#layouts = agentLayouts(this.#caps);
    if (request) this.#announce(0);
    if (!isNew) return;
    if (this.#caps.has("maxClipboard")) {
      this.#send("max_clipboard", { bytes: MAX_CLIPBOARD_BYTES }).catch(() => {}); // it has gone
    }
    this.#ready.resolve();
    this.#onEvent({ kind: "connected", caps: [...this.#caps] });
  }

  #onReply({ type, error }: AgentValues["reply"]): void {
    const to = AGENT_MESSAGES.get(type) ?? `type ${type}`;
    this.#onEvent({ kind: "reply", to, isSuccess: error === AGENT_SUCCESS });
  }
}

/** A promise that nobody has to wait for. */
function unheard(): PromiseWithResolvers<void> {
  const deferred = Promise.withResolvers<void>();
  deferred.promise.catch(() => {});
  return deferred;
}
