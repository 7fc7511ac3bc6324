/**
 * What a native library or program says of itself, read from the file: enough to check a build for
 * another system than this one. `elf.ts` and `macho.ts` read their formats into this shape.
 */
import { UtmostError } from "../lib/base/errors.ts";
import { ExitCode } from "../lib/base/exit_code.ts";

/** One ELF or Mach-O file. */
export interface NativeImage {
  format: "ELF" | "Mach-O";
  kind: "library" | "program" | "other";
  /** By Deno's and QEMU's name; others as `machine N`, the number in the file. */
  architecture: string;
  /** Names that others can link to, sorted; without the underscore that Mach-O puts in front. */
  exports: string[];
  /** Libraries that it needs, as it names them. */
  needs: string[];
  /** SONAME or install name: how others would name this library. */
  name?: string;
  /** RPATH and RUNPATH: folders that libraries are looked for in. */
  searchPaths: string[];
  /** Mach-O: the oldest macOS that opens it, such as `11.0`. */
  minimumMacOs?: string;
  /** ELF: the newest version of glibc that a symbol wants, such as `2.17`. */
  glibc?: string;
  /** ELF: whether the stack may hold code. */
  executableStack: boolean;
  /** Mach-O: whether there is a signature; the system opens no arm64 code without one. */
  signed: boolean;
}

/** A file is not a native image of a kind that is read here, or is damaged. */
export class NativeImageError extends UtmostError {
  override name = "NativeImageError";
  constructor(format: string, why: string, options?: ErrorOptions) {
    super(`Cannot read the ${format} file: ${why}`, ExitCode.host, options);
  }
}

/** Longest name that is believed. */
const NAME_BYTES = 4096;

/** Little-endian numbers and names anywhere in a file; every read is inside it. */
export class ImageBytes {
  readonly #format: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(format: string, bytes: Uint8Array) {
    this.#format = format;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** How many bytes there are. */
  get length(): number {
    return this.#bytes.length;
  }

  u8(at: number): number {
    return this.#number(at, 1, () => this.#view.getUint8(at));
  }

  u16(at: number): number {
    return this.#number(at, 2, () => this.#view.getUint16(at, true));
  }

  u32(at: number): number {
    return this.#number(at, 4, () => this.#view.getUint32(at, true));
  }

  /** A 64-bit number; one that no file of ours can hold is damage. */
  u64(at: number): number {
    const value = this.#number(at, 8, () => this.#view.getBigUint64(at, true));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.fault(`${value} at ${at} is too large`);
    return Number(value);
  }

  /** A 64-bit number that may be anything, such as a tag. */
  i64(at: number): bigint {
    return this.#number(at, 8, () => this.#view.getBigInt64(at, true));
  }

  /** The text from `at` to the next zero byte, one character a byte: names here are ASCII. */
  text(at: number): string {
    const zero = at < 0 ? -1 : this.#bytes.indexOf(0, at);
    if (zero < 0 || zero - at > NAME_BYTES) throw this.fault(`there is no text at ${at}`);
    return String.fromCharCode(...this.#bytes.subarray(at, zero));
  }

  /** The part from `at` on. */
  part(at: number, length: number): ImageBytes {
    if (at < 0 || length < 0 || at + length > this.length) {
      throw this.fault(`there are no ${length} bytes at ${at}`);
    }
    return new ImageBytes(this.#format, this.#bytes.subarray(at, at + length));
  }

  /** An error about this file. */
  fault(why: string): NativeImageError {
    return new NativeImageError(this.#format, why);
  }

  #number<T>(at: number, size: number, read: () => T): T {
    if (at < 0 || at + size > this.length) throw this.fault(`it ends before ${at + size}`);
    return read();
  }
}
