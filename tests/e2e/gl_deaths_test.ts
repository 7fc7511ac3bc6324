/** VMs with GL scanouts that end, lose SPICE, or are given up: nothing is lost, nothing stays behind. */
import { assertEquals, assertGreater, assertStringIncludes } from "@std/assert";
import { pause } from "../../lib/base/deadline.ts";
import { glQemus, type GlRig, makeGlRig, rigOptions } from "./gl_rig.ts";
import { colorsOf, readPng, RunningVm } from "./running_vm.ts";
import { type Sandbox, sandboxTest } from "./sandbox.ts";

const PROMPT = "hello> ";

/** Registers a test with the QEMU of this host. */
function rigTest(name: string, test: (sandbox: Sandbox, rig: GlRig) => Promise<void>): void {
  const missing = qemu?.missing;
  const title = `e2e: gl: ${name}${missing === undefined ? "" : ` (${missing})`}`;
  sandboxTest(
    title,
    async (sandbox) => await test(sandbox, await makeGlRig(sandbox.folder, qemu!.binary)),
    { ignore: missing !== undefined, timeout: 90_000 },
  );
}
const [qemu] = await glQemus();

rigTest("displays close before their VM counts as stopped", async (sandbox, rig) => {
  const bundle = await sandbox.bundle({ display: "virtio-vga-gl" });
  for (const how of ["stop", "kill", "SIGKILL", "SIGTERM"] as const) {
    const steps = ["--expect", PROMPT, "--then", how.startsWith("SIG") ? "wait" : how];
    const args = [bundle, "--headless", "--gl", "on", ...rigOptions(rig), ...steps];
    const run = sandbox.startRun([...args, "--timeout", "60s"]);
    await run.until({ event: "expect" });
    const { pid } = await run.until({ event: "qemu" }) as unknown as { pid: number };
    if (how === "SIGKILL" || how === "SIGTERM") Deno.kill(pid, how);
    const { stderr } = await run.outcome;
    const last = (await run.events()).map(({ event, channel, state, to }) =>
      [event, channel ?? to, state].filter((word) => word !== undefined).join(" ")
    );
    const stopped = last.indexOf("state stopped");
    assertGreater(stopped, last.indexOf("spice display closed"), stderr);
    assertGreater(last.indexOf("spice display closed"), 0);
    assertEquals(last.slice(stopped), ["state stopped", "exit"], how);
  }
});

rigTest("who cannot take scanouts is told why there is no picture", async (sandbox, rig) => {
  const bundle = await sandbox.bundle({ display: "virtio-vga-gl" });
  const vm = await RunningVm.boot(sandbox, bundle, PROMPT, ...rigOptions(rig), "--gl", "on");
  const server = `spice+unix://${sandbox.path("run", "utmost", vm.id, "spice")}`;
  const args = ["--headless", "--duration", "2s", "--screenshot", sandbox.path("none.png")];
  const env = { UTMOST_SHIM: "/none/libutm_shim.so" };
  const { code, stderr } = await sandbox.run(["view", server, ...args], { env });
  assertEquals(code, 8, stderr);
  const lack = 'warning: GL scanouts cannot be shown: Cannot open the native library "/none/';
  assertEquals(stderr.split(lack).length, 2, stderr);
  assertStringIncludes(stderr, "hint: Where the guest draws by the GPU its pictures need");
  await vm.verb("stop", "--kill");
});

rigTest("who looks at a VM that ends gets its last picture", async (sandbox, rig) => {
  const bundle = await sandbox.bundle({ display: "virtio-vga-gl" });
  for (const ending of ["stop", "SIGKILL"] as const) {
    const vm = await RunningVm.boot(sandbox, bundle, PROMPT, ...rigOptions(rig), "--gl", "on");
    const path = sandbox.path(`${ending}.png`);
    const args = ["--headless", "--duration", "60s", "--screenshot", path];
    const view = sandbox.start(["view", vm.id, ...args]);
    await pause(1_000); // until it looks
    if (ending === "stop") await vm.verb("stop", "--kill");
    else Deno.kill((await vm.processes()).qemu, ending);
    const { code, stderr } = await view.outcome;
    assertEquals(code, 0, stderr);
    const { width, height, ...last } = await readPng(path);
    assertEquals([width, height], [720, 400]);
    assertGreater(colorsOf({ width, height, ...last }), 10);
  }
});
