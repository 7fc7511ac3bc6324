/** A connection that carries one JSON value a line, both ways. */
import { concatBytes } from "../base/bytes.ts";

/** The longest line that is accepted, in bytes. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;
/** What a peer may leave unread before it is dropped, in bytes: nobody is ever waited for. */
const MAX_UNSENT_BYTES = 16 * 1024 * 1024;

/** One JSON value a line over a stream socket. */
export class JsonLines implements Disposable {
  readonly #conn: Deno.Conn;
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;
  #sending: Promise<void> | undefined;
  #closed = false;

  /** Takes over `conn`. */
  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  /** Queues one value; a peer that does not read loses its connection. */
  send(value: unknown): void {
    if (this.#closed) return;
    const bytes = new TextEncoder().encode(`${JSON.stringify(value)}\n`);
    this.#unsent.push(bytes);
    this.#unsentBytes += bytes.length;
    if (this.#unsentBytes > MAX_UNSENT_BYTES) this[Symbol.dispose]();
    else this.#sending ??= this.#flush();
  }

  /** Resolves once everything that was queued is sent, or the connection is closed. */
  async sent(): Promise<void> {
    await this.#sending;
  }

  async #flush(): Promise<void> {
    try {
      for (let bytes = this.#unsent.shift(); bytes !== undefined; bytes = this.#unsent.shift()) {
        this.#unsentBytes -= bytes.length;
        let rest = bytes;
        while (rest.length > 0) rest = rest.subarray(await this.#conn.write(rest));
      }
    } catch {
      this[Symbol.dispose]();
    }
    this.#sending = undefined;
  }

  /**
   * Yields one value after the other until the peer closes.
   *
   * @throws {SyntaxError} at a line that is not JSON; {RangeError} at one that is too long.
   */
  async *values(): AsyncGenerator<unknown, void, void> {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(64 * 1024);
    let line: Uint8Array[] = [];
    let lineBytes = 0;
    for (;;) {
      const count = await this.#conn.read(buffer).catch(() => null);
      if (count === null) return;
      let start = 0;
      for (;;) {
        const end = buffer.subarray(0, count).indexOf(0x0a, start);
        const piece = buffer.slice(start, end < 0 ? count : end);
        line.push(piece);
        lineBytes += piece.length;
        if (lineBytes > MAX_LINE_BYTES) throw new RangeError("the line is too long");
        if (end < 0) break;
        start = end + 1;
        const text = decoder.decode(concatBytes(line));
        [line, lineBytes] = [[], 0];
        if (text.trim() !== "") yield JSON.parse(text);
      }
    }
  }

  /** Closes the connection; what is not sent yet is lost. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unsent = [];
    this.#conn.close();
  }
}
