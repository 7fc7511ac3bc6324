import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { DeadlineError } from "../../lib/base/errors.ts";
import { systemAccess } from "../../lib/qemu/host_access.ts";

const SH = "/bin/sh";

/** Runs a shell script, which is not QEMU. */
function script(text: string, options: { stdin?: string; timeoutMs?: number } = {}) {
  return systemAccess().run(SH, ["-c", text], { timeoutMs: 10_000, ...options });
}

Deno.test("run gives both outputs and the status", async () => {
  assertEquals(await script("echo out; echo err >&2; exit 3"), {
    code: 3,
    stdout: "out\n",
    stderr: "err\n",
  });
});

Deno.test("run hands over its input as it is, also a long one with odd characters", async () => {
  const stdin = `$HOME \`id\` $(id) "\\\n${"x".repeat(20_000)}'`;
  assertEquals((await script("cat", { stdin })).stdout, `${stdin}\n`);
});

Deno.test("run ends a program that has said all, and loses nothing of it", async () => {
  const started = performance.now();
  const { stdout } = await systemAccess().run(SH, ["-c", "seq 100000; sleep 20 & wait"], {
    timeoutMs: 15_000,
    isComplete: (text) => text.endsWith("\n100000\n"),
  });
  assertEquals(stdout.length, 588_895);
  assertLess(performance.now() - started, 10_000);
});

Deno.test("run ends at its deadline with all that the program started", async () => {
  const started = performance.now();
  await assertRejects(() => script("sleep 20 & wait", { timeoutMs: 50 }), DeadlineError);
  assertLess(performance.now() - started, 5000);
});

Deno.test("run ends with its signal", async () => {
  const signal = AbortSignal.timeout(20);
  const error = await assertRejects(() =>
    systemAccess().run(SH, ["-c", "sleep 20"], { timeoutMs: 10_000, signal })
  );
  assertEquals(error, signal.reason);
});

Deno.test("the readers give nothing for what is not there", () => {
  const access = systemAccess();
  assertEquals(access.readText("/nonexistent"), undefined);
  assertEquals(access.readText("/nonexistent", 10), undefined);
  assertEquals(access.list("/nonexistent"), []);
  assertEquals(access.stat("/nonexistent"), undefined);
  assertEquals(access.realPath("/nonexistent"), undefined);
  assertEquals(access.openError("/nonexistent"), "absent");
});

Deno.test("the readers read", async () => {
  const folder = await Deno.makeTempDir({ prefix: "utmost-host-" });
  try {
    Deno.writeTextFileSync(`${folder}/b`, "0123456789");
    Deno.symlinkSync("b", `${folder}/a`);
    const access = systemAccess();
    assertEquals(access.list(folder), ["a", "b"]);
    assertEquals(access.readText(`${folder}/a`, 4), "0123");
    assertEquals(access.readText(`${folder}/a`, 400), "0123456789");
    assertEquals(access.realPath(`${folder}/a`), Deno.realPathSync(`${folder}/b`));
    assertEquals(access.stat(`${folder}/a`)?.kind, "file");
    assertEquals(access.stat(`${folder}/a`)?.bytes, 10);
    assert(Math.abs((access.stat(`${folder}/b`)?.modifiedMs ?? 0) - Date.now()) < 60_000);
    assertEquals(access.stat(folder)?.kind, "directory");
    assertEquals(access.openError(`${folder}/b`), undefined);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
