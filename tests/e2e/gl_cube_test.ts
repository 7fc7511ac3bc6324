/**
 * What a guest's GPU draws is what is seen: a real guest renders a cube with OpenGL, virglrenderer
 * renders it on the host, and each picture is compared with the frame as computed here.
 *
 * There is no GPU: QEMU is that of `tests/rigs/render_rig.c`.
 */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { retry } from "../../lib/base/deadline.ts";
import { CUBE_PROMPT, makeCubeGuest, makeCubeLinux } from "./cube_linux.ts";
import { type CubeMatch, findCubeFrame } from "./cube_picture.ts";
import { glQemus, type GlRig, makeGlRig } from "./gl_rig.ts";
import { RunningVm } from "./running_vm.ts";
import { type Sandbox, sandboxTest } from "./sandbox.ts";

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

/** Options of `run` for a QEMU of the rig. */
function options({ qemu, renderNode }: GlRig): string[] {
  return ["--qemu", qemu, "--rendernode", renderNode, "--accel", "tcg"];
}

/** Waits for a picture of the cube that is not that of `before`; checks every pixel of it. */
async function nextFrame(vm: RunningVm, frames: number, before = -1): Promise<CubeMatch> {
  const match = await retry("a frame of the cube", async () => {
    const found = findCubeFrame(await vm.picture(), frames);
    if (found === undefined || found.frame === before) throw new Deno.errors.NotFound();
    return found;
  }, {
    timeoutMs: 30_000,
    canSucceedLater: (error) => error instanceof Deno.errors.NotFound,
  });
  assertLess(match.wrong, MAX_WRONG, `frame ${match.frame}`);
  return match;
}

cubeTest("egl-headless shows the guest's cube without our shim", async (place) => {
  const { sandbox, rig, bundle } = place;
  sandbox.env.UTMOST_SHIM = sandbox.path("none.so");
  const vm = await RunningVm.boot(sandbox, bundle, CUBE_PROMPT, ...options(rig));
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
