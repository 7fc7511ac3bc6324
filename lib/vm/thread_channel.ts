/** A display's channel that runs in a thread of its own, as its session sees it. */
import type { ChannelEnd, ChannelStats, RunningChannel } from "../spice/channel_link.ts";
import type { DisplayCells } from "./display_cells.ts";
import type { DisplayCommand } from "./display_protocol.ts";

/** The channel of one thread. */
export class ThreadChannel implements RunningChannel {
  readonly name: string;
  readonly id: number;
  readonly closed: Promise<ChannelEnd>;
  readonly ending: Promise<void>;
  readonly #cells: DisplayCells;
  readonly #post: (command: DisplayCommand) => void;
  readonly #ended = Promise.withResolvers<ChannelEnd>();
  #stats: Readonly<ChannelStats> | undefined;
  #reaching: { serial: bigint; resolve: () => void }[] = [];

  /** @param post Has the thread do something. */
  constructor(
    { name, id }: { name: string; id: number },
    cells: DisplayCells,
    post: (command: DisplayCommand) => void,
  ) {
    this.name = name;
    this.id = id;
    this.#cells = cells;
    this.#post = post;
    this.closed = this.#ended.promise;
    this.ending = this.closed.then(() => {});
  }

  /** Live while the channel is; ids that are not known are warned of, and not counted here. */
  get stats(): Readonly<ChannelStats> {
    return this.#stats ?? { ...this.#cells.counts, unknown: new Map() };
  }

  reached(serial: bigint): Promise<void> | undefined {
    if (this.#stats !== undefined || BigInt(this.#cells.handled) >= serial) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#reaching.push({ serial, resolve });
    this.tellReached(); // it may have come while nobody waited
    return promise;
  }

  /** Tells who waits for messages that have been handled by now; the thread is asked for the others. */
  tellReached(): void {
    const first = this.#reaching.reduce<bigint | undefined>(
      (least, { serial }) => least === undefined || serial < least ? serial : least,
      undefined,
    );
    if (first !== undefined) this.#cells.await(first);
    const handled = BigInt(this.#cells.handled);
    this.#reaching = this.#reaching.filter(({ serial, resolve }) => {
      if (handled < serial) return true;
      resolve();
      return false;
    });
  }

  endIfStalled(periodMs: number): void {
    this.#post({ do: "stall", periodMs });
  }

  close(text: string): void {
    if (this.#stats === undefined) this.#post({ do: "close", text });
  }

  /** Takes note of the end. */
  end(end: ChannelEnd): void {
    this.#stats ??= this.stats;
    for (const { resolve } of this.#reaching.splice(0)) resolve();
    this.#ended.resolve(end);
  }
}
