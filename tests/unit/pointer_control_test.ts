import { assertEquals, assertRejects } from "@std/assert";
import { pause } from "../../lib/base/deadline.ts";
import { HostError, NotRunningError, UsageError } from "../../lib/base/errors.ts";
import { PointerMover } from "../../lib/vm/pointer.ts";
import type { Screens } from "../../lib/vm/screens.ts";
import { FakeGuest } from "../fakes/guest.ts";

/** A display of 100 × 50 pixels, one that is off, and inputs that note what is done with them. */
function recorder() {
  const log: string[] = [];
  const note = (name: string) => (...values: unknown[]) =>
    void log.push([name, ...values].join(" "));
  const inputs = {
    moveTo: note("to"),
    moveBy: note("by"),
    press: note("press"),
    release: note("release"),
    scroll: note("scroll"),
    settled: () => Promise.resolve(),
  };
  const screens = {
    displays: () => [{ id: 0, width: 100, height: 50 }, { id: 1, width: 0, height: 0 }],
    inputs: () => Promise.resolve(inputs),
    placed: note("placed"),
  };
  const vm = Object.assign(new FakeGuest(), { screens: screens as unknown as Screens });
  const mover = new PointerMover(vm);
  const client = new AbortController();
  const move = (params: Record<string, unknown>) => mover.move(params, client.signal);
  return { vm, mover, move, client, log };
}

Deno.test("PointerMover does what it is asked for, in its order and at a guest's pace", async () => {
  const { move, log } = recorder();
  await move({ x: 99, y: 49, press: "left", release: "left", scroll: -2 });
  await move({ dx: 200 });
  assertEquals(log, [
    ...["to 99 49 0", "placed 0 99 49", "press left", "release left", "scroll -1", "scroll -1"],
    ...["by 100 0", "by 100 0"],
  ]);
});

Deno.test("PointerMover refuses what is off the screen or makes no sense, and does nothing", async () => {
  const { move, log } = recorder();
  const refused: [params: Record<string, unknown>, message: string][] = [
    [{ x: 100, y: 0 }, "display 0 has 100 x 50 pixels"],
    [{ x: 0, y: 50, press: "left" }, "display 0 has 100 x 50 pixels"],
    [{ x: -1, y: 0 }, "display 0 has 100 x 50 pixels"],
    [{ x: 0, y: 0, display: 1 }, "display 1 shows nothing"],
    [{ x: 0, y: 0, display: 2 }, "display 2 shows nothing"],
    [{ x: 5 }, "there is x or y alone, expected both"],
    [{ y: 5, press: "left" }, "there is x or y alone, expected both"],
    [{ display: 0 }, "there is a display alone, expected x and y"],
    [{ x: 0, y: 0, display: "1" }, 'display is ""1"", expected a whole number'],
    [{}, "nothing is to be done"],
    [{ dx: 1.5 }, 'dx is "1.5", expected a whole number'],
    [{ dx: 1e9 }, "expected a whole number from -32767 to 32767"],
    [{ scroll: 1001 }, "expected a whole number from -1000 to 1000"],
    [{ press: "third" }, "press is no button"],
  ];
  for (const [params, message] of refused) {
    await assertRejects(() => move(params), UsageError, message);
  }
  const none = new PointerMover(Object.assign(new FakeGuest(), { screens: undefined }));
  const { signal } = new AbortController();
  await assertRejects(() => none.move({ dx: 1 }, signal), HostError, "there is no SPICE");
  assertEquals(log, []);
});

Deno.test("PointerMover takes its clients one after another", async () => {
  const { mover, move, log } = recorder();
  const other = new AbortController();
  await Promise.all([move({ scroll: 3 }), mover.move({ dx: 200 }, other.signal)]);
  assertEquals(log, ["scroll 1", "scroll 1", "scroll 1", "by 100 0", "by 100 0"]);
});

Deno.test("PointerMover does no more for a client that has left, and lets its buttons go", async () => {
  const { move, client, log } = recorder();
  await move({ press: "left" });
  await move({ press: "right" });
  await move({ release: "right" });
  const scrolling = assertRejects(() => move({ scroll: 1000 }), Error, "it has left");
  await pause(20);
  client.abort(new Error("it has left"));
  await scrolling;
  await pause(0);
  assertEquals(log.filter((line) => line.startsWith("scroll")).length < 10, true);
  assertEquals(log.at(-1), "release left");
  assertEquals(log.filter((line) => line === "release right").length, 1);
});

Deno.test("PointerMover refuses a paused guest, and tells the end of the VM", async () => {
  const { vm, move, log } = recorder();
  vm.state = "paused";
  await assertRejects(() => move({ dx: 1 }), NotRunningError, "is paused, expected running");
  vm.state = "running";
  const scrolling = assertRejects(
    () => move({ scroll: 1000 }),
    NotRunningError,
    "Cannot move the pointer: the VM has ended",
  );
  await pause(20);
  vm.end();
  await scrolling;
  assertEquals(log.length < 10, true);
});
