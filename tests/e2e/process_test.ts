import { assert, assertEquals, assertInstanceOf, assertLess } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { pause, withDeadline } from "../../lib/base/deadline.ts";
import { guardCommand, type GuardKind } from "../../lib/qemu/guard.ts";
import { acceptQmp } from "../../lib/qmp/connect.ts";
import { QemuLaunchError, QemuProcess } from "../../lib/qemu/process.ts";

const SUPERVISOR = fromFileUrl(new URL("../fakes/supervisor.ts", import.meta.url));
const QEMU = ["qemu-system-x86_64", "-machine", "q35,accel=tcg", "-S", "-display", "none"];
const KILLS = 20;

/** Those of this system, the one that a plain run would choose first. */
const GUARDS: GuardKind[] = Deno.build.os === "linux"
  ? ["native", "setpriv", "shell"]
  : ["native", "shell"];

/** Digits that no other process has in its command line; also a time to sleep. */
function newMarker(): string {
  return `8${crypto.getRandomValues(new Uint32Array(1))[0]}`;
}

/** The processes whose command line holds `marker`, watchers too, without zombies. */
async function processesWith(marker: string): Promise<string[]> {
  const { stdout } = await new Deno.Command("ps", {
    args: ["-A", "-ww", "-o", "pid=,stat=,args="],
  }).output();
  return new TextDecoder().decode(stdout).split("\n")
    .filter((line) => line.includes(marker) && !/^\s*\d+\s+Z/.test(line));
}

/** Waits until no process has `marker` in its command line, and returns those that stay. */
async function leftovers(marker: string): Promise<string[]> {
  let left: string[] = [];
  for (let n = 0; n < 40; n++) {
    left = await processesWith(marker);
    if (left.length === 0) break;
    await pause(25);
  }
  return left;
}

/** The reason of `gone`, which must come within 20 s. */
async function endOf(child: QemuProcess): Promise<unknown> {
  await withDeadline("QEMU's end", () => child.exited, { timeoutMs: 20_000 });
  return child.gone.reason;
}

/** Starts a supervisor and kills it `delayMs` after it began to spawn its child. */
async function killSupervisor(command: string[], guard: GuardKind, delayMs: number): Promise<void> {
  await using supervisor = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "-A", SUPERVISOR, guard, ...command],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const reader = supervisor.stdout.getReader();
  await reader.read();
  await pause(delayMs);
  supervisor.kill("SIGKILL");
  await supervisor.status;
  await reader.cancel();
}

Deno.test("e2e: guard none: a child outlives its supervisor, so the tests below can fail", async () => {
  const marker = newMarker();
  await killSupervisor(["sleep", marker], "none", 500);
  const left = await leftovers(marker);
  for (const line of left) Deno.kill(parseInt(line), "SIGKILL");
  assertEquals(left.length, 1);
});

for (const guard of GUARDS) {
  for (const what of ["QEMU", "sleep"]) {
    Deno.test(`e2e: guard ${guard}: ${KILLS} kill -9 of the supervisor leave no ${what}`, async () => {
      assert(guardCommand("/bin/sleep", [], { kind: guard }).kind === guard);
      for (let n = 0; n < KILLS; n++) {
        const marker = newMarker();
        const command = what === "QEMU" ? [...QEMU, "-name", marker] : ["sleep", marker];
        await killSupervisor(command, guard, Math.random() * (n % 2 === 0 ? 8 : 60));
        assertEquals(await leftovers(marker), [], `kill ${n} left processes behind`);
      }
    });
  }

  Deno.test(`e2e: guard ${guard}: QEMU that ends leaves nothing behind`, async () => {
    const marker = newMarker();
    const folder = await Deno.makeTempDir({ prefix: "utmost-e2e-process-" });
    try {
      const path = `${folder}/qmp.sock`;
      const listener = Deno.listen({ transport: "unix", path });
      await using qemu = QemuProcess.spawn({
        binary: QEMU[0]!,
        argv: [...QEMU.slice(1), "-name", marker, "-qmp", `unix:${path}`],
        guard,
      });
      await using _qmp = await acceptQmp(listener, { gone: qemu.gone, timeoutMs: 20_000 });
      assertEquals((await processesWith(marker)).length, guard === "shell" ? 2 : 1);
      const exit = await qemu.stop();
      assertEquals([exit.code, exit.signal], [0, null], "at SIGTERM, QEMU ends in good order");
      assertEquals(await leftovers(marker), []);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });

  Deno.test(`e2e: guard ${guard}: QEMU that dies at start says why, at once`, async () => {
    const start = performance.now();
    await using qemu = QemuProcess.spawn({
      binary: "qemu-system-x86_64",
      argv: ["-machine", "none", "-device", "no-such-device"],
      guard,
    });
    const error = await endOf(qemu);
    assertInstanceOf(error, QemuLaunchError);
    assertEquals([error.exitCode, error.exit.code], [6, 1]);
    assert(error.message.includes("'no-such-device' is not a valid device model name"));
    assertLess(performance.now() - start, 5000);
  });
}

Deno.test("e2e: gone comes within 100 ms of QEMU's death", async () => {
  await using qemu = QemuProcess.spawn({ binary: QEMU[0]!, argv: QEMU.slice(1) });
  await pause(200);
  const start = performance.now();
  Deno.kill(qemu.pid, "SIGKILL");
  await endOf(qemu);
  const ms = performance.now() - start;
  console.log(`gone after ${ms.toFixed(1)} ms (100)`);
  assertLess(ms, 500);
  assertEquals(qemu.exit?.signal, "SIGKILL");
});

Deno.test("e2e: a port that is taken ends QEMU with exit code 14 and a hint", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr as Deno.NetAddr;
  await using qemu = QemuProcess.spawn({
    binary: QEMU[0]!,
    argv: [...QEMU.slice(1), "-netdev", `user,id=net0,hostfwd=tcp:127.0.0.1:${port}-:22`],
  });
  const error = await endOf(qemu);
  assertInstanceOf(error, QemuLaunchError);
  assertEquals(error.exitCode, 14);
  assert(error.hint?.includes("port"), error.message);
});

Deno.test("e2e: an image that another QEMU has open ends QEMU with exit code 14 and a hint", async () => {
  const folder = await Deno.makeTempDir({ prefix: "utmost-e2e-process-" });
  try {
    const image = `${folder}/disk.img`;
    await Deno.writeFile(image, new Uint8Array(1 << 20));
    const argv = [...QEMU.slice(1), "-drive", `if=virtio,format=raw,file=${image}`];
    const path = `${folder}/qmp.sock`;
    const listener = Deno.listen({ transport: "unix", path });
    await using first = QemuProcess.spawn({
      binary: QEMU[0]!,
      argv: [...argv, "-qmp", `unix:${path}`],
    });
    await using _qmp = await acceptQmp(listener, { gone: first.gone, timeoutMs: 20_000 });
    await using second = QemuProcess.spawn({ binary: QEMU[0]!, argv });
    const error = await endOf(second);
    assertInstanceOf(error, QemuLaunchError);
    assertEquals(error.exitCode, 14);
    assert(error.hint?.includes("image open"), error.message);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
