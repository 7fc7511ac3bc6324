/** The native side of GL displays: buffers of the guest, and EGL. */
import { EglContext } from "../../ffi/egl.ts";
import type { OwnedFd } from "../../ffi/fd.ts";
import type { Shim } from "../../ffi/load.ts";
import { Scanout } from "../../ffi/scanout.ts";
import { systemAccess } from "../qemu/host_access.ts";
import { findUtmApp } from "../qemu/utm_app.ts";
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
    const libraryFolder = angleFolder();
    return EglContext.open(this.#shim, {
      ...(renderNode === undefined ? {} : { renderNode }),
      ...(libraryFolder === undefined ? {} : { libraryFolder }),
    });
  }
}

/**
 * Where macOS has an EGL: the system has none, but UTM.app brings ANGLE, with which its QEMU draws.
 *
 * @throws {HostError} `UTMOST_UTM_APP` names something else.
 */
function angleFolder(): string | undefined {
  return Deno.build.os === "darwin" ? findUtmApp(systemAccess())?.frameworks : undefined;
}
