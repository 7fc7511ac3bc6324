import { assert, assertEquals, assertLess, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { HostError } from "../../lib/base/errors.ts";
import { SHIM_ABI } from "../../ffi/load.ts";
import { systemAccess } from "../../lib/qemu/host_access.ts";
import { tryAccelerator } from "../../lib/qemu/host_accelerators.ts";
import { findBinary } from "../../lib/qemu/host_binaries.ts";
import { probeHost } from "../../lib/qemu/host.ts";

/** Machine, CPU and device that the QEMU for each architecture has, in every version. */
const KNOWN: Record<string, { machine: string; cpu: string; device: string }> = {
  x86_64: { machine: "q35", cpu: "qemu64", device: "virtio-blk" },
  aarch64: { machine: "virt", cpu: "cortex-a72", device: "virtio-gpu-pci" },
  ppc: { machine: "mac99", cpu: "g4", device: "VGA" },
  m68k: { machine: "q800", cpu: "m68040", device: "scsi-hd" },
  riscv64: { machine: "virt", cpu: "rv64", device: "virtio-net-pci" },
  s390x: { machine: "s390-ccw-virtio", cpu: "qemu", device: "virtio-blk-ccw" },
  sparc: { machine: "SS-5", cpu: "TI-MicroSparc-II", device: "scsi-cd" },
};

/** A folder for one test. */
async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "utmost-host-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const [architecture, known] of Object.entries(KNOWN)) {
  Deno.test(`e2e: host: what the QEMU for ${architecture} can do`, () =>
    withFolder(async (folder) => {
      const host = await probeHost({
        architecture,
        machine: known.machine,
        cacheDirectory: folder,
      });
      const { qemu } = host;
      assert(qemu !== null, `qemu-system-${architecture} is missing: run deno task setup`);
      const [name, info] = Object.entries(qemu.machines)
        .find(([name, { alias }]) => name === known.machine || alias === known.machine) ?? [];
      assert(name !== undefined && info !== undefined, `no machine ${known.machine}`);
      assert(info.cpuMax >= 1);
      assert(qemu.machineProperties[name]?.includes("kernel"), `no properties of ${name}`);
      assert(qemu.cpus.includes(known.cpu), `no CPU ${known.cpu}`);
      assert(qemu.devices.includes(known.device), `no device ${known.device}`);
      assert(qemu.accelerators.includes("tcg"));
      for (const list of [qemu.netdevs, qemu.displays, qemu.audiodevs]) {
        assert(list.length > 0);
      }
      assert(qemu.chardevs.includes("socket"));
    }));
}

Deno.test("e2e: host: a second probe starts no program, and a new file of the same name does", () =>
  withFolder(async (folder) => {
    const log = join(folder, "starts");
    const binary = join(folder, "qemu-system-x86_64");
    const wrapper = `#!/bin/sh\necho start >> '${log}'\nexec qemu-system-x86_64 "$@"\n`;
    await Deno.writeTextFile(binary, wrapper, { mode: 0o755 });
    const starts = () => Deno.readTextFileSync(log).trim().split("\n").length;
    const options = {
      architecture: "x86_64",
      machine: "q35",
      qemu: folder,
      cacheDirectory: join(folder, "cache"),
    };
    const first = await probeHost(options);
    const count = starts();
    assertLess(count, 6);
    const began = performance.now();
    const second = await probeHost(options);
    const elapsedMs = performance.now() - began;
    console.log(`a second probe took ${elapsedMs.toFixed(1)} ms`);
    assertEquals(starts(), count);
    assertEquals(second, first);

    await Deno.writeTextFile(binary, wrapper + "# a new version\n");
    await probeHost(options);
    assertEquals(starts(), 2 * count);
  }));

Deno.test("e2e: host: a QEMU of another architecture is refused", () =>
  withFolder(async (folder) => {
    const qemu = join(folder, "qemu");
    await Deno.writeTextFile(qemu, '#!/bin/sh\nexec qemu-system-sparc "$@"\n', { mode: 0o755 });
    const options = { architecture: "ppc", qemu, cacheDirectory: folder };
    await assertRejects(() => probeHost(options), HostError, 'it emulates "sparc", expected ppc');
  }));

Deno.test("e2e: host: a program that is no QEMU is refused with what it said", () =>
  withFolder(async (folder) => {
    const qemu = join(folder, "qemu");
    await Deno.writeTextFile(qemu, "#!/bin/sh\necho cannot load libfoo >&2; exit 127\n", {
      mode: 0o755,
    });
    const options = { architecture: "ppc", qemu, cacheDirectory: folder };
    const error = await assertRejects(() => probeHost(options), HostError);
    assertStringIncludes(error.message, "cannot load libfoo");
    await Deno.writeTextFile(qemu, "neither script nor program");
    await assertRejects(() => probeHost(options), HostError, "expected a QMP greeting");
  }));

Deno.test("e2e: host: a QEMU that hangs is given up, with its children", () =>
  withFolder(async (folder) => {
    const qemu = join(folder, "qemu");
    await Deno.writeTextFile(qemu, "#!/bin/sh\nsleep 60\n", { mode: 0o755 });
    const options = { architecture: "ppc", qemu, cacheDirectory: folder, timeoutMs: 200 };
    const began = performance.now();
    await assertRejects(() => probeHost(options), HostError, "no answer came within 200 ms");
    assertLess(performance.now() - began, 5000);
  }));

Deno.test("e2e: host: the trial of an accelerator ends, whatever KVM is worth here", async () => {
  const access = systemAccess();
  const binary = findBinary(access, "x86_64");
  assert(binary !== null, "qemu-system-x86_64 is missing: run deno task setup");
  const run = { timeoutMs: 5000 };
  const { finding } = await tryAccelerator(access, "kvm", binary.path, "x86_64", run);
  console.log(`kvm: ${finding.usable ? "usable" : "not usable"}: ${finding.why}`);
  assert(finding.why.startsWith("a trial run of kvm "));
});

Deno.test("e2e: host: the verdict on KVM on a CPU without virtualization needs no trial", () =>
  withFolder(async (folder) => {
    const flags = /^flags\s*:(.*)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1] ?? "";
    const { accelerators } = await probeHost({ architecture: "x86_64", cacheDirectory: folder });
    if (/ (vmx|svm)( |$)/.test(flags)) {
      console.log(`this CPU has virtualization; kvm: ${accelerators.kvm.why}`);
      return;
    }
    assertEquals(accelerators.kvm.usable, false);
    assert(!accelerators.kvm.why.includes("trial"), accelerators.kvm.why);
  }));

Deno.test("e2e: host: firmware for x86_64 and aarch64 is found by descriptors", () =>
  withFolder(async (folder) => {
    for (const architecture of ["x86_64", "aarch64"]) {
      const { firmware } = await probeHost({
        architecture,
        cacheDirectory: folder,
        firmware: true,
      });
      const plain = firmware.find((it) => !it.secureBoot && it.device === "flash");
      assert(plain !== undefined, `no firmware for ${architecture}: run deno task setup`);
      assert(plain.source.endsWith(".json"), plain.source);
      assertEquals(plain.codeBytes, Deno.statSync(plain.code).size);
      assert((plain.varsTemplateBytes ?? 0) > 0);
    }
  }));

Deno.test("e2e: host: a probe that is killed leaves no QEMU behind", () =>
  withFolder(async (folder) => {
    const log = join(folder, "pids");
    const binary = join(folder, "qemu-system-x86_64");
    const wrapper = `#!/bin/sh\necho $$ >> '${log}'\nexec qemu-system-x86_64 "$@"\n`;
    await Deno.writeTextFile(binary, wrapper, { mode: 0o755 });
    const config = new URL("../../deno.json", import.meta.url).pathname; // it maps @std
    const module = new URL("../../lib/qemu/host.ts", import.meta.url);
    const options = { architecture: "x86_64", qemu: folder, cacheDirectory: "/proc/none/utmost" };
    const source = `import { probeHost } from ${JSON.stringify(module)};\n` +
      `for (;;) await probeHost(${JSON.stringify(options)});\n`;
    const program = join(folder, "probe.ts");
    await Deno.writeTextFile(program, source);
    for (let round = 0; round < 10; round++) {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--config", config, program],
        stdout: "null",
        stderr: "null",
      }).spawn();
      await started(log, round * 4);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
      child.kill("SIGKILL");
      await child.status;
    }
    const pids = Deno.readTextFileSync(log).trim().split("\n").map(Number);
    assert(pids.length >= 10);
    const deadline = performance.now() + 5000;
    let alive = pids.filter(isAlive);
    while (alive.length > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      alive = alive.filter(isAlive);
    }
    assertEquals(alive, []);
  }));

Deno.test("e2e: host: doctor prints findings, and one JSON document", () =>
  withFolder(async (folder) => {
    const doctor = async (...args: string[]) => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", new URL("../../main.ts", import.meta.url).pathname, "doctor", ...args],
        env: { XDG_CACHE_HOME: folder },
      }).output();
      const decoder = new TextDecoder();
      return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
    };
    const text = await doctor();
    assertEquals(text.code, 0, text.stderr);
    assertStringIncludes(text.stdout, "ok       QEMU");
    assert(!text.stdout.includes("\x1b"));
    const report = JSON.parse((await doctor("--json")).stdout);
    assert(report.qemu.some((it: { architecture: string }) => it.architecture === "x86_64"));
    assertEquals((await doctor("--qemu", "/nonexistent")).code, 5);
  }));

Deno.test("e2e: host: doctor says which native library is used, or why none is", () =>
  withFolder(async (folder) => {
    const doctor = async (named: string, ...args: string[]) => {
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", new URL("../../main.ts", import.meta.url).pathname, "doctor", ...args],
        env: { XDG_CACHE_HOME: folder, UTMOST_SHIM: named },
      }).output();
      return new TextDecoder().decode(stdout);
    };
    const shimOf = async (named: string) => JSON.parse(await doctor(named, "--json")).nativeShim;
    const built = await shimOf("");
    assertEquals([built.present, built.from, built.abi, built.why], [
      true,
      "built",
      SHIM_ABI,
      null,
    ]);
    assertStringIncludes(await doctor(""), `${built.path}, built from source, ABI ${SHIM_ABI}`);
    const copy = `${folder}/copy.so`;
    await Deno.copyFile(built.path, copy);
    const named = await shimOf(copy);
    assertEquals([named.path, named.from], [copy, "UTMOST_SHIM"]);
    const none = `${folder}/none.so`;
    const missing = await shimOf(none);
    assertEquals([missing.present, missing.path, missing.from], [false, null, null]);
    assertStringIncludes(missing.why, `"${none}", which UTMOST_SHIM names`);
    assertStringIncludes(await doctor(none), "hint: Set UTMOST_SHIM to a libutm_shim");
  }));

/** Waits until more than `lines` starts are in the log. */
async function started(log: string, lines: number): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    const text = await Deno.readTextFile(log).catch(() => "");
    if (text.split("\n").length - 1 > lines) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`Cannot see a QEMU start: ${log} has no more than ${lines} lines`);
}

/** Whether a process runs; one that has ended and waits to be reaped does not. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}
