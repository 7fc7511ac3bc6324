/** What is done with scanouts and draws; the GPU is a fake one. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type ErrnoName, failure, ShimCallError } from "../../ffi/errno.ts";
import { GlLedger } from "../../lib/display/gl_ledger.ts";
import { GlScanouts } from "../../lib/display/scanout.ts";
import { FakeBuffer, FakeDriver, FakeFd, pixelOf } from "../fakes/gl_driver.ts";

const shape = (width = 8, height = 4) => ({
  width,
  height,
  stride: width * 4,
  fourcc: 0,
  flags: 0,
});
const rect = (x: number, y: number, width: number, height: number) => ({ x, y, width, height });

/** Scanouts, and what came of them. */
class Rig implements Disposable {
  readonly driver = new FakeDriver();
  readonly ledger = new GlLedger();
  readonly warnings: string[] = [];
  readonly fds: FakeFd[] = [];
  dones = 0;
  changes = 0;
  readonly scanouts = new GlScanouts<FakeFd, FakeBuffer>({
    driver: this.driver,
    ledger: this.ledger,
    onDone: () => {
      this.dones++;
      this.ledger.ack(1);
    },
    onChange: () => void this.changes++,
    onWarning: (text) => void this.warnings.push(text),
  });

  show(buffer: number, of = shape(), kind?: FakeFd["kind"]): void {
    this.give(new FakeFd(buffer, kind), of);
  }

  fail(fails: ErrnoName): void {
    this.give(new FakeFd(99, "dmabuf", fails), shape());
  }

  give(fd: FakeFd, of: ReturnType<typeof shape>): void {
    this.fds.push(fd);
    this.scanouts.scanout(of, fd);
  }

  draw(part = rect(0, 0, 8, 4)): void {
    this.scanouts.draw(part);
  }

  get open(): number[] {
    return this.fds.filter(({ isOpen }) => isOpen).map(({ buffer }) => buffer);
  }

  picture(): { width: number; height: number; pixels: number[] } {
    const picture = this.scanouts.picture();
    assert(typeof picture !== "string", String(picture));
    return { ...picture, pixels: [...picture.pixels] };
  }

  [Symbol.dispose](): void {
    this.scanouts[Symbol.dispose]();
  }
}

Deno.test("with nobody looking a draw is acknowledged, and nothing is imported or copied", () => {
  using rig = new Rig();
  rig.show(1);
  for (let i = 0; i < 3; i++) rig.draw();
  assertEquals([rig.dones, rig.driver.log, rig.open], [3, [], [1]]);
  const { scanouts, draws, acks, imports, copies, cpuBytes, kinds } = rig.ledger.report();
  assertEquals(
    { scanouts, draws, acks, imports, copies, cpuBytes, kinds },
    { scanouts: 1, draws: 3, acks: 3, imports: 0, copies: 0, cpuBytes: 0, kinds: ["dmabuf"] },
  );
});

Deno.test("a screenshot imports and reads the current buffer, whole each time", () => {
  using rig = new Rig();
  rig.show(1, shape(2, 1));
  assertEquals(rig.picture(), {
    width: 2,
    height: 1,
    pixels: [pixelOf(1, 0, 0), pixelOf(1, 1, 0)],
  });
  rig.draw();
  rig.picture();
  assertEquals(rig.driver.log, [
    ...["open", "import 1", "copy 1 2x1+0+0", "read 1"],
    ...["copy 1 2x1+0+0", "read 1"],
  ]);
  assertEquals(rig.ledger.report().cpuBytes, 2 * 2 * 4);
});

Deno.test("plain memory is read without EGL, and only the part that is shown", () => {
  using rig = new Rig();
  rig.show(1, shape(), "memory");
  rig.scanouts.heads([rect(1, 2, 2, 1)]);
  assertEquals(rig.picture(), {
    width: 2,
    height: 1,
    pixels: [pixelOf(1, 1, 2), pixelOf(1, 2, 2)],
  });
  assertEquals([rig.driver.log, rig.ledger.report().cpuBytes], [[], 8]);
});

Deno.test("while somebody looks damage is copied, all of it after a new buffer", () => {
  using rig = new Rig();
  rig.scanouts.watch(true);
  rig.draw(); // before any scanout
  rig.show(1);
  rig.draw(rect(1, 1, 2, 2));
  rig.draw(rect(1, 1, 2, 2));
  rig.draw(rect(6, 3, 100, 100)); // beyond the buffer
  rig.draw(rect(8, 0, 1, 1)); // outside: nothing to copy
  rig.show(2);
  rig.draw(rect(0, 0, 1, 1));
  assertEquals(rig.driver.log, [
    ...["open", "import 1", "copy 1 8x4+0+0", "copy 1 2x2+1+1", "copy 1 2x1+6+3"],
    ...["import 2", "copy 2 8x4+0+0"],
  ]);
  assertEquals([rig.dones, rig.open], [6, [2]]);
  assertEquals(rig.ledger.report().copies, 4);
});

Deno.test("who begins to look sees what is there, and what was drawn unseen", () => {
  using rig = new Rig();
  rig.show(1);
  rig.scanouts.watch(true);
  assertEquals(rig.driver.log, ["open", "import 1", "copy 1 8x4+0+0"]);
  rig.scanouts.watch(false);
  rig.draw();
  rig.scanouts.watch(true);
  assertEquals(rig.driver.log.slice(3), ["copy 1 8x4+0+0"]);
  rig.picture(); // what was copied is read
  rig.draw(rect(0, 0, 1, 1));
  assertEquals(rig.driver.log.slice(4), ["read 1", "copy 1 1x1+0+0"]);
});

Deno.test("our texture is lent to who looks, and only then", () => {
  using rig = new Rig();
  rig.show(1);
  assertEquals(rig.scanouts.texture(), undefined);
  rig.scanouts.watch(true);
  assertEquals(rig.scanouts.texture()?.width, 8);
  rig.show(2, shape(16, 8));
  assertEquals(rig.scanouts.texture()?.width, 16);
});

Deno.test("a texture that cannot be lent is told of, and the next one is", () => {
  using rig = new Rig();
  rig.show(1);
  rig.scanouts.watch(true);
  rig.driver.failing.set("share", new ShimCallError("share the picture", failure("EMFILE")));
  assertEquals(rig.scanouts.texture(), undefined);
  assertStringIncludes(rig.warnings[0]!, "cannot be lent: Cannot share the picture: EMFILE");
  rig.driver.failing.clear();
  assertEquals(rig.scanouts.texture()?.width, 8);
});

Deno.test("what is lent is brought up to date, and nothing where nothing is", () => {
  using rig = new Rig();
  rig.show(1);
  rig.scanouts.watch(true);
  rig.scanouts.refresh();
  assertEquals(rig.driver.log.includes("refresh"), false);
  rig.scanouts.texture();
  rig.draw();
  rig.scanouts.refresh();
  assertEquals([rig.driver.log.at(-1), rig.ledger.report().cpuBytes], ["refresh", 4]);
  rig.scanouts.watch(false);
  rig.scanouts.refresh();
  assertEquals(rig.driver.log.filter((it) => it === "refresh").length, 1);
});

Deno.test("a buffer that is sent again stays as it is", () => {
  using rig = new Rig();
  rig.scanouts.watch(true);
  rig.show(1);
  rig.draw();
  rig.show(1);
  rig.draw(rect(0, 0, 1, 1));
  assertEquals(rig.driver.log.slice(2), ["copy 1 8x4+0+0", "copy 1 1x1+0+0"]);
  assertEquals([rig.open, rig.ledger.report().scanouts], [[1], 2]);
});

const failures: { code: ErrnoName; text: string; stays: boolean }[] = [
  { code: "ESTALE", text: "has been replaced", stays: true },
  { code: "ENOENT", text: "no such surface", stays: true },
  { code: "EINVAL", text: "size is impossible", stays: false },
  { code: "ENOTSUP", text: "pixel format is not known", stays: false },
  { code: "EBADF", text: "not one of a picture", stays: false },
  { code: "EPROTO", text: "does not hold the number", stays: false },
  { code: "EMFILE", text: "Cannot open a scanout: EMFILE", stays: false },
];
for (const { code, text, stays } of failures) {
  Deno.test(`a buffer that fails with ${code} is told once, and the next good one is shown`, () => {
    using rig = new Rig();
    rig.scanouts.watch(true);
    rig.show(1);
    rig.draw();
    for (let i = 0; i < 3; i++) {
      rig.fail(code);
      rig.draw();
    }
    assertEquals(rig.dones, 4);
    assertEquals(rig.warnings.length, 1);
    assert(rig.warnings[0]!.includes(text), rig.warnings[0]);
    assertEquals(rig.scanouts.visible !== undefined, stays);
    if (!stays) assertEquals(rig.scanouts.picture(), rig.warnings[0]);
    assertEquals(rig.open, stays ? [1] : []);
    rig.show(2);
    rig.draw();
    assertEquals(rig.picture().pixels[0], pixelOf(2, 0, 0));
    assertEquals([rig.open, rig.warnings.length], [[2], 1]);
  });
}

Deno.test("a scanout without a descriptor is told, and draws are acknowledged", () => {
  using rig = new Rig();
  rig.scanouts.scanout(shape(), undefined);
  rig.draw();
  assertEquals(rig.warnings, [
    "the guest's buffer cannot be shown: it came without a descriptor",
  ]);
  assertEquals([rig.dones, rig.scanouts.isActive], [1, true]);
});

Deno.test("a buffer that EGL does not take is not tried again, and the next one is", () => {
  using rig = new Rig();
  rig.scanouts.watch(true);
  rig.driver.failing.set("import", new ShimCallError("import a buffer", failure("EINVAL")));
  rig.show(1);
  for (let i = 0; i < 5; i++) rig.draw();
  assertEquals([rig.dones, rig.driver.log], [5, ["open"]]);
  assertEquals(rig.warnings, [
    "the guest's picture cannot be copied: Cannot import a buffer: EINVAL",
  ]);
  assertEquals(rig.picture().pixels[9], pixelOf(1, 1, 1)); // by the CPU
  assertStringIncludes(rig.warnings[1]!, "read by the CPU, which is right only if");
  rig.driver.failing.clear();
  rig.show(2);
  rig.draw();
  assertEquals(rig.driver.log.slice(1), ["import 2", "copy 2 8x4+0+0"]);
});

Deno.test("a context that is lost is opened again, once for each buffer", () => {
  using rig = new Rig();
  rig.scanouts.watch(true);
  rig.show(1);
  rig.draw();
  rig.driver.failing.set("copy", new ShimCallError("copy a buffer", failure("EIO")));
  rig.draw();
  rig.driver.failing.clear();
  rig.draw(rect(0, 0, 1, 1));
  assertEquals(rig.driver.log.slice(3), ["close", "open", "import 1", "copy 1 8x4+0+0"]);
  rig.driver.failing.set("copy", new ShimCallError("copy a buffer", failure("EIO")));
  for (let i = 0; i < 10; i++) rig.draw();
  assertEquals(rig.driver.log.filter((it) => it === "open").length, 2);
  assertEquals([rig.dones, rig.warnings.length], [13, 1]);
});

Deno.test("a picture that cannot be read back is copied anew for the next one", () => {
  using rig = new Rig();
  rig.scanouts.watch(true);
  rig.show(1);
  rig.draw();
  rig.driver.failing.set("read", new ShimCallError("read the picture back", failure("EIO")));
  assertStringIncludes(String(rig.scanouts.picture()), "EIO");
  rig.driver.failing.clear();
  rig.picture();
  assertEquals(rig.driver.log.slice(3), ["copy 1 8x4+0+0", "read 1"]);
});

Deno.test("without EGL draws are acknowledged and pictures read by the CPU", () => {
  using rig = new Rig();
  rig.driver.failing.set("open", new ShimCallError("open EGL", failure("ENODEV")));
  rig.scanouts.watch(true);
  rig.show(1);
  for (let i = 0; i < 3; i++) rig.draw();
  assertEquals(rig.picture().pixels[1], pixelOf(1, 1, 0));
  assertEquals([rig.dones, rig.warnings.length, rig.scanouts.texture()], [3, 2, undefined]);
});

Deno.test("a defect is thrown after the draw was acknowledged", () => {
  using rig = new Rig();
  rig.scanouts.watch(true);
  rig.show(1);
  rig.driver.failing.set("copy", new TypeError("a defect"));
  assertThrows(() => rig.draw(), TypeError);
  assertEquals(rig.dones, 1);
});

Deno.test("screens say which part is shown, and none of them that the scanout is off", () => {
  using rig = new Rig();
  rig.show(1);
  assertEquals(rig.scanouts.visible, rect(0, 0, 8, 4));
  rig.scanouts.heads([rect(0, 0, 2, 2), rect(4, 1, 100, 1)]);
  assertEquals(rig.scanouts.visible, rect(0, 0, 8, 2));
  rig.scanouts.heads([rect(100, 100, 4, 4)]);
  assertEquals(rig.scanouts.visible, undefined);
  rig.scanouts.heads([]);
  assertEquals([rig.scanouts.visible, rig.scanouts.picture()], [
    undefined,
    "the guest shows nothing",
  ]);
  rig.draw();
  assertEquals(rig.dones, 1);
  rig.scanouts.heads([rect(0, 0, 8, 4)]); // on again, without another scanout
  assertEquals(rig.picture().width, 8);
});

Deno.test("a buffer of another size is shown whole until the screens are told of again", () => {
  using rig = new Rig();
  rig.show(1);
  rig.scanouts.heads([rect(0, 0, 4, 4)]);
  rig.show(2); // of the same size: a flip
  assertEquals(rig.scanouts.visible, rect(0, 0, 4, 4));
  rig.show(3, shape(16, 8));
  assertEquals(rig.scanouts.visible, rect(0, 0, 16, 8));
  rig.scanouts.heads([]);
  rig.show(4, shape(16, 8));
  assertEquals(rig.scanouts.visible, rect(0, 0, 16, 8));
});

Deno.test("a new connection shows the old buffer only if it names it", () => {
  using rig = new Rig();
  rig.show(1);
  rig.scanouts.restart();
  assertEquals([rig.scanouts.visible, rig.scanouts.isActive, rig.open], [undefined, false, [1]]);
  rig.show(1);
  assertEquals(rig.scanouts.visible, rect(0, 0, 8, 4));
  rig.scanouts.restart();
  rig.show(2);
  assertEquals([rig.picture().pixels[0], rig.open], [pixelOf(2, 0, 0), [2]]);
});

Deno.test("a buffer that comes back is copied whole: what was drawn meanwhile nobody told", () => {
  using rig = new Rig();
  rig.scanouts.watch(true);
  rig.show(1);
  rig.draw();
  const copies = () => rig.driver.log.filter((call) => call.startsWith("copy")).length;
  const before = copies();
  rig.show(1);
  assertEquals(copies(), before);
  rig.scanouts.restart();
  rig.show(1);
  assertEquals([copies(), rig.driver.log.at(-1)], [before + 1, "copy 1 8x4+0+0"]);
  rig.scanouts.restart();
  rig.show(2); // or another one
  assertEquals(copies(), before + 2);
});

Deno.test("what is let go of is closed", () => {
  using rig = new Rig();
  rig.scanouts.watch(true);
  rig.show(1);
  rig.draw();
  rig.scanouts.drop();
  assertEquals([rig.open, rig.scanouts.isActive, rig.driver.log.at(-1)], [[], false, "release"]);
  rig.show(2);
  rig.scanouts[Symbol.dispose]();
  assertEquals([rig.open, rig.driver.open], [[], 0]);
});

Deno.test("whatever comes, each draw is acknowledged once and at most one buffer is open", () => {
  const event = fc.oneof(
    fc.record({ do: fc.constant("show" as const), id: fc.integer({ min: 0, max: 3 }) }),
    fc.constant({ do: "draw" as const, id: 0 }),
    fc.record({
      do: fc.constant("fail" as const),
      id: fc.integer({ min: 0, max: failures.length - 1 }),
    }),
    fc.record({ do: fc.constant("heads" as const), id: fc.integer({ min: 0, max: 2 }) }),
    fc.record({ do: fc.constant("watch" as const), id: fc.integer({ min: 0, max: 1 }) }),
    fc.record({ do: fc.constant("break" as const), id: fc.integer({ min: 0, max: 3 }) }),
    fc.constant({ do: "picture" as const, id: 0 }),
    fc.constant({ do: "restart" as const, id: 0 }),
  );
  fc.assert(fc.property(fc.array(event, { maxLength: 60 }), (events) => {
    using rig = new Rig();
    let draws = 0;
    for (const { do: what, id } of events) {
      if (what === "show") rig.show(id, shape(8 + id % 2, 4), id === 3 ? "memory" : "dmabuf");
      else if (what === "draw") rig.draw(rect(0, 0, ++draws % 9, 2));
      else if (what === "fail") rig.fail(failures[id]!.code);
      else if (what === "heads") {
        rig.scanouts.heads(Array.from({ length: id }, (_, at) => rect(at * 3, 0, 4, 2)));
      } else if (what === "watch") rig.scanouts.watch(id === 1);
      else if (what === "picture") rig.scanouts.picture();
      else if (what === "restart") rig.scanouts.restart();
      else {
        rig.driver.failing.clear();
        const call = (["import", "copy", "read"] as const)[id];
        if (call) rig.driver.failing.set(call, new ShimCallError(call, failure("EIO")));
      }
    }
    assertEquals(rig.dones, draws);
    assert(rig.open.length <= 1);
    assert(rig.warnings.length === new Set(rig.warnings).size);
    rig.scanouts[Symbol.dispose]();
    assertEquals([rig.open, rig.driver.open], [[], 0]);
  }));
});
