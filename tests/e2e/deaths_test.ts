/** Every wait ends at once when QEMU dies, whatever state the VM is in. */
import { assert, assertEquals, assertLess, assertRejects, assertStringIncludes } from "@std/assert";
import { pause } from "../../lib/base/deadline.ts";
import { QmpError } from "../../lib/base/errors.ts";
import { EventLog, launch, UtmostError } from "../../lib/mod.ts";
import { type LoggedEvent } from "../../lib/vm/events.ts";
import { HELLO, sandboxTest } from "./sandbox.ts";

/** The deadline for the end of a wait, in milliseconds; tests allow five times as much. */
const PROMPT_MS = 100;
/** How long QEMU is frozen before it is killed, so that something waits for it for certain. */
const FROZEN_MS = 200;

/** Says and checks how long it took from QEMU's death to the end of a wait. */
function assertPrompt(what: string, startMs: number): void {
  const ms = performance.now() - startMs;
  console.log(`${what}: over ${ms.toFixed(1)} ms after QEMU's death (${PROMPT_MS})`);
  assertLess(ms, 5 * PROMPT_MS);
}

/** An event log that calls `act` with QEMU's pid as soon as the launch reaches `state`. */
function logUntil(state: string, act: (pid: number) => void): EventLog {
  const log = new EventLog();
  let pid = 0;
  log.subscribe((event: LoggedEvent) => {
    if (event.event === "qemu") pid = event.pid;
    const reached = state === "spawned"
      ? event.event === "qemu"
      : event.event === "state" && event.to === state;
    if (reached) act(pid);
  });
  return log;
}

for (const state of ["spawned", "negotiated", "attached"]) {
  sandboxTest(
    `e2e: deaths: QEMU that is killed while ${state} ends the launch`,
    async (sandbox) => {
      using _env = sandbox.enter();
      let start = 0;
      const log = logUntil(state, (pid) => {
        Deno.kill(pid, "SIGSTOP");
        setTimeout(() => {
          start = performance.now();
          Deno.kill(pid, "SIGKILL");
        }, FROZEN_MS);
      });
      const error = await assertRejects(() => launch(HELLO, { log }), UtmostError, "SIGKILL");
      assertPrompt(state, start);
      assertEquals(error.exitCode, 6);
      assertEquals(await sandbox.instances(), []);
    },
  );

  sandboxTest(`e2e: deaths: a launch that is given up while ${state} ends`, async (sandbox) => {
    using _env = sandbox.enter();
    const controller = new AbortController();
    const reason = new Error("enough");
    let start = 0;
    const log = logUntil(state, (pid) => {
      Deno.kill(pid, "SIGSTOP");
      setTimeout(() => {
        start = performance.now();
        controller.abort(reason);
      }, FROZEN_MS);
    });
    const { signal } = controller;
    const error = await assertRejects(() => launch(HELLO, { log, signal }), Error);
    assertEquals(error, reason);
    // A frozen QEMU does not hear SIGTERM: that rung of the ladder is waited for.
    const ms = performance.now() - start;
    console.log(`${state}: given up within ${ms.toFixed(0)} ms`);
    assertLess(ms, 5_000);
    assertEquals(await sandbox.instances(), []);
  });
}

for (const state of ["running", "paused"]) {
  sandboxTest(`e2e: deaths: QEMU that is killed while ${state} ends the VM`, async (sandbox) => {
    using _env = sandbox.enter();
    await using supervisor = await launch(HELLO);
    const { vm } = supervisor;
    if (state === "paused") await vm.pause();
    assertEquals(vm.state, state);
    Deno.kill(vm.pid!, "SIGSTOP");
    const pending = assertRejects(() => vm.qmp.execute("query-status"), UtmostError);
    await pause(FROZEN_MS);
    const start = performance.now();
    Deno.kill(vm.pid!, "SIGKILL");
    const { reason, error } = await vm.ended;
    await pending;
    assertPrompt(state, start);
    assertEquals([reason, error?.exitCode], ["qemu-died", 6]);
  });
}

sandboxTest("e2e: deaths: a run that waits for text ends with 6", async (sandbox) => {
  const run = sandbox.startRun([HELLO, "--expect", "hello> ", "--expect", "nonsense"]);
  const { pid } = await run.until({ event: "qemu" });
  await run.until({ event: "expect", matched: true });
  const start = performance.now();
  Deno.kill(pid as number, "SIGKILL");
  const { code, stderr } = await run.outcome;
  assertPrompt("--expect", start);
  assertEquals(code, 6, stderr);
  assertStringIncludes(stderr, "SIGKILL");
});

sandboxTest("e2e: deaths: a verb that waits for an answer ends", async (sandbox) => {
  const id = await sandbox.boot(HELLO);
  const { qemuPid } = await sandbox.json(["status", id]) as { qemuPid: number };
  Deno.kill(qemuPid, "SIGSTOP");
  const verbs = [["qmp", id, "query-status"], ["pause", id], ["stop", id]];
  const waiting = verbs.map((args) => sandbox.run(args));
  await pause(1_000);
  const start = performance.now();
  Deno.kill(qemuPid, "SIGKILL");
  const outcomes = await Promise.all(waiting);
  assertPrompt("verbs", start);
  for (const { code, stderr } of outcomes.slice(0, 2)) {
    assert(code === 6 || code === 13, `${code}: ${stderr}`);
  }
  assertEquals(outcomes[2]?.code, 0, "it was to be stopped, and it is off");
});

sandboxTest("e2e: exit 7: a QEMU that never greets", async (sandbox) => {
  using _env = sandbox.enter();
  const qemu = await sandbox.fakeQemu("exec sleep 60 # $*");
  const start = performance.now();
  const error = await assertRejects(
    () => launch(HELLO, { qemu, greetingTimeoutMs: 500 }),
    UtmostError,
  );
  assertEquals([error.exitCode, error instanceof QmpError], [7, true], error.message);
  assertLess(performance.now() - start, 5_000);
  assertEquals(await sandbox.instances(), []);
});
