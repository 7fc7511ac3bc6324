/** Buffers of the guest's, on the library itself: plain memory, where a GPU would give a dmabuf. */
import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { ShimCallError } from "../../ffi/errno.ts";
import { openPipe, type OwnedFd } from "../../ffi/fd.ts";
import type { Shim } from "../../ffi/load.ts";
import { createMemory, MappedMemory } from "../../ffi/memory.ts";
import { readPipeId, Scanout, type ScanoutMessage } from "../../ffi/scanout.ts";
import { shimTest, Traced } from "./open_shim.ts";

const XR24 = 0x34325258;
const MESSAGE: ScanoutMessage = { width: 5, height: 3, stride: 32, fourcc: XR24, flags: 0 };

/** Plain memory is a buffer on Linux alone: macOS has IOSurfaces. */
const memoryTest: typeof shimTest = Deno.build.os === "linux"
  ? shimTest
  : (name) => Deno.test.ignore(`${name} (needs Linux)`, () => {});

/** A buffer whose pixel at x, y from the first row in memory is 0x00yy00xx. */
function picture(shim: Shim): OwnedFd {
  const { height, stride } = MESSAGE;
  const fd = createMemory(shim, stride * height);
  using memory = MappedMemory.map(shim, fd, stride * height, { writable: true });
  const words = new Uint32Array(memory.bytes.buffer);
  words.forEach((_, i) => words[i] = Math.floor(i * 4 / stride) << 16 | i % (stride / 4));
  return fd;
}

const opened = (scanout: Scanout | undefined): Scanout => {
  assert(scanout);
  return scanout;
};

memoryTest("Scanout reads a part, the top line first, whichever row is the top", (shim) => {
  for (const flags of [0, 1]) {
    using scanout = opened(Scanout.open(shim, picture(shim), { ...MESSAGE, flags }));
    assertEquals([scanout.kind, scanout.isBottomUp], ["memory", flags === 1]);
    assertEquals([scanout.width, scanout.height, scanout.stride], [5, 3, 32]);
    assertEquals(scanout.fourcc, XR24);
    const pixels = new Uint32Array(5);
    assertEquals(scanout.read({ x: 3, y: 1, width: 2, height: 2 }, pixels), 16);
    const rows = flags ? [1, 0] : [1, 2];
    const expected = rows.flatMap((y) => [3, 4].map((x) => (0xff000000 | y << 16 | x) >>> 0));
    assertEquals([...pixels], [...expected, 0]);
  }
});

memoryTest("Scanout.open takes the descriptor, and tells the same buffer once more", (shim) => {
  using fd = picture(shim);
  using copy = fd.dup();
  using first = opened(Scanout.open(shim, fd, MESSAGE));
  assertThrows(() => fd.number, TypeError);
  assertStrictEquals(Scanout.open(shim, copy, MESSAGE, first), undefined);
  assertThrows(() => copy.number, TypeError);
});

memoryTest("Scanout.open refuses what makes no sense, by a code of its own", (shim) => {
  const cases: [Partial<ScanoutMessage>, string][] = [
    [{ width: 0 }, "EINVAL"],
    [{ width: 65535 }, "EINVAL"],
    [{ stride: 0 }, "EINVAL"],
    [{ height: 4 }, "EINVAL"],
    [{ fourcc: 0x12345678 }, "ENOTSUP"],
  ];
  for (const [change, code] of cases) {
    const error = assertThrows(
      () => Scanout.open(shim, picture(shim), { ...MESSAGE, ...change }),
      ShimCallError,
    );
    assertEquals(error.code, code);
  }
  const [pipe, end] = openPipe(shim);
  using _end = end;
  const error = assertThrows(() => Scanout.open(shim, pipe, MESSAGE), ShimCallError);
  assertEquals(error.code, "EBADF");
});

memoryTest(
  "Scanout takes the descriptor over also where the buffer before it was closed",
  (shim) => {
    const previous = opened(Scanout.open(shim, picture(shim), MESSAGE));
    previous[Symbol.dispose]();
    using traced = new Traced(shim);
    assertThrows(() => Scanout.open(shim, traced.fd, MESSAGE, previous), TypeError);
    assert(traced.isGone);
  },
);

memoryTest("Scanout reads nothing beyond the picture, the array or its own end", (shim) => {
  const scanout = opened(Scanout.open(shim, picture(shim), MESSAGE));
  const pixels = new Uint32Array(15);
  const part = { x: 0, y: 0, width: 5, height: 3 };
  for (const wrong of [{ x: 1 }, { y: 1 }, { width: 0 }, { x: -1 }, { height: 2 ** 32 }]) {
    assertThrows(() => scanout.read({ ...part, ...wrong }, pixels), RangeError);
  }
  assertThrows(() => scanout.read(part, pixels.subarray(1)), RangeError);
  scanout[Symbol.dispose]();
  scanout[Symbol.dispose]();
  assertThrows(() => scanout.read(part, pixels), TypeError);
});

shimTest("readPipeId tells an empty pipe, and one whose writer has gone", (shim) => {
  const [pipe, end] = openPipe(shim);
  using _pipe = pipe;
  assertEquals(readPipeId(shim, pipe), { state: "read", id: 0 });
  end[Symbol.dispose]();
  assertEquals(readPipeId(shim, pipe), { state: "old", id: 0 });
});
