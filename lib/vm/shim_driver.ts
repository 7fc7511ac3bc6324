/** The native side of GL displays: buffers of the guest, and EGL. */
import { failure, ShimCallError } from "../../ffi/errno.ts";
import type { OwnedFd } from "../../ffi/fd.ts";
import type { Shim } from "../../ffi/load.ts";
import { Scanout } from "../../ffi/scanout.ts";
import type { GlDriver, GlPipeline, ScanoutShape } from "../display/gl_interfaces.ts";

/** Opens buffers and EGL by the native library, which must stay open. */
export class ShimDriver implements GlDriver<OwnedFd, Scanout> {
  readonly #shim: Shim;

  /** @param _renderNode The GPU that buffers come from, where there is a choice. */
  constructor(shim: Shim, _renderNode: string | undefined) {
    this.#shim = shim;
  }

  openBuffer(fd: OwnedFd, shape: ScanoutShape, previous: Scanout | undefined): Scanout | undefined {
    return Scanout.open(this.#shim, fd, shape, previous);
  }

  openPipeline(): GlPipeline<Scanout> {
    throw new ShimCallError("open EGL", failure("ENOTSUP"));
  }
}
