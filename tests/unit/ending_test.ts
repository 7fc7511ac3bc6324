import { assertEquals, assertStrictEquals } from "@std/assert";
import { QemuError } from "../../lib/base/errors.ts";
import { judgeEnding, type Witness } from "../../lib/vm/ending.ts";

const died = new QemuError("Cannot go on: QEMU died");

function judge(seen: Partial<Witness>): { reason: string; code: number } {
  const ending = judgeEnding({ panicked: false, stopRequested: false, ...seen }, died);
  return { reason: ending.reason, code: ending.error?.exitCode ?? 0 };
}

Deno.test("judgeEnding tells a guest that shut down from a QEMU that died", () => {
  assertEquals(judge({ shutdown: "guest-shutdown" }), { reason: "guest-shutdown", code: 0 });
  assertEquals(judge({ shutdown: "guest-reset" }), { reason: "guest-reset", code: 0 });
  assertEquals(judge({}), { reason: "qemu-died", code: 6 });
  assertStrictEquals(judgeEnding({ panicked: false, stopRequested: false }, died).error, died);
  assertEquals(judge({ shutdown: "host-signal" }), { reason: "qemu-died", code: 6 });
  assertEquals(judge({ shutdown: "host-error" }), { reason: "qemu-died", code: 6 });
});

Deno.test("judgeEnding calls a panic and an ending watchdog crashes, also when stop was asked for", () => {
  const panicked = { panicked: true, shutdown: "guest-panic", stopRequested: true };
  assertEquals(judge(panicked), { reason: "guest-panic", code: 11 });
  assertEquals(judge({ watchdog: "poweroff" }), { reason: "watchdog", code: 11 });
  const reset = { watchdog: "reset", shutdown: "guest-shutdown" };
  assertEquals(judge(reset), { reason: "guest-shutdown", code: 0 });
});

Deno.test("judgeEnding takes an end that was asked for as one, whoever asked", () => {
  assertEquals(judge({ stopRequested: true }), { reason: "stopped", code: 0 });
  assertEquals(judge({ shutdown: "host-qmp-quit" }), { reason: "stopped", code: 0 });
});
