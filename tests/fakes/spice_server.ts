/**
 * A SPICE server for tests: real sockets, scripted answers, bytes one at a time or in bulk.
 *
 * It knows nothing of `lib/spice`, so that a mistake there is not made twice.
 */

const KEYS = await crypto.subtle.generateKey(
  { name: "RSA-OAEP", modulusLength: 1024, publicExponent: Uint8Array.of(1, 0, 1), hash: "SHA-1" },
  true,
  ["encrypt", "decrypt"],
);
/** The server's public key, 162 bytes of DER. */
export const PUBLIC_KEY = new Uint8Array(await crypto.subtle.exportKey("spki", KEYS.publicKey));

/** Returns little-endian integers one after another: `[bytes, value]` each. */
export function le(...fields: [bytes: 1 | 2 | 4 | 8, value: number | bigint][]): Uint8Array {
  const bytes: number[] = [];
  for (const [count, value] of fields) {
    for (let i = 0; i < count; i++) bytes.push(Number(BigInt(value) >> BigInt(8 * i) & 0xffn));
  }
  return Uint8Array.from(bytes);
}

/** Returns blocks of bytes as one. */
export function join(...parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Returns a message with a mini header. */
export function framed(type: number, body: Uint8Array = new Uint8Array()): Uint8Array {
  return join(le([2, type], [4, body.length]), body);
}

/** Options of {@linkcode linkReply}, each a lie that a test wants told. */
export interface LinkReplyOptions {
  error?: number;
  magic?: string;
  major?: number;
  size?: number;
  publicKey?: Uint8Array;
  common?: number[];
  channel?: number[];
  counts?: [common: number, channel: number];
  capsOffset?: number;
}

/** Returns a link reply as libspice-server sends it, changed by `options`. */
export function linkReply(options: LinkReplyOptions = {}): Uint8Array {
  const { error = 0, common = [0xb], channel = [0xf] } = options;
  const words = error ? [] : [...common, ...channel];
  const [a, b] = options.counts ?? (error ? [0, 0] : [common.length, channel.length]);
  const body = join(
    le([4, error]),
    error ? new Uint8Array(162) : options.publicKey ?? PUBLIC_KEY,
    le([4, a], [4, b], [4, error ? 0 : options.capsOffset ?? 178]),
    ...words.map((word) => le([4, word])),
  );
  return join(
    new TextEncoder().encode(options.magic ?? "REDQ"),
    le([4, options.major ?? 2], [4, 2], [4, options.size ?? body.length]),
    body,
  );
}

/** The server's end of one connection. */
export class FakeConnection {
  readonly #conn: FakeConn;
  readonly #isSlow: boolean;
  /** Type, id and connection id as the client's link message has them. */
  link = { type: 0, id: 0, connectionId: 0 };
  /** The first word of the channel's own capabilities in it. */
  caps = 0;
  /** The password in the client's ticket. */
  password = "";

  constructor(conn: FakeConn, isSlow = false) {
    this.#conn = conn;
    this.#isSlow = isSlow;
  }

  /** The connection itself. */
  get conn(): FakeConn {
    return this.#conn;
  }

  /** Sends bytes: at once, or each in a packet of its own. */
  async write(bytes: Uint8Array): Promise<void> {
    const step = this.#isSlow ? 1 : bytes.length;
    for (let at = 0; at < bytes.length;) {
      at += await this.#conn.write(bytes.subarray(at, at + step));
      if (this.#isSlow) await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }

  /** Sends a message. */
  send(type: number, body?: Uint8Array): Promise<void> {
    return this.write(framed(type, body));
  }

  /** Returns exactly `count` bytes. */
  async read(count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count;) {
      const read = await this.#conn.read(bytes.subarray(at));
      if (read === null) throw new Deno.errors.UnexpectedEof("the client has gone");
      at += read;
    }
    return bytes;
  }

  /** Returns the client's next message. */
  async receive(): Promise<{ type: number; body: Uint8Array }> {
    const header = new DataView((await this.read(6)).buffer);
    return { type: header.getUint16(0, true), body: await this.read(header.getUint32(2, true)) };
  }

  /** Waits until the client closes, and drops what it sends. */
  async drain(): Promise<void> {
    const buffer = new Uint8Array(65536);
    while (await this.#conn.read(buffer).catch(() => null) !== null) { /* dropped */ }
  }

  /** Reads the client's link message. */
  async readLink(): Promise<void> {
    const header = new DataView((await this.read(16)).buffer);
    const view = new DataView((await this.read(header.getUint32(12, true))).buffer);
    this.link = {
      connectionId: view.getUint32(0, true),
      type: view.getUint8(4),
      id: view.getUint8(5),
    };
    const [common, own, offset] = [6, 10, 14].map((at) => view.getUint32(at, true));
    this.caps = own! > 0 ? view.getUint32(offset! + 4 * common!, true) : 0;
  }

  /** Reads mechanism and ticket. */
  async readTicket(): Promise<void> {
    const bytes = await this.read(4 + 128);
    const plain = await crypto.subtle.decrypt("RSA-OAEP", KEYS.privateKey, bytes.slice(4));
    this.password = new TextDecoder().decode(plain).replace(/\0$/, "");
  }

  /** Ends the connection. */
  close(): void {
    try {
      this.#conn.close();
    } catch { /* closed before */ }
  }
}

/** What a server does once a channel is linked; the connection is closed when it resolves. */
export type Script = (connection: FakeConnection) => Promise<void>;

/** Options of {@linkcode FakeSpiceServer.start}. */
export interface FakeServerOptions {
  /** `true`: on a TCP port of 127.0.0.1; else of this address. */
  tcp?: boolean | string;
  /** The TCP port; any when left out. */
  port?: number;
  /** `true`: each byte in a packet of its own. */
  slow?: boolean;
  /** Takes the whole connection, before any link. */
  connection?: Script;
  /** Answers a link message; sends the usual reply when left out. */
  link?: Script;
  /** The verdict on a ticket: 0 is yes. */
  result?: (connection: FakeConnection) => number;
  main?: Script;
  display?: Script;
  /** Listens on a Unix socket; Deno does when left out. */
  listen?: (path: string) => AsyncIterable<FakeConn> & { close(): void };
}

/** What a server needs of a connection. */
export type FakeConn = Pick<Deno.Conn, "read" | "write" | "close">;

/** The session id that the server gives out. */
export const SESSION_ID = 0x1234_5678;

/** Main's INIT: no agent, mouse modes 3, mode 1. */
export const INIT = framed(
  103,
  le([4, SESSION_ID], [4, 1], [4, 3], [4, 1], [4, 0], [4, 10], [4, 0], [4, 0]),
);

/** Returns a list of channels, `[type, id]` each. */
export function channelsList(...channels: [type: number, id: number][]): Uint8Array {
  const items = channels.map(([type, id]) => le([1, type], [1, id]));
  return framed(104, join(le([4, channels.length]), ...items));
}

/** What main does when a test does not say. */
export async function serveMain(connection: FakeConnection): Promise<void> {
  await connection.write(INIT);
  await connection.receive(); // ATTACH_CHANNELS
  await connection.write(channelsList([3, 0], [4, 0], [2, 0]));
  await connection.drain();
}

/** What a display does when a test does not say. */
export async function serveDisplay(connection: FakeConnection): Promise<void> {
  await connection.receive(); // INIT
  await connection.send(3, le([4, 1], [4, 20]));
  await connection.drain();
}

/** A listening server; owns its socket, its directory and every connection. */
export class FakeSpiceServer implements AsyncDisposable {
  /** Where it listens. */
  readonly target: { path: string } | { host: string; port: number };
  /** Errors of scripts, such as a client that has gone; for the curious. */
  readonly errors: unknown[] = [];
  readonly #listener: AsyncIterable<FakeConn> & { close(): void };
  readonly #dir: string | undefined;
  readonly #options: FakeServerOptions;
  readonly #connections: FakeConnection[] = [];
  readonly #scripts: Promise<void>[] = [];
  readonly #accepting: Promise<void>;
  #isClosed = false;

  private constructor(options: FakeServerOptions, dir: string | undefined) {
    this.#options = options;
    this.#dir = dir;
    if (dir === undefined) {
      const host = typeof options.tcp === "string" ? options.tcp : "127.0.0.1";
      const listener = Deno.listen({ hostname: host, port: options.port ?? 0 });
      this.target = { host, port: listener.addr.port };
      this.#listener = listener;
    } else {
      this.target = { path: `${dir}/spice` };
      const { listen } = options;
      const path = `${dir}/spice`;
      this.#listener = listen?.(path) ?? Deno.listen({ transport: "unix", path });
    }
    this.#accepting = this.#accept();
  }

  /** Starts a server. */
  static async start(options: FakeServerOptions = {}): Promise<FakeSpiceServer> {
    const dir = options.tcp ? undefined : await Deno.makeTempDir({ prefix: "spice-fake-" });
    return new FakeSpiceServer(options, dir);
  }

  async #accept(): Promise<void> {
    try {
      for await (const conn of this.#listener) {
        const connection = new FakeConnection(conn, this.#options.slow);
        this.#connections.push(connection);
        this.#scripts.push(
          this.#serve(connection)
            .catch((error) => void this.errors.push(error))
            .finally(() => connection.close()),
        );
      }
    } catch { /* the listener was closed */ }
  }

  async #serve(connection: FakeConnection): Promise<void> {
    const { link, result, main = serveMain, display = serveDisplay } = this.#options;
    if (this.#options.connection) return await this.#options.connection(connection);
    await connection.readLink();
    if (link) await link(connection);
    else await connection.write(linkReply());
    await connection.readTicket();
    const code = result?.(connection) ?? 0;
    await connection.write(le([4, code]));
    if (code === 0) await (connection.link.type === 1 ? main : display)(connection);
  }

  /** Ends everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listener.close();
    for (const connection of this.#connections) connection.close();
    await this.#accepting;
    await Promise.all(this.#scripts);
    if (this.#dir !== undefined) await Deno.remove(this.#dir, { recursive: true });
  }
}

/** Two connected Unix sockets. */
export async function socketPair(): Promise<[client: Deno.Conn, server: Deno.Conn]> {
  const dir = await Deno.makeTempDir({ prefix: "spice-pair-" });
  try {
    using listener = Deno.listen({ transport: "unix", path: `${dir}/s` });
    return await Promise.all([
      Deno.connect({ transport: "unix", path: `${dir}/s` }),
      listener.accept(),
    ]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
