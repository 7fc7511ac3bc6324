/** QMP events, and how they are handed out: to listeners at once, to streams through a queue. */

/** One event as QEMU sent it. Source: QEMU docs/interop/qmp-spec.rst, "Asynchronous events". */
export interface QmpEvent {
  /** The name: `SHUTDOWN`, `STOP`, `RESUME`, `GUEST_PANICKED`, … */
  event: string;
  /** The event's own data; empty where it has none. */
  data: Record<string, unknown>;
  /** The host's clock when it happened; -1 in both where QEMU could not read it. */
  timestamp: { seconds: number; microseconds: number };
}

/** Hears of each event in the turn in which it arrives. */
export type QmpEventListener = (event: QmpEvent) => void;

/** Options of {@linkcode QmpEventStream}. */
export interface QmpEventStreamOptions {
  /** Only events with these names; all when left out. */
  names?: readonly string[];
  /** The most events that wait to be read; beyond it the oldest is dropped and counted. */
  limit?: number;
}

/** How many events wait to be read when nothing else is said. */
export const DEFAULT_EVENT_LIMIT = 1024;

/**
 * Events from the moment when the stream was made, in order; ends when the client closes, once
 * everything queued was read. A scope: `using events = client.events()`.
 */
export class QmpEventStream implements AsyncIterableIterator<QmpEvent, undefined>, Disposable {
  readonly #names: ReadonlySet<string> | undefined;
  readonly #limit: number;
  readonly #onEnd: () => void;
  #queue: QmpEvent[] = [];
  #waiting: ((result: IteratorResult<QmpEvent, undefined>) => void)[] = [];
  #dropped = 0;
  #ended = false;

  constructor(options: QmpEventStreamOptions, onEnd: () => void) {
    const { names, limit = DEFAULT_EVENT_LIMIT } = options;
    if (!Number.isInteger(limit) || limit < 1) {
      throw new RangeError(`Cannot queue events: limit is ${limit}, expected a positive integer`);
    }
    this.#names = names && new Set(names);
    this.#limit = limit;
    this.#onEnd = onEnd;
  }

  /** How many events were dropped because nobody read them in time. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Hands in one event; for the client. */
  push(event: QmpEvent): void {
    if (this.#ended || (this.#names && !this.#names.has(event.event))) return;
    const waiting = this.#waiting.shift();
    if (waiting) return waiting({ done: false, value: event });
    this.#queue.push(event);
    if (this.#queue.length > this.#limit) {
      this.#queue.shift();
      this.#dropped++;
    }
  }

  /** Lets what is queued be read and then ends the stream; for the client. */
  end(): void {
    this.#ended = true;
    for (const waiting of this.#waiting.splice(0)) waiting({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<QmpEvent, undefined>> {
    const event = this.#queue.shift();
    if (event) return Promise.resolve({ done: false, value: event });
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return(): Promise<IteratorResult<QmpEvent, undefined>> {
    this[Symbol.dispose]();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Stops listening and forgets what was not read. */
  [Symbol.dispose](): void {
    this.#queue = [];
    this.end();
    this.#onEnd();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}
