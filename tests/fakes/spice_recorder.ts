/** A proxy between a SPICE client and a real server that keeps what the server sends. */
import type { RecordedBlock, RecordedConnection, RecordedMoment } from "./spice_recording.ts";

/** Bytes of the client's link header, and where its link message has type and capabilities. */
const LINK_HEADER_BYTES = 16;

/** A recording proxy on a Unix socket; owns its listener and all connections. */
export class SpiceRecorder implements AsyncDisposable {
  readonly connections: RecordedConnection[] = [];
  readonly blocks: RecordedBlock[] = [];
  readonly moments: RecordedMoment[] = [];
  /** Bytes received from the server. */
  bytes = 0;
  readonly #listener: Deno.Listener;
  readonly #server: Deno.ConnectOptions | Deno.UnixConnectOptions;
  readonly #conns = new Set<Deno.Conn>();
  readonly #pumps: Promise<void>[] = [];
  readonly #accepting: Promise<void>;
  #isClosed = false;

  /**
   * @param path Where clients connect.
   * @param server Where the server listens.
   */
  constructor(path: string, server: Deno.ConnectOptions | Deno.UnixConnectOptions) {
    this.#listener = Deno.listen({ transport: "unix", path });
    this.#server = server;
    this.#accepting = this.#accept();
  }

  /** Notes what a display shows now, while the server has nothing more to send. */
  note(moment: Omit<RecordedMoment, "blocks">): void {
    this.moments.push({ blocks: this.blocks.length, ...moment });
  }

  async #accept(): Promise<void> {
    try {
      for await (const client of this.#listener) {
        this.#conns.add(client);
        const server = "path" in this.#server
          ? await Deno.connect(this.#server)
          : await Deno.connect(this.#server);
        this.#conns.add(server);
        // Taken in the order of connecting, so that numbers do not depend on who speaks first.
        const connection = this.connections.push({ type: 0, id: 0, caps: [] }) - 1;
        this.#pumps.push(
          this.#pump(client, server, firstBytes((head) => this.#read(connection, head))),
          this.#pump(server, client, (bytes) => this.#keep(connection, bytes)),
        );
      }
    } catch { /* the listener was closed */ }
  }

  async #pump(from: Deno.Conn, to: Deno.Conn, see: (bytes: Uint8Array) => void): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (let read; (read = await from.read(buffer)) !== null;) {
        see(buffer.subarray(0, read));
        for (let at = 0; at < read;) at += await to.write(buffer.subarray(at, read));
      }
    } catch { /* one side has gone */ }
    this.#close(from);
    this.#close(to);
  }

  /** Reads the client's link message out of its first bytes; false until it is complete. */
  #read(connection: number, head: Uint8Array): boolean {
    const view = new DataView(head.buffer, head.byteOffset, head.length);
    if (head.length < LINK_HEADER_BYTES) return false;
    const end = LINK_HEADER_BYTES + view.getUint32(12, true);
    if (head.length < end) return false;
    const commonWords = view.getUint32(22, true);
    const words = view.getUint32(26, true);
    const at = LINK_HEADER_BYTES + view.getUint32(30, true) + 4 * commonWords;
    this.connections[connection] = {
      type: head[20]!,
      id: head[21]!,
      caps: Array.from({ length: words }, (_, i) => view.getUint32(at + 4 * i, true)),
    };
    return true;
  }

  #keep(connection: number, bytes: Uint8Array): void {
    this.bytes += bytes.length;
    this.blocks.push({ connection, bytes: bytes.slice() });
  }

  #close(conn: Deno.Conn): void {
    if (this.#conns.delete(conn)) conn.close();
  }

  /** Ends all connections; what was recorded stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listener.close();
    for (const conn of this.#conns) this.#close(conn);
    await this.#accepting;
    await Promise.all(this.#pumps);
  }
}

/** Calls `read` with all bytes so far until it says that it has enough. */
function firstBytes(read: (head: Uint8Array) => boolean): (bytes: Uint8Array) => void {
  let head: number[] | undefined = [];
  return (bytes) => {
    if (head === undefined) return;
    head.push(...bytes.subarray(0, 8192));
    if (read(Uint8Array.from(head))) head = undefined;
  };
}
