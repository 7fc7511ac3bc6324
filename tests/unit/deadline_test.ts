import { assert, assertEquals, assertRejects } from "@std/assert";
import { pause, retry, withDeadline } from "../../lib/base/deadline.ts";
import { DeadlineError } from "../../lib/base/errors.ts";

Deno.test("withDeadline names what was waited for and aborts the work", async () => {
  let inner: AbortSignal | undefined;
  const error = await assertRejects(
    () =>
      withDeadline("the QMP greeting", (signal) => {
        inner = signal;
        return new Promise(() => {});
      }, { timeoutMs: 5 }),
    DeadlineError,
    "the QMP greeting",
  );
  assertEquals(error.exitCode, 10);
  assert(inner?.aborted);
});

Deno.test("withDeadline ends with the caller's reason, before and during the wait", async () => {
  const reason = new Error("QEMU died");
  await assertRejects(
    () => withDeadline("x", () => Promise.resolve(1), { signal: AbortSignal.abort(reason) }),
    Error,
    "QEMU died",
  );
  const controller = new AbortController();
  const waiting = withDeadline("x", () => new Promise(() => {}), { signal: controller.signal });
  controller.abort(reason);
  await assertRejects(() => waiting, Error, "QEMU died");
});

Deno.test("retry gives up at once on an error that cannot pass", async () => {
  let attempts = 0;
  await assertRejects(
    () =>
      retry("x", () => {
        attempts++;
        return Promise.reject(new TypeError("final"));
      }, { canSucceedLater: () => false, timeoutMs: 1000 }),
    TypeError,
    "final",
  );
  assertEquals(attempts, 1);
});

Deno.test("retry succeeds later, and keeps the last error as the cause of a deadline", async () => {
  let attempts = 0;
  const result = await retry("x", () => {
    if (++attempts < 4) return Promise.reject(new Error("not yet"));
    return Promise.resolve("here");
  }, { canSucceedLater: () => true, timeoutMs: 1000 });
  assertEquals([result, attempts], ["here", 4]);

  const error = await assertRejects(
    () =>
      retry("x", () => Promise.reject(new Error("not yet")), {
        canSucceedLater: () => true,
        timeoutMs: 10,
      }),
    DeadlineError,
  );
  assertEquals((error.cause as Error).message, "not yet");
});

Deno.test("pause ends with the signal", async () => {
  const controller = new AbortController();
  const paused = pause(60_000, controller.signal);
  controller.abort(new Error("enough"));
  await assertRejects(() => paused, Error, "enough");
});
