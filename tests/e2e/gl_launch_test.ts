/**
 * What `--gl` makes of a launch, with a real QEMU that draws by Mesa's software renderer in place of
 * a GPU (`gl_rig.ts`).
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { HELLO, sandboxTest } from "./sandbox.ts";
import { glQemus, makeGlRig } from "./gl_rig.ts";

const STEPS = [
  "--expect",
  "hello> ",
  "--send",
  "poweroff\\n",
  "--then",
  "wait",
  "--timeout",
  "60s",
];

for (const { name, binary, missing } of await glQemus()) {
  const why = missing === undefined ? "" : `: ${missing}`;
  const title = `e2e: --gl auto without the native shim keeps 3D by egl-headless (${name}${why})`;
  sandboxTest(title, async (sandbox) => {
    const { qemu, renderNode } = await makeGlRig(sandbox.folder, binary);
    const bundle = await sandbox.bundle({ display: "virtio-vga-gl" });
    const picture = sandbox.path("screen.png");
    const run = sandbox.startRun([
      bundle,
      ...["--qemu", qemu, "--rendernode", renderNode, "--headless"],
      ...["--expect", "hello> ", "--screenshot", picture, "--send", "poweroff\\n"],
      ...["--then", "wait", "--timeout", "60s"],
    ], { env: { UTMOST_SHIM: sandbox.path("none.so") } });
    const { code, stderr } = await run.outcome;
    assertEquals(code, 0, stderr);
    const substitution = await run.until({ event: "substitution", key: "--gl" });
    assertEquals(substitution.to, "egl-headless");
    assertStringIncludes(stderr, "--gl: GL scanouts → egl-headless");
    const argv = (await run.until({ event: "qemu" })).argv as string[];
    assertEquals(argv[argv.indexOf("-display") + 1], `egl-headless,rendernode=${renderNode}`);
    assertStringIncludes(argv.join(" "), "-device virtio-vga-gl");
    await run.until({ event: "display", kind: "surface" });
    const { size } = await Deno.stat(picture);
    console.log(`a picture of ${size} bytes came as a surface`);
  }, { ignore: missing !== undefined });
}

sandboxTest("e2e: --gl off replaces a device with 3D, and says so", async (sandbox) => {
  const bundle = await sandbox.bundle({ display: "virtio-vga-gl" });
  const { code, stderr } = await sandbox.run([bundle, "--gl", "off", "--headless", ...STEPS]);
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, "Display[0].Hardware: virtio-vga-gl → virtio-vga: GL is off");
});

sandboxTest("e2e: --gl on names what is missing, with exit 5", async (sandbox) => {
  const renderNode = sandbox.path("render-node");
  await Deno.writeTextFile(renderNode, "");
  const refused = async (args: string[], text: string, env: Record<string, string> = {}) => {
    const run = await sandbox.run([HELLO, "--gl", "on", "--headless", ...args], { env });
    assertEquals(run.code, 5, run.stderr);
    assertStringIncludes(run.stderr, text);
  };
  await refused(["--rendernode", sandbox.path("nowhere")], 'nowhere": there is no such file');
  await refused(
    ["--rendernode", renderNode],
    "there is no native shim to take GL scanouts",
    { UTMOST_SHIM: sandbox.path("none.so") },
  );
}, { ignore: Deno.build.os !== "linux" }); // elsewhere there are no render nodes

sandboxTest("e2e: a launch that wants no GL does not look for the native shim", async (sandbox) => {
  const env = { UTMOST_SHIM: sandbox.path("none.so") };
  const { code, stderr } = await sandbox.run([HELLO, "--headless", ...STEPS], { env });
  assertEquals(code, 0, stderr);
  assertEquals(stderr.includes("shim"), false, stderr);
});
