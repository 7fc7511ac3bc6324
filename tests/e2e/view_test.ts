/** Looking at screens and typing, as a user does: view, screenshot, type, keys. */
import { assert, assertEquals, assertGreater, assertStringIncludes } from "@std/assert";
import { pause, retry } from "../../lib/base/deadline.ts";
import { RemoteScreens } from "../../lib/vm/remote_screens.ts";
import { type DisplayReport, NO_GL } from "../../lib/vm/screen.ts";
import { LiveGuest } from "./live_guest.ts";
import { HELLO, isNotFound, type Sandbox, sandboxTest } from "./sandbox.ts";
import { colorsOf, readPng, serialSays } from "./running_vm.ts";
import { differenceOf, parsePpm } from "./screen_rig.ts";

/** The document of `view --json` and of `--stats`. */
interface Stats {
  channels?: string[];
  displays: DisplayReport[];
}

/** A QEMU that says it has no SPICE. */
async function qemuWithoutSpice(sandbox: Sandbox): Promise<string> {
  const path = sandbox.path("qemu-system-x86_64");
  const lines = [
    "#!/bin/sh",
    'case " $* " in *" -spice help "*) exit 1 ;; esac',
    'exec /usr/bin/qemu-system-x86_64 "$@"',
  ];
  await Deno.writeTextFile(path, lines.join("\n"), { mode: 0o755 });
  return path;
}

sandboxTest("e2e: screenshot: SPICE's picture of a paused VM is QEMU's own", async (sandbox) => {
  const id = await sandbox.boot(await sandbox.bundle());
  await sandbox.run(["pause", id]);
  const [path, dump] = [sandbox.path("screen.png"), sandbox.path("screen.ppm")];
  await sandbox.json([
    "qmp",
    id,
    JSON.stringify({ execute: "screendump", arguments: { filename: dump } }),
  ]);
  assertEquals(await sandbox.json(["screenshot", id, path]), {
    id,
    done: "screenshot",
    path,
    display: 0,
    source: "spice",
  });
  const picture = await readPng(path);
  assertEquals(differenceOf(picture, parsePpm(await Deno.readFile(dump))), undefined);
  assertGreater(colorsOf(picture), 10);

  const cursor = await sandbox.run(["screenshot", id, path, "--cursor"]);
  assertEquals([cursor.code, cursor.stderr], [0, ""]);
  const none = await sandbox.run(["screenshot", id, path, "--display", "3"]);
  assertEquals(none.code, 2);
  assertStringIncludes(none.stderr, "Cannot find display 3: there is only display 0");
  const nowhere = await sandbox.run(["screenshot", id, sandbox.path("none", "screen.png")]);
  assertEquals(nowhere.code, 14, nowhere.stderr);
  await sandbox.run(["stop", "--kill", id]);
  assertEquals((await sandbox.run(["screenshot", id, path])).code, 13);
});

sandboxTest("e2e: type and keys reach the guest's keyboard through SPICE", async (sandbox) => {
  const id = await sandbox.boot(await sandbox.bundle());
  assertEquals(await sandbox.json(["type", id, 'Hi "there"\\tx\\\\ {~}\\n']), {
    id,
    done: "type",
    by: "spice",
  });
  await serialSays(sandbox, id, 'echo: Hi "there"');
  assertEquals(await sandbox.json(["keys", id, "o", "k", "shift-1", "enter"]), {
    id,
    done: "keys",
    by: "spice",
  });
  await serialSays(sandbox, id, "echo: ok!");
  await sandbox.run(["type", id, "--", "-x\\n"]);
  await serialSays(sandbox, id, "echo: -x");

  const foreign = await sandbox.run(["type", id, "naïve"]);
  assertEquals(foreign.code, 2);
  assertStringIncludes(foreign.stderr, 'character 3 is "ï"');
  const unknown = await sandbox.run(["keys", id, "ctrl-altt-delete"]);
  assertEquals(unknown.code, 2);
  assertStringIncludes(unknown.stderr, "The nearest name is alt");
  assertEquals((await sandbox.run(["type", "nobody", "x"])).code, 13);
  await sandbox.run(["keys", id, "p", "o", "w", "e", "r", "o", "f", "f", "ret"]);
  await retry("the end of the VM", async () => {
    if ((await sandbox.json(["ps"]) as unknown[]).length > 0) throw new Deno.errors.NotFound();
  }, { timeoutMs: 30_000, canSucceedLater: isNotFound });
});

sandboxTest(
  "e2e: without SPICE pictures and keys go through QMP, and it is said",
  async (sandbox) => {
    const bundle = await sandbox.bundle();
    const qemu = await qemuWithoutSpice(sandbox);
    const id = await sandbox.boot(bundle, "--qemu", qemu);
    const path = sandbox.path("screen.png");
    const saved = await sandbox.run(["screenshot", id, path, "--cursor"]);
    assertEquals(saved.code, 0, saved.stderr);
    assertStringIncludes(saved.stderr, "QEMU's own screendump: there is no SPICE; the pointer");
    assertGreater(colorsOf(await readPng(path)), 10);
    assertEquals(await sandbox.json(["screenshot", id, path]), {
      ...{ id, done: "screenshot", path, display: 0 },
      ...{ source: "screendump", why: "there is no SPICE" },
    });
    assertEquals((await sandbox.run(["screenshot", id, path, "--display", "1"])).code, 2);
    const { by } = await sandbox.json(["type", id, "hello\\n"]) as { by: string };
    assertEquals(by, "qmp");
    await serialSays(sandbox, id, "echo: hello");
    const viewed = sandbox.path("viewed.png");
    const stats = await sandbox.json(["view", id, "--headless", "--screenshot", viewed]);
    assertEquals(stats, {
      displays: [],
      screenshot: {
        ...{ path: viewed, display: 0, source: "screendump", why: "there is no SPICE" },
      },
    });
    assertEquals(colorsOf(await readPng(viewed)) > 10, true);
    await sandbox.run(["stop", "--kill", id]);

    const step = await sandbox.run([
      ...[bundle, "--qemu", qemu, "--expect", "hello> ", "--screenshot", path, "--then", "kill"],
    ]);
    assertEquals(step.code, 0, step.stderr);
    assertStringIncludes(step.stderr, "the picture is QEMU's own screendump: there is no SPICE");
  },
);

sandboxTest(
  "e2e: run: --screenshot is SPICE's picture, and mode sets are told",
  async (sandbox) => {
    const path = sandbox.path("step.png");
    const run = sandbox.startRun([
      ...[await sandbox.bundle(), "--expect", "hello> ", "--screenshot", path, "--then", "kill"],
    ]);
    const { code, stderr } = await run.outcome;
    assertEquals(code, 0, stderr);
    assert(!stderr.includes("screendump"), stderr);
    const picture = await readPng(path);
    assertGreater(colorsOf(picture), 10);
    const modes = (await run.events()).filter(({ event }) => event === "display");
    const last = modes.at(-1);
    assertEquals([last?.id, last?.kind, last?.width, last?.height], [
      0,
      "surface",
      picture.width,
      picture.height,
    ]);
  },
);

sandboxTest(
  "e2e: run: a picture of a guest that powers off is missed, not a defect",
  async (sandbox) => {
    const run = await sandbox.run([
      ...[
        await sandbox.bundle(),
        "--serial",
        "off",
        "--expect",
        "hello> ",
        "--send",
        "poweroff\\n",
      ],
      ...["--screenshot", sandbox.path("late.png")],
    ]);
    if (run.code === 0) return; // it was quicker than the guest
    assertEquals(run.code, 9, run.stderr);
    assertStringIncludes(run.stderr, "Cannot save the screen to");
    assertStringIncludes(run.stderr, "the guest ended before");
  },
);

sandboxTest("e2e: type, keys: a paused VM is refused, with the way out", async (sandbox) => {
  const id = await sandbox.boot(await sandbox.bundle());
  await sandbox.run(["pause", id]);
  for (const args of [["type", id, "x"], ["keys", id, "ret"]]) {
    const { code, stderr } = await sandbox.run(args);
    assertEquals(code, 13, stderr);
    assertStringIncludes(stderr, `${id} is paused, expected running`);
    assertStringIncludes(stderr, `utmost resume ${id}`);
  }
  await sandbox.run(["resume", id]);
  await sandbox.json(["type", id, "awake\\n"]);
  await serialSays(sandbox, id, "echo: awake");
  await sandbox.run(["stop", "--kill", id]);
});

sandboxTest("e2e: view: what a VM draws is counted, for as long as was asked", async (sandbox) => {
  const id = await sandbox.boot(await sandbox.bundle());
  const [file, path] = [sandbox.path("stats.json"), sandbox.path("view.png")];
  const viewing = sandbox.start([
    ...["view", "hello", "--headless", "--duration", "3s", "--stats", file, "--json"],
    ...["--screenshot", path],
  ]);
  await pause(500);
  await sandbox.run(["type", id, "look at me\\n"]);
  const { code, stdout, stderr, ms } = await viewing.outcome;
  assertEquals(code, 0, stderr);
  assertGreater(ms, 3_000);
  const { screenshot, ...stats } = JSON.parse(stdout) as Stats & { screenshot: unknown };
  assertEquals(JSON.parse(await Deno.readTextFile(file)), stats);
  assertEquals(screenshot, { path, display: 0, source: "spice" });
  const [display] = stats.displays;
  assertEquals(Object.keys(stats), ["displays"]);
  const { frames, surface, ...rest } = display!;
  const picture = await readPng(path);
  assertEquals(rest, {
    id: 0,
    kind: "surface",
    width: picture.width,
    height: picture.height,
    gl: NO_GL,
  });
  assertGreater(frames, 5);
  assertGreater(surface.messages, 10);
  assertGreater(surface.bytes, 1000);

  const still = await sandbox.run([
    ...["view", id, "--headless", "--duration", "300ms", "--stats", "-"],
  ]);
  assertEquals((JSON.parse(still.stdout) as Stats).displays[0]?.frames, 0, "nobody typed");
  await sandbox.run(["stop", "--kill", id]);
});

sandboxTest(
  "e2e: view: ends with the VM, with a signal, or with the supervisor",
  async (sandbox) => {
    const bundle = await sandbox.bundle();
    const looking = (text: string) => text.includes("looking at");
    const start = async (id: string, ...args: string[]) => {
      const viewing = sandbox.start(["view", id, "--headless", "--stats", "-", ...args]);
      await pause(700);
      return viewing;
    };
    const id = await sandbox.boot(bundle);
    const [first, late] = [sandbox.path("first.png"), sandbox.path("late.png")];
    const interrupted = await start(id, "--screenshot", first, "--duration", "1m");
    interrupted.kill("SIGINT");
    const outcome = await interrupted.outcome;
    assertEquals(outcome.code, 130, outcome.stderr);
    assert(looking(outcome.stderr), outcome.stderr);
    assertEquals((JSON.parse(outcome.stdout) as Stats).displays.length, 1);
    assertGreater(colorsOf(await readPng(first)), 10);

    const [one, two] = [
      await start(id),
      await start(id, "--screenshot", late, "--duration", "1m"),
    ];
    await sandbox.run(["stop", "--kill", id]);
    const [alone, withPicture] = [await one.outcome, await two.outcome];
    assertEquals(alone.code, 0, alone.stderr);
    assertEquals((JSON.parse(alone.stdout) as Stats).displays.length, 1);
    assertEquals(withPicture.code, 0, withPicture.stderr);
    assertGreater(colorsOf(await readPng(late)), 10);

    const next = await sandbox.boot(bundle);
    const orphan = await start(next, "--screenshot", first, "--duration", "1m");
    const { pid } = await sandbox.json(["status", next]) as { pid: number };
    Deno.kill(pid, "SIGKILL");
    const { code, stderr } = await orphan.outcome;
    assertEquals(code, 13, stderr);
    assertStringIncludes(stderr, "the supervisor");
    assertStringIncludes(stderr, 'first.png" was not saved: ');
    const window = await sandbox.run(["view", next]);
    assertEquals(window.code, 2);
    assertStringIncludes(window.stderr, "--headless");
  },
);

sandboxTest("e2e: view: a signal ends it though the supervisor says nothing", async (sandbox) => {
  const id = await sandbox.boot(await sandbox.bundle());
  const { pid } = await sandbox.json(["status", id]) as { pid: number };
  const view = (...args: string[]) =>
    sandbox.start(["view", id, "--headless", "--stats", "-", ...args]);
  const looking = view();
  await pause(700);
  Deno.kill(pid, "SIGSTOP");
  try {
    const opening = view();
    await pause(700);
    opening.kill("SIGINT");
    const early = await opening.outcome;
    assertEquals(early.code, 130, early.stderr);
    assert(early.ms < 4_000, `${early.ms} ms`);

    looking.kill("SIGINT");
    await pause(200);
    looking.kill("SIGINT");
    const late = await looking.outcome;
    assertEquals(late.code, 130, late.stderr);
    assertEquals((JSON.parse(late.stdout) as Stats).displays.length, 1, "what was known");
  } finally {
    Deno.kill(pid, "SIGCONT");
  }
  await sandbox.run(["stop", "--kill", id]);
});

const DISK = `file=${HELLO}/Data/hello.img,format=raw,if=virtio,snapshot=on`;
const MACHINE = ["-machine", "q35", "-m", "64", "-device", "virtio-vga", "-drive", DISK];

sandboxTest("e2e: view: a SPICE server on a Unix socket, and its loss", async (sandbox) => {
  await using guest = await LiveGuest.start({ argv: MACHINE });
  await guest.serial.expect(/hello> /, { timeoutMs: 60_000 });
  await pause(200);
  const target = `spice+unix://${guest.spice.path}`;
  const [path, dump] = [sandbox.path("view.png"), sandbox.path("dump.ppm")];
  await guest.qmp.execute("stop");
  await guest.qmp.execute("screendump", { filename: dump });
  const stats = await sandbox.json([
    ...["view", target, "--headless", "--screenshot", path],
  ]) as Stats;
  assertEquals(stats.channels, ["main", "display"]);
  assertEquals(stats.displays.length, 1);
  assertGreater(stats.displays[0]!.surface.bytes, 100_000);
  assertEquals(
    differenceOf(await readPng(path), parsePpm(await Deno.readFile(dump))),
    undefined,
  );

  await Deno.remove(path);
  const viewing = sandbox.start([
    ...["view", target, "--headless", "--json", "--screenshot", path, "--duration", "1m"],
  ]);
  await pause(1_000);
  await guest.qmp.execute("quit").catch(() => {});
  const { code, stdout, stderr } = await viewing.outcome;
  assertEquals(code, 8, stderr);
  assertStringIncludes(stderr, "Cannot look any longer");
  const lost = JSON.parse(stdout) as Stats & { error: { code: number }; screenshot: unknown };
  assertEquals([lost.displays.length, lost.error.code], [1, 8]);
  assertEquals(lost.screenshot, { path, display: 0, source: "spice" });
  assertEquals(
    differenceOf(await readPng(path), parsePpm(await Deno.readFile(dump))),
    undefined,
  );
  const gone = await sandbox.run(["view", target, "--headless", "--json"]);
  assertEquals(gone.code, 8);
  assertEquals((JSON.parse(gone.stdout) as { error: { code: number } }).error.code, 8);
});

sandboxTest("e2e: view: a SPICE server without a display has no picture", async (sandbox) => {
  await using guest = await LiveGuest.start({ argv: ["-machine", "q35", "-vga", "none", "-S"] });
  const target = `spice+unix://${guest.spice.path}`;
  const args = ["view", target, "--headless", "--screenshot", sandbox.path("none.png")];
  const { code, stderr } = await sandbox.run(args);
  assertEquals(code, 8);
  assertStringIncludes(stderr, "Cannot save the screen: the server has no display");
});

sandboxTest("e2e: a VM's SPICE is taken up again once another client has left", async (sandbox) => {
  const bundle = await sandbox.bundle();
  const run = sandbox.startRun([bundle, "--expect", "hello> ", "--then", "wait"]);
  await run.until({ event: "expect", matched: true });
  const { id, spice } = await sandbox.json(["status", bundle]) as { id: string; spice: string };
  const path = sandbox.path("screen.png");
  const source = async () =>
    (await sandbox.json(["screenshot", id, path]) as { source: string }).source;
  assertEquals(await source(), "spice");

  const other = sandbox.start([
    ...["view", `spice+unix://${spice}`, "--headless", "--duration", "2s"],
  ]);
  await run.until({ event: "spice", channel: "main", state: "closed" });
  const { events } = await sandbox.json(["log", id]) as { events: Record<string, unknown>[] };
  const closed = events.find(({ channel, state }) => channel === "main" && state === "closed");
  assertEquals(closed?.reason, "the server closed the connection");
  assertEquals(await source(), "screendump");
  const { by } = await sandbox.json(["type", id, "x"]) as { by: string };
  assertEquals(by, "qmp");
  assertEquals((await other.outcome).code, 0, "nobody has thrown it out");
  await retry("SPICE", async () => {
    if (await source() !== "spice") throw new Deno.errors.NotFound();
  }, {
    timeoutMs: 20_000,
    firstMs: 100,
    canSucceedLater: isNotFound,
  });
  assertEquals(await sandbox.json(["type", id, "\\x7fpoweroff\\n"]), {
    id,
    done: "type",
    by: "spice",
  });
  const { code, stderr } = await run.outcome;
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, "SPICE is lost");
  assertStringIncludes(stderr, "SPICE is back");
});

Deno.test("e2e: pixels packed with LZ are exact, and fewer bytes", async () => {
  await using guest = await LiveGuest.start({ argv: MACHINE });
  await guest.serial.expect(/hello> /, { timeoutMs: 60_000 });
  await pause(200);
  await guest.qmp.execute("stop");
  const folder = await Deno.makeTempDir();
  try {
    const [path, dump] = [`${folder}/view.png`, `${folder}/dump.ppm`];
    await guest.qmp.execute("screendump", { filename: dump });
    const bytes: number[] = [];
    for (const compression of ["off", "lz"] as const) {
      await using screens = await RemoteScreens.attach(guest.spice, { compression });
      await screens.screenshot(path);
      const difference = differenceOf(await readPng(path), parsePpm(await Deno.readFile(dump)));
      assertEquals(difference, undefined, compression);
      bytes.push(screens.displays[0]!.surface.bytes);
    }
    const [plain = 0, packed = 0] = bytes;
    assertGreater(plain, 2 * packed);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

sandboxTest("e2e: view: a SPICE server on TCP that wants a password", async (sandbox) => {
  using probe = Deno.listen({ hostname: "::1", port: 0 });
  const { port } = probe.addr as Deno.NetAddr;
  probe.close();
  await using guest = await LiveGuest.start({
    spice: false,
    argv: [
      ...MACHINE,
      ...["-object", "secret,id=ticket,data=correct horse"],
      ...["-spice", `addr=::1,port=${port},password-secret=ticket`],
    ],
  });
  await guest.serial.expect(/hello> /, { timeoutMs: 60_000 });
  const [target, secret] = [`spice://[::1]:${port}`, sandbox.path("secret")];
  const view = (...args: string[]) => sandbox.run(["view", target, "--headless", ...args]);
  await Deno.writeTextFile(secret, "correct horse\n");
  const path = sandbox.path("view.png");
  const right = await view("--password-file", secret, "--screenshot", path, "--json");
  assertEquals(right.code, 0, right.stderr);
  assertGreater(colorsOf(await readPng(path)), 10);
  await Deno.writeTextFile(secret, "wrong");
  const wrong = await view("--password-file", secret);
  assertEquals(wrong.code, 8);
  assertStringIncludes(wrong.stderr, "PERMISSION_DENIED");
  assertEquals((await view()).code, 8);
  assertEquals((await view("--password-file", sandbox.path("none"))).code, 14);
});
