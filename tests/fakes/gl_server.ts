/**
 * The display side of a server that hands over scanouts by descriptors, as a script of what leaves in
 * one piece: also what libspice-server would never send. Behind the link; a real socket in between.
 */
import type { OwnedFd } from "../../ffi/fd.ts";
import type { Shim } from "../../ffi/load.ts";
import { UnixSocket } from "../../ffi/socket.ts";
import { openWaker, type Waker, type WakeUp } from "../../ffi/waker.ts";
import { FdConnection } from "../../lib/spice/fd_connection.ts";
import type { Connection } from "../../lib/spice/transport.ts";
import { framed, join, le } from "./spice_server.ts";

/** What leaves in one write: the client reads it in one piece, unless descriptors cut it. */
export interface Piece {
  bytes: Uint8Array<ArrayBuffer>;
  /** Ride on the first byte; borrowed. */
  fds?: readonly OwnedFd[];
}

/** GL_SCANOUT_UNIX, without what follows it. */
export function scanout(
  { width = 64, height = 48, stride = 256, fourcc = 0x34325258, flags = 0 } = {},
): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(
    framed(320, le([4, width], [4, height], [4, stride], [4, fourcc], [4, flags])),
  );
}

/** The byte behind a scanout, with its descriptors. */
export function trailer(...fds: readonly OwnedFd[]): Piece {
  return { bytes: Uint8Array.of(0x40), fds };
}

/** A scanout as libspice-server sends it, in two writes. */
export function goodScanout(fd: OwnedFd, width = 64): Piece[] {
  return [{ bytes: scanout({ width }) }, trailer(fd)];
}

/** GL_DRAW of a few pixels. */
export function draw(): Piece {
  return { bytes: Uint8Array.from(framed(321, le([4, 0], [4, 0], [4, 8], [4, 8]))) };
}

/** Pieces as one write: possible where at most the first has descriptors. */
export function glued(...pieces: readonly Piece[]): Piece {
  const bytes = Uint8Array.from(join(...pieces.map((piece) => piece.bytes)));
  return { bytes, fds: pieces.flatMap(({ fds = [] }) => fds) };
}

/** Bytes cut into pieces that end at `cuts`. */
export function cut(bytes: Uint8Array<ArrayBuffer>, ...cuts: readonly number[]): Piece[] {
  const ends = [...cuts, bytes.length];
  return ends.map((end, i) => ({ bytes: bytes.slice(ends[i - 1] ?? 0, end) }));
}

/**
 * The client's end: before each read the server sends its next piece, so that the client sees the
 * stream cut exactly so; behind the last one it closes.
 */
export class ScriptedConnection implements Connection {
  readonly #pieces: Piece[];
  readonly #server: UnixSocket;
  readonly #client: FdConnection;
  readonly #wakeUp: WakeUp;
  readonly #waker: Waker;
  readonly #answers: Uint8Array[] = [];

  constructor(shim: Shim, pieces: readonly Piece[]) {
    this.#pieces = [...pieces];
    const [client, server] = UnixSocket.pair(shim);
    const { wakeUp, waker } = openWaker(shim);
    this.#wakeUp = wakeUp;
    this.#waker = waker;
    this.#server = server;
    this.#client = new FdConnection(client, wakeUp);
  }

  /** Everything that the client has written. */
  get answers(): Uint8Array {
    return join(...this.#answers);
  }

  read(into: Uint8Array<ArrayBuffer>): Promise<number | null> {
    this.#collect();
    const piece = this.#pieces.shift();
    if (piece === undefined) this.#server[Symbol.dispose]();
    else this.#server.send(piece.bytes, piece.fds);
    return this.#client.read(into);
  }

  write(bytes: Uint8Array<ArrayBuffer>): Promise<number> {
    return this.#client.write(bytes);
  }

  takeFd(): OwnedFd | undefined {
    return this.#client.takeFd();
  }

  close(): void {
    this.#client.close();
    this.#server[Symbol.dispose]();
    this.#wakeUp[Symbol.dispose]();
    this.#waker[Symbol.dispose]();
  }

  #collect(): void {
    const into = new Uint8Array(65536);
    const count = this.#server.receive(into, [], { timeoutMs: 0 });
    if (typeof count === "number") this.#answers.push(into.slice(0, count));
  }
}
