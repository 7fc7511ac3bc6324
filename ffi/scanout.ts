/** Buffers of the guest's: what came as a descriptor with a scanout. */
import { checked } from "./errno.ts";
import { OwnedFd } from "./fd.ts";
import type { Shim } from "./load.ts";

/** Kinds of buffers, as `UTM_SCANOUT_*` of `native/utm_shim.h` numbers them. */
const KINDS = [undefined, "dmabuf", "memory", "iosurface"] as const;

/** Where a buffer is: on the GPU (`dmabuf` on Linux, `iosurface` on macOS), or in plain memory. */
export type ScanoutKind = NonNullable<typeof KINDS[number]>;

/** The body of GL_SCANOUT_UNIX. Source: spice.proto, DisplayChannel. */
export interface ScanoutMessage {
  /** Pixels. */
  width: number;
  height: number;
  /** Bytes from one row to the next; means nothing on macOS. */
  stride: number;
  /** A DRM fourcc; means nothing on macOS. */
  fourcc: number;
  /** Bit 0, Y0TOP: the rows are upside down in memory; means nothing on macOS. */
  flags: number;
}

/** A part of a buffer: pixels, from the top left of the picture. */
export interface ScanoutPart {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** States of a pipe, as `UTM_ID_*` of `native/utm_shim.h` numbers them. */
const PIPE_STATES = [undefined, "fresh", "replaced", "old", "read"] as const;

/** What a pipe has to say of an IOSurface: `id` is there if it is `fresh`, and never again. */
export interface PipeId {
  state: NonNullable<typeof PIPE_STATES[number]>;
  /** Names the surface; 0 unless it is fresh. */
  id: number;
}

/**
 * Reads the id of an IOSurface out of a pipe; never waits.
 *
 * @throws {ShimCallError} `EPROTO`: what is in it is no id. `EBADF`: it is no pipe's end for reading.
 */
export function readPipeId(shim: Shim, pipe: OwnedFd): PipeId {
  const id = new Uint32Array(1);
  const state = checked(
    shim.symbols.utm_shim_pipe_id(pipe.number, id),
    "read the id of an IOSurface",
  );
  return { state: PIPE_STATES[state] ?? "read", id: id[0]! };
}

/** A buffer of the guest's, open; used in the thread that opened it. */
export class Scanout implements Disposable {
  readonly #shim: Shim;
  #pointer: Deno.PointerObject | null;
  /** Where it is. */
  readonly kind: ScanoutKind;
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
  /** Bytes from one row to the next, as the buffer has it. */
  readonly stride: number;
  /** Its format: a DRM fourcc, or an IOSurface's own code. */
  readonly fourcc: number;
  /** Whether row 0 in memory is the bottom line of the picture. */
  readonly isBottomUp: boolean;

  private constructor(shim: Shim, pointer: Deno.PointerObject, kind: number) {
    const shape = new Uint32Array(5);
    checked(shim.symbols.utm_shim_scanout_shape(pointer, shape), "look at a scanout's buffer");
    this.#shim = shim;
    this.#pointer = pointer;
    this.kind = KINDS[kind] ?? "memory";
    this.width = shape[0]!;
    this.height = shape[1]!;
    this.stride = shape[2]!;
    this.fourcc = shape[3]!;
    this.isBottomUp = shape[4] !== 0;
  }

  /**
   * Opens the buffer that came with a scanout.
   *
   * @param fd Taken over in every case.
   * @param message What came with it.
   * @param previous The buffer that was opened last, if it is open still.
   * @returns undefined if it is `previous` once more, which stays as it is.
   * @throws {ShimCallError} `EINVAL`: its shape or its size makes no sense; `ENOTSUP`: its format is
   * unknown; `EBADF`: the descriptor is of the wrong kind. Of a pipe also `ESTALE`: a newer scanout is on
   * its way, or somebody else has read the id; `ENOENT`: there is no such surface; `EPROTO`: what is in it
   * is no id.
   */
  static open(
    shim: Shim,
    fd: OwnedFd,
    message: ScanoutMessage,
    previous?: Scanout,
  ): Scanout | undefined {
    using taken = fd; // until C has it, and whatever throws before
    const { width, height, stride, fourcc, flags } = message;
    const at = new BigUint64Array(1);
    const before = previous?.pointer ?? null;
    const kind = checked(
      shim.symbols.utm_shim_scanout_open(
        taken.take(),
        Uint32Array.of(width, height, stride, fourcc, flags),
        before,
        at,
      ),
      "open a scanout's buffer",
    );
    if (kind === 0) return undefined;
    // SAFETY: the call has succeeded, so this is the address of a scanout that we own.
    const pointer = Deno.UnsafePointer.create(at[0]!);
    if (pointer === null) throw new TypeError("Cannot open a scanout: its address is zero");
    return new Scanout(shim, pointer, kind);
  }

  /** For a call that does not keep it, or holds it by itself. @throws {TypeError} It was closed. */
  get pointer(): Deno.PointerObject {
    if (this.#pointer === null) throw new TypeError("Cannot use a scanout: it was closed");
    return this.#pointer;
  }

  /**
   * Reads a part by the CPU. The pixels of a `dmabuf` are right only if its driver lays them out line by
   * line: EGL knows, this does not.
   *
   * @param pixels Filled from its beginning: 0xffRRGGBB each, the top line first, without padding.
   * @returns The bytes of the buffer that were read.
   * @throws {RangeError} The part is not all within the buffer, or `pixels` is too small.
   * @throws {ShimCallError} `EIO`: the buffer can no longer be read.
   */
  read(part: ScanoutPart, pixels: Uint32Array): number {
    const { x, y, width, height } = part;
    const isWithin =
      [x, y, width, height].every((value) => Number.isInteger(value) && value >= 0) &&
      width > 0 && height > 0 && x + width <= this.width && y + height <= this.height;
    if (!isWithin) {
      throw new RangeError(
        `Cannot read ${width}x${height} at ${x},${y}: expected a part of ${this.width}x${this.height}`,
      );
    }
    if (pixels.length < width * height) {
      throw new RangeError(
        `Cannot read ${width}x${height} pixels: there is room for ${pixels.length}`,
      );
    }
    const cpuBytes = new BigUint64Array(1);
    checked(
      this.#shim.symbols.utm_shim_scanout_read(
        this.pointer,
        x,
        y,
        width,
        height,
        pixels as Uint32Array<ArrayBuffer>,
        width,
        cpuBytes,
      ),
      "read a scanout's buffer",
    );
    return Number(cpuBytes[0]!);
  }

  /** Closes it; EGL, where it was imported, keeps it for as long as it needs it. */
  [Symbol.dispose](): void {
    if (this.#pointer === null) return;
    // SAFETY: the address is that of a scanout of ours, which nobody can reach from here on.
    this.#shim.symbols.utm_shim_scanout_close(this.#pointer);
    this.#pointer = null;
  }
}
