/** A GPU for tests: buffers are numbers, and whatever is done with them is written down. */
import { failure, ShimCallError } from "../../ffi/errno.ts";
import type { ErrnoName } from "../../ffi/errno.ts";
import type { BufferKind } from "../../lib/display/gl_ledger.ts";
import type {
  GlDriver,
  GlPipeline,
  GuestBuffer,
  PixelRect,
  ScanoutShape,
  SharedTexture,
} from "../../lib/display/gl_interfaces.ts";

/** A descriptor: which buffer, and how opening it goes. */
export class FakeFd implements Disposable {
  isOpen = true;

  /**
   * @param buffer Which buffer it is of; pixels of it hold this number and where they are.
   * @param fails What opening it fails with.
   */
  constructor(
    readonly buffer: number,
    readonly kind: BufferKind = "dmabuf",
    readonly fails?: ErrnoName,
  ) {}

  [Symbol.dispose](): void {
    this.isOpen = false;
  }
}

/** The pixel of a buffer at a place. */
export function pixelOf(buffer: number, x: number, y: number): number {
  return (0xff000000 | buffer << 16 | y << 8 | x) >>> 0;
}

/** A buffer of the guest's. */
export class FakeBuffer implements GuestBuffer {
  readonly kind: BufferKind;
  readonly id: number;

  constructor(readonly fd: FakeFd, readonly width: number, readonly height: number) {
    this.kind = fd.kind;
    this.id = fd.buffer;
  }

  read({ x, y, width, height }: PixelRect, pixels: Uint32Array): number {
    for (let i = 0; i < width * height; i++) {
      pixels[i] = pixelOf(this.id, x + i % width, y + Math.floor(i / width));
    }
    return width * height * 4;
  }

  [Symbol.dispose](): void {
    this.fd[Symbol.dispose]();
  }
}

/** A GPU; `log` is what was done with it, in order. */
export class FakeDriver implements GlDriver<FakeFd, FakeBuffer> {
  readonly log: string[] = [];
  /** What the next calls of the pipeline fail with, by the call's name. */
  readonly failing = new Map<"open" | "import" | "copy" | "read" | "share", Error>();
  /** Pipelines that are open. */
  open = 0;

  openBuffer(
    fd: FakeFd,
    { width, height }: ScanoutShape,
    previous: FakeBuffer | undefined,
  ): FakeBuffer | undefined {
    if (fd.fails !== undefined) {
      fd[Symbol.dispose]();
      throw new ShimCallError("open a scanout", failure(fd.fails));
    }
    if (previous?.id === fd.buffer) {
      fd[Symbol.dispose]();
      return undefined;
    }
    return new FakeBuffer(fd, width, height);
  }

  openPipeline(): GlPipeline<FakeBuffer> {
    this.#mayFail("open");
    this.open++;
    this.log.push("open");
    let source: FakeBuffer | undefined;
    const imported = () => {
      if (source === undefined) throw new TypeError("nothing is imported");
      return source;
    };
    return {
      import: (buffer) => {
        this.#mayFail("import");
        this.log.push(`import ${buffer.id}`);
        source = buffer;
      },
      release: () => {
        this.log.push("release");
        source = undefined;
      },
      copy: ({ x, y, width, height }) => {
        this.#mayFail("copy");
        this.log.push(`copy ${imported().id} ${width}x${height}+${x}+${y}`);
        return 0;
      },
      read: (pixels) => {
        this.#mayFail("read");
        const { id, width, height } = imported();
        this.log.push(`read ${id}`);
        return imported().read({ x: 0, y: 0, width, height }, pixels);
      },
      isRemade: false,
      refresh: () => {
        this.log.push("refresh");
        return 4;
      },
      share: (): SharedTexture => {
        this.#mayFail("share");
        const { width, height } = imported();
        return {
          kind: "memory",
          width,
          height,
          stride: width * 4,
          fourcc: 0,
          fd: -1,
          surfaceId: 0,
        };
      },
      [Symbol.dispose]: () => {
        this.open--;
        this.log.push("close");
      },
    };
  }

  #mayFail(what: "open" | "import" | "copy" | "read" | "share"): void {
    const error = this.failing.get(what);
    if (error !== undefined) throw error;
  }
}
