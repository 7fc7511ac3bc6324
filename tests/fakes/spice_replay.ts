/** Replays recorded sessions through the real link, framing and channels, without sockets. */
import type { ChannelEnd, ChannelSetup } from "../../lib/spice/channel_link.ts";
import { SpiceChannel } from "../../lib/spice/channel.ts";
import { linkChannel } from "../../lib/spice/link.ts";
import { type Connection, SpiceStream } from "../../lib/spice/transport.ts";
import type { RecordedConnection, RecordedMoment, Recording } from "./spice_recording.ts";

/** A connection whose server is a script: what is pushed is read, in pieces of any size. */
export class FedConnection implements Connection {
  readonly #chunkBytes: number;
  readonly #queue: Uint8Array[] = [];
  #isOver = false;
  #reader: (() => void) | undefined;
  #idle: (() => void) | undefined;
  /** Bytes that the client wrote. */
  written = 0;

  /** @param chunkBytes The most that one read brings. */
  constructor(chunkBytes = Infinity) {
    this.#chunkBytes = chunkBytes;
  }

  /** Adds bytes; they must not change until they are read. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#queue.push(bytes);
    this.#reader?.();
  }

  /** Ends the stream behind what was pushed. */
  end(): void {
    this.#isOver = true;
    this.#reader?.();
  }

  /** Resolves when the client has taken everything and asks for more, or has closed. */
  async idle(): Promise<void> {
    while (!this.#isIdle()) {
      await new Promise<void>((resolve) => this.#idle = resolve);
    }
  }

  #isIdle(): boolean {
    return (this.#queue.length === 0 && this.#reader !== undefined) || this.#isOver;
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (this.#queue.length === 0) {
      if (this.#isOver) return null;
      const more = new Promise<void>((resolve) => this.#reader = resolve);
      this.#idle?.();
      await more;
      this.#reader = undefined;
    }
    const first = this.#queue[0]!;
    const length = Math.min(first.length, into.length, this.#chunkBytes);
    into.set(first.subarray(0, length));
    if (length === first.length) this.#queue.shift();
    else this.#queue[0] = first.subarray(length);
    return length;
  }

  write(bytes: Uint8Array): Promise<number> {
    this.written += bytes.length;
    return Promise.resolve(bytes.length);
  }

  close(): void {
    this.#queue.length = 0;
    this.end();
    this.#idle?.();
  }
}

/** How a recording is replayed. */
export interface ReplayOptions {
  /** The most bytes that one read brings; as they came when left out. */
  chunkBytes?: number;
  /** How the client runs a connection; undefined leaves it out. */
  setup(connection: RecordedConnection): ChannelSetup | undefined;
  /** Called at each moment, when everything before it has been handled. */
  onMoment?(moment: RecordedMoment): void | Promise<void>;
}

/** A channel after its replay. */
export interface ReplayedChannel {
  connection: RecordedConnection;
  channel: SpiceChannel;
  end: ChannelEnd;
  /** Bytes that the client wrote, the link included. */
  written: number;
}

/** Replays a whole recording, its connections in the order in which their bytes came. */
export async function replay(
  recording: Recording,
  options: ReplayOptions,
): Promise<ReplayedChannel[]> {
  const { connections, moments } = recording.head;
  const feeds = connections.map((connection) => {
    const setup = options.setup(connection);
    if (setup === undefined) return undefined;
    const feed = new FedConnection(options.chunkBytes);
    return { feed, running: run(feed, connection, setup) };
  });
  const idle = () => Promise.all(feeds.map((it) => it?.feed.idle()));
  for (const [at, { connection, bytes }] of recording.blocks.entries()) {
    await meet(at);
    feeds[connection]?.feed.push(bytes);
    await feeds[connection]?.feed.idle();
  }
  await meet(recording.blocks.length);
  for (const it of feeds) it?.feed.end();
  return (await Promise.all(feeds.map((it) => it?.running))).filter((it) => it !== undefined);

  async function meet(blocks: number): Promise<void> {
    for (const moment of moments) {
      if (moment.blocks !== blocks) continue;
      await idle();
      await options.onMoment?.(moment);
    }
  }
}

async function run(
  feed: FedConnection,
  connection: RecordedConnection,
  setup: ChannelSetup,
): Promise<ReplayedChannel> {
  const { type, id } = connection;
  const name = `${type}.${id}`;
  const { caps: ours, maxBytes, early } = setup;
  const stream = new SpiceStream(feed);
  const caps = await linkChannel(stream, {
    ...{ channel: name, type, id, connectionId: 0, caps: ours },
    ...early ? { early } : {},
  });
  const routes = setup.routes.bind(setup);
  const channel = new SpiceChannel(stream, { name, id, caps, maxBytes, routes });
  const end = await channel.run();
  return { connection, channel, end, written: feed.written };
}
