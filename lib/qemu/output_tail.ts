/** The last lines of what a child printed, within fixed bounds. */

/** The most lines that are kept. */
export const MAX_TAIL_LINES = 200;
/** The most characters that are kept, over all lines. */
export const MAX_TAIL_LENGTH = 64 * 1024;
/** The longest line; what is longer is cut into several. */
const MAX_LINE_LENGTH = 4096;

/** Keeps the last lines; each stream that writes into it has a {@linkcode LineSplitter}. */
export class OutputTail {
  readonly #lines: string[] = [];
  #length = 0;

  /** Adds one line and forgets the oldest ones beyond the bounds. */
  push(line: string): void {
    this.#lines.push(line);
    this.#length += line.length;
    while (this.#lines.length > MAX_TAIL_LINES || this.#length > MAX_TAIL_LENGTH) {
      this.#length -= this.#lines.shift()?.length ?? 0;
    }
  }

  /** A copy of the lines, oldest first, as they were printed: untrusted text. */
  lines(): string[] {
    return [...this.#lines];
  }
}

/** Cuts a stream of bytes into lines, lossy where it is not UTF-8. */
export class LineSplitter {
  readonly #decoder = new TextDecoder();
  readonly #onLine: (line: string) => void;
  #rest = "";

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  /** Takes the next bytes. */
  write(bytes: Uint8Array): void {
    this.#take(this.#decoder.decode(bytes, { stream: true }));
  }

  /** Hands out a last line that has no end. */
  end(): void {
    this.#take(this.#decoder.decode());
    if (this.#rest !== "") this.#onLine(this.#rest);
    this.#rest = "";
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split(/\r?\n/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      for (let at = 0; at === 0 || at < line.length; at += MAX_LINE_LENGTH) {
        this.#onLine(line.slice(at, at + MAX_LINE_LENGTH));
      }
    }
    while (this.#rest.length > MAX_LINE_LENGTH) {
      this.#onLine(this.#rest.slice(0, MAX_LINE_LENGTH));
      this.#rest = this.#rest.slice(MAX_LINE_LENGTH);
    }
  }
}
