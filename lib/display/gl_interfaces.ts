/** What a GL display takes from the native side: `ffi/scanout.ts` and `ffi/egl.ts` have it. */
import type { EglShare as SharedTexture } from "../../ffi/egl.ts";
import type {
  ScanoutMessage as ScanoutShape,
  ScanoutPart as PixelRect,
} from "../../ffi/scanout.ts";
import type { BufferKind } from "./gl_ledger.ts";

export type { PixelRect, ScanoutShape, SharedTexture };

/** A buffer of the guest's. */
export interface GuestBuffer extends Disposable {
  readonly kind: BufferKind;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /**
   * Reads a part by the CPU.
   *
   * @param pixels Where to: 0xffRRGGBB each, the top line first, without padding.
   * @returns The bytes that the CPU has copied.
   */
  read(part: PixelRect, pixels: Uint32Array): number;
}

/** EGL with one context, and a texture of ours that follows the guest's buffer. */
export interface GlPipeline<B extends GuestBuffer = GuestBuffer> extends Disposable {
  /** Makes a buffer the source of copies; a buffer that was imported before costs nothing. */
  import(buffer: B): void;
  /** Lets go of all buffers that were imported; our texture stays. */
  release(): void;
  /**
   * Copies a part of the source to our texture, which is made anew when the size has changed. Returns
   * once the guest may draw again.
   *
   * @returns The bytes that the CPU has copied.
   */
  copy(part: PixelRect): number;
  /** Whether the last copy has made our texture anew. */
  readonly isRemade: boolean;
  /**
   * Reads our texture back.
   *
   * @param pixels 0xffRRGGBB each, the top line first, without padding, as large as the texture.
   * @returns The bytes that the CPU has copied.
   */
  read(pixels: Uint32Array): number;
  /** Lends our texture to other processes: always the same until a copy has made it anew. */
  share(): SharedTexture;
  /**
   * Brings a texture that is lent as plain memory up to date with the copies so far; after draws were
   * acknowledged, and before others are told of them.
   *
   * @returns The bytes that the CPU has copied.
   */
  refresh(): number;
}

/** Opens what a GL display takes. */
export interface GlDriver<F extends Disposable = Disposable, B extends GuestBuffer = GuestBuffer> {
  /**
   * Opens the buffer that a scanout came with.
   *
   * @param fd Taken over in every case.
   * @param previous The buffer that was opened last and is open still.
   * @returns undefined if it is `previous` once more.
   * @throws {ShimCallError} `ESTALE`: it has been replaced. `ENOENT`: there is no such surface. `EINVAL`,
   * `ENOTSUP`, `EBADF`, `EPROTO`: its shape, its format, its descriptor or its pipe make no sense.
   */
  openBuffer(fd: F, shape: ScanoutShape, previous: B | undefined): B | undefined;
  /** Opens EGL. @throws {UtmostError} where it cannot be had. */
  openPipeline(): GlPipeline<B>;
}
