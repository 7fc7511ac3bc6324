/**
 * A QMP client: greeting, capabilities negotiation, commands matched to replies by id, events.
 *
 * Source: QEMU docs/interop/qmp-spec.rst.
 */
import { DeadlineError, QmpError } from "../base/errors.ts";
import { pause, withDeadline } from "../base/deadline.ts";
import { printable } from "../base/text.ts";
import type { BareCommandName, QmpCommandName, QmpCommands } from "./commands.ts";
import {
  QmpClosedError,
  QmpCommandError,
  QmpGreetingError,
  QmpProtocolError,
  QmpTimeoutError,
} from "./errors.ts";
import {
  type QmpEvent,
  type QmpEventListener,
  QmpEventStream,
  type QmpEventStreamOptions,
} from "./events.ts";
import {
  eventOf,
  greetingOf,
  isRecord,
  parseMessage,
  type QmpGreeting,
  type QmpRequest,
  requestLine,
  unexpected,
} from "./messages.ts";
import { LineWriter, readLines } from "./transport.ts";

/** The deadline of a command, and of greeting and negotiation together, in milliseconds. */
export const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * How long a closed connection waits for word of QEMU's end, in milliseconds: the kernel closes a
 * dying process's sockets some time before anybody hears of its death.
 */
const GONE_GRACE_MS = 200;

/** Options of one wait. */
export interface QmpWaitOptions {
  /** Milliseconds until it fails, {@linkcode DEFAULT_TIMEOUT_MS} when left out; Infinity: never. */
  timeoutMs?: number;
  /** Ends the wait, by rejecting with the signal's reason. */
  signal?: AbortSignal;
}

/** Options of {@linkcode QmpClient.attach}. */
export interface QmpAttachOptions extends QmpWaitOptions {
  /** Hears of every event, also of one that arrives together with the end of the negotiation. */
  onEvent?: QmpEventListener;
  /**
   * Aborted when QEMU has ended: every wait then rejects with its reason, also one whose connection
   * closed a moment earlier.
   */
  gone?: AbortSignal;
}

/** A command that waits for its reply. */
interface Pending {
  command: string;
  /** Absent: the caller gave up, the reply will be dropped. */
  settle?: { resolve: (result: unknown) => void; reject: (error: unknown) => void };
}

/**
 * One QMP connection. It owns the connection, which is closed with it; QEMU lives on.
 *
 * Commands may be sent while others wait: each resolves with its own reply. When the connection
 * ends, every waiting command rejects and {@linkcode QmpClient.closed} resolves.
 */
export class QmpClient implements AsyncDisposable {
  /** Resolves when the connection is gone, whoever closed it; never rejects. */
  readonly closed: Promise<void>;

  readonly #conn: Deno.Conn;
  readonly #writer: LineWriter;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<QmpEventListener>();
  readonly #streams = new Set<QmpEventStream>();
  readonly #greeted = Promise.withResolvers<QmpGreeting>();
  readonly #gone: AbortSignal | undefined;
  readonly #reading: Promise<void>;
  #greeting: QmpGreeting | undefined;
  #closeReason: QmpError | undefined;
  readonly #ended = new AbortController();
  #nextId = 1;

  private constructor(conn: Deno.Conn, { onEvent, gone }: QmpAttachOptions) {
    this.#conn = conn;
    this.#gone = gone;
    this.#writer = new LineWriter(conn);
    if (onEvent) this.#listeners.add(onEvent);
    this.#greeted.promise.catch(() => {}); // the wait for it may be over before it fails
    gone?.addEventListener(
      "abort",
      () => this.#end(new QmpClosedError("Cannot use QMP: QEMU has ended", { cause: gone.reason })),
      { once: true, signal: this.#ended.signal },
    );
    this.#reading = this.#readAll();
    this.closed = this.#reading;
  }

  /**
   * Reads the greeting and negotiates capabilities (none) on `conn`, which is the client's from now
   * on: it is closed when this fails.
   *
   * @throws {QmpGreetingError} when the deadline passes, the peer closes, or it does not greet.
   * @throws the reason of `signal` or `gone` when that is aborted first.
   */
  static async attach(conn: Deno.Conn, options: QmpAttachOptions = {}): Promise<QmpClient> {
    const { timeoutMs = DEFAULT_TIMEOUT_MS } = options;
    const signal = waitSignal(options);
    const client = new QmpClient(conn, options);
    try {
      await withDeadline("QMP greeting and capabilities", async (signal) => {
        await client.#greeted.promise;
        await client.execute("qmp_capabilities", undefined, { signal, timeoutMs });
      }, { timeoutMs, ...signal && { signal } });
      return client;
    } catch (error) {
      await client.close();
      if (signal?.aborted && error === signal.reason) throw error;
      throw asGreetingError(error, timeoutMs);
    }
  }

  /** What QEMU said first. */
  get greeting(): QmpGreeting {
    return this.#greeting!; // attach() gives nobody a client without one
  }

  /** Why the client is closed; undefined while it is open. */
  get closeReason(): QmpError | undefined {
    return this.#closeReason;
  }

  /**
   * Runs a command and resolves with its result.
   *
   * @throws {QmpCommandError} when QEMU answers with an error.
   * @throws {QmpTimeoutError} when no reply comes in time; the client stays usable.
   * @throws {QmpClosedError} when the connection is or gets closed.
   * @throws {QmpProtocolError} when the peer breaks the protocol meanwhile.
   * @throws the signal's reason when it is aborted; the client stays usable.
   * @throws the reason of `gone` once QEMU has ended.
   */
  execute<Name extends BareCommandName>(
    command: Name,
    args?: QmpCommands[Name]["arguments"],
    options?: QmpWaitOptions,
  ): Promise<QmpCommands[Name]["result"]>;
  execute<Name extends QmpCommandName>(
    command: Name,
    args: QmpCommands[Name]["arguments"],
    options?: QmpWaitOptions,
  ): Promise<QmpCommands[Name]["result"]>;
  execute(
    command: string,
    args?: Record<string, unknown>,
    options: QmpWaitOptions = {},
  ): Promise<unknown> {
    return this.#send(args ? { execute: command, arguments: args } : { execute: command }, options);
  }

  /**
   * Runs a request that may name any command, and resolves with what is behind `return`.
   *
   * @throws {TypeError} when the request is none, or QEMU could not read it.
   * @throws what {@linkcode execute} throws.
   */
  async executeRaw(request: QmpRequest, options: QmpWaitOptions = {}): Promise<unknown> {
    if (!isRecord(request) || typeof request.execute !== "string") {
      throw new TypeError(
        'Cannot send this to QMP: expected an object with "execute" and maybe "arguments"',
      );
    }
    return await this.#send(request, options);
  }

  /** A stream of the events from now on, with a queue of its own. */
  events(options: QmpEventStreamOptions = {}): QmpEventStream {
    const stream = new QmpEventStream(options, () => this.#streams.delete(stream));
    if (this.#closeReason) stream.end();
    else this.#streams.add(stream);
    return stream;
  }

  /** Calls `listener` for each event, in the turn in which it arrives, until disposed. */
  onEvent(listener: QmpEventListener): Disposable {
    const own: QmpEventListener = (event) => listener(event); // so that one can be added twice
    this.#listeners.add(own);
    return { [Symbol.dispose]: () => void this.#listeners.delete(own) };
  }

  /** Closes the connection; commands that wait reject with {@linkcode QmpClosedError}. */
  async close(): Promise<void> {
    this.#end(new QmpClosedError("Cannot use QMP: the client was closed"));
    await this.#reading;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #send(request: QmpRequest, options: QmpWaitOptions): Promise<unknown> {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
    signal?.throwIfAborted();
    const command = request.execute;
    if (this.#closeReason) throw this.#closedError(command, this.#closeReason);
    const id = this.#nextId++;
    const line = requestLine({ ...request, id });

    const reply = Promise.withResolvers<unknown>();
    const pending: Pending = { command, settle: reply };
    this.#pending.set(id, pending);
    const giveUp = (reason: unknown): void => {
      delete pending.settle;
      reply.reject(reason);
    };
    const onAbort = (): void => giveUp(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    const timer = timeoutMs === Infinity
      ? undefined
      : setTimeout(() => giveUp(new QmpTimeoutError(command, timeoutMs)), timeoutMs);
    this.#writer.write(line).catch((cause) =>
      this.#lose(new QmpClosedError("Cannot write QMP: QEMU closed the connection", { cause }))
    );
    try {
      return await reply.promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Reads until the end; every way out closes the client and none throws. */
  async #readAll(): Promise<void> {
    try {
      for await (const lines of readLines(this.#conn)) {
        for (const line of lines) this.#receive(line);
        if (this.#closeReason) break;
      }
      await this.#lose(new QmpClosedError("Cannot use QMP: QEMU closed the connection"));
    } catch (error) {
      if (error instanceof QmpProtocolError) return this.#end(error);
      await this.#lose(
        error instanceof QmpClosedError
          ? error
          : new QmpClosedError("Cannot read QMP: QEMU closed the connection", { cause: error }),
      );
    }
  }

  /** Ends, unless by us, once QEMU's own end is known or did not come. */
  async #lose(reason: QmpClosedError): Promise<void> {
    const gone = this.#gone;
    if (gone && !gone.aborted && !this.#closeReason) {
      const ended = AbortSignal.any([gone, this.#ended.signal]);
      await pause(GONE_GRACE_MS, ended).catch(() => {});
    }
    this.#end(reason);
  }

  /** Takes one message. @throws {QmpProtocolError} when it is none. */
  #receive(line: string): void {
    if (this.#closeReason) return;
    const message = parseMessage(line);
    if (!this.#greeting) {
      this.#greeting = greetingOf(message);
      this.#greeted.resolve(this.#greeting);
    } else if ("event" in message) {
      this.#dispatch(eventOf(message));
    } else if ("return" in message || "error" in message) {
      this.#settle(message);
    } else {
      throw unexpected("a reply or an event", message);
    }
  }

  #settle(message: Record<string, unknown>): void {
    const id = message.id;
    const pending = typeof id === "number" ? this.#pending.get(id) : undefined;
    if (typeof id !== "number" || !pending) {
      throw unexpected(id === undefined ? "a reply with an id" : "a reply to a command", message);
    }
    if ("return" in message) {
      this.#pending.delete(id);
      return pending.settle?.resolve(message.return);
    }
    const { error } = message;
    if (!isRecord(error) || typeof error.class !== "string" || typeof error.desc !== "string") {
      throw unexpected("an error with class and desc", message);
    }
    this.#pending.delete(id);
    pending.settle?.reject(
      new QmpCommandError(pending.command, { class: error.class, desc: error.desc }),
    );
  }

  #dispatch(event: QmpEvent): void {
    for (const stream of [...this.#streams]) stream.push(event);
    for (const listener of [...this.#listeners]) {
      try {
        listener(event);
      } catch (error) {
        reportError(error); // a defect of the listener's owner; the other commands go on
      }
    }
  }

  /** A close as the command that it hit should report it: QEMU's end, or with its own name. */
  #closedError(command: string, reason: QmpError): unknown {
    if (this.#gone?.aborted) return this.#gone.reason;
    const what = `Cannot run QMP command ${printable(command, 100)}`;
    const why = reason.message.replace(/^Cannot [^:]*: /, "");
    const ErrorClass = reason instanceof QmpProtocolError ? QmpProtocolError : QmpClosedError;
    return new ErrorClass(`${what}: ${why}`, { cause: reason });
  }

  /** Closes everything, once; the first reason counts. */
  #end(reason: QmpError): void {
    if (this.#closeReason) return;
    this.#closeReason = reason;
    this.#ended.abort();
    this.#greeted.reject(this.#gone?.aborted ? this.#gone.reason : reason);
    for (const { command, settle } of this.#pending.values()) {
      settle?.reject(this.#closedError(command, reason));
    }
    this.#pending.clear();
    for (const stream of [...this.#streams]) stream.end();
    this.#streams.clear();
    this.#listeners.clear();
    try {
      this.#conn.close(); // also ends a read that waits
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
}

/** What ends a wait before its deadline. */
export function waitSignal({ signal, gone }: QmpAttachOptions): AbortSignal | undefined {
  return signal && gone ? AbortSignal.any([gone, signal]) : gone ?? signal;
}

/** What made `attach` fail, as its caller should see it. */
function asGreetingError(error: unknown, timeoutMs: number): unknown {
  if (error instanceof DeadlineError || error instanceof QmpTimeoutError) {
    return new QmpGreetingError(
      `Cannot negotiate with QMP: no greeting and capabilities within ${timeoutMs} ms`,
      { cause: error },
    );
  }
  if (!(error instanceof QmpError)) return error; // a defect
  const why = error.message.replace(/^Cannot [^:]*: /, "");
  const cause = error.cause instanceof QmpError ? error.cause : error;
  return new QmpGreetingError(`Cannot negotiate with QMP: ${why}`, { cause });
}
