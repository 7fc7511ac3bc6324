/**
 * What a guest's GPU draws is what is seen: a real guest renders a cube with OpenGL, virglrenderer
 * renders it on the host, and each picture is compared with the frame as computed here.
 *
 * There is no GPU: QEMU is that of `tests/rigs/render_rig.c`.
 */
import { assertEquals, assertGreater, assertGreaterOrEqual, assertLess } from "@std/assert";
import { pause, retry } from "../../lib/base/deadline.ts";
import { CUBE_PROMPT, makeCubeGuest, makeCubeLinux } from "./cube_linux.ts";
import { type CubeMatch, findCubeFrame } from "./cube_picture.ts";
import { glQemus, type GlRig, makeGlRig, rigOptions } from "./gl_rig.ts";
import type { DisplayReport } from "../../lib/vm/screen.ts";
import { colorsOf, RunningVm } from "./running_vm.ts";
import { isNotFound, type Sandbox, sandboxTest } from "./sandbox.ts";
import { differenceOf, type PlainPicture } from "./screen_rig.ts";

/** Of a million pixels a few lie so exactly on an edge that either answer is right. */
const MAX_WRONG = 20e-6;

const folder = await Deno.makeTempDir({ prefix: "utmost-cube-" });
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const linux = await makeCubeLinux(folder);
const qemus = await glQemus();

/** Registers a test with each QEMU. */
function cubeTest(
  name: string,
  test: (place: { sandbox: Sandbox; rig: GlRig; bundle: string }) => Promise<void>,
): void {
  for (const qemu of qemus) {
    const missing = "missing" in linux ? linux.missing : qemu.missing;
    const title = `e2e: gl: ${name} (${qemu.name}${missing === undefined ? "" : `: ${missing}`})`;
    sandboxTest(title, async (sandbox) => {
      if ("missing" in linux) return;
      await using guest = await makeCubeGuest(linux);
      const rig = await makeGlRig(sandbox.folder, qemu.binary);
      await test({ sandbox, rig, bundle: guest.path });
    }, { ignore: missing !== undefined, timeout: 240_000 });
  }
}

/** Waits for a picture of the cube that is not that of `before`; checks every pixel of it. */
async function nextFrame(vm: RunningVm, frames: number, before = -1): Promise<CubeMatch> {
  const match = await retry("a frame of the cube", async () => {
    const found = findCubeFrame(await vm.picture(), frames);
    if (found === undefined || found.frame === before) throw new Deno.errors.NotFound();
    return found;
  }, {
    timeoutMs: 30_000,
    canSucceedLater: isNotFound,
  });
  assertLess(match.wrong, MAX_WRONG, `frame ${match.frame}`);
  return match;
}

cubeTest("egl-headless shows the guest's cube without our shim", async (place) => {
  const { sandbox, rig, bundle } = place;
  sandbox.env.UTMOST_SHIM = sandbox.path("none.so");
  const vm = await RunningVm.boot(sandbox, bundle, CUBE_PROMPT, ...rigOptions(rig));
  await vm.send("cube 600");
  const frames: number[] = [];
  while (frames.length < 3) {
    const { frame } = await nextFrame(vm, 600, frames.at(-1));
    assertGreater(frame, frames.at(-1) ?? -1);
    frames.push(frame);
  }
  await vm.says("Rendered 599 frames");
  const [display] = await vm.displays();
  assertEquals([display?.kind, display?.width, display?.height], ["surface", 1280, 800]);
  await vm.verb("stop", "--kill");
  console.log(`frames ${frames}, ${display!.surface.bytes} bytes through the socket`);
});

let consolePicture: Promise<PlainPicture> | undefined;

/** The guest's console as a QEMU without GL has it. */
function plainConsole(sandbox: Sandbox, bundle: string): Promise<PlainPicture> {
  return consolePicture ??= (async () => {
    const vm = await RunningVm.boot(sandbox, bundle, CUBE_PROMPT, "--gl", "off", "--accel", "tcg");
    const picture = await vm.picture();
    assertGreater(colorsOf(picture), 6);
    assertEquals(differenceOf(picture, await vm.screendump()), undefined);
    await vm.verb("stop", "--kill");
    return picture;
  })();
}

/** What a process holds: open descriptors, and memory in MiB. */
async function holdings(pid: number): Promise<{ descriptors: number; memoryMiB: number }> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return {
    descriptors: [...Deno.readDirSync(`/proc/${pid}/fd`)].length,
    memoryMiB: Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024,
  };
}

cubeTest("scanouts bring every frame of the guest's cube", async ({ sandbox, rig, bundle }) => {
  const plain = await plainConsole(sandbox, bundle);
  const vm = await RunningVm.boot(sandbox, bundle, CUBE_PROMPT, "--gl", "on", ...rigOptions(rig));

  // Linux's console, rendered by virgl: the buffer has its bottom line first.
  await vm.shows(plain);
  const { kind, width, height } = await vm.display();
  assertEquals([kind, width, height], ["gl", 1280, 800]);

  await vm.send("cube 501");
  const frames: number[] = [];
  while (frames.length < 3) {
    const { frame } = await nextFrame(vm, 501, frames.at(-1));
    assertGreater(frame, frames.at(-1) ?? -1);
    frames.push(frame);
  }
  await vm.says("Rendered 500 frames");
  await vm.shows(plain);
  const { supervisor } = await vm.processes();
  const before = { ...await vm.display(), ...await holdings(supervisor) };

  // Once more with nobody looking: pictures, too, take memory.
  await vm.send("cube 1001");
  await vm.says("Rendered 1000 frames");
  await vm.display(({ gl }) => gl.draws >= before.gl.draws + 1000);
  const after = { ...await vm.display(), ...await holdings(supervisor) };
  const draws = after.gl.draws - before.gl.draws;
  const scanouts = after.gl.scanouts - before.gl.scanouts;
  console.log(
    `frames ${frames}; ${scanouts} scanouts, ${draws} draws, ` +
      `${after.gl.ackMicros.p50} µs (p99 ${after.gl.ackMicros.p99}) until they were answered, ` +
      `${after.descriptors - before.descriptors} descriptors and ` +
      `${(after.memoryMiB - before.memoryMiB).toFixed(1)} MiB more`,
  );
  assertGreaterOrEqual(scanouts, 1000);
  assertEquals(after.gl.cpuBytes, before.gl.cpuBytes);
  // The supervisor may still be closing the connection of the command before.
  await retry(`as few descriptors as before, ${before.descriptors}`, async () => {
    const { descriptors } = await holdings(supervisor);
    if (descriptors > before.descriptors) {
      throw new Deno.errors.NotFound(`there are ${descriptors}`);
    }
  }, {
    timeoutMs: 5_000,
    canSucceedLater: isNotFound,
  });
  assertLess(after.memoryMiB - before.memoryMiB, 16);
  await vm.verb("stop", "--kill");
});

cubeTest("scanouts survive what becomes of a guest", async ({ sandbox, rig, bundle }) => {
  const plain = await plainConsole(sandbox, bundle);
  const vm = await RunningVm.boot(sandbox, bundle, CUBE_PROMPT, "--gl", "on", ...rigOptions(rig));
  const { qemu } = await vm.processes();

  // A viewer comes and goes while frames do.
  await vm.send("cube 1201");
  await nextFrame(vm, 1_201);
  const view = await sandbox.run(
    ["view", vm.id, "--headless", "--duration", "1500ms", "--stats", "-"],
  );
  const [viewed] = (JSON.parse(view.stdout) as { displays: DisplayReport[] }).displays;
  assertEquals(viewed?.kind, "gl", view.stderr);
  assertGreater(viewed!.frames, 10);
  await vm.says("Rendered 1200 frames");
  await vm.shows(plain);

  // The display is switched off and on.
  await vm.send("off");
  await vm.display(({ width }) => width === 0);
  await vm.send("on");
  await vm.shows(plain);

  // Paused in the middle, and resumed.
  await vm.send("spin 100000");
  await nextFrame(vm, 2_000);
  await vm.verb("pause");
  const { frame } = await nextFrame(vm, 5_000);
  assertEquals((await nextFrame(vm, 5_000)).frame, frame);
  await vm.display();
  await vm.verb("resume");
  await nextFrame(vm, 5_000, frame);

  // The guest is reset while it draws, and boots again.
  await vm.verb("reset");
  await vm.shows(plain, { timeoutMs: 60_000 });
  await vm.display();

  // Its kernel dies while it draws: the picture stays.
  await vm.send("spin 100000");
  await nextFrame(vm, 2_000);
  await vm.send("panic");
  await retry("a picture that stays", async () => {
    const before = await vm.picture();
    await pause(200);
    if (differenceOf(await vm.picture(), before) !== undefined) throw new Deno.errors.NotFound();
  }, {
    timeoutMs: 20_000,
    canSucceedLater: isNotFound,
  });
  await vm.display();

  // QEMU dies, and the supervisor ends.
  Deno.kill(qemu, "SIGKILL");
  assertEquals(await sandbox.leftovers(10_000), []);
  assertEquals(await sandbox.json(["ps"]), []);
});
