import { assertEquals, assertRejects } from "@std/assert";
import { HostError, UsageError } from "../../lib/base/errors.ts";
import { movePointer } from "../../lib/vm/pointer.ts";
import type { Screens } from "../../lib/vm/screens.ts";

/** A display of 100 × 50 pixels, one that is off, and inputs that note what is done with them. */
function recorder(): { screens: Screens; log: string[] } {
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
  return { screens: screens as unknown as Screens, log };
}

Deno.test("movePointer does what it is asked for, in its order and at a guest's pace", async () => {
  const { screens, log } = recorder();
  await movePointer(screens, { x: 99, y: 49, press: "left", release: "left", scroll: -2 });
  await movePointer(screens, { dx: 200 });
  assertEquals(log, [
    ...["to 99 49 0", "placed 0 99 49", "press left", "release left", "scroll -1", "scroll -1"],
    ...["by 100 0", "by 100 0"],
  ]);
});

Deno.test("movePointer refuses what is off the screen or makes no sense, and does nothing", async () => {
  const { screens, log } = recorder();
  const refused: [params: Record<string, unknown>, message: string][] = [
    [{ x: 100, y: 0 }, "display 0 has 100 x 50 pixels"],
    [{ x: 0, y: 50, press: "left" }, "display 0 has 100 x 50 pixels"],
    [{ x: -1, y: 0 }, "display 0 has 100 x 50 pixels"],
    [{ x: 0, y: 0, display: 1 }, "display 1 shows nothing"],
    [{ x: 0, y: 0, display: 2 }, "display 2 shows nothing"],
    [{ dx: 1.5 }, 'dx is "1.5", expected a whole number'],
    [{ dx: 1e9 }, "expected a whole number from -32767 to 32767"],
    [{ scroll: 1001 }, "expected a whole number from -1000 to 1000"],
    [{ press: "third" }, "press is no button"],
  ];
  for (const [params, message] of refused) {
    await assertRejects(() => movePointer(screens, params), UsageError, message);
  }
  await assertRejects(() => movePointer(undefined, { dx: 1 }), HostError, "there is no SPICE");
  assertEquals(log, []);
});
