/** Memory that processes share. */
import { checked } from "./errno.ts";
import { OwnedFd } from "./fd.ts";
import type { Shim } from "./load.ts";

/** Makes memory of `size` bytes, all zero, that has no name: whoever has the descriptor can map it. */
export function createMemory(shim: Shim, size: number): OwnedFd {
  const number = shim.symbols.utm_shim_memory_create(BigInt(size));
  return new OwnedFd(shim, checked(number, `make ${size} bytes of shared memory`));
}

/** Memory that is mapped into this process. */
export class MappedMemory implements Disposable {
  readonly #shim: Shim;
  readonly #size: number;
  #at: Deno.PointerObject | null;
  /** The bytes; empty once this is disposed. */
  readonly bytes: Uint8Array<ArrayBuffer>;

  private constructor(shim: Shim, size: number, at: Deno.PointerObject) {
    this.#shim = shim;
    this.#size = size;
    this.#at = at;
    // SAFETY: utm_shim_memory_map has mapped `size` bytes at `at`, which stay until they are unmapped
    // in dispose; the buffer is detached before that.
    this.bytes = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(at, size));
  }

  /**
   * Maps the first `size` bytes of `fd`, which may be closed afterwards. What is not `writable` must not
   * be written to: that ends the process.
   *
   * @throws {ShimCallError} `EINVAL`: it has fewer bytes; `ENODEV`: it is no memory; `EACCES`.
   */
  static map(
    shim: Shim,
    fd: OwnedFd,
    size: number,
    options: { writable?: boolean } = {},
  ): MappedMemory {
    const at = new BigUint64Array(1);
    const writable = options.writable ? 1 : 0;
    const { utm_shim_memory_map } = shim.symbols;
    checked(
      utm_shim_memory_map(fd.number, BigInt(size), writable, at),
      `map ${size} bytes of shared memory`,
    );
    // SAFETY: the call has succeeded, so this is the address of a mapping that we own.
    const pointer = Deno.UnsafePointer.create(at[0]!);
    if (pointer === null) throw new TypeError("Cannot map shared memory: its address is zero");
    return new MappedMemory(shim, size, pointer);
  }

  /** Unmaps it; every view of it is empty from now on. */
  [Symbol.dispose](): void {
    if (this.#at === null) return;
    this.bytes.buffer.transfer(); // detaches, and copies nothing
    // SAFETY: the address and size are those of the mapping, and no view of it is left.
    this.#shim.symbols.utm_shim_memory_unmap(this.#at, BigInt(this.#size));
    this.#at = null;
  }
}
