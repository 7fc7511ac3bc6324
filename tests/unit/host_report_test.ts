import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { formatReport } from "../../lib/cli/commands/doctor.ts";
import { type HostReport, noShim, reportHost } from "../../lib/qemu/host_report.ts";
import { fakeHost, type FakeHostOptions, type FakeNode, PROGRAM } from "../fakes/host.ts";

const recorded = (name: string) =>
  Deno.readTextFileSync(new URL(`../fixtures/host/qemu72_${name}`, import.meta.url));

/** A report on a fake host; the cache is in a place that cannot be written. */
function report(
  options: FakeHostOptions,
  { runtime = "/run/user/1000/utmost", shim = true, qemu }: {
    runtime?: string;
    shim?: boolean;
    qemu?: string;
  } = {},
): Promise<HostReport> {
  const places = { runtime, state: "/s", cache: "/proc/none/utmost" };
  const nativeShim = shim
    ? { present: true, path: "/shim.so", from: "built" as const, abi: 1, why: null }
    : noShim("Cannot open the native library: it is not built");
  return reportHost(fakeHost(options), {
    places,
    nativeShim,
    ...(qemu === undefined ? {} : { qemu }),
  });
}

/** The one finding whose text has `part`. */
function finding({ findings }: HostReport, part: string) {
  const found = findings.filter((it) => it.text.includes(part));
  assertEquals(found.length, 1, `${part}: ${JSON.stringify(findings, null, 1)}`);
  return found[0]!;
}

const QEMU: FakeHostOptions = {
  env: { PATH: "/usr/bin", XDG_RUNTIME_DIR: "/run/user/1000" },
  files: {
    "/usr/bin/qemu-system-x86_64": PROGRAM,
    "/usr/bin/qemu-system-ppc": PROGRAM,
    "/usr/bin/swtpm": PROGRAM,
    "/dev/dri/renderD128": { kind: "device" },
    "/run/user/1000/utmost": { kind: "directory", mode: 0o700 },
    "/usr/share/OVMF/OVMF_CODE_4M.fd": { bytes: 1 },
    "/usr/share/OVMF/OVMF_VARS_4M.fd": { bytes: 1 },
  },
  run(command, args) {
    if (command.endsWith("swtpm")) return { code: 0, stdout: "version 0.7.1", stderr: "" };
    if (command.endsWith("ppc")) return { code: 1, stdout: "", stderr: "no libfoo\n" };
    const stdout = args[0] === "-machine"
      ? recorded("x86_64.qmp").replace('virtio-vga\\"', 'virtio-vga-gl\\"')
      : recorded(`${args[0]?.slice(1)}_help.txt`);
    return { code: 0, stdout, stderr: "" };
  },
};

Deno.test("reportHost reports what is there, and a QEMU that does not work", async () => {
  const result = await report(QEMU);
  assertEquals(result.qemu.map((it) => [it.architecture, it.version, it.spice, it.spiceGl]), [
    ["ppc", null, false, false],
    ["x86_64", [7, 2, 22], true, true],
  ]);
  assertEquals(finding(result, "7.2.22 in /usr/bin: x86_64").status, "ok");
  assertEquals(finding(result, "ppc: Cannot ask").status, "missing");
  assertStringIncludes(finding(result, "ppc: Cannot ask").text, "no libfoo");
  assertEquals(finding(result, "/usr/share/OVMF/OVMF_CODE_4M.fd").status, "ok");
  assertStringIncludes(finding(result, "UEFI firmware for aarch64").hint ?? "", "qemu-efi-aarch64");
  assertEquals(finding(result, "scanouts, which the CPU never copies").topic, "GL");
  assertEquals(finding(result, "render node /dev/dri/renderD128").topic, "GPU");
  const shim = finding(result, "/shim.so");
  assertEquals([shim.topic, shim.status], ["native shim", "ok"]);
  assertEquals(shim.text, "/shim.so, built from source, ABI 1");
  assertEquals(finding(result, "swtpm 0.7 at /usr/bin/swtpm").status, "ok");
  assertEquals(finding(result, "mode 0700").topic, "sockets");
  assertEquals(finding(result, "tcg, not kvm: there is no /dev/kvm").topic, "accelerator");
});

Deno.test("reportHost gives a hint for everything that is missing", async () => {
  const result = await report({ env: {} }, {
    runtime: `/tmp/${"long/".repeat(20)}utmost`,
  });
  assertEquals(result.qemu, []);
  const missing = result.findings.filter((it) => it.status === "missing");
  assertEquals(missing.map((it) => it.topic), ["QEMU", "sockets"]);
  for (const { hint, text } of missing) assert(hint !== undefined, text);
  assertStringIncludes(finding(result, "there is no qemu-system-x86_64").hint ?? "", "Debian");
  assertEquals(result.gl.way, "off");
});

Deno.test("formatReport is plain without colours, and lets no control character through", async () => {
  const files: Record<string, FakeNode> = {
    ...QEMU.files,
    "/etc/qemu/firmware/\x1b[31m.json": "{",
  };
  const result = await report({ ...QEMU, files });
  const plain = formatReport(result, false);
  assert(!plain.includes("\x1b"));
  assertStringIncludes(plain, "\nmissing  QEMU ");
  assertStringIncludes(plain, "\nok       QEMU ");
  const painted = formatReport(result, true);
  assertStringIncludes(painted, "\x1b[32mok");
  assert(!painted.includes("\x1b[31m.json"));
});

Deno.test("reportHost says what becomes of GL, and why", async () => {
  const { gl } = await report(QEMU);
  assertEquals([gl.way, gl.renderNode, gl.hint], ["scanouts", "/dev/dri/renderD128", undefined]);

  const without = await report(QEMU, { shim: false });
  assertEquals([without.gl.way, without.gl.renderNode], ["egl-headless", "/dev/dri/renderD128"]);
  const headless = finding(without, "egl-headless");
  assertStringIncludes(headless.text, "no native shim");
  assertStringIncludes(headless.text, "from the GPU to the CPU, through a socket, and to the GPU");
  assertStringIncludes(headless.hint ?? "", "deno task native");

  const device = { kind: "device" as const, open: "denied" as const };
  const files = { ...QEMU.files, "/dev/dri/renderD128": device };
  const denied = await report({ ...QEMU, files });
  assertEquals(denied.gl.way, "off");
  assertStringIncludes(finding(denied, "off, as").hint ?? "", "usually render");
  assertStringIncludes(finding(denied, "renderD128 may not be opened").hint ?? "", "group");
});

Deno.test("reportHost lists all GPUs and says which one is taken", async () => {
  const files = { ...QEMU.files, "/dev/dri/renderD129": { kind: "device" as const } };
  const result = await report({ ...QEMU, files });
  const { text } = finding(result, "--rendernode takes another");
  assertStringIncludes(text, "render node /dev/dri/renderD128, not /dev/dri/renderD129");
});

Deno.test("reportHost tells of UTM.app, whether or not it is used", async () => {
  const app = "/Applications/UTM.app/Contents";
  const mac: FakeHostOptions = {
    ...QEMU,
    os: "darwin",
    files: {
      ...QEMU.files,
      [`${app}/Frameworks/qemu-x86_64-softmmu.framework/Versions/A/qemu-x86_64-softmmu`]: {
        bytes: 1,
      },
      [`${app}/Resources/qemu/README`]: "",
    },
    run(command, args, options) {
      const own = command === "/host" ? args.slice(args.indexOf("--") + 1) : args;
      const result = QEMU.run!("qemu", own, options);
      const stdout = result.stdout.replace("gl=<bool (on/off)>", "gl=<str>");
      return { ...result, stdout: command === "/host" ? stdout : result.stdout };
    },
  };
  const unused = await report(mac);
  const { text, hint } = finding(unused, "UTM.app at /Applications/UTM.app is not used");
  assertStringIncludes(text, "utmost-qemu-host, which runs it, is not built");
  assertEquals(hint, "Build it: deno task native");
  assertEquals(unused.gl.way, "off");

  const used = await report({ ...mac, hostProgram: "/host" });
  assertEquals(finding(used, "its QEMU is used").status, "ok");
  assertEquals(used.utmApp, {
    path: "/Applications/UTM.app",
    version: null,
    used: true,
    why: null,
  });
  assertEquals([used.gl.way, used.gl.renderNode], ["scanouts", null]);
  const named = await report({ ...mac, hostProgram: "/host" }, {
    qemu: "/usr/bin/qemu-system-x86_64",
  });
  assertEquals(named.utmApp?.why, "another QEMU was named");
});
