import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { QemuExitError, QemuLaunchError, QemuProcess } from "../../lib/qemu/process.ts";
import type { QmpClient } from "../../lib/qmp/client.ts";
import { acceptQmp, connectQmp } from "../../lib/qmp/connect.ts";
import { QmpCommandError } from "../../lib/qmp/errors.ts";
import type { QmpEventStream } from "../../lib/qmp/events.ts";

const Q35 = ["-machine", "q35,accel=tcg", "-nodefaults", "-display", "none", "-S"];
const NONE = ["-machine", "none", "-nodefaults", "-display", "none", "-S"];

/** Runs `test` with a QEMU that has connected to a socket of ours. */
async function withQemu(
  argv: string[],
  test: (qmp: QmpClient, qemu: QemuProcess) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "utmost-e2e-qmp-" });
  try {
    const path = `${folder}/qmp.sock`;
    const listener = Deno.listen({ transport: "unix", path });
    await using qemu = QemuProcess.spawn({
      binary: "qemu-system-x86_64",
      argv: [...argv, "-chardev", `socket,id=qmp,path=${path}`, "-mon", "chardev=qmp,mode=control"],
    });
    await using qmp = await acceptQmp(listener, { gone: qemu.gone, timeoutMs: 20_000 });
    qemu.confirmUp();
    await test(qmp, qemu);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The name and data of the next event. */
async function nextOf(events: QmpEventStream): Promise<[string, Record<string, unknown>]> {
  const { value } = await events.next();
  assert(value, "the stream of events ended");
  return [value.event, value.data];
}

Deno.test("e2e: qmp: the greeting has the version that QEMU prints", () =>
  withQemu(NONE, async (qmp) => {
    const { stdout } = await new Deno.Command("qemu-system-x86_64", { args: ["--version"] })
      .output();
    const { major, minor, micro } = qmp.greeting.version;
    const printed = new TextDecoder().decode(stdout);
    assert(printed.includes(`version ${major}.${minor}.${micro} `), printed);
    assertEquals((await qmp.execute("query-version")).qemu, qmp.greeting.version);
  }));

Deno.test("e2e: qmp: connectQmp reaches a QEMU that listens later", async () => {
  const folder = await Deno.makeTempDir({ prefix: "utmost-e2e-qmp-" });
  try {
    const path = `${folder}/qmp.sock`;
    await using qemu = QemuProcess.spawn({
      binary: "qemu-system-x86_64",
      argv: [...NONE, "-qmp", `unix:${path},server=on,wait=off`],
    });
    await using qmp = await connectQmp(path, { gone: qemu.gone, timeoutMs: 20_000 });
    assertEquals((await qmp.execute("query-status")).status, "prelaunch");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("e2e: qmp: cont, stop and quit send RESUME, STOP and SHUTDOWN", () =>
  withQemu(Q35, async (qmp, qemu) => {
    using events = qmp.events({ names: ["RESUME", "STOP", "SHUTDOWN"] });
    await qmp.execute("cont");
    assertEquals(await nextOf(events), ["RESUME", {}]);
    assertEquals((await qmp.execute("query-status")).status, "running");
    await qmp.execute("stop");
    assertEquals(await nextOf(events), ["STOP", {}]);
    const exit = await qemu.stop({ ask: (signal) => qmp.execute("quit", undefined, { signal }) });
    assertEquals([exit.code, exit.signal], [0, null]);
    assertEquals(await nextOf(events), ["SHUTDOWN", { guest: false, reason: "host-qmp-quit" }]);
    assertEquals((await events.next()).done, true);
    assertInstanceOf(qemu.gone.reason, QemuExitError);
  }));

Deno.test("e2e: qmp: a refused command has QEMU's class and words, and harms nothing", () =>
  withQemu(Q35, async (qmp) => {
    const unknown = await assertRejects(
      () => qmp.executeRaw({ execute: "no-such-command" }),
      QmpCommandError,
    );
    assertEquals(unknown.class, "CommandNotFound");
    const eject = await assertRejects(
      () => qmp.execute("eject", { device: "drive-none" }),
      QmpCommandError,
    );
    assertEquals(eject.class, "DeviceNotFound");
    const typed = await assertRejects(
      () => qmp.executeRaw({ execute: "eject", arguments: { device: 1 } }),
      QmpCommandError,
    );
    assertEquals(typed.class, "GenericError");
    assertEquals(
      await qmp.execute("human-monitor-command", { "command-line": "nonsense" }),
      "unknown command: 'nonsense'\r\n",
    );
  }));

Deno.test("e2e: qmp: a reply of many kilobytes and odd text come through", () =>
  withQemu(NONE, async (qmp) => {
    const schema = await qmp.executeRaw({ execute: "query-qmp-schema" });
    assert(Array.isArray(schema) && schema.length > 500);
    let deep: Record<string, unknown> = {};
    for (let n = 0; n < 490; n++) deep = { deep };
    for (const text of ["ü 🦊 \u{10fffd}", "\u0000\u001b\u007f", '"\\ \\ud800', "a".repeat(1e5)]) {
      const error = await assertRejects(
        () => qmp.executeRaw({ execute: "human-monitor-command", arguments: { [text]: deep } }),
        QmpCommandError,
      );
      assertEquals(error.class, "GenericError");
    }
    await qmp.execute("query-status");
  }));

Deno.test("e2e: qmp: QEMU's death at start beats the wait for its greeting", async () => {
  const folder = await Deno.makeTempDir({ prefix: "utmost-e2e-qmp-" });
  try {
    const path = `${folder}/qmp.sock`;
    const argv = [...NONE, "-no-such-option"];
    for (const side of ["ours", "QEMU's"]) {
      await using qemu = QemuProcess.spawn({ binary: "qemu-system-x86_64", argv });
      const options = { gone: qemu.gone, timeoutMs: 20_000 };
      const error = await assertRejects(
        () =>
          side === "ours"
            ? acceptQmp(Deno.listen({ transport: "unix", path }), options)
            : connectQmp(path, options),
        QemuLaunchError,
        "-no-such-option: invalid option",
      );
      assertEquals(error.exitCode, 6);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("e2e: qmp: QEMU's death beats a command that waits for its reply", () =>
  withQemu(NONE, async (qmp, qemu) => {
    qemu.kill("SIGSTOP"); // so that it cannot answer
    const running = qmp.execute("query-status");
    qemu.kill("SIGKILL");
    const error = await assertRejects(() => running, QemuExitError);
    assertEquals([error.exit.signal, error.exitCode], ["SIGKILL", 6]);
  }));
