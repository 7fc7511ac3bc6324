/** The byte stream of one channel: a connected socket and one read buffer of fixed size. */
import type { OwnedFd } from "../../ffi/fd.ts";
import { LONGEST_SOCKET_PATH } from "../base/socket_path.ts";
import { quoted } from "../base/text.ts";
import { SpiceConnectError } from "./errors.ts";

/** Where a SPICE server listens: a Unix socket, or a TCP port. */
export type SpiceTarget = { path: string } | { host: string; port: number };

/** What {@linkcode SpiceStream} needs of a connection; a `Deno.Conn` has what it must have. */
export interface Connection extends Pick<Deno.Conn, "read" | "write" | "close"> {
  /**
   * Takes the first of the descriptors that came with the bytes of the last read and were not taken
   * yet; the caller owns it. Those that nobody takes before the next read are closed.
   */
  takeFd?(): OwnedFd | undefined;
}

/** The size of the read buffer: more than Linux lets a Unix socket hold, 208 KiB. */
const BUFFER_BYTES = 256 * 1024;

/** Returns `target` as text for messages: a path, or host and port. */
export function targetText(target: SpiceTarget): string {
  if ("path" in target) return quoted(target.path);
  const host = isIpv6(target.host) ? `[${target.host}]` : target.host;
  return quoted(`${host}:${target.port}`);
}

function isIpv6(host: string): boolean {
  return host.includes(":");
}

/**
 * Connects to a server; the caller owns the stream.
 *
 * @param signal Gives up a TCP connection that is being made.
 * @throws {SpiceConnectError} with the operating system's error as its cause.
 * @throws the signal's reason when it is aborted first.
 */
export async function connectStream(
  target: SpiceTarget,
  signal?: AbortSignal,
): Promise<SpiceStream> {
  signal?.throwIfAborted();
  if ("path" in target) expectSocketPath(target.path);
  let conn: Deno.Conn;
  try {
    if ("path" in target) {
      conn = await Deno.connect({ transport: "unix", path: target.path });
    } else {
      const tcp = await connectTcp(target.host, target.port, signal);
      tcp.setNoDelay(true); // an ACK is six bytes that the server waits for
      conn = tcp;
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (!("path" in target) && isUnresolved(error)) {
      throw new SpiceConnectError(
        `Cannot connect to the SPICE server: the host ${quoted(target.host)} is not known`,
        { cause: error, hint: "Check the name, or give an address" },
      );
    }
    throw new SpiceConnectError(
      `Cannot connect to the SPICE server: ${targetText(target)} does not answer`,
      { cause: error, hint: connectHint(target, error) },
    );
  }
  if (signal?.aborted) {
    conn.close();
    throw signal.reason;
  }
  return new SpiceStream(conn);
}

/**
 * Connects to the first address of a host that answers. `Deno.connect` tries only one: a server on
 * 127.0.0.1 would not be found as "localhost" where that is ::1, too.
 */
async function connectTcp(
  hostname: string,
  port: number,
  signal: AbortSignal | undefined,
): Promise<Deno.TcpConn> {
  const options = { port, ...(signal ? { signal } : {}) };
  try {
    return await Deno.connect({ hostname, ...options });
  } catch (error) {
    signal?.throwIfAborted();
    if (isIpv6(hostname) || /^[\d.]+$/.test(hostname)) throw error; // an address itself
    for (const address of await addresses(hostname, signal)) {
      try {
        return await Deno.connect({ hostname: address, ...options });
      } catch {
        signal?.throwIfAborted(); // the first error tells as much
      }
    }
    throw error;
  }
}

/** Whether a name could not be resolved: Deno has no class for it. Source: Rust, std::net. */
function isUnresolved(error: unknown): boolean {
  return error instanceof Error && /failed to lookup address/i.test(error.message);
}

/** Returns all addresses of a host; none where its name cannot be resolved. */
async function addresses(hostname: string, signal: AbortSignal | undefined): Promise<string[]> {
  const kinds = ["A", "AAAA"] as const;
  const found = await Promise.allSettled(
    kinds.map((kind) => Deno.resolveDns(hostname, kind, signal ? { signal } : {})),
  );
  signal?.throwIfAborted();
  return found.flatMap((it) => it.status === "fulfilled" ? it.value : []);
}

/** @throws {SpiceConnectError} if no socket can have this path. */
function expectSocketPath(path: string): void {
  const bytes = new TextEncoder().encode(path).length;
  const longest = LONGEST_SOCKET_PATH[Deno.build.os === "darwin" ? "darwin" : "linux"];
  if (bytes <= longest) return;
  throw new SpiceConnectError(
    `Cannot connect to the SPICE server: the path of its socket has ${bytes} bytes, ` +
      `expected at most ${longest}`,
    { hint: "Give a shorter path that leads there, through a symbolic link to its folder" },
  );
}

/** Returns what to look at when a connection could not be made. */
function connectHint(target: SpiceTarget, error: unknown): string {
  if (!("path" in target)) return "Check host and port, and that the server runs";
  if (error instanceof Deno.errors.NotFound) return "Check the path, and that the server runs";
  if (error instanceof Deno.errors.PermissionDenied) return "Check who owns the socket";
  return "The server behind this socket has gone";
}

/** A connection with one read buffer; owns the connection. */
export class SpiceStream implements Disposable {
  readonly #conn: Connection;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #start = 0;
  #end = 0;
  #closed = false;

  constructor(conn: Connection) {
    this.#conn = conn;
  }

  /**
   * Returns the next `count` bytes, or fewer where the stream ends first; a view that the next
   * read overwrites.
   *
   * @param count At most the size of the buffer, 256 KiB.
   */
  async upTo(count: number): Promise<Uint8Array> {
    if (count > BUFFER_BYTES) throw new RangeError(`Cannot buffer ${count} bytes`);
    while (this.#end - this.#start < count) {
      if (this.#start > 0) {
        this.#buffer.copyWithin(0, this.#start, this.#end);
        this.#end -= this.#start;
        this.#start = 0;
      }
      const read = await this.#read(this.#buffer.subarray(this.#end));
      if (read === 0) break;
      this.#end += read;
    }
    const from = this.#start;
    this.#start = Math.min(from + count, this.#end);
    return this.#buffer.subarray(from, this.#start);
  }

  /**
   * Returns whatever bytes come next, at least one; a view that the next read overwrites.
   * Returns nothing once the stream has ended.
   *
   * @param room Where to read to. What was read before comes first, from a buffer of its own.
   */
  async chunk(room?: Uint8Array): Promise<Uint8Array | undefined> {
    if (this.#start === this.#end) {
      if (room) {
        const count = await this.#read(room);
        return count === 0 ? undefined : room.subarray(0, count);
      }
      this.#start = 0;
      this.#end = await this.#read(this.#buffer);
      if (this.#end === 0) return undefined;
    }
    const chunk = this.#buffer.subarray(this.#start, this.#end);
    this.#start = this.#end;
    return chunk;
  }

  /** Reads what fits into `to`; 0 at the end, however it came about. */
  async #read(to: Uint8Array): Promise<number> {
    if (this.#closed) return 0;
    try {
      return await this.#conn.read(to) ?? 0;
    } catch {
      // Reset by the server, or closed by us while we waited: no byte will come any more.
      return 0;
    }
  }

  /**
   * Writes all of `bytes`, which must not change until then.
   *
   * A connection that breaks meanwhile is no error here: reading shows it, after what the server
   * said before it closed.
   */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length && !this.#closed;) {
        at += await this.#conn.write(bytes.subarray(at));
      }
    } catch { /* see above */ }
  }

  /** Takes a descriptor, as `Connection.takeFd` says; none where the connection carries none. */
  takeFd(): OwnedFd | undefined {
    return this.#closed ? undefined : this.#conn.takeFd?.();
  }

  /** Closes the connection; a read or write under way ends at once. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#conn.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
