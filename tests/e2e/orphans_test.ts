/**
 * Nothing outlives a supervisor, not even after `kill -9` at any moment: no QEMU, no swtpm, no lock,
 * and no folder once somebody looks.
 */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { pause } from "../../lib/base/deadline.ts";
import { type Sandbox, sandboxTest } from "./sandbox.ts";

/** A launch takes half of this. */
const LATEST_KILL_MS = 400;

/** What the watcher of the guard `shell` is called. */
const WATCHER = "utmost-guard";

/** Starts a run, kills its supervisor at a random time, and returns how long that had lived. */
async function killOne(sandbox: Sandbox, bundle: string, detached: boolean): Promise<number> {
  const delayMs = Math.random() * LATEST_KILL_MS;
  const run = sandbox.start(["run", bundle, ...(detached ? ["--detach"] : [])]);
  if (!detached) {
    await pause(delayMs);
    try {
      run.kill("SIGKILL");
    } catch {
      // It has ended by itself, which is a failure: its outcome says why.
    }
  } else {
    const supervisor = await findSupervisor(sandbox);
    await pause(delayMs);
    Deno.kill(supervisor, "SIGKILL");
  }
  const { code, stderr } = await run.outcome;
  const expected = detached ? [0, 137] : [-1]; // a detached run may have returned before the kill
  assert(
    expected.includes(code),
    `the run ended with ${code}, killed after ${delayMs.toFixed(0)} ms: ${stderr}`,
  );
  return delayMs;
}

/** The pid of the supervisor that a detached run has just started. */
async function findSupervisor(sandbox: Sandbox): Promise<number> {
  for (let n = 0; n < 500; n++) {
    const found = (await sandbox.processes()).find(({ command }) =>
      command.includes(" supervise ") && !command.startsWith("sh ")
    );
    if (found !== undefined) return found.pid;
  }
  throw new Error("no supervisor was started");
}

/** Kills `count` supervisors and looks for what each leaves behind. */
async function killMany(sandbox: Sandbox, count: number, guard?: "shell"): Promise<void> {
  const bundle = await sandbox.bundle({ tpm: true });
  await sandbox.boot(bundle); // so that the host is probed
  const watched = (await sandbox.processes()).some(({ command }) => command.includes(WATCHER));
  assertEquals(watched, guard === "shell");
  assertEquals((await sandbox.run(["stop", bundle])).code, 0);
  const start = performance.now();
  let folders = 0;
  for (let n = 0; n < count; n++) {
    const delayMs = await killOne(sandbox, bundle, n % 2 === 1);
    const left = await sandbox.leftovers();
    assertEquals(left, [], `kill ${n} after ${delayMs.toFixed(0)} ms left processes behind`);
    if (n % 20 < 19) continue;
    folders += (await sandbox.instances()).length;
    await assertCleared(sandbox);
  }
  console.log(
    `${count} kills in ${((performance.now() - start) / 1000).toFixed(0)} s, ` +
      `${folders} folders were there to clear`,
  );
  const last = await sandbox.run([bundle, "--expect", "hello> ", "--then", "kill"]);
  assertEquals(last.code, 0, `the lock is free: ${last.stderr}`);
  await assertCleared(sandbox);
}

/** Asserts that `ps` removes the folders of dead supervisors. */
async function assertCleared(sandbox: Sandbox): Promise<void> {
  assertEquals(await sandbox.json(["ps"]), []);
  // One without a pid is left alone for ten seconds; that time is over now.
  for (const id of await sandbox.instances()) {
    const folder = sandbox.path("run", "utmost", id);
    assertEquals(await Deno.readTextFile(join(folder, "pid")).catch(() => ""), "");
    for (const path of [join(folder, "pid"), folder]) {
      await Deno.utime(path, new Date(0), new Date(0)).catch(() => {});
    }
  }
  assertEquals(await sandbox.json(["ps"]), []);
  assertEquals(await sandbox.instances(), []);
}

sandboxTest(
  "e2e: orphans: 200 random kill -9 of the supervisor leave nothing",
  (sandbox) => killMany(sandbox, 200),
  { timeout: 300_000 },
);

sandboxTest("e2e: orphans: 40 kills leave nothing with setpriv as the guard", async (sandbox) => {
  await sandbox.withoutNative();
  await killMany(sandbox, 40);
}, { ignore: Deno.build.os !== "linux" });

sandboxTest("e2e: orphans: 40 kills leave nothing with a shell as the guard", async (sandbox) => {
  await sandbox.withoutNative();
  // A PATH without setpriv.
  const bin = sandbox.path("bin");
  await Deno.mkdir(bin);
  for (const name of ["sh", "qemu-system-x86_64", "qemu-img", "swtpm"]) {
    const { stdout } = await new Deno.Command("sh", { args: ["-c", `command -v ${name}`] })
      .output();
    await Deno.symlink(new TextDecoder().decode(stdout).trim(), join(bin, name));
  }
  sandbox.env.PATH = bin;
  await killMany(sandbox, 40, "shell");
});
