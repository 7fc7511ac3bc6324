/** Unix sockets that carry descriptors beside their bytes. */
import { cString } from "./c_string.ts";
import { checked, failure } from "./errno.ts";
import { fdPair, OwnedFd } from "./fd.ts";
import type { Shim } from "./load.ts";
import type { WakeUp } from "./waker.ts";

/** The most descriptors that one call takes in. Source: `UTM_FDS_MAX` in `native/utm_shim.h`. */
export const MAX_FDS = 16;

const READABLE = 1;
const WOKEN = failure("ECANCELED");
const LATE = failure("ETIMEDOUT");
const NO_FDS = new Int32Array(1);

/** How a call waits. */
export interface WaitOptions {
  /** Cuts the wait short when it is woken. */
  wakeUp?: WakeUp;
  /** Milliseconds; 0 does not wait, and left out it waits as long as it takes. */
  timeoutMs?: number;
}

/** Why a call has done nothing: it was woken, or its time was up. */
export type CutShort = "woken" | "late";

/** A connected socket; its calls block the thread unless `timeoutMs` is 0. */
export class UnixSocket implements Disposable {
  readonly #shim: Shim;
  readonly #fd: OwnedFd;
  readonly #received: Int32Array<ArrayBuffer>;
  readonly #receivedCount = new Uint32Array(1);
  #lost = 0;

  /**
   * Takes over `fd`, a connected stream socket.
   *
   * @param maxFds How many descriptors one message may bring; with more, all of them are closed.
   */
  constructor(shim: Shim, fd: OwnedFd, maxFds = 4) {
    if (!(maxFds >= 1 && maxFds <= MAX_FDS)) {
      throw new RangeError(`Cannot receive ${maxFds} descriptors: expected 1 to ${MAX_FDS}`);
    }
    this.#shim = shim;
    this.#fd = fd;
    this.#received = new Int32Array(maxFds);
  }

  /**
   * Connects to the socket at `path`; where nobody listens, that is told at once.
   *
   * @throws {ShimCallError} `ENOENT`, `ECONNREFUSED`, `ENAMETOOLONG`; `EAGAIN`: the server has too many
   * connections to accept, another try may do.
   */
  static connect(shim: Shim, path: string): UnixSocket {
    const number = shim.symbols.utm_shim_connect(cString(path));
    return new UnixSocket(shim, new OwnedFd(shim, checked(number, `connect to ${path}`)));
  }

  /** Makes two sockets that are connected. @throws {ShimCallError} There are too many open files */
  static pair(shim: Shim): [UnixSocket, UnixSocket] {
    const { utm_shim_socketpair } = shim.symbols;
    const [one, other] = fdPair(shim, "a pair of sockets", (ends) => utm_shim_socketpair(ends));
    return [new UnixSocket(shim, one), new UnixSocket(shim, other)];
  }

  /** The descriptor, for a call that does not keep it. @throws {TypeError} It was closed or taken */
  get number(): number {
    return this.#fd.number;
  }

  /** Another descriptor of the same socket. */
  dup(): OwnedFd {
    return this.#fd.dup();
  }

  /** Gives the number to another owner; this socket is of no use then. */
  take(): number {
    return this.#fd.take();
  }

  /** How many messages brought more descriptors than there was room for; all of theirs are closed. */
  get lostFds(): number {
    return this.#lost;
  }

  /**
   * Receives at most `into.length` bytes, and appends the descriptors that came with them to `fds`,
   * whose owner closes them.
   *
   * @returns The bytes; 0: the peer has closed.
   * @throws {ShimCallError} The connection is broken.
   */
  receive(
    into: Uint8Array<ArrayBuffer>,
    fds: OwnedFd[],
    options: WaitOptions = {},
  ): number | CutShort {
    const received = this.#received;
    const result = this.#shim.symbols.utm_shim_recv(
      this.#fd.number,
      options.wakeUp?.number ?? -1,
      into,
      into.length,
      received,
      received.length,
      this.#receivedCount,
      options.timeoutMs ?? -1,
    );
    const count = this.#receivedCount[0]!;
    if (count > received.length) this.#lost++;
    else for (let i = 0; i < count; i++) fds.push(new OwnedFd(this.#shim, received[i]!));
    return result >= 0 ? result : cutShort(result, "receive");
  }

  /**
   * Sends `data`; copies of `fds` travel with its first byte.
   *
   * @returns The bytes that have left: all, or fewer where the wait was cut short after the first.
   * @throws {ShimCallError} The connection is broken (`EPIPE`, `ECONNRESET`).
   */
  send(
    data: Uint8Array<ArrayBuffer>,
    fds: readonly OwnedFd[] = [],
    options: WaitOptions = {},
  ): number | CutShort {
    const numbers = fds.length === 0 ? NO_FDS : Int32Array.from(fds, ({ number }) => number);
    const result = this.#shim.symbols.utm_shim_send(
      this.#fd.number,
      options.wakeUp?.number ?? -1,
      data,
      data.length,
      numbers,
      fds.length,
      options.timeoutMs ?? -1,
    );
    return result >= 0 ? result : cutShort(result, "send");
  }

  /** Sends `head` and then `body`, one of which may be empty, in one write; returns as `send` does. */
  sendBoth(
    head: Uint8Array<ArrayBuffer>,
    body: Uint8Array<ArrayBuffer>,
    options: WaitOptions = {},
  ): number | CutShort {
    const result = this.#shim.symbols.utm_shim_writev(
      this.#fd.number,
      options.wakeUp?.number ?? -1,
      head,
      head.length,
      body,
      body.length,
      options.timeoutMs ?? -1,
    );
    return result >= 0 ? result : cutShort(result, "send");
  }

  /**
   * Resolves once there is something to receive, or the stream has ended: true. False when the wait was
   * cut short. The thread goes on meanwhile; the socket must stay open until then.
   */
  async readable(options: WaitOptions = {}): Promise<boolean> {
    const result = await this.#shim.symbols.utm_shim_poll_async(
      this.#fd.number,
      READABLE,
      options.wakeUp?.number ?? -1,
      options.timeoutMs ?? -1,
    );
    if (result < 0) cutShort(result, "wait for a socket");
    return result > 0;
  }

  /**
   * Ends the connection for all its descriptors, in every thread: the peer sees the end, and a thread
   * that waits to receive comes back.
   */
  shutdown(): void {
    checked(this.#shim.symbols.utm_shim_shutdown(this.#fd.number), "end a connection");
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}

/** A socket that connections come to; a child process can inherit its descriptor. */
export class UnixListener implements Disposable {
  readonly #shim: Shim;
  readonly #fd: OwnedFd;

  private constructor(shim: Shim, fd: OwnedFd) {
    this.#shim = shim;
    this.#fd = fd;
  }

  /**
   * Listens at `path`, which must not exist, and stays when this is disposed.
   *
   * @param backlog How many connections wait to be accepted at most.
   * @throws {ShimCallError} `EADDRINUSE`, `ENOENT`: no such folder; `ENAMETOOLONG`.
   */
  static listen(shim: Shim, path: string, backlog = 16): UnixListener {
    const number = shim.symbols.utm_shim_listen(cString(path), backlog);
    return new UnixListener(shim, new OwnedFd(shim, checked(number, `listen at ${path}`)));
  }

  /** The descriptor, for a call that does not keep it. @throws {TypeError} It was closed or taken */
  get number(): number {
    return this.#fd.number;
  }

  /** Gives the number to another owner; this listener is of no use then. */
  take(): number {
    return this.#fd.take();
  }

  /** Waits for a connection; blocks the thread unless `timeoutMs` is 0. */
  accept(options: WaitOptions = {}): UnixSocket | CutShort {
    const result = this.#shim.symbols.utm_shim_accept(
      this.#fd.number,
      options.wakeUp?.number ?? -1,
      options.timeoutMs ?? -1,
    );
    if (result < 0) return cutShort(result, "accept a connection");
    return new UnixSocket(this.#shim, new OwnedFd(this.#shim, result));
  }

  /** Closes it; who waits to be accepted is turned away. */
  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}

function cutShort(result: number, what: string): CutShort {
  if (result === WOKEN) return "woken";
  if (result === LATE) return "late";
  checked(result, what);
  return "late";
}
