/** Output that is written in order, without ever making its source wait. */

/** What may be queued before output is left out, in bytes. */
const MAX_UNSENT_BYTES = 16 * 1024 * 1024;

/** Where output goes: stdout, a file. */
export interface OutputTarget {
  write(bytes: Uint8Array): Promise<number>;
}

/**
 * Queues output for a target that may be slow. When too much is queued, output is left out and a
 * line in its place says so; a target that is gone is written to no more.
 */
export class OutputQueue {
  readonly #target: OutputTarget;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #omitted = 0;
  #writing: Promise<void> | undefined;
  #broken = false;

  constructor(target: OutputTarget) {
    this.#target = target;
  }

  /** Queues `bytes`, which must not change any more. */
  push(bytes: Uint8Array): void {
    if (this.#broken) return;
    if (this.#bytes > MAX_UNSENT_BYTES) {
      this.#omitted += bytes.length;
      return;
    }
    if (this.#omitted > 0) {
      const note = `\r\nutmost: ${this.#omitted} bytes left out, nobody read them\r\n`;
      this.#omitted = 0;
      this.#add(new TextEncoder().encode(note));
    }
    this.#add(bytes);
  }

  #add(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
    this.#writing ??= this.#write();
  }

  async #write(): Promise<void> {
    try {
      for (let next = this.#pieces.shift(); next !== undefined; next = this.#pieces.shift()) {
        let rest = next;
        while (rest.length > 0) rest = rest.subarray(await this.#target.write(rest));
        this.#bytes -= next.length;
      }
    } catch {
      this.#broken = true;
      this.#pieces = [];
    }
    this.#writing = undefined;
  }

  /** Resolves once all that is queued is written, or cannot be. */
  async flushed(): Promise<void> {
    await this.#writing;
  }
}
