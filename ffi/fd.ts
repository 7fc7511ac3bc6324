/** Descriptors with an owner. */
import { checked } from "./errno.ts";
import type { Shim } from "./load.ts";

/** Kinds of open files, as `UTM_FD_*` of `native/utm_shim.h` numbers them. */
const KINDS = [undefined, "memory", "pipe", "socket", "other"] as const;

/** What a descriptor is of: `memory` can be mapped, as a rule (a file, a memfd, a dmabuf). */
export type FdKind = NonNullable<typeof KINDS[number]>;

/** Which open file a descriptor is of. */
export interface FdIdentity {
  kind: FdKind;
  /** `st_dev`. */
  device: bigint;
  /** `st_ino`; with `device` the same for all descriptors of one object while it is open. */
  inode: bigint;
}

/** A descriptor that is closed when this is disposed, unless it was taken out before. */
export class OwnedFd implements Disposable {
  readonly #shim: Shim;
  #number: number;

  /** Takes over `number`, an open descriptor of this process that nobody else closes. */
  constructor(shim: Shim, number: number) {
    if (!Number.isInteger(number) || number < 0) {
      throw new RangeError(`Cannot own descriptor ${number}: expected an open one`);
    }
    this.#shim = shim;
    this.#number = number;
  }

  /**
   * The number, for a call that does not keep it. It means the same in every thread of the process.
   *
   * @throws {TypeError} It was closed or taken.
   */
  get number(): number {
    if (this.#number < 0) throw new TypeError("Cannot use a descriptor: it was closed or taken");
    return this.#number;
  }

  /** Gives the number to another owner, who closes it. @throws {TypeError} as `number` */
  take(): number {
    const number = this.number;
    this.#number = -1;
    return number;
  }

  /** Returns another descriptor of the same open file. @throws {ShimCallError} There are too many */
  dup(): OwnedFd {
    const copy = this.#shim.symbols.utm_shim_dup(this.number);
    return new OwnedFd(this.#shim, checked(copy, "copy a descriptor"));
  }

  /** Tells which open file this is of. */
  identify(): FdIdentity {
    const id = new BigUint64Array(2);
    const kind = checked(
      this.#shim.symbols.utm_shim_identify(this.number, id),
      "look at a descriptor",
    );
    return { kind: KINDS[kind] ?? "other", device: id[0]!, inode: id[1]! };
  }

  /** Closes it; does nothing if it was closed or taken. */
  [Symbol.dispose](): void {
    if (this.#number >= 0) this.#shim.symbols.utm_shim_close(this.take());
  }
}

/**
 * Makes two descriptors that belong together.
 *
 * @param what What they are, for the error.
 * @param make Writes the two numbers.
 * @throws {ShimCallError} There are too many open files.
 */
export function fdPair(
  shim: Shim,
  what: string,
  make: (ends: Int32Array<ArrayBuffer>) => number,
): [OwnedFd, OwnedFd] {
  const ends = new Int32Array(2);
  checked(make(ends), `make ${what}`);
  return [new OwnedFd(shim, ends[0]!), new OwnedFd(shim, ends[1]!)];
}

/** Makes a pipe: the first end is read, without blocking, and the second written. */
export function openPipe(shim: Shim): [OwnedFd, OwnedFd] {
  return fdPair(shim, "a pipe", (ends) => shim.symbols.utm_shim_pipe(ends));
}
