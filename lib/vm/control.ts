/**
 * The control socket of a supervisor: JSON-RPC 2.0, one message a line. Every verb of the command
 * line that speaks to a running VM is a client of it.
 *
 * An error that the user should read travels as code -32000 with `data: {name, exitCode, hint?}`,
 * so that the client ends with the exit code that the supervisor would have ended with.
 */
import { withDeadline } from "../base/deadline.ts";
import { NotRunningError, UtmostError } from "../base/errors.ts";
import { JsonLines } from "./json_lines.ts";

/** One client, as the methods of a server see it. */
export interface ControlPeer {
  /** Sends a notification. */
  notify(method: string, params: unknown): void;
  /** Disposes `resource` when the client goes. */
  own(resource: Disposable): void;
}

/** A method: gets the parameters, returns the result or throws. */
export type ControlMethod = (params: Record<string, unknown>, peer: ControlPeer) => unknown;

/** Codes of JSON-RPC 2.0, and the one for errors of ours. */
const RpcCode = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  internal: -32603,
  utmost: -32000,
} as const;

/** Listens for clients as long as the VM lives. */
export class ControlServer implements AsyncDisposable {
  readonly #listener: Deno.Listener;
  readonly #methods: Record<string, ControlMethod>;
  /** The clients, each with its calls that are not answered yet. */
  readonly #peers = new Map<JsonLines, Set<Promise<void>>>();
  readonly #accepting: Promise<void>;
  #closed = false;

  private constructor(listener: Deno.Listener, methods: Record<string, ControlMethod>) {
    this.#listener = listener;
    this.#methods = methods;
    this.#accepting = this.#accept();
  }

  /** Listens on a Unix socket at `path`, inside a folder that only its owner can enter. */
  static listen(path: string, methods: Record<string, ControlMethod>): ControlServer {
    return new ControlServer(Deno.listen({ transport: "unix", path }), methods);
  }

  async #accept(): Promise<void> {
    const serving = new Set<Promise<void>>();
    try {
      for await (const conn of this.#listener) {
        const served = this.#serve(new JsonLines(conn)).finally(() => serving.delete(served));
        serving.add(served);
      }
    } catch {
      // The listener was closed.
    }
    await Promise.all(serving);
  }

  async #serve(lines: JsonLines): Promise<void> {
    using owned = new DisposableStack();
    const calls = new Set<Promise<void>>();
    this.#peers.set(lines, calls);
    const peer: ControlPeer = {
      notify: (method, params) => lines.send({ jsonrpc: "2.0", method, params }),
      own: (resource) => void owned.use(resource),
    };
    try {
      for await (const message of lines.values()) {
        const answering = this.#answer(lines, message, peer)
          .finally(() => calls.delete(answering));
        calls.add(answering);
      }
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      lines.send({ jsonrpc: "2.0", id: null, error: { code: RpcCode.parse, message } });
      await lines.sent();
    }
    this.#peers.delete(lines);
    lines[Symbol.dispose]();
  }

  async #answer(lines: JsonLines, message: unknown, peer: ControlPeer): Promise<void> {
    const request = message as { id?: unknown; method?: unknown; params?: unknown } | null;
    const id = request?.id ?? null;
    const refuse = (code: number, text: string, data?: unknown) =>
      lines.send({ jsonrpc: "2.0", id, error: { code, message: text, data } });
    if (typeof request?.method !== "string") {
      return refuse(RpcCode.invalidRequest, "a request has a method");
    }
    const method = Object.hasOwn(this.#methods, request.method)
      ? this.#methods[request.method]
      : undefined;
    if (method === undefined) {
      return refuse(RpcCode.methodNotFound, `there is no method ${request.method}`);
    }
    const params = request.params;
    const record = params !== null && typeof params === "object" && !Array.isArray(params);
    try {
      const result = await method(record ? params as Record<string, unknown> : {}, peer);
      if (request.id !== undefined) lines.send({ jsonrpc: "2.0", id, result: result ?? null });
    } catch (error) {
      if (error instanceof UtmostError) {
        const { name, exitCode, hint } = error;
        refuse(RpcCode.utmost, error.message, { name, exitCode, hint });
      } else refuse(RpcCode.internal, error instanceof Error ? error.message : String(error));
    }
  }

  /**
   * Stops listening, and closes every connection once its calls are answered (100 ms at most: typing
   * that has just switched the guest off is as good as done) and the answers are sent (200 ms).
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return await this.#accepting;
    this.#closed = true;
    this.#listener.close();
    const answered = Promise.all([...this.#peers.values()].flatMap((calls) => [...calls]));
    await withDeadline("the last answers", () => answered, { timeoutMs: 100 }).catch(() => {});
    const sent = Promise.all([...this.#peers.keys()].map((lines) => lines.sent()));
    await withDeadline("the last words to clients", () => sent, { timeoutMs: 200 }).catch(() => {});
    for (const lines of this.#peers.keys()) lines[Symbol.dispose]();
    await this.#accepting;
  }
}

/** Called for each notification of a supervisor. */
export type NotificationListener = (method: string, params: unknown) => void;

/** A client of a supervisor. */
export class ControlClient implements AsyncDisposable {
  readonly #lines: JsonLines;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #listeners = new Set<NotificationListener>();
  #lastId = 0;
  #ended = false;
  /** Resolves when the supervisor has closed the connection; never rejects. */
  readonly closed: Promise<void>;

  private constructor(conn: Deno.Conn) {
    this.#lines = new JsonLines(conn);
    this.closed = this.#read();
  }

  /**
   * Connects to the control socket at `path`.
   *
   * @throws {Deno.errors.NotFound} or {Deno.errors.ConnectionRefused} when nobody listens there.
   */
  static async connect(path: string): Promise<ControlClient> {
    return new ControlClient(await Deno.connect({ transport: "unix", path }));
  }

  async #read(): Promise<void> {
    try {
      for await (const message of this.#lines.values()) this.#receive(message);
    } catch {
      // Not JSON: the same as a closed connection.
    }
    this.#ended = true;
    for (const { reject } of this.#pending.values()) reject(goneError());
    this.#pending.clear();
    this.#lines[Symbol.dispose]();
  }

  #receive(message: unknown): void {
    const { id, method, params, result, error } = message as {
      id?: number;
      method?: string;
      params?: unknown;
      result?: unknown;
      error?: { message: string; data?: { exitCode?: number; hint?: string; name?: string } };
    };
    if (method !== undefined) {
      for (const listener of this.#listeners) listener(method, params);
      return;
    }
    const pending = this.#pending.get(id ?? -1);
    this.#pending.delete(id ?? -1);
    if (error === undefined) pending?.resolve(result);
    else {
      const { exitCode = 1, hint, name } = error.data ?? {};
      const failure = new UtmostError(error.message, exitCode, hint === undefined ? {} : { hint });
      if (name !== undefined) failure.name = name;
      pending?.reject(failure);
    }
  }

  /**
   * Calls a method and waits for its result.
   *
   * @throws {UtmostError} with the supervisor's own exit code when it refuses.
   * @throws {NotRunningError} when the supervisor goes away first.
   * @throws {DeadlineError} when `timeoutMs` (30 s if left out) passes first.
   */
  call(
    method: string,
    params: Record<string, unknown> = {},
    options: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<unknown> {
    if (this.#ended) return Promise.reject(goneError());
    const id = ++this.#lastId;
    const reply = Promise.withResolvers<unknown>();
    this.#pending.set(id, reply);
    this.#lines.send({ jsonrpc: "2.0", id, method, params });
    return withDeadline(`an answer to ${method}`, () => reply.promise, {
      timeoutMs: 30_000,
      ...options,
    }).finally(() => this.#pending.delete(id));
  }

  /** Calls `listener` for every notification. */
  onNotification(listener: NotificationListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Closes the connection; pending calls fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#lines[Symbol.dispose]();
    await this.closed;
  }
}

function goneError(): NotRunningError {
  return new NotRunningError("Cannot get an answer: the supervisor has ended");
}
