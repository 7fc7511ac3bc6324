/** Every exit code of the contract, each from a run that earns it. Source: README.md, "Exit codes". */
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { fromFileUrl } from "@std/path";
import { HELLO, type Outcome, sandboxTest } from "./sandbox.ts";

const APPLE = fromFileUrl(new URL("../fixtures/bundles/apple.utm", import.meta.url));
const HELLO_ARM64 = HELLO.replace(/hello\.utm$/, "hello-arm64.utm");
const POWEROFF = ["--expect", "hello> ", "--send", "poweroff\\n", "--then", "wait"];

/** Asserts the exit code, and that the messages hold each of `words`. */
function assertOutcome(outcome: Outcome, code: number, ...words: string[]): void {
  assertEquals(outcome.code, code, `${outcome.stderr}\n${outcome.stdout}`);
  for (const word of words) assertStringIncludes(outcome.stderr, word);
  if (code !== 0) assert(!outcome.stderr.includes("defect of utmost"), outcome.stderr);
}

sandboxTest(
  "e2e: exit 0: the guest shuts down by itself; attached comes before running",
  async (sandbox) => {
    const run = sandbox.startRun([HELLO, "--headless", ...POWEROFF, "--timeout", "60s"]);
    const outcome = await run.outcome;
    assertOutcome(outcome, 0);
    assertStringIncludes(outcome.stdout, "utmost: hello from x86_64");
    const events = await run.events();
    const names = events.map(({ event, name, to }) => `${name ?? to ?? event}`);
    for (const [first, second] of [["negotiated", "attached"], ["attached", "running"]] as const) {
      assert(names.includes(first), `${first} is missing: ${names.join(" ")}`);
      assertLess(names.indexOf(first), names.indexOf(second), names.join(" "));
    }
    const shutdown = events.find(({ name }) => name === "SHUTDOWN");
    assertEquals(shutdown?.data, { guest: true, reason: "guest-shutdown" });
    const { t: _, ...last } = events.at(-1)!;
    assertEquals(last, { event: "exit", code: 0, reason: "guest-shutdown" });
    const times = events.map(({ t }) => t);
    assertEquals(times, times.toSorted((a, b) => a - b), "time goes on");
  },
);

sandboxTest("e2e: exit 2: what is not known is named with its nearest", async (sandbox) => {
  assertOutcome(await sandbox.run([HELLO, "--headles"]), 2, "--headles", "--headless");
  assertOutcome(await sandbox.run(["stauts", "hello"]), 2, "stauts", "status");
  assertOutcome(await sandbox.run([HELLO, "--timeout", "soon"]), 2, "--timeout", "90s");
  assertOutcome(await sandbox.run([HELLO, "--then", "sleep"]), 2, "stop, kill, leave, wait");
  assertOutcome(await sandbox.run([HELLO, "--expect", "("]), 2, "--expect");
  const outcome = await sandbox.run(["status", "--json"]);
  assertOutcome(outcome, 2, "a word is missing");
});

sandboxTest("e2e: exit 2: an ambiguous VM lists the ids", async (sandbox) => {
  const bundle = await sandbox.bundle();
  const ids = [
    await sandbox.detach(bundle, "--disposable"),
    await sandbox.detach(bundle, "--disposable"),
  ];
  assertOutcome(await sandbox.run(["status", "hello"]), 2, ...ids);
  for (const id of ids) assertOutcome(await sandbox.run(["stop", "--kill", id]), 0);
});

sandboxTest(
  "e2e: exit 3: a bundle of the Apple backend, and what is no bundle",
  async (sandbox) => {
    assertOutcome(await sandbox.run([APPLE]), 3, "Apple");
    await Deno.mkdir(sandbox.path("empty.utm"));
    assertOutcome(await sandbox.run([sandbox.path("empty.utm")]), 3, "config.plist");
    assertOutcome(await sandbox.run([sandbox.path("missing.utm")]), 3, "missing.utm");
  },
);

sandboxTest(
  "e2e: exit 4: a grant, trust, and a bundle that asks for something else since",
  async (sandbox) => {
    const ask = (text: string) => sandbox.bundle({ additionalArguments: [text] });
    const bundle = await ask("-msg timestamp=on");
    const run = (...args: string[]) =>
      sandbox.run([bundle, ...POWEROFF, "--timeout", "30s", ...args]);

    assertOutcome(await run(), 4, "AdditionalArguments", "--allow args");
    assertOutcome(await run("--allow", "ports"), 4);
    assertOutcome(await run("--allow", "args"), 0);
    assertOutcome(await run(), 4);
    assertOutcome(await sandbox.run(["trust", bundle]), 0, "-msg");
    assertOutcome(await run(), 0);
    await ask("-msg timestamp=off");
    assertOutcome(await run(), 4, "--allow args");
    await ask("-msg timestamp=on");
    assertOutcome(await run(), 0);
    assertOutcome(await sandbox.run(["untrust", bundle]), 0);
    assertOutcome(await run(), 4);
  },
);

sandboxTest("e2e: exit 5: what this host lacks", async (sandbox) => {
  await Deno.mkdir(sandbox.path("bin"));
  assertOutcome(
    await sandbox.run([HELLO, "--qemu", sandbox.path("bin")]),
    5,
    "qemu-system-x86_64",
  );
  const deno = Deno.execPath().replace(/\/deno$/, "");
  if (deno !== "/usr/bin" && deno !== "/usr/local/bin") {
    const outcome = await sandbox.run([HELLO], { env: { PATH: sandbox.path("bin") } });
    assertOutcome(outcome, 5, "qemu-system-x86_64", "hint:");
  }
  // No host has an accelerator for the architecture that is not its own.
  const foreign = Deno.build.arch === "x86_64" ? HELLO_ARM64 : HELLO;
  assertOutcome(await sandbox.run([foreign, "--require-accel"]), 5, "--require-accel");
  const gl = await sandbox.bundle({ display: "virtio-ramfb-gl" });
  assertOutcome(await sandbox.run([gl, "--strict"]), 5, "Cannot run strictly");
});

sandboxTest("e2e: exit 5: a guest has no keyboard, or no display", async (sandbox) => {
  const detached = await sandbox.run([HELLO_ARM64, "--disposable", "--detach"]);
  assertOutcome(detached, 0);
  const id = detached.stdout.trim();
  for (const args of [["type", id, "help\\n"], ["keys", id, "ret"]]) {
    assertOutcome(await sandbox.run(args), 5, "hello-arm64 has no keyboard", "hint:");
  }
  const picture = await sandbox.run(["screenshot", id, sandbox.path("screen.png")]);
  assertOutcome(picture, 5, "hello-arm64 has no display");
  assertOutcome(await sandbox.run(["stop", "--kill", id]), 0);
});

sandboxTest(
  "e2e: exit 6: QEMU that dies at start is told with its words, within 100 ms",
  async (sandbox) => {
    const refused = await sandbox.run([HELLO, "--", "-device", "no-such-device"]);
    assertOutcome(refused, 6, "'no-such-device' is not a valid device model name");

    const death = sandbox.path("death");
    const qemu = await sandbox.fakeQemu(
      "sleep 0.1",
      "echo the disk is on fire >&2",
      `date +%s%N >${death}`,
      "exit 3",
    );
    const run = sandbox.startRun([HELLO, "--qemu", qemu]);
    const outcome = await run.outcome;
    assertOutcome(outcome, 6, "status 3", "the disk is on fire");
    const ms = outcome.endedAt - Number(await Deno.readTextFile(death)) / 1e6;
    console.log(`exit ${ms.toFixed(1)} ms after QEMU's death (100)`);
    assertLess(ms, 500);
  },
);

sandboxTest("e2e: exit 7: a QMP command fails", async (sandbox) => {
  const id = await sandbox.detach(HELLO, "--disposable");
  assertOutcome(await sandbox.run(["qmp", id, "no-such-command"]), 7, "no-such-command");
  assertOutcome(await sandbox.run(["stop", "--kill", id]), 0);
});

sandboxTest("e2e: exit 9: the guest ends before the text comes", async (sandbox) => {
  const run = sandbox.startRun([HELLO, "--send", "poweroff\\n", "--expect", "nonsense"]);
  assertOutcome(await run.outcome, 9, "nonsense", "utmost: powering off");
  const { matched } = await run.until({ event: "expect" });
  assertEquals(matched, false);
});

sandboxTest("e2e: exit 10: --expect nonsense --timeout 3s ends within 4 s", async (sandbox) => {
  const outcome = await sandbox.run([HELLO, "--expect", "nonsense", "--timeout", "3s"]);
  assertOutcome(outcome, 10, "3000 ms", "nonsense");
  console.log(`exit 10 after ${(outcome.ms / 1000).toFixed(2)} s (4)`);
  assertGreater(outcome.ms, 2_900);
  assertLess(outcome.ms, 20_000);
});

sandboxTest(
  "e2e: exit 10: the budget counts from the start, also before QEMU is up",
  async (sandbox) => {
    assertOutcome(await sandbox.run([HELLO, "--timeout", "1ms"]), 10);
  },
);

sandboxTest("e2e: exit 11: the guest panics", async (sandbox) => {
  const run = (...args: string[]) =>
    sandbox.run([HELLO, "--send", "panic\\n", "--timeout", "30s", ...args]);
  assertOutcome(await run("--then", "wait"), 11, "panic");
  assertOutcome(await run("--expect", "nonsense"), 11, "panic");
});

sandboxTest(
  "e2e: exit 12: the bundle runs already; of two launches at once one wins",
  async (sandbox) => {
    const bundle = await sandbox.bundle();
    const id = await sandbox.detach(bundle);
    const { pid } = await sandbox.json(["status", id]) as { pid: number };
    assertOutcome(await sandbox.run([bundle]), 12, `pid ${pid}`, id);
    assertOutcome(await sandbox.run([bundle, "--disposable"]), 12, `pid ${pid}`);
    assertOutcome(await sandbox.run(["run", bundle, "--detach"]), 12, `pid ${pid}`);
    const link = sandbox.path("link.utm");
    await Deno.symlink(bundle, link);
    assertOutcome(await sandbox.run([`${link}/`]), 12, `pid ${pid}`);
    assertOutcome(await sandbox.run(["stop", "--kill", bundle]), 0);

    for (let n = 0; n < 5; n++) {
      // Detached, so that the one that wins is still there when the other comes.
      const pair = [0, 1].map(() => sandbox.run(["run", bundle, "--detach"]));
      const codes = (await Promise.all(pair)).map(({ code }) => code);
      assertEquals(codes.toSorted((a, b) => a - b), [0, 12]);
      assertOutcome(await sandbox.run(["stop", "--kill", bundle]), 0);
    }
  },
);

sandboxTest("e2e: exit 13: no such VM is running", async (sandbox) => {
  for (const verb of ["status", "stop", "pause", "resume", "reset", "console", "log"]) {
    assertOutcome(await sandbox.run([verb, "hello"]), 13, "hello");
  }
  assertOutcome(await sandbox.run(["send", "hello", "text"]), 13);
  assertOutcome(await sandbox.run(["qmp", "hello", "query-status"]), 13);
  assertOutcome(await sandbox.run(["screenshot", "hello", "x.png"]), 13);
});

sandboxTest("e2e: exit 14: the host fails us", async (sandbox) => {
  const bundle = await sandbox.bundle({ network: true });
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr as Deno.NetAddr;
  const forward = await sandbox.run([bundle, "--forward", `tcp:${port}:22`]);
  assertOutcome(forward, 14, String(port), "hint:");
  for (const option of ["--events", "--serial"]) {
    assertOutcome(await sandbox.run([bundle, option, "/nowhere/file"]), 14, "/nowhere/file");
  }
  const screenshot = ["--expect", "hello> ", "--screenshot", "/nowhere/file.png"];
  assertOutcome(await sandbox.run([bundle, ...screenshot]), 14, "/nowhere/file.png");
});

sandboxTest("e2e: exit 130: Ctrl-C once is the power button, twice is now", async (sandbox) => {
  const once = sandbox.startRun([HELLO, "--expect", "hello> ", "--expect", "nonsense"]);
  await once.until({ event: "expect", matched: true });
  once.kill("SIGINT");
  const outcome = await once.outcome;
  assertOutcome(outcome, 130, "SIGINT");
  assertStringIncludes(outcome.stdout, "utmost: power button");
  const shutdown = (await once.events()).find(({ name }) => name === "SHUTDOWN");
  assertEquals(shutdown?.data, { guest: true, reason: "guest-shutdown" });

  // The firmware of a machine without a disk does not hear its power button.
  const deaf = await sandbox.bundle({ name: "deaf" });
  await Deno.writeFile(`${deaf}/Data/hello.img`, new Uint8Array(1 << 20));
  const twice = sandbox.startRun([deaf]);
  await twice.until({ event: "state", to: "running" });
  twice.kill("SIGINT");
  await twice.until({ event: "state", to: "stopping" });
  await new Promise((done) => setTimeout(done, 300));
  assert((await twice.events()).every(({ event }) => event !== "exit"), "it did not wait");
  const start = performance.now();
  twice.kill("SIGINT");
  assertOutcome(await twice.outcome, 130);
  console.log(`exit ${(performance.now() - start).toFixed(0)} ms after the second Ctrl-C`);
  assertLess(performance.now() - start, 3_000);
});

sandboxTest(
  "e2e: exit 143 and 129: SIGTERM and SIGHUP end the run in good order",
  async (sandbox) => {
    for (const [signal, code] of [["SIGTERM", 143], ["SIGHUP", 129]] as const) {
      const run = sandbox.startRun([HELLO, "--expect", "hello> ", "--then", "wait"]);
      await run.until({ event: "expect", matched: true });
      run.kill(signal);
      assertOutcome(await run.outcome, code);
      assertEquals(await sandbox.instances(), []);
    }
  },
);

sandboxTest(
  "e2e: exit 130: a signal while QEMU comes up ends the launch at once",
  async (sandbox) => {
    const qemu = await sandbox.fakeQemu("exec sleep 60 # $*");
    const run = sandbox.startRun([HELLO, "--qemu", qemu]);
    await run.until({ event: "state", to: "spawned" });
    const start = performance.now();
    run.kill("SIGINT");
    assertOutcome(await run.outcome, 130);
    assertLess(performance.now() - start, 5_000);
  },
);

sandboxTest("e2e: errors are one JSON document with --json", async (sandbox) => {
  for (
    const [args, code] of [
      [["status", "hello"], 13],
      [["argv", APPLE], 3],
      [["run", APPLE], 3],
      [["run", sandbox.path("missing.utm"), "--detach"], 3],
      [["stop", "--kil"], 2],
    ] as const
  ) {
    const { stdout, code: seen } = await sandbox.run([...args, "--json"]);
    assertEquals(seen, code, stdout);
    assertMatch(stdout, new RegExp(`"code":${code}\\b`));
    JSON.parse(stdout);
  }
});
