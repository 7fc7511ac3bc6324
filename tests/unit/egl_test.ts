/**
 * EGL through the library's own binding, on the software renderer of the system's Mesa. What EGL does
 * with pixels is tested in C (`native/tests/egl_test.c`); this is about what crosses the border.
 */
import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { EglContext } from "../../ffi/egl.ts";
import { ShimCallError } from "../../ffi/errno.ts";
import { OwnedFd } from "../../ffi/fd.ts";
import type { Shim } from "../../ffi/load.ts";
import { createMemory, MappedMemory } from "../../ffi/memory.ts";
import { Scanout } from "../../ffi/scanout.ts";
import { shim, shimTest } from "./open_shim.ts";

const XR24 = 0x34325258;
const [WIDTH, HEIGHT, STRIDE] = [37, 21, 192];

/** Whether there is an EGL; where there is none, that is said once. */
const hasEgl = Deno.build.os === "linux" && shim !== undefined && canOpen(shim);

function canOpen(shim: Shim): boolean {
  try {
    EglContext.open(shim)[Symbol.dispose]();
    return true;
  } catch (error) {
    if (!(error instanceof ShimCallError) || error.code !== "ENOENT") throw error;
    console.error("skipped what needs EGL: there is none; deno task setup brings it");
    return false;
  }
}

const eglTest: typeof shimTest = hasEgl ? shimTest : (name) => Deno.test.ignore(name, () => {});

/** A guest's buffer that can be drawn into. */
class Guest implements Disposable {
  readonly scanout: Scanout;
  readonly #memory: MappedMemory;
  readonly #words: Uint32Array;

  constructor(shim: Shim, readonly width = WIDTH, readonly height = HEIGHT) {
    const fd = createMemory(shim, STRIDE * height);
    this.#memory = MappedMemory.map(shim, fd, STRIDE * height, { writable: true });
    this.#words = new Uint32Array(this.#memory.bytes.buffer);
    const shape = { width, height, stride: STRIDE, fourcc: XR24, flags: 0 };
    const scanout = Scanout.open(shim, fd, shape);
    assert(scanout);
    this.scanout = scanout;
  }

  /** Fills it, and returns the picture that this makes. */
  draw(seed: number): Uint32Array<ArrayBuffer> {
    this.#words.forEach((_, i) => this.#words[i] = i * 2654435761 + seed);
    return Uint32Array.from({ length: this.width * this.height }, (_, i) => {
      const [x, y] = [i % this.width, Math.floor(i / this.width)];
      return this.#words[y * STRIDE / 4 + x]! | 0xff000000;
    });
  }

  [Symbol.dispose](): void {
    this.scanout[Symbol.dispose]();
    this.#memory[Symbol.dispose]();
  }
}

function picture(egl: EglContext): Uint32Array {
  const pixels = new Uint32Array(WIDTH * HEIGHT);
  assertEquals(egl.read(pixels), pixels.byteLength);
  return pixels;
}

eglTest("EglContext copies what was damaged, and tells what the CPU did", (shim) => {
  using egl = EglContext.open(shim, { api: "mesa", renderNode: "/dev/dri/renderD128" });
  assert(/; .*; OpenGL ES /.test(egl.describe()), egl.describe());
  assertEquals(typeof egl.abilities.importsDmabuf, "boolean");
  using guest = new Guest(shim);
  const first = guest.draw(1);
  assertEquals(egl.import(guest.scanout), "upload");
  assertEquals(egl.copy({ x: 0, y: 0, width: 1, height: 1 }), WIDTH * HEIGHT * 4);
  assertEquals(egl.isRemade, true);
  assertEquals(picture(egl), first);

  const second = guest.draw(2);
  assertEquals(egl.copy({ x: 3, y: 2, width: 5, height: 4 }), 5 * 4 * 4);
  assertEquals(egl.isRemade, false);
  const mixed = first.map((pixel, i) => {
    const [x, y] = [i % WIDTH, Math.floor(i / WIDTH)];
    return x >= 3 && x < 8 && y >= 2 && y < 6 ? second[i]! : pixel;
  });
  assertEquals(picture(egl), mixed);
});

eglTest("EglContext.share is memory that refresh brings up to date", (shim) => {
  using egl = EglContext.open(shim, { api: "mesa" });
  using guest = new Guest(shim);
  egl.import(guest.scanout);
  const drawn = guest.draw(5);
  egl.copy({ x: 0, y: 0, width: WIDTH, height: HEIGHT });
  const share = egl.share();
  using fd = new OwnedFd(shim, share.fd);
  const size = { width: share.width, height: share.height };
  assertEquals([share.kind, size, share.surfaceId], [
    "memory",
    { width: WIDTH, height: HEIGHT },
    0,
  ]);
  assertEquals([share.stride, share.fourcc], [WIDTH * 4, XR24]);
  using seen = MappedMemory.map(shim, fd, share.stride * share.height);
  const pixels = new Uint32Array(seen.bytes.buffer);
  assertNotEquals(pixels, drawn);
  assertEquals(egl.refresh(), WIDTH * HEIGHT * 4);
  assertEquals(pixels, drawn);
  assertEquals(egl.refresh(), 0);
});

eglTest("EglContext keeps a source whose scanout is closed, and none after release", (shim) => {
  using egl = EglContext.open(shim);
  using guest = new Guest(shim);
  const drawn = guest.draw(3);
  egl.import(guest.scanout);
  guest.scanout[Symbol.dispose]();
  assertThrows(() => egl.import(guest.scanout), TypeError, "it was closed");
  const all = { x: 0, y: 0, width: WIDTH, height: HEIGHT };
  egl.copy(all);
  assertEquals(picture(egl), drawn);
  egl.release();
  assertEquals(assertThrows(() => egl.copy(all), ShimCallError).code, "ENOENT");
  assertEquals(picture(egl), drawn);
  assertEquals(assertThrows(() => egl.read(new Uint32Array(5)), ShimCallError).code, "EINVAL");
});

eglTest("EglContext takes any numbers for damage", (shim) => {
  using egl = EglContext.open(shim);
  using guest = new Guest(shim);
  egl.import(guest.scanout);
  const huge = 0xffffffff;
  egl.copy({ x: 0, y: 0, width: 1, height: 1 });
  assertEquals(egl.copy({ x: huge, y: huge, width: huge, height: huge }), 0);
  assertEquals(egl.copy({ x: 1, y: 1, width: huge, height: huge }), (WIDTH - 1) * (HEIGHT - 1) * 4);
});

eglTest("EglContext.open says what is missing", (shim) => {
  const options = { api: "angle", libraryFolder: "/nowhere" } as const;
  const error = assertThrows(() => EglContext.open(shim, options), ShimCallError);
  assertEquals([error.code, error.message], ["ENOENT", "Cannot open EGL: ENOENT"]);
  using egl = EglContext.open(shim);
  egl[Symbol.dispose]();
  assertThrows(() => egl.describe(), TypeError, "it was closed");
  const display = { system: "x11", display: null, libraryFolder: "/nowhere" } as const;
  assertThrows(() => EglContext.openForWindows(shim, display), ShimCallError, "ENOENT");
});
