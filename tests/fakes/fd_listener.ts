/** Connections of a server that sends descriptors, for `FakeSpiceServer`. */
import { checked } from "../../ffi/errno.ts";
import { OwnedFd } from "../../ffi/fd.ts";
import type { Shim } from "../../ffi/load.ts";
import { UnixSocket } from "../../ffi/socket.ts";
import { pause } from "../../lib/base/deadline.ts";
import type { FakeConn } from "./spice_server.ts";

/** One connection; it never blocks the test's thread. */
export class FdConn implements FakeConn {
  readonly #socket: UnixSocket;
  #isClosed = false;

  constructor(socket: UnixSocket) {
    this.#socket = socket;
  }

  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      if (this.#isClosed) throw new Deno.errors.Interrupted("closed");
      const count = this.#socket.receive(into as Uint8Array<ArrayBuffer>, [], { timeoutMs: 0 });
      if (typeof count === "number") return count === 0 ? null : count;
      await pause(1);
    }
  }

  write(bytes: Uint8Array): Promise<number> {
    this.send(bytes);
    return Promise.resolve(bytes.length);
  }

  /** Sends bytes, and descriptors with the first of them; the socket must have room. */
  send(bytes: Uint8Array, ...fds: readonly OwnedFd[]): void {
    const sent = this.#socket.send(Uint8Array.from(bytes), fds, { timeoutMs: 0 });
    if (sent !== bytes.length) throw new Error(`only ${sent} bytes were taken`);
  }

  close(): void {
    this.#isClosed = true;
    this.#socket[Symbol.dispose]();
  }
}

/** Listens at `path`. */
export function listenForFds(
  shim: Shim,
  path: string,
): AsyncIterable<FakeConn> & { close(): void } {
  const name = new TextEncoder().encode(`${path}\0`);
  const listener = new OwnedFd(shim, checked(shim.symbols.utm_shim_listen(name, 16), "listen"));
  let isClosed = false;
  return {
    async *[Symbol.asyncIterator]() {
      while (!isClosed) {
        const number = shim.symbols.utm_shim_accept(listener.number, -1, 0);
        if (number >= 0) yield new FdConn(new UnixSocket(shim, new OwnedFd(shim, number)));
        else await pause(1);
      }
      listener[Symbol.dispose]();
    },
    close: () => isClosed = true,
  };
}
