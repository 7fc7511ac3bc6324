/** The public API, as its docstring shows it. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { launch, runSteps, UtmostError } from "../../lib/mod.ts";

const HELLO = fromFileUrl(new URL("../../examples/hello.utm", import.meta.url));

Deno.test("e2e: launch holds a VM until it is disposed", { timeout: 120_000 }, async () => {
  const states: string[] = [];
  let ended: Promise<unknown>;
  {
    await using run = await launch(HELLO, { disposable: true, accel: "tcg" });
    const { vm } = run;
    ended = vm.ended;
    assertEquals(vm.state, "running");
    await runSteps(vm, [
      { kind: "expect", pattern: /utmost: hello/, text: "utmost: hello" },
      { kind: "send", bytes: new TextEncoder().encode("ping\r") },
      { kind: "expect", pattern: /echo: ping/, text: "echo: ping" },
    ], { signal: AbortSignal.timeout(60_000) });
    await vm.pause();
    assertEquals(vm.state, "paused");
    await vm.resume();
    for (const event of vm.log.history()) if (event.event === "state") states.push(event.to);
    assert(vm.gone.aborted === false);
  }
  assertEquals(await ended, { reason: "stopped" });
  assertEquals(states, ["spawned", "negotiated", "attached", "running", "paused", "running"]);
});

Deno.test("e2e: launch rejects with the exit code of the command line", async () => {
  const error = await assertRejects(() => launch("/nonexistent.utm"), UtmostError);
  assertEquals(error.exitCode, 3);
});

Deno.test("e2e: launch ends with its signal, and leaves nothing", { timeout: 60_000 }, async () => {
  const reason = new Error("enough");
  await assertRejects(
    () => launch(HELLO, { disposable: true, signal: AbortSignal.abort(reason) }),
    Error,
    "enough",
  );
  const controller = new AbortController();
  const launching = launch(HELLO, {
    disposable: true,
    accel: "tcg",
    extraArguments: ["-S"],
    signal: controller.signal,
  });
  setTimeout(() => controller.abort(reason), 20);
  await launching.then((run) => run[Symbol.asyncDispose](), (error) => {
    assertEquals(error, reason);
  });
});
