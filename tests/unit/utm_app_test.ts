import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { HostError } from "../../lib/base/errors.ts";
import { guardCommand } from "../../lib/qemu/guard.ts";
import { probeHost } from "../../lib/qemu/host.ts";
import { findArchitectures, findBinary } from "../../lib/qemu/host_binaries.ts";
import type { Host } from "../../lib/qemu/host_model.ts";
import { findUtmApp, throughHostProgram, utmFirmware } from "../../lib/qemu/utm_app.ts";
import { fakeHost, type FakeHostOptions, type FakeNode, PROGRAM } from "../fakes/host.ts";
import { all, changes, homebrew, plan, qemu } from "./adapt_fixtures.ts";
import { display } from "./argv_fixtures.ts";

const PROGRAM_PATH = "/src/native/build/utmost-qemu-host";
const INFO = "<key>CFBundleShortVersionString</key>\n\t<string>5.0.3</string>";

const library = (app: string, name: string) =>
  `${app}/Contents/Frameworks/${name}.framework/Versions/A/${name}`;

/** The files of a UTM.app. */
function utmApp(app: string): Record<string, FakeNode> {
  const resources = `${app}/Contents/Resources/qemu`;
  return {
    [`${app}/Contents/Info.plist`]: INFO,
    [library(app, "qemu-aarch64-softmmu")]: { bytes: 1 },
    [library(app, "qemu-x86_64-softmmu")]: { bytes: 1 },
    [library(app, "swtpm.0")]: { bytes: 1 },
    [`${resources}/edk2-aarch64-code.fd`]: { bytes: 67108864 },
    [`${resources}/edk2-arm-vars.fd`]: { bytes: 67108864 },
    [`${resources}/edk2-aarch64-secure-code.fd`]: { bytes: 67108864 },
    [`${resources}/edk2-arm-secure-vars.fd`]: { bytes: 67108864 },
  };
}

/** A Mac with an app in the usual place, Homebrew's QEMU, and `more`. */
function mac(more: FakeHostOptions = {}) {
  return fakeHost({
    os: "darwin",
    architecture: "aarch64",
    hostProgram: PROGRAM_PATH,
    ...more,
    files: {
      ...utmApp("/Applications/UTM.app"),
      "/opt/homebrew/bin/qemu-system-aarch64": PROGRAM,
      "/opt/homebrew/bin/qemu-system-m68k": PROGRAM,
      ...more.files,
    },
  });
}

Deno.test("findUtmApp looks where apps are on macOS, and where UTMOST_UTM_APP says", () => {
  assertEquals(findUtmApp(mac()), {
    app: "/Applications/UTM.app",
    version: "5.0.3",
    frameworks: "/Applications/UTM.app/Contents/Frameworks",
    resources: "/Applications/UTM.app/Contents/Resources/qemu",
    program: PROGRAM_PATH,
    from: "/Applications",
  });
  const files = utmApp("/Users/me/Applications/UTM.app");
  const own = fakeHost({ os: "darwin", env: { HOME: "/Users/me" }, files });
  assertEquals(findUtmApp(own)?.app, "/Users/me/Applications/UTM.app");
  assertEquals(findUtmApp(own)?.program, undefined);
  const env = { UTMOST_UTM_APP: "/opt/UTM.app" };
  assertEquals(findUtmApp(mac({ env, files: utmApp("/opt/UTM.app") }))?.app, "/opt/UTM.app");
});

Deno.test("findUtmApp on Linux takes UTMOST_UTM_APP only", () => {
  const files = utmApp("/Applications/UTM.app");
  assertEquals(findUtmApp(fakeHost({ files })), undefined);
  const named = fakeHost({ files, env: { UTMOST_UTM_APP: "/Applications/UTM.app" } });
  assertEquals(findUtmApp(named)?.from, "UTMOST_UTM_APP");
});

Deno.test("findUtmApp passes by what is no UTM.app, and names it where it was given", () => {
  const files = { "/Applications/UTM.app/Contents/Info.plist": INFO };
  assertEquals(findUtmApp(fakeHost({ os: "darwin", files })), undefined);
  const given = (path: string, more: Record<string, FakeNode> = {}) => {
    const host = fakeHost({ files: { ...files, ...more }, env: { UTMOST_UTM_APP: path } });
    return assertThrows(() => findUtmApp(host), HostError).message;
  };
  assertStringIncludes(given("/none"), 'UTMOST_UTM_APP "/none": there is no such folder');
  assertStringIncludes(given("/Applications/UTM.app"), "it has no QEMU in Contents/Frameworks");
  const app = "/a/UTM.app";
  const bare = { [library(app, "qemu-arm-softmmu")]: PROGRAM };
  assertStringIncludes(given(app, bare), "no Contents/Resources/qemu");
});

Deno.test("findBinary prefers UTM's QEMU, unless another is named", () => {
  const found = findBinary(mac(), "aarch64");
  assertEquals([found?.path, found?.from, found?.utm?.program], [
    library("/Applications/UTM.app", "qemu-aarch64-softmmu"),
    "UTM.app",
    PROGRAM_PATH,
  ]);
  const homebrews = "/opt/homebrew/bin/qemu-system-aarch64";
  assertEquals(findBinary(mac(), "aarch64", homebrews), { path: homebrews, from: "--qemu" });
  const env = { UTMOST_QEMU: homebrews };
  assertEquals(findBinary(mac({ env }), "aarch64")?.from, "UTMOST_QEMU");
  assertEquals(findBinary(mac(), "m68k")?.path, "/opt/homebrew/bin/qemu-system-m68k");
  assertEquals(findArchitectures(mac()), ["aarch64", "m68k", "x86_64"]);
});

Deno.test("findBinary without utmost-qemu-host takes another QEMU, or says what is missing", () => {
  const host = fakeHost({
    os: "darwin",
    files: { ...utmApp("/Applications/UTM.app"), "/opt/homebrew/bin/qemu-system-x86_64": PROGRAM },
  });
  assertEquals(findBinary(host, "x86_64")?.path, "/opt/homebrew/bin/qemu-system-x86_64");
  const env = { UTMOST_UTM_APP: "/a/UTM.app" };
  const named = fakeHost({ env, files: utmApp("/a/UTM.app") });
  const error = assertThrows(() => findBinary(named, "x86_64"), HostError, "utmost-qemu-host");
  assertEquals(error.hint, "Build it: deno task native");
});

Deno.test("utmFirmware lists UTM's images, with and without Secure Boot", () => {
  const resources = "/Applications/UTM.app/Contents/Resources/qemu";
  const found = utmFirmware(mac(), resources, "aarch64");
  assertEquals(found.map((it) => [it.code, it.varsTemplate, it.secureBoot, it.requiresSmm]), [
    [`${resources}/edk2-aarch64-code.fd`, `${resources}/edk2-arm-vars.fd`, false, false],
    [
      `${resources}/edk2-aarch64-secure-code.fd`,
      `${resources}/edk2-arm-secure-vars.fd`,
      true,
      false,
    ],
  ]);
  assertEquals(utmFirmware(mac(), resources, "m68k"), []);
});

const recorded = (name: string) =>
  Deno.readTextFileSync(new URL(`../fixtures/host/qemu72_${name}`, import.meta.url));

Deno.test("probeHost asks UTM's QEMU through the host program", async () => {
  const host = mac({
    run(_command, args) {
      const [flag] = args.slice(args.indexOf("--") + 1);
      const stdout = flag === "-machine"
        ? recorded("x86_64.qmp")
        : recorded(`${flag?.slice(1)}_help.txt`).replace("gl=<bool (on/off)>", "gl=<str>");
      return { code: 0, stdout, stderr: "" };
    },
  });
  const options = { architecture: "x86_64", cacheDirectory: "/proc/none", firmware: true };
  const found = await probeHost(options, host);
  const qemuPath = library("/Applications/UTM.app", "qemu-x86_64-softmmu");
  const asked = host.ran.filter((it) => it.includes("softmmu"));
  assertEquals(asked.length > 3, true);
  for (const line of asked) {
    assertStringIncludes(line, `${PROGRAM_PATH} --library ${qemuPath} -- -`);
  }
  assertEquals(found.qemu?.binary, qemuPath);
  assertEquals(found.qemu?.spiceGlApis, true);
  assertEquals(found.swtpm, library("/Applications/UTM.app", "swtpm.0"));
  assertEquals(found.resources, "/Applications/UTM.app/Contents/Resources/qemu");
  assertEquals(found.flavor, "stock");
});

Deno.test("throughHostProgram leaves other programs as they are", async () => {
  const host = mac({ run: () => ({ code: 0, stdout: "", stderr: "" }) });
  const utm = { ...findUtmApp(host)!, program: PROGRAM_PATH };
  await throughHostProgram(host, utm).run("/usr/sbin/sysctl", ["-a"], { timeoutMs: 1 });
  assertEquals(host.ran, ["/usr/sbin/sysctl -a"]);
});

/** A Mac that runs UTM's QEMU for x86_64 by hvf, and `parts`. */
function withUtm(parts: Partial<Host> = {}): Host {
  const app = "/Applications/UTM.app";
  const known = qemu();
  return homebrew({
    qemu: qemu({
      binary: library(app, "qemu-x86_64-softmmu"),
      version: [10, 0, 2],
      devices: [...known.devices, "virtio-ramfb", "virtio-ramfb-gl", "tpm-crb-device"],
      spiceGlApis: true,
      audiodevs: ["none", "spice", "coreaudio"],
      accelerators: ["tcg", "hvf"],
    }),
    resources: `${app}/Contents/Resources/qemu`,
    swtpm: library(app, "swtpm.0"),
    utm: {
      app,
      frameworks: `${app}/Contents/Frameworks`,
      resources: `${app}/Contents/Resources/qemu`,
      program: PROGRAM_PATH,
    },
    ...parts,
  });
}

Deno.test("buildPlan runs UTM's QEMU through the host program, with UTM's devices and GL", () => {
  const host = withUtm();
  const system = { cpu: "qemu64" };
  const result = plan({ system, displays: [display("virtio-ramfb-gl")] }, { host });
  assertEquals(result.binary, PROGRAM_PATH);
  assertEquals(result.argv.slice(0, 6), [
    "--library",
    library("/Applications/UTM.app", "qemu-x86_64-softmmu"),
    "--",
    "-L",
    "/Applications/UTM.app/Contents/Resources/qemu",
    "-S",
  ]);
  assertEquals([result.gl, result.renderNode], [true, undefined]);
  assertStringIncludes(all(result, "-spice")[0]!, ",gl=es");
  assertEquals(all(result, "-spice")[0]!.includes("rendernode"), false);
  assertEquals(all(result, "-device")[0], "virtio-ramfb-gl,hostmem=256M,blob=true,venus=true");
  assertEquals(changes(result), []);
});

Deno.test("buildPlan knows UTM's QEMU by what its -spice takes, or by its library", () => {
  const displays = [display("virtio-vga-gl")];
  const { utm: _, resources: __, ...program } = withUtm();
  assertStringIncludes(all(plan({ displays }, { host: program }), "-spice")[0]!, "gl=es");
  const stock = withUtm({ qemu: { ...program.qemu!, spiceGlApis: false } });
  const switched = plan({ displays }, { host: stock });
  assertEquals(switched.gl, false);
  assertStringIncludes(switched.substitutions[0]!.why, "render node");
});

Deno.test("buildPlan gives virtio-ramfb its twin with 3D on UTM's QEMU, for --gl on", () => {
  const more = { host: withUtm(), options: { gl: "on" as const } };
  const result = plan({ displays: [display("virtio-ramfb")] }, more);
  assertEquals(all(result, "-device")[0], "virtio-ramfb-gl");
});

Deno.test("buildPlan runs UTM's swtpm through the host program", () => {
  const result = plan({ qemu: { tpmDevice: true } }, { host: withUtm() });
  assertEquals(result.helpers[0]?.argv.slice(0, 6), [
    PROGRAM_PATH,
    "--library",
    library("/Applications/UTM.app", "swtpm.0"),
    "--",
    "socket",
    "--tpm2",
  ]);
});

Deno.test("guardCommand lets the host program be its own guard", () => {
  const nativeHost = "/bin/sh";
  const guarded = guardCommand(nativeHost, ["--library", "/l", "--", "-S"], {
    kind: "native",
    nativeHost,
    parentPid: 7,
  });
  assertEquals(guarded.args, ["--parent", "7", "--library", "/l", "--", "-S"]);
  // Also one that was unpacked by a compiled utmost, which has no other native guard.
  const unpacked = guardCommand("/cache/host", ["--library", "/l", "--"], { parentPid: 7 });
  assertEquals([unpacked.kind, unpacked.program], ["native", "/cache/host"]);
});
