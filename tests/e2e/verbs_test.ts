/** What can be done with a running VM from another process. */
import { assert, assertEquals, assertLess, assertMatch, assertStringIncludes } from "@std/assert";
import { pause } from "../../lib/base/deadline.ts";
import { ControlClient } from "../../lib/vm/control.ts";
import { BundleLock } from "../../lib/vm/lock.ts";
import { parseEvents, sandboxTest } from "./sandbox.ts";

/** The part of `status --json` in use. */
interface Status {
  id: string;
  name: string;
  uuid: string;
  bundle: string;
  state: string;
  pid: number;
  qemuPid: number;
  disposable: boolean;
  forwards: { hostAddress: string; hostPort: number; guestPort: number }[];
}

sandboxTest(
  "e2e: verbs: --detach prints the id, and the VM goes on until it is stopped",
  async (sandbox) => {
    const bundle = await sandbox.bundle();
    const { code, stdout, stderr, ms } = await sandbox.run(["run", bundle, "--detach"]);
    assertEquals(code, 0, stderr);
    assertMatch(stdout, /^[a-f][0-9a-f]{7}\n$/);
    console.log(`--detach returned after ${ms.toFixed(0)} ms`);
    const id = stdout.trim();

    const listed = await sandbox.json(["ps"]) as Status[];
    assertEquals(listed.length, 1);
    const [vm] = listed;
    assertEquals([vm?.id, vm?.name, vm?.bundle, vm?.state], [id, "hello", bundle, "running"]);
    assertEquals((await sandbox.run(["ps"])).stdout.split("\n").length, 3, "a header and one line");
    for (const target of [id, "hello", vm!.uuid, vm!.uuid.toLowerCase(), bundle, `${bundle}/`]) {
      const { id: found } = await sandbox.json(["status", target]) as Status;
      assertEquals(found, id, target);
    }
    assertStringIncludes((await sandbox.run(["status", id])).stdout, String(vm!.qemuPid));

    const stopped = await sandbox.json(["stop", "hello"]);
    assertEquals(stopped, { id, done: "stop" });
    assertEquals(await sandbox.json(["ps"]), []);
    assertEquals(await sandbox.leftovers(), []);
    assertEquals(await sandbox.instances(), []);
  },
);

sandboxTest("e2e: verbs: pause, resume and reset, each as JSON", async (sandbox) => {
  const bundle = await sandbox.bundle();
  const id = await sandbox.detach(bundle);
  const state = async () => (await sandbox.json(["status", id]) as Status).state;
  const qmpState = async () =>
    (await sandbox.json(["qmp", id, "query-status"]) as Status & {
      status: string;
    }).status;

  assertEquals(await sandbox.json(["pause", id]), { id, done: "pause" });
  assertEquals([await state(), await qmpState()], ["paused", "paused"]);
  assertEquals(await sandbox.json(["pause", id]), { id, done: "pause" }, "twice is once");
  assertEquals(await sandbox.json(["resume", id]), { id, done: "resume" });
  assertEquals([await state(), await qmpState()], ["running", "running"]);
  assertEquals(await sandbox.json(["resume", id]), { id, done: "resume" }, "twice is once");
  assertEquals(await sandbox.json(["qmp", id, '{"execute": "stop"}']), {});
  assertEquals(await state(), "paused", "what goes past us is seen");
  assertEquals(await sandbox.json(["qmp", id, '{"execute": "cont"}']), {});
  assertEquals(await sandbox.json(["reset", id]), { id, done: "reset" });
  assertEquals(await state(), "running");

  const log = await sandbox.json(["log", id]) as { events: { event: string; name?: string }[] };
  assert(log.events.some(({ name }) => name === "RESET"));
  assertStringIncludes((await sandbox.run(["log", id])).stdout, '"RESET"');
  assertEquals(await sandbox.json(["stop", id, "--kill"]), { id, done: "stop" });
});

sandboxTest(
  "e2e: verbs: stop of a paused VM does not wait for its power button",
  async (sandbox) => {
    const id = await sandbox.boot(await sandbox.bundle());
    await sandbox.run(["pause", id]);
    const { code, ms } = await sandbox.run(["stop", id]);
    assertEquals(code, 0);
    assertLess(ms, 5_000);
  },
);

sandboxTest(
  "e2e: verbs: the bundle is free as soon as a supervisor closes its connections",
  async (sandbox) => {
    const bundle = await sandbox.bundle();
    const id = await sandbox.detach(bundle);
    await using client = await ControlClient.connect(sandbox.path("run", "utmost", id, "control"));
    await client.call("stop", { kill: true });
    await client.closed;
    assertEquals(await sandbox.instances(), []);
    const { dev: device, ino: inode } = await Deno.stat(bundle);
    using _lock = await BundleLock.take(sandbox.path("state", "utmost", "locks"), {
      path: bundle,
      device,
      inode: inode ?? 0,
    }, { shared: false, id });
  },
);

sandboxTest("e2e: verbs: send and console reach the serial port", async (sandbox) => {
  const id = await sandbox.boot(await sandbox.bundle());
  assertEquals(await sandbox.json(["send", id, "one\\n"]), { id, done: "send" });
  const console = await sandbox.run(["console", id], { stdin: "two\npoweroff\n" });
  assertEquals(console.code, 0, console.stderr);
  for (const text of ["echo: one", "echo: two", "utmost: powering off"]) {
    assertStringIncludes(console.stdout, text);
  }
  assertEquals(await sandbox.json(["ps"]), []);
});

sandboxTest(
  "e2e: verbs: two disposable runs side by side, told apart by their ids",
  async (sandbox) => {
    const bundle = await sandbox.bundle();
    const [one, two] = [
      await sandbox.detach(bundle, "--disposable"),
      await sandbox.detach(bundle, "--disposable"),
    ];
    const ids = (await sandbox.json(["ps"]) as Status[]).map(({ id }) => id);
    assertEquals(ids, [one, two].toSorted());
    await sandbox.run(["stop", "--kill", one]);
    assertEquals((await sandbox.json(["status", bundle]) as Status).id, two);
    await sandbox.run(["stop", "--kill", two]);
  },
);

sandboxTest("e2e: verbs: --then leave shows the steps, and leaves the VM", async (sandbox) => {
  const bundle = await sandbox.bundle();
  const run = await sandbox.run([bundle, "--expect", "hello> ", "--then", "leave", "--json"]);
  assertEquals(run.code, 0, run.stderr);
  const { id, state } = JSON.parse(run.stdout) as Status;
  assertEquals(state, "running");
  await sandbox.run(["stop", "--kill", id]);

  const plain = await sandbox.run([bundle, "--expect", "hello> ", "--then", "leave"]);
  assertStringIncludes(plain.stdout, "utmost: hello");
  await sandbox.run(["stop", "--kill", bundle]);

  const failed = await sandbox.run(
    [bundle, "--expect", "nonsense", "--then", "leave", "--timeout", "5s"], // it is up by then
  );
  assertEquals(failed.code, 10, failed.stderr);
  assertStringIncludes(failed.stderr, "nonsense");
  assertEquals(await sandbox.leftovers(), []);
});

sandboxTest(
  "e2e: run: --events - has JSON lines only on stdout, --json one document",
  async (sandbox) => {
    const bundle = await sandbox.bundle();
    const steps = ["--expect", "hello> ", "--then", "kill"];
    const stream = await sandbox.run([bundle, ...steps, "--events", "-"]);
    const events = parseEvents(stream.stdout);
    assertEquals([events[0]?.event, events.at(-1)?.event], ["launch", "exit"]);
    const document = await sandbox.json([bundle, ...steps]) as { code: number; reason: string };
    assertEquals([document.code, document.reason], [0, "stopped"]);

    const detached = await sandbox.run(["run", bundle, "--detach", "--events", "-"]);
    const first = parseEvents(detached.stdout);
    assertEquals(first[0]?.event, "launch");
    assert(first.some(({ to }) => to === "running"));
    await sandbox.run(["stop", "--kill", bundle]);
  },
);

sandboxTest("e2e: run: --serial FILE and --serial off", async (sandbox) => {
  const bundle = await sandbox.bundle();
  const file = sandbox.path("serial.log");
  const steps = ["--expect", "hello> ", "--send", "poweroff\\n", "--then", "wait"];
  const run = await sandbox.run([bundle, ...steps, "--serial", file]);
  assertEquals([run.code, run.stdout], [0, ""], run.stderr);
  const text = await Deno.readTextFile(file);
  assertStringIncludes(text, "utmost: hello from x86_64");
  assertStringIncludes(text, "utmost: powering off");
  const off = await sandbox.run([bundle, ...steps, "--serial", "off"]);
  assertEquals([off.code, off.stdout], [0, ""], off.stderr);
});

sandboxTest("e2e: run: stdin goes to the guest when there are no steps", async (sandbox) => {
  const run = await sandbox.run([await sandbox.bundle()], { stdin: "hi\npoweroff\n" });
  assertEquals(run.code, 0, run.stderr);
  assertStringIncludes(run.stdout, "echo: hi");
});

sandboxTest(
  "e2e: run: --artifacts keeps evidence of a failure, and none of a success",
  async (sandbox) => {
    const bundle = await sandbox.bundle();
    const folder = sandbox.path("evidence");
    const steps = ["--expect", "hello> ", "--artifacts", folder];
    const passed = await sandbox.run([bundle, ...steps, "--then", "kill"]);
    assertEquals(passed.code, 0, passed.stderr);
    assertEquals(await Deno.stat(folder).catch(() => "none"), "none");
    const off = ["--send", "poweroff\\n", "--expect", "nonsense"];
    const failed = await sandbox.run([bundle, ...steps, ...off]);
    assertEquals(failed.code, 9, failed.stderr);
    assertStringIncludes(failed.stderr, folder);
    const events = parseEvents(await Deno.readTextFile(`${folder}/events.ndjson`));
    assertEquals([events[0]?.event, events.at(-1)?.event], ["launch", "exit"]);
    assertStringIncludes(await Deno.readTextFile(`${folder}/argv.txt`), "qemu-system-x86_64");
    assertStringIncludes(await Deno.readTextFile(`${folder}/serial-0.log`), "utmost: hello");
    await Deno.stat(`${folder}/qemu.log`);
  },
);

sandboxTest(
  "e2e: run: --forward with host port 0 reports the port that it picked",
  async (sandbox) => {
    const bundle = await sandbox.bundle({ network: true });
    const run = await sandbox.run(["run", bundle, "--detach", "--forward", "tcp:0:22"]);
    assertEquals(run.code, 0, run.stderr);
    const { forwards, id } = await sandbox.json(["status", "hello"]) as Status;
    const [forward] = forwards;
    assertEquals([forward?.hostAddress, forward?.guestPort], ["127.0.0.1", 22]);
    assertStringIncludes(run.stderr, `127.0.0.1:${forward?.hostPort}`);
    const listed = await sandbox.json(
      [
        "qmp",
        id,
        '{"execute":"human-monitor-command","arguments":{"command-line":"info usernet"}}',
      ],
    );
    assertMatch(
      String(listed),
      new RegExp(`HOST_FORWARD.*127\\.0\\.0\\.1\\s+${forward?.hostPort}`),
    );
    (await Deno.connect({ hostname: "127.0.0.1", port: forward!.hostPort })).close();
    await sandbox.run(["stop", "--kill", id]);

    const foreground = await sandbox.run(
      [bundle, "--forward", "tcp:0:22", "--expect", "hello> ", "--then", "kill"],
    );
    assertMatch(foreground.stderr, /127\.0\.0\.1:\d+ → guest 22/);
  },
);

sandboxTest("e2e: run: a VM is stopped while it comes up", async (sandbox) => {
  const qemu = await sandbox.fakeQemu("exec sleep 60 # $*");
  const bundle = await sandbox.bundle();
  const run = sandbox.startRun([bundle, "--qemu", qemu]);
  await run.until({ event: "state", to: "spawned" });
  const stop = await sandbox.run(["stop", bundle]);
  assertEquals(stop.code, 0, stop.stderr);
  const { code } = await run.outcome;
  assertEquals(code, 143);
  assertEquals(await sandbox.instances(), []);
});

sandboxTest("e2e: verbs: a stop while another is under way ends with it", async (sandbox) => {
  const bundle = await sandbox.bundle();
  await Deno.writeFile(`${bundle}/Data/hello.img`, new Uint8Array(1 << 20)); // hears no button
  const id = await sandbox.detach(bundle);
  const gentle = sandbox.start(["stop", id]);
  await pause(400);
  const start = performance.now();
  assertEquals((await sandbox.run(["stop", id, "--kill"])).code, 0);
  assertEquals((await gentle.outcome).code, 0);
  assertLess(performance.now() - start, 5_000);
});

sandboxTest("e2e: run: Ctrl-C while the steps of --then leave run ends the VM", async (sandbox) => {
  const bundle = await sandbox.bundle();
  const run = sandbox.startRun(
    [bundle, "--expect", "hello> ", "--expect", "nonsense", "--then", "leave"],
  );
  await run.until({ event: "expect", matched: true });
  run.kill("SIGINT");
  const { code, stdout, stderr } = await run.outcome;
  assertEquals(code, 130, stderr);
  assertStringIncludes(stdout, "utmost: power button");
  assertStringIncludes(stderr, "SIGINT");
  assertEquals(await sandbox.leftovers(), []);
});
