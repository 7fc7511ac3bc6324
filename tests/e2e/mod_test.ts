/** The public API, as its docstring shows it. */
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { launch, runSteps, UtmostError } from "../../lib/mod.ts";
import { HELLO, sandboxTest } from "./sandbox.ts";

sandboxTest("e2e: launch holds a VM until it is disposed", async (sandbox) => {
  using _env = sandbox.enter();
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

sandboxTest("e2e: launch lends the pixels, types, and saves the screen", async (sandbox) => {
  using _env = sandbox.enter();
  const path = sandbox.path("screen.png");
  await using run = await launch(HELLO, { disposable: true, accel: "tcg" });
  const { vm } = run;
  await vm.serial?.expect(/hello> /, { timeoutMs: 60_000 });
  assertEquals(await vm.type("ping\n"), "spice");
  await vm.serial?.expect(/echo: ping/, { timeoutMs: 60_000 });
  assertEquals(await vm.keys(["shift-o", "k", "ret"]), "spice");
  await vm.serial?.expect(/echo: Ok/, { timeoutMs: 60_000 });
  const report = await vm.screenshot(path, { cursor: true });
  assertEquals(report, { path, display: 0, source: "spice" });
  assert((await Deno.stat(path)).size > 1000);
  const [screen, again] = [vm.screens?.pixels(0), vm.screens?.pixels(0)];
  assertEquals(screen?.pixels.length, screen!.width * screen!.height);
  assertStrictEquals(screen?.pixels.buffer, again!.pixels.buffer);
  assertEquals(vm.screens?.displays().map(({ id, kind }) => [id, kind]), [[0, "surface"]]);
  const [display] = vm.log.history().filter(({ event }) => event === "display");
  assert(display !== undefined);
});

Deno.test("e2e: launch rejects with the exit code of the command line", async () => {
  const error = await assertRejects(() => launch("/nonexistent.utm"), UtmostError);
  assertEquals(error.exitCode, 3);
});

sandboxTest("e2e: launch ends with its signal, and leaves nothing", async (sandbox) => {
  using _env = sandbox.enter();
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
