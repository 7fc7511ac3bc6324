import { assert, assertEquals, assertInstanceOf, assertLess, assertThrows } from "@std/assert";
import { HostError, HostFailure } from "../../lib/base/errors.ts";
import {
  ChildProcess,
  type ChildSpawnOptions,
  QemuExitError,
  QemuLaunchError,
  QemuProcess,
} from "../../lib/qemu/process.ts";

/** Starts a shell script as a child. */
function sh(script: string, options: Partial<ChildSpawnOptions> = {}): ChildProcess {
  return ChildProcess.spawn({ name: "sh", binary: "/bin/sh", argv: ["-c", script], ...options });
}

/** Resolves once `signal` is aborted, with the milliseconds that took. */
function aborted(signal: AbortSignal): Promise<number> {
  const start = performance.now();
  return new Promise((resolve) => {
    const done = () => resolve(performance.now() - start);
    if (signal.aborted) done();
    else signal.addEventListener("abort", done, { once: true });
  });
}

const GUARDS = ["setpriv", "shell", "none"] as const;
for (const guard of GUARDS) {
  if (guard === "setpriv" && Deno.build.os !== "linux") continue; // Linux's own
  Deno.test(`gone holds status and last words of a child that fails (guard ${guard})`, async () => {
    await using child = QemuProcess.spawn({
      binary: "/bin/sh",
      argv: ["-c", "echo out; echo 'first' >&2; printf 'bad \\033[1m option' >&2; exit 3"],
      guard,
    });
    await aborted(child.gone);
    const error = child.gone.reason;
    assertInstanceOf(error, QemuLaunchError);
    assertEquals(error.exitCode, 6);
    assertEquals([error.exit.code, error.exit.signal], [3, null]);
    assertEquals(error.exit.stderrTail.toSorted(), ["bad \u001b[1m option", "first", "out"]);
    assert(error.message.startsWith("Cannot start QEMU: it ended with status 3: "));
    assert(error.message.includes("bad \ufffd[1m option"));
    assertEquals(error.argv[0], "/bin/sh");
    assertEquals(child.exit, error.exit);
    assertEquals(await child.exited, error.exit);
  });

  Deno.test(`the child is the spawned process, and SIGTERM ends it (guard ${guard})`, async () => {
    await using child = sh("echo $$; exec sleep 60", { guard });
    while (child.outputTail.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    assertEquals(child.outputTail, [`${child.pid}`]);
    child.confirmUp();
    const exit = await child.stop();
    assertEquals([exit.code, exit.signal], [null, "SIGTERM"]);
    assertInstanceOf(child.gone.reason, QemuExitError);
    assertEquals(
      child.gone.reason.message,
      `Cannot go on: sh was ended by SIGTERM: ${child.pid}`,
    );
  });
}

Deno.test("gone is aborted soon although a grandchild keeps the pipe open", async () => {
  await using child = sh("sleep 3 & echo 'last words' >&2; exit 1", { guard: "none" });
  const ms = await aborted(child.gone);
  assertLess(ms, 1000);
  assertEquals(child.exit?.stderrTail, ["last words"]);
});

Deno.test("gone is aborted soon although a grandchild floods the pipe", async () => {
  await using child = sh("timeout 5 yes & while :; do sleep 0.01; done", { guard: "none" });
  while (child.outputTail.length < 200) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill();
  assertLess(await aborted(child.gone), 1500);
  assertEquals(child.exit?.stderrTail.length, 200);
});

Deno.test("gone beats a wait that would never end", async () => {
  await using child = sh("sleep 0.05; exit 1");
  const signal = AbortSignal.any([child.gone, AbortSignal.timeout(10_000)]);
  await aborted(signal);
  assertInstanceOf(signal.reason, QemuLaunchError);
});

Deno.test("a child that prints much does not block, and its last lines are kept", async () => {
  const lines: string[] = [];
  await using child = sh("i=0; while [ $i -lt 5000 ]; do echo line $i >&2; i=$((i+1)); done", {
    onLine: (line) => lines.push(line),
  });
  const exit = await child.exited;
  assertEquals(exit.code, 0);
  assertEquals(lines.length, 5000);
  assertEquals(exit.stderrTail.length, 200);
  assertEquals(exit.stderrTail.at(-1), "line 4999");
});

Deno.test("the log file gets what the child prints, for the owner alone", async () => {
  const folder = await Deno.makeTempDir({ prefix: "utmost-process-" });
  try {
    const logFile = `${folder}/qemu.log`;
    await Deno.writeTextFile(logFile, "of an earlier run, longer than what comes", { mode: 0o644 });
    await using child = sh("echo one; sleep 0.02; echo two >&2", { logFile });
    await child.exited;
    assertEquals(await Deno.readTextFile(logFile), "one\ntwo\n");
    assertEquals((await Deno.stat(logFile)).mode! & 0o777, 0o600);
    assertThrows(() => sh("", { logFile: `${folder}/no/x.log` }), HostFailure, "Cannot write");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a missing program, a folder and a text file are errors of the host", async () => {
  const spawn = (binary: string) => QemuProcess.spawn({ binary, argv: [] });
  const folder = await Deno.makeTempDir({ prefix: "utmost-process-" });
  try {
    await Deno.writeTextFile(`${folder}/text`, "", { mode: 0o644 });
    const missing = assertThrows(() => spawn("qemu-system-nonsense"), HostError, "PATH");
    assertEquals(missing.exitCode, 5);
    assertThrows(() => spawn(`${folder}/none`), HostError, "there is no such file");
    assertThrows(() => spawn(`${folder}/text/x`), HostError, "there is no such file");
    assertThrows(() => spawn(folder), HostError, "it is no file");
    assertThrows(() => spawn(`${folder}/text`), HostError, "it is not executable");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a program that the kernel cannot run is a failed launch with the shell's words", async () => {
  const folder = await Deno.makeTempDir({ prefix: "utmost-process-" });
  try {
    await Deno.writeFile(`${folder}/qemu`, new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 0, 0, 0, 0]), {
      mode: 0o755,
    });
    await using child = QemuProcess.spawn({ binary: `${folder}/qemu`, argv: [] });
    await child.exited;
    assertInstanceOf(child.gone.reason, QemuLaunchError);
    assert(child.exit!.stderrTail.length > 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("stop asks first and lets the child end by itself", async () => {
  await using child = sh("trap 'exit 7' USR1; echo up; while :; do sleep 0.01; done");
  while (child.outputTail.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const exit = await child.stop({
    ask: () => Promise.resolve(child.kill("SIGUSR1")),
    askTimeoutMs: 5000,
  });
  assertEquals([exit.code, exit.signal], [7, null]);
});

Deno.test("stop goes down its ladder to SIGKILL, and calls share it", async () => {
  await using child = sh("trap '' TERM; echo up; while :; do sleep 0.01; done");
  while (child.outputTail.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  let asked = 0;
  let askAborted = false;
  const options = {
    ask: (signal: AbortSignal) => {
      asked++;
      signal.addEventListener("abort", () => askAborted = true);
      return new Promise(() => {});
    },
    askTimeoutMs: 20,
    termTimeoutMs: 20,
  };
  const [first, second] = await Promise.all([child.stop(options), child.stop(options)]);
  assertEquals([first.code, first.signal], [null, "SIGKILL"]);
  assert(first === second);
  assertEquals([asked, askAborted], [1, true]);
  assertEquals(await child.stop(), first);
});

Deno.test("stop goes on at once when asking fails", async () => {
  const start = performance.now();
  await using child = sh("exec sleep 60");
  const exit = await child.stop({
    ask: () => Promise.reject(new Error("QMP is closed")),
    askTimeoutMs: 20_000,
  });
  assertEquals(exit.signal, "SIGTERM");
  assertLess(performance.now() - start, 5000);
});

Deno.test("kill cuts a running ladder short, and does nothing afterwards", async () => {
  await using child = sh("exec sleep 60");
  const stopping = child.stop({ ask: () => new Promise(() => {}), askTimeoutMs: 20_000 });
  child.kill();
  assertEquals((await stopping).signal, "SIGKILL");
  child.kill();
  child.kill("SIGTERM");
});

Deno.test("a child that ends on its own needs no stop", async () => {
  await using child = sh("exit 0");
  const exit = await child.exited;
  assertEquals([exit.code, exit.signal], [0, null]);
  assertEquals(await child.stop({ ask: () => Promise.reject(new Error("not asked")) }), exit);
});

Deno.test("the shell guard's watcher leaves with the child", {
  ignore: Deno.build.os !== "linux", // looks in /proc
}, async () => {
  await using child = sh("echo up; exec sleep 60", { guard: "shell" });
  while (child.outputTail.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(groupMembers(child.pid).length, 2);
  await child.stop();
  for (let n = 0; n < 400 && groupMembers(child.pid).length > 0; n++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assertEquals(groupMembers(child.pid), []);
});

/** The processes of a group, without zombies. */
function groupMembers(group: number): number[] {
  const members: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      const [state, , pgrp] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (Number(pgrp) === group && state !== "Z") members.push(Number(name));
    } catch {
      // it ended meanwhile
    }
  }
  return members;
}
