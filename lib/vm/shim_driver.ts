/** The native side of GL displays: buffers of the guest, and EGL. */
import type { OwnedFd } from "../../ffi/fd.ts";
import type { Shim } from "../../ffi/load.ts";
import { failure, ShimCallError } from "../../ffi/errno.ts";
import type { GlDriver, GlPipeline, GuestBuffer, ScanoutShape } from "../display/gl_interfaces.ts";

/** Opens buffers and EGL by the native library, which must stay open. */
export class ShimDriver implements GlDriver<OwnedFd, GuestBuffer> {
  constructor(_shim: Shim, _renderNode: string | undefined) {}

  openBuffer(fd: OwnedFd, _shape: ScanoutShape, _previous: GuestBuffer | undefined): GuestBuffer {
    fd[Symbol.dispose]();
    throw new ShimCallError("open a buffer", failure("ENOTSUP"));
  }

  openPipeline(): GlPipeline<GuestBuffer> {
    throw new ShimCallError("open EGL", failure("ENOTSUP"));
  }
}
