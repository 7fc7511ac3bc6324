import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { MAX_UNACKNOWLEDGED, type Motion, MotionWindow } from "../../lib/spice/motion_window.ts";

const by = (dx: number, dy: number): Motion => ({ kind: "relative", dx, dy });
const to = (x: number, y: number, display = 0): Motion => ({ kind: "absolute", x, y, display });

/** A window and what left it. */
function recorder(): { sent: Motion[]; motions: MotionWindow } {
  const sent: Motion[] = [];
  return { sent, motions: new MotionWindow((motion) => sent.push(motion)) };
}

Deno.test("MotionWindow lets eight motions through, then joins what comes", () => {
  const { sent, motions } = recorder();
  for (let n = 0; n < 12; n++) motions.move(by(1, n));
  assertEquals(sent, Array.from({ length: 8 }, (_, n) => by(1, n)));
  assertEquals([motions.isWaiting, motions.unacknowledged], [true, 8]);
  motions.acknowledge(4);
  assertEquals(sent.slice(8), [by(4, 8 + 9 + 10 + 11)]);
  assertEquals([motions.isWaiting, motions.unacknowledged], [false, 5]);
});

Deno.test("MotionWindow keeps the last of several places", () => {
  const { sent, motions } = recorder();
  for (let n = 0; n < 20; n++) motions.move(to(n, 2 * n));
  motions.acknowledge(4);
  assertEquals(sent.slice(8), [to(19, 38)]);
});

Deno.test("MotionWindow joins nothing across displays, kinds, or the range of a field", () => {
  for (
    const [first, second] of [
      [to(1, 1, 0), to(1, 1, 1)],
      [by(1, 1), to(1, 1)],
      [to(1, 1), by(1, 1)],
      [by(0x7fff_ffff, 0), by(1, 0)],
      [by(0, -0x7fff_ffff), by(0, -2)],
    ] as const
  ) {
    const { sent, motions } = recorder();
    for (let n = 0; n < 8; n++) motions.move(first);
    motions.move(first.kind === "relative" ? by(0, 0) : first);
    motions.move(first);
    const waiting = sent.length;
    motions.move(second);
    assert(sent.length > waiting, "what waited has left");
    motions.acknowledge(1000);
    assertEquals(sent.at(-1), second);
  }
});

type Step = Motion | { kind: "acknowledge" } | { kind: "press" };
const distance = fc.integer({ min: -500, max: 500 });
const place = fc.integer({ min: 0, max: 4000 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(distance, distance).map(([dx, dy]) => by(dx, dy)) },
  {
    weight: 3,
    arbitrary: fc.tuple(place, place, fc.integer({ min: 0, max: 1 }))
      .map(([x, y, display]) => to(x, y, display)),
  },
  { weight: 2, arbitrary: fc.constant<Step>({ kind: "acknowledge" }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "press" }) },
);

/** Where a pointer is after motions. */
function follow(motions: readonly Motion[]): [x: number, y: number, display: number] {
  return motions.reduce<[number, number, number]>(
    ([x, y, display], motion) =>
      motion.kind === "relative"
        ? [x + motion.dx, y + motion.dy, display]
        : [motion.x, motion.y, motion.display],
    [0, 0, 0],
  );
}

Deno.test("MotionWindow: a press finds the pointer where it was moved, and nothing floods", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const { sent, motions } = recorder();
      const moved: Motion[] = [];
      let taken = 0; // by a server that acknowledges every fourth
      for (const one of steps) {
        const before = sent.length;
        if (one.kind === "press") {
          motions.flush();
          assertEquals(follow(sent), follow(moved));
        } else if (one.kind === "acknowledge") {
          if (sent.length - taken < 4) continue;
          taken += 4;
          motions.acknowledge(4);
        } else {
          const wasWaiting = motions.isWaiting;
          moved.push(one);
          motions.move(one);
          const joined = moved.at(-2)?.kind === one.kind;
          if (wasWaiting && joined && one.kind === "relative") assertEquals(sent.length, before);
        }
        assertEquals(motions.unacknowledged, sent.length - taken);
        assert(motions.isWaiting || follow(sent).join() === follow(moved).join());
        if (motions.isWaiting) assert(motions.unacknowledged >= MAX_UNACKNOWLEDGED);
      }
      // A server that goes on to take what comes never leaves a motion behind.
      while (sent.length - taken >= 4) {
        taken += 4;
        motions.acknowledge(4);
      }
      assertEquals(motions.isWaiting, false);
      assertEquals(follow(sent), follow(moved));
      assert(sent.length <= moved.length);
    }),
    { numRuns: 300 },
  );
});

Deno.test("MotionWindow puts up with acknowledgements that nobody owes", () => {
  const { sent, motions } = recorder();
  for (let n = 0; n < 100; n++) motions.acknowledge(4);
  for (let n = 0; n < 20; n++) motions.move(by(1, 0));
  assertEquals([sent.length, motions.unacknowledged], [8, 8]);
});
