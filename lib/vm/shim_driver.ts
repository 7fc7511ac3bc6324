/** The native side of GL displays: buffers of the guest, and EGL. */
import { EglContext } from "../../ffi/egl.ts";
import type { OwnedFd } from "../../ffi/fd.ts";
import type { Shim } from "../../ffi/load.ts";
import { Scanout } from "../../ffi/scanout.ts";
import type { GlDriver, GlPipeline, ScanoutShape } from "../display/gl_interfaces.ts";

/** Opens buffers and EGL by the native library, which must stay open. */
export class ShimDriver implements GlDriver<OwnedFd, Scanout> {
  readonly #shim: Shim;
  readonly #renderNode: string | undefined;

  /** @param renderNode The GPU that buffers come from, where there is a choice. */
  constructor(shim: Shim, renderNode: string | undefined) {
    this.#shim = shim;
    this.#renderNode = renderNode;
  }

  openBuffer(fd: OwnedFd, shape: ScanoutShape, previous: Scanout | undefined): Scanout | undefined {
    return Scanout.open(this.#shim, fd, shape, previous);
  }

  openPipeline(): GlPipeline<Scanout> {
    const renderNode = this.#renderNode;
    return EglContext.open(this.#shim, renderNode === undefined ? {} : { renderNode });
  }
}
