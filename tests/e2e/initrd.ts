/** Initial RAM disks of Linux: reading those of others, and making small ones. */
import { concatBytes } from "../../lib/base/bytes.ts";

/** A file of an archive. */
export interface ArchiveFile {
  /** Its path, without a slash at the start. */
  path: string;
  /** Type and permissions. */
  mode: number;
  data: Uint8Array<ArrayBuffer>;
}

const HEADER_BYTES = 110;
const TRAILER = "TRAILER!!!";
/** Modes of a folder and of a program. */
const FOLDER = 0o040755;
const PROGRAM = 0o100755;

/** Bytes that are read in pieces of any size. */
class Pieces {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #piece: Uint8Array = new Uint8Array();

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
  }

  /** Returns the next `count` bytes, or nothing of them where `keep` is false. */
  async take(count: number, keep = true): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(keep ? count : 0);
    for (let at = 0; at < count;) {
      if (this.#piece.length === 0) {
        const { value, done } = await this.#reader.read();
        if (done) throw new Error("the archive is cut off");
        this.#piece = value;
      }
      const part = this.#piece.subarray(0, count - at);
      if (keep) bytes.set(part, at);
      this.#piece = this.#piece.subarray(part.length);
      at += part.length;
    }
    return bytes;
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }
}

/**
 * Reads the files that `wanted` chooses out of a gzipped archive in the format `newc`.
 * Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
 */
export async function readInitrd(
  path: string,
  wanted: (path: string) => boolean,
): Promise<ArchiveFile[]> {
  const file = await Deno.open(path);
  const pieces = new Pieces(file.readable.pipeThrough(new DecompressionStream("gzip")));
  const found: ArchiveFile[] = [];
  const text = new TextDecoder();
  try {
    for (;;) {
      const header = text.decode(await pieces.take(HEADER_BYTES));
      if (!header.startsWith("07070")) throw new Error(`no archive: ${header.slice(0, 6)}`);
      const field = (n: number) => parseInt(header.slice(6 + 8 * n, 14 + 8 * n), 16);
      const [mode, size, nameSize] = [field(1), field(6), field(11)];
      const name = text.decode(await pieces.take(padded(HEADER_BYTES + nameSize) - HEADER_BYTES))
        .slice(0, nameSize - 1);
      if (name === TRAILER) return found;
      const keep = wanted(name);
      const data = await pieces.take(padded(size), keep);
      if (keep) found.push({ path: name, mode, data: data.subarray(0, size) });
    }
  } finally {
    await pieces.cancel();
  }
}

function padded(size: number): number {
  return Math.ceil(size / 4) * 4;
}

/**
 * Makes an archive of programs and files, and of the folders that they lie in as far as those are not
 * among them already, as links.
 */
export function makeInitrd(files: readonly ArchiveFile[]): Uint8Array {
  const folders = new Set<string>();
  for (const { path } of files) {
    for (let end = path.indexOf("/"); end >= 0; end = path.indexOf("/", end + 1)) {
      folders.add(path.slice(0, end));
    }
  }
  for (const { path } of files) folders.delete(path);
  const entries: ArchiveFile[] = [
    ...[...folders].map((path) => ({ path, mode: FOLDER, data: new Uint8Array() })),
    ...files,
    { path: TRAILER, mode: 0, data: new Uint8Array() },
  ];
  const parts = entries.flatMap(({ path, mode, data }, n) => {
    const fields = [n + 1, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, path.length + 1, 0];
    const hex = fields.map((field) => field.toString(16).padStart(8, "0")).join("");
    const head = new Uint8Array(padded(HEADER_BYTES + path.length + 1));
    head.set(new TextEncoder().encode(`070701${hex}${path}`));
    const body = new Uint8Array(padded(data.length));
    body.set(data);
    return [head, body];
  });
  return concatBytes(parts);
}

/** Returns a program that an archive starts with. */
export function program(path: string, data: Uint8Array<ArrayBuffer>): ArchiveFile {
  return { path, mode: PROGRAM, data };
}
