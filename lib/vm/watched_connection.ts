/** A connection whose reads and writes somebody takes note of. */
import type { OwnedFd } from "../../ffi/fd.ts";
import type { Connection } from "../spice/transport.ts";

/** Who takes note. */
export interface ConnectionWatch {
  /** Called before a read, which may block the thread for any time. */
  beforeRead(): void;
  /** Called as soon as bytes have come. */
  afterRead(): void;
  /** Called as soon as bytes have left. */
  afterWrite(): void;
  /** Called right before the connection is closed. */
  beforeClose(): void;
}

/** A connection that is watched; owns what it wraps. */
export class WatchedConnection implements Connection {
  readonly #connection: Connection;
  readonly #watch: ConnectionWatch;

  constructor(connection: Connection, watch: ConnectionWatch) {
    this.#connection = connection;
    this.#watch = watch;
  }

  async read(to: Uint8Array): Promise<number | null> {
    await undefined; // what was sent in this turn leaves first: reading may block
    this.#watch.beforeRead();
    const count = await this.#connection.read(to);
    this.#watch.afterRead();
    return count;
  }

  async write(bytes: Uint8Array): Promise<number> {
    const count = await this.#connection.write(bytes);
    this.#watch.afterWrite();
    return count;
  }

  takeFd(): OwnedFd | undefined {
    return this.#connection.takeFd?.();
  }

  close(): void {
    this.#watch.beforeClose();
    this.#connection.close();
  }
}
