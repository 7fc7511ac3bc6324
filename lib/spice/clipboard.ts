/**
 * The clipboards that host and guest share through the guest's agent.
 *
 * Nothing moves by itself: the guest's contents are asked for only by `read`, and ours leave only
 * when the guest asks for what `offer` was given. Either side that copies something takes the
 * clipboard over ("grab") with a list of formats; contents follow on request.
 * Source: spice/vd_agent.h; spice-gtk for grab serials.
 */
import { withDeadline } from "../base/deadline.ts";
import {
  type AgentCap,
  type AgentHandlers,
  type AgentValues,
  CLIPBOARD_FORMATS,
  CLIPBOARD_NONE,
  CLIPBOARD_SELECTIONS,
  MAX_CLIPBOARD_BYTES,
} from "./agent_messages.ts";
import { SpiceAgentError } from "./errors.ts";

/** Which clipboard: the one of copy and paste, or X11's selections. */
export type ClipboardSelection = typeof CLIPBOARD_SELECTIONS[number];

/** A kind of clipboard contents. */
export type ClipboardFormat = keyof typeof CLIPBOARD_FORMATS;

/** Contents, or what makes them once the guest asks. */
type Supply<T> = T | (() => T | Promise<T>);

/** What is offered to the guest, by format; the first that the guest knows is what it takes. */
export type ClipboardContents =
  & { text?: Supply<string> }
  & { [F in Exclude<ClipboardFormat, "text">]?: Supply<Uint8Array> };

/** Options of each clipboard operation. */
export interface ClipboardOptions {
  /** Which clipboard; "clipboard" when left out. */
  selection?: ClipboardSelection;
  /** Milliseconds until it fails; 10 s when left out. */
  timeoutMs?: number;
  /** Gives up. */
  signal?: AbortSignal;
}

/** The guest took a clipboard over. */
export interface ClipboardEvent {
  selection: ClipboardSelection;
  /** What it can be asked for; nothing once it has let go of the clipboard. */
  formats: readonly ClipboardFormat[];
}

/** What a clipboard needs of its agent. */
export interface ClipboardAgent {
  /** What the guest's agent can do; `undefined` while there is none, or it has not said. */
  readonly caps: ReadonlySet<AgentCap> | undefined;
  /** @throws {SpiceError} unless there is an agent that has `cap` and takes a message now. */
  expectCap(what: string, cap: AgentCap): void;
  /** Sends a message; see `AgentSender.send`. */
  send<N extends keyof AgentValues>(
    name: N,
    value: AgentValues[N],
    options?: { signal?: AbortSignal; capacity?: number },
  ): Promise<void>;
  /** Is told that the guest took a clipboard over, or let go of it. */
  onClipboard(event: ClipboardEvent): void;
  /** Counts a request of the guest that was not granted. */
  onRefused(): void;
}

/** Contents that we wait for. */
interface PendingRead {
  selection: number;
  format: number;
  contents: PromiseWithResolvers<Uint8Array>;
}

/** Milliseconds that an operation, and the supplier of contents, may take. */
const TIMEOUT_MS = 10_000;
/** Requests of the guest that wait for the answer to the one before. */
const MAX_REQUESTS = 16;
/** Selection and format before the contents. */
const CLIPBOARD_HEAD_BYTES = 8;
const FORMAT_NAMES = new Map(
  (Object.entries(CLIPBOARD_FORMATS) as [ClipboardFormat, number][])
    .map(([name, number]) => [number, name]),
);

/** The clipboards of one guest; made by `SpiceAgent`. */
export class GuestClipboard {
  readonly #agent: ClipboardAgent;
  /** By selection: what the guest holds. */
  readonly #guestFormats = new Map<number, ClipboardFormat[]>();
  /** By selection: what we have offered and the guest has not replaced. */
  readonly #offers = new Map<number, ClipboardContents>();
  /** By selection: how many grabs there were, of both sides. */
  readonly #serials = new Map<number, number>();
  #pending: PendingRead | undefined;
  /** What the guest asks for; answered one after another. */
  #requests: AgentValues["clipboard_request"][] = [];
  #isAnswering = false;

  constructor(agent: ClipboardAgent) {
    this.#agent = agent;
  }

  /** What the guest holds in a clipboard, as far as its agent has told. */
  formats(selection: ClipboardSelection = "clipboard"): readonly ClipboardFormat[] {
    return this.#guestFormats.get(CLIPBOARD_SELECTIONS.indexOf(selection)) ?? [];
  }

  /**
   * Asks the guest for the text in its clipboard; lines end with LF.
   *
   * @throws as {@linkcode read}.
   */
  async readText(options: ClipboardOptions = {}): Promise<string> {
    const text = new TextDecoder().decode(await this.read("text", options))
      .replace(/\0+$/, ""); // Windows guests end it like a C string
    return this.#agent.caps?.has("guestLineendCrlf") ? text.replaceAll("\r\n", "\n") : text;
  }

  /**
   * Asks the guest for what its clipboard holds, as the guest has it. One request is under way at a
   * time; others wait for their turn.
   *
   * @returns At least one byte.
   * @throws {SpiceAgentError} when there is no agent, when the guest does not have or give it, and
   * when it has more than 16 MiB.
   * @throws {DeadlineError} when `timeoutMs` passes first.
   * @throws the signal's reason when the caller's signal is aborted first.
   */
  async read(format: ClipboardFormat, options: ClipboardOptions = {}): Promise<Uint8Array> {
    const { selection = "clipboard", timeoutMs = TIMEOUT_MS } = options;
    return await withDeadline(
      `the guest's ${selection}`,
      (signal) => this.#read(format, selection, signal),
      { ...options, timeoutMs },
    );
  }

  async #read(
    format: ClipboardFormat,
    selection: ClipboardSelection,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const number = this.#expectSelection("read", selection);
    while (this.#pending) {
      await this.#pending.contents.promise.catch(() => {});
      signal.throwIfAborted();
      this.#expectSelection("read", selection); // the agent may have gone meanwhile
    }
    const held = this.#guestFormats.get(number) ?? [];
    if (!held.includes(format)) {
      throw new SpiceAgentError(
        `Cannot read the guest's ${selection}: ` +
          (held.length === 0 ? "it is empty" : `it holds ${held.join(", ")}, not ${format}`),
      );
    }
    const contents = Promise.withResolvers<Uint8Array>();
    const pending = { selection: number, format: CLIPBOARD_FORMATS[format], contents };
    const onAbort = () => contents.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    contents.promise.catch(() => {}); // sending the request may fail first
    this.#pending = pending;
    try {
      await this.#agent.send("clipboard_request", pending, { signal });
      return await contents.promise;
    } finally {
      contents.reject(signal.reason); // for those who wait for their turn
      this.#pending = undefined;
      signal.removeEventListener("abort", onAbort);
    }
  }

  /**
   * Takes the guest's clipboard over: the guest may ask for these contents, until it copies
   * something itself, its agent goes, or {@linkcode release} is called. Resolves once the guest has
   * been told.
   *
   * @throws {RangeError} when there is nothing to offer.
   * @throws {SpiceAgentError} when there is no agent, or contents have more than 16 MiB.
   * @throws {DeadlineError} when the guest reads nothing for `timeoutMs`.
   * @throws the signal's reason when the caller's signal is aborted first.
   */
  async offer(contents: ClipboardContents, options: ClipboardOptions = {}): Promise<void> {
    const { selection = "clipboard", timeoutMs = TIMEOUT_MS } = options;
    const number = this.#expectSelection("offer", selection);
    const offered = (Object.keys(contents) as ClipboardFormat[])
      .filter((format) => contents[format] !== undefined);
    if (offered.length === 0) throw new RangeError("Cannot offer a clipboard without contents");
    for (const format of offered) {
      const value = contents[format]!;
      if (typeof value !== "function") this.#encode(value);
    }
    const serial = this.#serials.get(number) ?? 0;
    this.#serials.set(number, serial + 1);
    this.#offers.set(number, contents);
    this.#guestFormats.delete(number);
    const formats = offered.map((format) => CLIPBOARD_FORMATS[format]);
    await withDeadline(
      `the guest's ${selection}`,
      // Once it is in line it cannot be taken back: the serial counts it already.
      () => this.#agent.send("clipboard_grab", { selection: number, serial, formats }),
      { ...options, timeoutMs },
    );
  }

  /**
   * Lets go of a clipboard that was offered; does nothing if it is no longer ours.
   *
   * @throws {SpiceAgentError} when there is no agent.
   * @throws {DeadlineError} when the guest reads nothing for `timeoutMs`.
   * @throws the signal's reason when the caller's signal is aborted first.
   */
  async release(options: ClipboardOptions = {}): Promise<void> {
    const { selection = "clipboard", timeoutMs = TIMEOUT_MS } = options;
    const number = this.#expectSelection("release", selection);
    if (!this.#offers.delete(number)) return;
    await withDeadline(
      `the guest's ${selection}`,
      () => this.#agent.send("clipboard_release", { selection: number }),
      { ...options, timeoutMs },
    );
  }

  /** Whether the body of a message of type CLIPBOARD is worth collecting. */
  wantsContents(size: number): boolean {
    if (size <= MAX_CLIPBOARD_BYTES + CLIPBOARD_HEAD_BYTES) return this.#pending !== undefined;
    this.#pending?.contents.reject(
      new SpiceAgentError(
        `Cannot read the guest's clipboard: it has ${size} bytes, ` +
          `expected at most ${MAX_CLIPBOARD_BYTES}`,
      ),
    );
    return false;
  }

  /** What is done with the agent's messages about clipboards. */
  readonly handlers: AgentHandlers = {
    clipboard_grab: (grab) => this.#onGrab(grab),
    clipboard_release: ({ selection }) => this.#onRelease(selection),
    clipboard_request: (request) => this.#onRequest(request),
    clipboard: (contents) => this.#onContents(contents),
  };

  /** Forgets everything: the agent has gone, for the reason `error`. */
  reset(error: unknown): void {
    const selections = [...this.#guestFormats.keys()];
    this.#guestFormats.clear();
    this.#offers.clear();
    this.#serials.clear();
    this.#requests = [];
    this.#pending?.contents.reject(error);
    for (const selection of selections) this.#tell(selection, []);
  }

  /** Returns a selection's number. @throws {SpiceAgentError} if the guest does not share it */
  #expectSelection(verb: string, selection: ClipboardSelection): number {
    const what = `${verb} the guest's ${selection}`;
    this.#agent.expectCap(what, "clipboardByDemand");
    const number = CLIPBOARD_SELECTIONS.indexOf(selection);
    if (number !== 0) this.#agent.expectCap(what, "clipboardSelection");
    return number;
  }

  #onGrab({ selection, serial, formats }: AgentValues["clipboard_grab"]): void {
    if (selection >= CLIPBOARD_SELECTIONS.length) return;
    const expected = this.#serials.get(selection) ?? 0;
    if (this.#agent.caps?.has("clipboardGrabSerial")) {
      if (serial !== expected) return; // it crossed a grab of ours, which counts
      this.#serials.set(selection, expected + 1);
    }
    const known = formats.flatMap((number) => FORMAT_NAMES.get(number) ?? []);
    this.#offers.delete(selection);
    this.#guestFormats.set(selection, [...new Set(known)]);
    this.#tell(selection, this.#guestFormats.get(selection)!);
  }

  #onRelease(selection: number): void {
    if (this.#guestFormats.delete(selection)) this.#tell(selection, []);
  }

  #tell(selection: number, formats: readonly ClipboardFormat[]): void {
    this.#agent.onClipboard({ selection: CLIPBOARD_SELECTIONS[selection]!, formats });
  }

  #onRequest(request: AgentValues["clipboard_request"]): void {
    if (this.#requests.length >= MAX_REQUESTS) return this.#agent.onRefused();
    this.#requests.push(request);
    if (!this.#isAnswering) this.#answer();
  }

  /** Answers what the guest asks for, with "nothing" if it was not offered. Never rejects. */
  async #answer(): Promise<void> {
    this.#isAnswering = true;
    for (let request; (request = this.#requests.shift());) {
      const { selection, format } = request;
      const requests = this.#requests;
      const offer = this.#offers.get(selection);
      let data = await this.#supply(offer, format);
      if (this.#requests !== requests) continue; // the agent that asked has gone
      if (this.#offers.get(selection) !== offer) data = undefined; // it is no longer offered
      if (!data) this.#agent.onRefused();
      const answer = data
        ? { selection, format, data }
        : { selection, format: CLIPBOARD_NONE, data: new Uint8Array() };
      const capacity = CLIPBOARD_HEAD_BYTES + answer.data.length;
      // The agent may have gone meanwhile, or read nothing at all.
      await this.#agent.send("clipboard", answer, { capacity }).catch(() =>
        this.#agent.onRefused()
      );
    }
    this.#isAnswering = false;
  }

  /** Returns what was offered; `undefined` if it was not, or cannot be had. */
  async #supply(
    offer: ClipboardContents | undefined,
    format: number,
  ): Promise<Uint8Array | undefined> {
    const name = FORMAT_NAMES.get(format);
    const supply = name && offer?.[name];
    if (supply === undefined) return undefined;
    try {
      const contents = typeof supply !== "function" ? supply : await withDeadline(
        "contents of the clipboard",
        async () => await supply(),
        { timeoutMs: TIMEOUT_MS },
      );
      // It may be too large only now: a guest that wants CR LF has said so since it was offered.
      return this.#encode(contents);
    } catch {
      return undefined; // the guest's paste comes up empty
    }
  }

  /** Returns contents as they travel. @throws {SpiceAgentError} when they are too large */
  #encode(contents: string | Uint8Array): Uint8Array {
    const data = typeof contents !== "string" ? contents : new TextEncoder().encode(
      this.#agent.caps?.has("guestLineendCrlf") ? contents.replace(/\r?\n/g, "\r\n") : contents,
    );
    if (data.length > MAX_CLIPBOARD_BYTES) {
      throw new SpiceAgentError(
        `Cannot offer the clipboard: it has ${data.length} bytes, ` +
          `expected at most ${MAX_CLIPBOARD_BYTES}`,
      );
    }
    return data;
  }

  #onContents({ selection, format, data }: AgentValues["clipboard"]): void {
    const pending = this.#pending;
    if (!pending || pending.selection !== selection) return;
    if (format !== pending.format && format !== CLIPBOARD_NONE) return;
    if (format !== CLIPBOARD_NONE && data.length > 0) return pending.contents.resolve(data);
    pending.contents.reject(
      new SpiceAgentError(
        "Cannot read the guest's clipboard: " +
          (format === CLIPBOARD_NONE
            ? "the guest does not give it"
            // What spice-vdagentd 0.22.1 sends in place of what is beyond our limit.
            : `it is empty, or has more than ${MAX_CLIPBOARD_BYTES} bytes`),
      ),
    );
  }
}
