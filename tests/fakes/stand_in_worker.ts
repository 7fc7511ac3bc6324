/**
 * The entry of a display's thread without a GPU: what a buffer holds, and how copying it goes, follows
 * from its width and from where it is copied.
 */
import type { OwnedFd } from "../../ffi/fd.ts";
import type { GlDriver, GuestBuffer, ScanoutShape } from "../../lib/display/gl_interfaces.ts";
import { type DisplayScope, serveDisplay } from "../../lib/vm/serve_display.ts";
import { DIES_AT, HANGS_AT, pixelOf, READ_THROWS, THROWS_AT } from "./stand_in_worker_marks.ts";

class StandInDriver implements GlDriver<OwnedFd, GuestBuffer> {
  openBuffer(
    fd: OwnedFd,
    { width, height }: ScanoutShape,
    previous: GuestBuffer | undefined,
  ): GuestBuffer | undefined {
    if (previous?.width === width && previous.height === height) {
      fd[Symbol.dispose]();
      return undefined;
    }
    return {
      kind: "dmabuf",
      width,
      height,
      read: () => 0,
      [Symbol.dispose]: () => fd[Symbol.dispose](),
    };
  }

  openPipeline() {
    let source = 0;
    return {
      import: ({ width }: GuestBuffer) => void (source = width),
      release() {},
      copy: ({ x }: { x: number }) => {
        if (x >= HANGS_AT) {
          const never = new Int32Array(new SharedArrayBuffer(4));
          Atomics.wait(never, 0, 0, x - HANGS_AT); // blocks the thread, as a call into a driver does
        } else if (x >= DIES_AT) {
          queueMicrotask(() => {
            throw new TypeError("the GPU is on fire");
          });
        } else if (x >= THROWS_AT) throw new TypeError("a defect of the copy");
        return 0;
      },
      read: (pixels: Uint32Array) => {
        if (source === READ_THROWS) throw new TypeError("a defect of the read");
        pixels.fill(pixelOf(source));
        return pixels.length * 4;
      },
      isRemade: false,
      refresh: () => 0,
      share: () => ({
        kind: "memory" as const,
        width: source,
        height: 1,
        stride: source * 4,
        fourcc: 0,
        fd: -1,
        surfaceId: 7,
      }),
      [Symbol.dispose]() {},
    };
  }
}

serveDisplay(self as unknown as DisplayScope, () => new StandInDriver());
