import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { click, moveInSteps, type Pointer, turnWheel } from "../../lib/base/pointer.ts";

/** A pointer that notes what is done with it. */
class Recorder implements Pointer {
  readonly log: [what: string, ...values: (number | string)[]][] = [];
  moveBy(dx: number, dy: number): void {
    this.log.push(["by", dx, dy]);
  }
  moveTo(x: number, y: number): void {
    this.log.push(["to", x, y]);
  }
  press(button: string): void {
    this.log.push(["press", button]);
  }
  release(button: string): void {
    this.log.push(["release", button]);
  }
  scroll(notches: number): void {
    this.log.push(["scroll", notches]);
  }
}

Deno.test("moveInSteps goes all the way, in steps that a PS/2 mouse can tell, without detours", () => {
  const distance = fc.integer({ min: -2000, max: 2000 });
  return fc.assert(
    fc.asyncProperty(distance, distance, async (dx, dy) => {
      const pointer = new Recorder();
      await moveInSteps(pointer, dx, dy, { paceMs: 0 });
      const steps = pointer.log.map(([, x, y]) => [Number(x), Number(y)] as const);
      const sum = (axis: 0 | 1) => steps.reduce((sum, step) => sum + step[axis], 0);
      assertEquals([sum(0), sum(1)], [dx, dy]);
      for (const step of steps) {
        for (const axis of [0, 1] as const) {
          assert(Math.abs(step[axis]) <= 127);
          assert(step[axis] === 0 || Math.sign(step[axis]) === Math.sign([dx, dy][axis]!));
        }
      }
      if (dx === 0 && dy === 0) assertEquals(steps, []);
    }),
    { numRuns: 20 },
  );
});

Deno.test("turnWheel turns one notch at a time", async () => {
  const pointer = new Recorder();
  await turnWheel(pointer, -2, { paceMs: 0 });
  await turnWheel(pointer, 1, { paceMs: 0 });
  await turnWheel(pointer, 0, { paceMs: 0 });
  assertEquals(pointer.log, [["scroll", -1], ["scroll", -1], ["scroll", 1]]);
});

Deno.test("click lets go of the button also when it is given up", async () => {
  const pointer = new Recorder();
  await click(pointer, "right", { times: 2, paceMs: 0 });
  assertEquals(pointer.log.map(([what]) => what), ["press", "release", "press", "release"]);
  pointer.log.length = 0;
  const signal = AbortSignal.timeout(5);
  await assertRejects(() => click(pointer, "left", { paceMs: 1000, signal }), DOMException);
  assertEquals(pointer.log, [["press", "left"], ["release", "left"]]);
});
