/**
 * A guest's serial port: bytes both ways, text to wait for, and any number of onlookers.
 *
 * QEMU's end of the socket takes one client, so one `SerialPort` holds the connection for as long as
 * the VM lives and shares it.
 */
import { withDeadline } from "../base/deadline.ts";
import { ExpectError } from "../base/errors.ts";
import { printable } from "../base/text.ts";

/** The text that a pattern is looked for in, counted back from the newest character. */
const WINDOW_CHARACTERS = 64 * 1024;
/** The newest bytes that are kept as evidence. */
const HISTORY_BYTES = 1024 * 1024;
const READ_BYTES = 64 * 1024;

/** What {@linkcode SerialPort.expect} found. */
export interface SerialMatch {
  /** The text that matched. */
  text: string;
  /** Milliseconds that were waited. */
  ms: number;
}

/** Options of {@linkcode SerialPort.expect}. */
export interface ExpectOptions {
  /** Milliseconds until the wait fails; no limit when left out. */
  timeoutMs?: number;
  /** Ends the wait by rejecting with the signal's reason. */
  signal?: AbortSignal;
}

/** One serial port of a running guest. */
export class SerialPort implements AsyncDisposable {
  readonly #conn: Deno.Conn;
  readonly #taps = new Set<(bytes: Uint8Array) => void>();
  readonly #waiters = new Set<() => void>();
  readonly #plain = new PlainText();
  #unread = "";
  #history: Uint8Array[] = [];
  #historyBytes = 0;
  #ended = false;
  #writing: Promise<unknown> = Promise.resolve();
  /** Resolves when QEMU's end is closed; never rejects. */
  readonly closed: Promise<void>;

  /** Takes over `conn`, which is closed with the port. */
  constructor(conn: Deno.Conn) {
    this.#conn = conn;
    this.closed = this.#read();
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(READ_BYTES);
    try {
      for (;;) {
        const count = await this.#conn.read(buffer);
        if (count === null) break;
        this.#receive(buffer.slice(0, count));
      }
    } catch {
      // A reset connection is QEMU's end like any other; its exit is told by the process.
    }
    this.#ended = true;
    this.#wake();
  }

  #receive(bytes: Uint8Array): void {
    this.#history.push(bytes);
    this.#historyBytes += bytes.length;
    while (this.#historyBytes - (this.#history[0]?.length ?? 0) >= HISTORY_BYTES) {
      this.#historyBytes -= this.#history.shift()?.length ?? 0;
    }
    this.#unread = (this.#unread + this.#plain.push(bytes)).slice(-WINDOW_CHARACTERS);
    for (const tap of this.#taps) tap(bytes);
    this.#wake();
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
  }

  /** Calls `listener` with every piece of output from now on; `replay` first gives what is kept. */
  tap(listener: (bytes: Uint8Array) => void, replay = false): Disposable {
    if (replay) { for (const bytes of this.#history) listener(bytes); }
    this.#taps.add(listener);
    return { [Symbol.dispose]: () => void this.#taps.delete(listener) };
  }

  /** The newest output, at most 1 MiB (and a last piece). The caller owns the copy. */
  history(): Uint8Array {
    const all = new Uint8Array(this.#historyBytes);
    let offset = 0;
    for (const bytes of this.#history) {
      all.set(bytes, offset);
      offset += bytes.length;
    }
    return all;
  }

  /** The end of the output that no `expect` has consumed, for messages. */
  tail(maxCharacters = 400): string {
    const lines = this.#unread.split(/\r?\n|\r/).map((line) => printable(line).trimEnd());
    return lines.filter((line) => line !== "").join("\n").slice(-maxCharacters);
  }

  /** Sends bytes to the guest; writes are made one after the other, in the order of the calls. */
  write(bytes: Uint8Array): Promise<void> {
    const written = this.#writing.then(async () => {
      let rest = bytes;
      while (rest.length > 0) rest = rest.subarray(await this.#conn.write(rest));
    });
    this.#writing = written.catch(() => {});
    return written;
  }

  /**
   * Waits until the guest's output matches `pattern`. Output since the last match counts, also what
   * came before the call; the match and all before it is then consumed. Terminal control sequences
   * are not part of the text; a match lies within the last 65,536 characters.
   *
   * @throws {ExpectError} when the port closes first.
   * @throws {DeadlineError} when `timeoutMs` passes first.
   */
  expect(pattern: RegExp, options: ExpectOptions = {}): Promise<SerialMatch> {
    const start = performance.now();
    return withDeadline(`serial text ${pattern}`, (signal) => {
      const done = Promise.withResolvers<SerialMatch>();
      const look = () => {
        pattern.lastIndex = 0;
        const match = pattern.exec(this.#unread);
        if (match !== null) {
          this.#unread = this.#unread.slice(match.index + match[0].length);
          this.#waiters.delete(look);
          done.resolve({ text: match[0], ms: performance.now() - start });
        } else if (this.#ended) {
          done.reject(
            new ExpectError(
              `Cannot find ${pattern} on the serial port: the guest ended before it came`,
            ),
          );
        }
      };
      this.#waiters.add(look);
      signal.addEventListener("abort", () => this.#waiters.delete(look), { once: true });
      look();
      return done.promise;
    }, options);
  }

  /** Closes the connection; pending waits fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#conn.close();
    } catch {
      // Closed before.
    }
    await this.closed;
  }
}

/** Turns a byte stream into text without terminal control sequences (ECMA-48 CSI, OSC and the like). */
class PlainText {
  readonly #decoder = new TextDecoder();
  #pending = "";

  push(bytes: Uint8Array): string {
    let text = this.#pending + this.#decoder.decode(bytes, { stream: true });
    this.#pending = "";
    // An unfinished sequence at the end waits for its rest; a stray ESC does not wait for ever.
    const open = text.lastIndexOf("\u001b");
    if (open >= 0 && text.length - open < 256 && UNFINISHED.test(text.slice(open))) {
      this.#pending = text.slice(open);
      text = text.slice(0, open);
    }
    return text.replace(SEQUENCE, "");
  }
}

// deno-lint-ignore no-control-regex
const SEQUENCE = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[ -/]*[0-~])/g;
// deno-lint-ignore no-control-regex
const UNFINISHED = /^\u001b(?:$|\[[0-?]*[ -/]*$|\][^\u0007\u001b]*$|[ -/]+$)/;
