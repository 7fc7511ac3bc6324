import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { HostError, UsageError } from "../../lib/base/errors.ts";
import type { LaunchPlan } from "../../lib/qemu/launch_options.ts";
import { all, changes, homebrew, linux, plan, qemu } from "./adapt_fixtures.ts";
import { display } from "./argv_fixtures.ts";

const system = { cpu: "qemu64" };
const displays = [display("virtio-vga-gl")];
const NODE = "/dev/dri/renderD128";
const VULKAN = "Display[0].Hardware: hostmem=256M,blob=true,venus=true -> ";
const WITH_HEADLESS = qemu({ displays: ["none", "gtk", "egl-headless"] });

/** What of a plan has to do with GL. */
function gl(result: LaunchPlan) {
  const spice = all(result, "-spice")[0] ?? "";
  return {
    gl: result.gl,
    renderNode: result.renderNode,
    spice: spice.replace(/^.*,(gl=)/, "$1"),
    device: all(result, "-device")[0],
    display: all(result, "-display")[0],
  };
}

Deno.test("buildPlan brings scanouts through SPICE where everything for them is there", () => {
  assertEquals(gl(plan({ system, displays })), {
    gl: true,
    renderNode: NODE,
    spice: `gl=on,rendernode=${NODE}`,
    device: "virtio-vga-gl",
    display: undefined,
  });
});

Deno.test("buildPlan takes the first render node, or the one that the user names", () => {
  const host = linux({ renderNodes: ["/dev/dri/renderD129", NODE] });
  assertEquals(plan({ system, displays }, { host }).renderNode, "/dev/dri/renderD129");
  const options = { renderNode: "/tmp/any file,really" };
  const named = plan({ system, displays }, { host: linux({ renderNodes: [] }), options });
  assertEquals(named.renderNode, options.renderNode);
  assertStringIncludes(all(named, "-spice")[0]!, "gl=on,rendernode=/tmp/any file,,really");
});

Deno.test("buildPlan with --gl auto replaces a device with 3D by its twin, and says why", () => {
  const cases: [why: string, more: Parameters<typeof plan>[1]][] = [
    ["--gl off", { options: { gl: "off" } }],
    ["no render node", { host: linux({ renderNodes: [] }) }],
    ["native shim", { options: { hasShim: false } }],
    ["no SPICE", { host: linux({ qemu: qemu({ spiceOptions: [] }) }) }],
    ["has no gl", { host: linux({ qemu: qemu({ spiceOptions: ["unix", "addr"] }) }) }],
    ["no virtio-vga-gl", { host: linux({ qemu: qemu({ devices: ["virtio-vga", "VGA"] }) }) }],
    ["TCP port", { options: { extraArguments: ["-spice", "port=5930"] } }],
    ["no SPICE", { host: homebrew() }],
  ];
  for (const [why, more] of cases) {
    const result = plan({ system, displays }, more);
    assertEquals(result.gl, false, why);
    assertEquals(result.renderNode, undefined, why);
    assertEquals(all(result, "-device")[0], "virtio-vga", why);
    assertEquals(all(result, "-spice")[0]?.includes("gl=on") ?? false, false, why);
    const told = result.substitutions.filter((it) => it.from === "virtio-vga-gl");
    assertEquals(told.length, 1, why);
    assertStringIncludes(told[0]!.why, why);
  }
});

Deno.test("buildPlan without a device for it has no GL, and says nothing", () => {
  const plain = plan({ system, displays: [display("virtio-vga")] });
  assertEquals([plain.gl, changes(plain)], [false, []]);
  assertEquals(gl(plain).spice, "gl=off");
});

Deno.test("buildPlan with --gl auto keeps 3D by egl-headless, and says what that costs", () => {
  const host = linux({ qemu: WITH_HEADLESS });
  const noShim = plan({ system, displays }, { host, options: { hasShim: false } });
  assertEquals(gl(noShim), {
    gl: false,
    renderNode: NODE,
    spice: "gl=off",
    device: "virtio-vga-gl",
    display: `egl-headless,rendernode=${NODE}`,
  });
  assertEquals(changes(noShim), [VULKAN, "--gl: GL scanouts -> egl-headless"]);
  assertStringIncludes(noShim.substitutions[1]!.why, "GPU to the CPU");

  const remote = plan({ system, displays }, {
    host,
    options: { extraArguments: ["-spice", "tls-port=5930,x509-dir=/k"] },
  });
  assertEquals(gl(remote).display, `egl-headless,rendernode=${NODE}`);
  const bundles = plan({
    system,
    displays,
    qemu: { additionalArguments: ["-spice port=5930"] },
  }, { host });
  assertEquals(gl(bundles).display, `egl-headless,rendernode=${NODE}`);
});

Deno.test("buildPlan has no egl-headless where nothing asks for 3D, or GL is off", () => {
  const host = linux({ qemu: WITH_HEADLESS });
  const more = { host, options: { hasShim: false } };
  assertEquals(all(plan({ system, displays: [display("virtio-vga")] }, more), "-display"), []);
  const off = plan({ system, displays }, { host, options: { gl: "off" } });
  assertEquals(all(off, "-display"), []);
});

Deno.test("buildPlan leaves the window of a QEMU without SPICE its display", () => {
  const host = linux({ qemu: { ...WITH_HEADLESS, spiceOptions: [] } });
  const windowed = plan({ system, displays }, { host, options: { display: "window" } });
  assertEquals(all(windowed, "-display"), ["gtk"]);
  const none = plan({ system, displays }, { host });
  assertEquals(all(none, "-display"), [`egl-headless,rendernode=${NODE}`]);
});

Deno.test("buildPlan with --gl on gives a display its twin with 3D", () => {
  const twins = [
    ["virtio-vga", "virtio-vga-gl"],
    ["virtio-gpu-pci", "virtio-gpu-gl-pci"],
    ["virtio-ramfb", "virtio-vga-gl"],
    ["virtio-ramfb-gl", "virtio-vga-gl"],
  ] as const;
  const { devices } = qemu();
  const host = linux({ qemu: qemu({ devices: [...devices, "virtio-gpu-gl-pci"] }) });
  for (const [hardware, twin] of twins) {
    const more = { host, options: { gl: "on" as const } };
    const result = plan({ system, displays: [display(hardware)] }, more);
    assertEquals(gl(result).device, twin, hardware);
    assertEquals(result.gl, true, hardware);
    assertEquals(changes(result).filter((it) => it !== VULKAN), [
      `Display[0].Hardware: ${hardware} -> ${twin}`,
    ]);
  }
});

Deno.test("buildPlan gives 3D to one device, the first: QEMU takes no more", () => {
  const { devices } = qemu();
  const host = linux({
    qemu: qemu({ devices: [...devices, "virtio-gpu-pci", "virtio-gpu-gl-pci"] }),
  });
  const cases = [
    ["auto", "virtio-vga-gl", "virtio-gpu-gl-pci", "virtio-vga-gl", "virtio-gpu-pci"],
    ["auto", "VGA", "virtio-gpu-gl-pci", "VGA", "virtio-gpu-gl-pci"],
    ["on", "virtio-vga", "virtio-gpu-pci", "virtio-vga-gl", "virtio-gpu-pci"],
  ] as const;
  for (const [wanted, first, second, ...expected] of cases) {
    const two = [display(first), display(second)];
    const result = plan({ system, displays: two }, { host, options: { gl: wanted } });
    assertEquals(result.gl, true);
    assertEquals(all(result, "-device").slice(0, 2), expected);
    const told = result.substitutions.filter(({ from }) => from === second);
    const whys = second === expected[1] ? [] : ["QEMU takes one device with 3D, the first"];
    assertEquals(told.map(({ why }) => why), whys);
  }
});

Deno.test("buildPlan with --gl on brings scanouts also of a display that has no twin", () => {
  const result = plan({ system, displays: [display("VGA")] }, { options: { gl: "on" } });
  assertEquals([gl(result).device, result.gl, changes(result)], ["VGA", true, []]);
});

Deno.test("buildPlan with --gl on fails where something is missing, and says what to do", () => {
  const on = (more: Parameters<typeof plan>[1], message: string) => {
    const options = { gl: "on" as const, ...more?.options };
    const error = assertThrows(() => plan({ system, displays }, { ...more, options }), HostError);
    assertEquals(error.exitCode, 5);
    assertStringIncludes(error.message, `Cannot bring GL scanouts through SPICE (--gl on): `);
    assertStringIncludes(error.message, message);
    assertStringIncludes(error.hint ?? "", "leave out --gl on");
  };
  on({ host: linux({ renderNodes: [] }) }, "render node");
  on({ host: homebrew() }, "no SPICE");
  on({ host: linux({ qemu: qemu({ devices: ["virtio-vga"] }) }) }, "has no virtio-vga-gl");
  on({ options: { hasShim: false } }, "native shim");
  on({ options: { extraArguments: ["--spice", "unix=off,port=1"] } }, "TCP port");
  // The fallback is of --gl auto: this one promises scanouts.
  on({ host: linux({ qemu: WITH_HEADLESS }), options: { hasShim: false } }, "native shim");
});

Deno.test("buildPlan refuses --gl on for a bundle without a display", () => {
  assertThrows(() => plan({ system }, { options: { gl: "on" } }), UsageError, "no display");
});
