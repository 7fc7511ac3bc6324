/**
 * QMP's framing: JSON objects, one a line, over a connection. Knows bytes and lines, not meanings.
 *
 * Source: QEMU docs/interop/qmp-spec.rst, "Protocol Specification".
 */
import { concatBytes } from "../base/bytes.ts";
import { QmpClosedError, QmpProtocolError } from "./errors.ts";

/** The longest line that is accepted, in bytes; QEMU's own limit for a token. */
export const MAX_LINE_BYTES = 64 * 1024 * 1024;

const READ_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** Options of {@linkcode readLines}. */
export interface ReadLinesOptions {
  /** The longest line, in bytes without its end. */
  maxLineBytes?: number;
}

/**
 * Reads lines until the peer closes, in batches: all lines that one read completes come together,
 * so that a bulk of replies costs one turn of the event loop. Empty lines are left out.
 *
 * @throws {QmpProtocolError} when a line is too long or not UTF-8.
 * @throws {QmpClosedError} when the peer closes in the middle of a line.
 * @throws what the connection's `read` throws.
 */
export async function* readLines(
  conn: Pick<Deno.Conn, "read">,
  options: ReadLinesOptions = {},
): AsyncGenerator<string[], void, undefined> {
  const { maxLineBytes = MAX_LINE_BYTES } = options;
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const buffer = new Uint8Array(READ_BYTES);
  let pieces: Uint8Array<ArrayBuffer>[] = []; // of the line that has no end yet
  let pendingBytes = 0;

  const decode = (line: Uint8Array): string => {
    try {
      return decoder.decode(line);
    } catch (cause) {
      throw new QmpProtocolError("Cannot read QMP: a line is not valid UTF-8", { cause });
    }
  };

  for (;;) {
    const count = await conn.read(buffer);
    if (count === null) break;
    const chunk = buffer.subarray(0, count);
    const lines: string[] = [];
    let start = 0;
    for (let end; (end = chunk.indexOf(NEWLINE, start)) >= 0; start = end + 1) {
      const tail = chunk.subarray(start, end);
      refuseOverlong(pendingBytes + tail.length, maxLineBytes);
      const line = decode(concatBytes([...pieces, tail])).trim();
      [pieces, pendingBytes] = [[], 0];
      if (line !== "") lines.push(line);
    }
    if (start < count) {
      pieces.push(chunk.slice(start));
      pendingBytes += count - start;
      refuseOverlong(pendingBytes, maxLineBytes);
    }
    if (lines.length > 0) yield lines;
  }
  if (pendingBytes > 0) {
    throw new QmpClosedError("Cannot read QMP: the connection closed in the middle of a message");
  }
}

function refuseOverlong(bytes: number, maxLineBytes: number): void {
  if (bytes <= maxLineBytes) return;
  throw new QmpProtocolError(
    `Cannot read QMP: a line has more than ${maxLineBytes} bytes, expected a message that fits`,
  );
}

/** Writes messages in the order in which they were given, each as a whole. */
export class LineWriter {
  readonly #conn: Pick<Deno.Conn, "write">;
  #last: Promise<void> = Promise.resolve();

  constructor(conn: Pick<Deno.Conn, "write">) {
    this.#conn = conn;
  }

  /** Writes `line` and a line end behind everything that was given before; rejects as `write` does. */
  write(line: string): Promise<void> {
    const bytes = new TextEncoder().encode(`${line}\n`);
    this.#last = this.#last.then(async () => {
      for (let sent = 0; sent < bytes.length;) {
        sent += await this.#conn.write(bytes.subarray(sent));
      }
    });
    return this.#last;
  }
}
