/**
 * Text screens as GL scanouts, beside the same guest's without GL, pixel by pixel: what firmware
 * shows, `examples/hello.utm`, and a guest that changes its video mode all the time.
 *
 * There is no GPU: QEMU is that of `tests/rigs/render_rig.c`.
 */
import { assertEquals, assertGreater, assertGreaterOrEqual } from "@std/assert";
import { join } from "@std/path";
import { pause, retry } from "../../lib/base/deadline.ts";
import { DeadlineError } from "../../lib/base/errors.ts";
import { bootDisk } from "./boot_sector.ts";
import { glQemus, type GlRig, makeGlRig, rigOptions } from "./gl_rig.ts";
import { colorsOf, RunningVm } from "./running_vm.ts";
import {
  type BundleChanges,
  isNotFound,
  type RunEvent,
  type Sandbox,
  sandboxTest,
} from "./sandbox.ts";
import { differenceOf } from "./screen_rig.ts";

const PROMPT = "hello> ";

/** Registers a test with each QEMU. */
function rigTest(name: string, test: (sandbox: Sandbox, rig: GlRig) => Promise<void>): void {
  for (const qemu of qemus) {
    const { missing } = qemu;
    const title = `e2e: gl: ${name} (${qemu.name}${missing === undefined ? "" : `: ${missing}`})`;
    sandboxTest(
      title,
      async (sandbox) => await test(sandbox, await makeGlRig(sandbox.folder, qemu.binary)),
      { ignore: missing !== undefined, timeout: 150_000 },
    );
  }
}
const qemus = await glQemus();

/** The same guest twice, under the same QEMU: without GL, and with scanouts. */
async function twins(
  sandbox: Sandbox,
  rig: GlRig,
  changes: BundleChanges & { display: string },
): Promise<{ plain: string[]; gl: string[] }> {
  const display = changes.display.replace("-gl", "");
  const options = rigOptions(rig);
  const plain = await sandbox.bundle({ ...changes, name: "plain", display });
  const gl = await sandbox.bundle({ ...changes, name: "gl" });
  return { plain: [plain, ...options, "--gl", "off"], gl: [gl, ...options, "--gl", "on"] };
}

rigTest("hello.utm looks the same, and takes what is typed", async (sandbox, rig) => {
  const arguments_ = await twins(sandbox, rig, { display: "virtio-vga-gl" });
  const start = ([bundle = "", ...args]: string[]) =>
    RunningVm.boot(sandbox, bundle, PROMPT, ...args);
  const plain = await start(arguments_.plain);
  const vm = await start(arguments_.gl);

  const shown = (await vm.events()).findLast(({ event }) => event === "display");
  assertEquals([shown?.kind, shown?.width, shown?.height], ["gl", 720, 400]);
  // Typed so that the cursor, which blinks, is paused in the same phase: at its start.
  for (const text of ["", "Hi there", "one more"]) {
    for (const each of [plain, vm]) {
      if (text === "") continue;
      await each.verb("type", `${text}\\n`);
      await each.says(`echo: ${text}`);
    }
    await retry("the same picture twice", async () => {
      const difference = differenceOf(await vm.picture(), await plain.picture());
      if (difference !== undefined) throw new Deno.errors.NotFound(difference);
    }, { timeoutMs: 20_000, canSucceedLater: isNotFound });
  }
  assertGreater(colorsOf(await vm.picture()), 10);

  // Nobody looks: draws are answered, and not one byte is copied.
  const before = await vm.display();
  const later = await vm.display(({ gl }) => gl.draws >= before.gl.draws + 10);
  assertEquals(later.gl.cpuBytes, before.gl.cpuBytes);
  // A picture is one read of the memfd.
  await vm.picture();
  const { gl } = await vm.display();
  console.log(
    `${gl.draws} draws of ${gl.scanouts} scanouts, ${gl.cpuBytes - later.gl.cpuBytes} bytes ` +
      `for a picture, answered in ${gl.ackMicros.p50} µs (p99 ${gl.ackMicros.p99})`,
  );
  assertGreaterOrEqual(gl.cpuBytes - later.gl.cpuBytes, 720 * 400 * 4);
  assertEquals((gl.cpuBytes - later.gl.cpuBytes) % (720 * 400 * 4), 0);

  // QEMU's own picture of it, while the guest stands still.
  await vm.verb("pause");
  await vm.shows(await vm.screendump());
  for (const each of [plain, vm]) await each.verb("stop", "--kill");
});

rigTest("UEFI on a card that only virgl draws for", async (sandbox, rig) => {
  // Its buffers have the bottom line first, and its draws are of parts.
  const changes = { display: "virtio-gpu-gl-pci", uefi: true };
  const arguments_ = await twins(sandbox, rig, changes);
  const start = async (args: string[]) =>
    new RunningVm(sandbox, await sandbox.detach(args[0]!, ...args.slice(1)));
  const [plain, vm] = await Promise.all([start(arguments_.plain), start(arguments_.gl)]);
  for (let boot = 1;; boot++) {
    try {
      await retry("the shell of the firmware", async () => {
        const [theirs, ours] = [await plain.picture(), await vm.picture()];
        const isShell = theirs.width === 1280 && colorsOf(theirs) > 2;
        const difference = isShell ? differenceOf(ours, theirs) : "there is no shell yet";
        if (difference !== undefined) throw new Deno.errors.NotFound(difference);
      }, { timeoutMs: 25_000, canSucceedLater: isNotFound });
      break;
    } catch (error) {
      // On a busy host the firmware's own shell now and then fails to start, with or without GL.
      if (boot === 4 || !(error instanceof DeadlineError)) throw error;
      const why = (error.cause as Error).message;
      console.log(`boot ${boot}: ${why}: both guests boot once more`);
      for (const each of [plain, vm]) await each.verb("reset");
    }
  }
  const { kind, gl } = await vm.display();
  assertEquals(kind, "gl");
  assertGreater(gl.draws, 10);
  for (const each of [plain, vm]) await each.verb("stop", "--kill");
});

rigTest("a guest that changes its video mode all the time", async (sandbox, rig) => {
  const bundle = await sandbox.bundle({ display: "virtio-vga-gl" });
  const disk = await bootDisk("restless_modes", sandbox.folder);
  await Deno.copyFile(disk, join(bundle, "Data", "hello.img"));
  const vm = new RunningVm(
    sandbox,
    await sandbox.detach(bundle, ...rigOptions(rig), "--gl", "on"),
  );
  const sizes = new Set<string>();
  for (let look = 0; look < 6; look++) {
    await pause(400 + 37 * look);
    await vm.verb("pause");
    const dump = await vm.screendump();
    // Of 16 bits a pixel QEMU's picture repeats the upper ones, and GL rounds to the nearest.
    await vm.shows(dump, { tolerance: dump.width === 800 ? 1 : 0 });
    sizes.add(`${dump.width}×${dump.height}`);
    await vm.verb("resume");
  }
  const { gl } = await vm.display();
  console.log(`${gl.scanouts} scanouts, ${gl.draws} draws, ${[...sizes]}`);
  assertGreater(gl.scanouts, 20);
  await vm.verb("stop", "--kill");
});

rigTest("the exit of a VM is its last event", async (sandbox, rig) => {
  const bundle = await sandbox.bundle({ display: "virtio-vga-gl" });
  for (const ending of ["stop", "kill"]) {
    const path = sandbox.path(`${ending}.ndjson`);
    await sandbox.json([
      ...["run", bundle, "--headless", "--gl", "on", ...rigOptions(rig)],
      ...["--expect", PROMPT, "--then", ending, "--events", path, "--timeout", "60s"],
    ]);
    const events = (await Deno.readTextFile(path)).trimEnd().split("\n")
      .map((line) => JSON.parse(line) as RunEvent);
    assertEquals(events.at(-1)?.event, "exit");
    const closed = events.filter(({ event, state }) => event === "spice" && state === "closed");
    assertEquals(new Set(closed.map(({ channel }) => channel)).has("display"), true);
  }
});
