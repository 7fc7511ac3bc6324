import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { HostError } from "../../lib/base/errors.ts";
import { parseSwtpmVersion, probeHost } from "../../lib/qemu/host.ts";
import { fakeHost, type FakeHostOptions, PROGRAM } from "../fakes/host.ts";

const recorded = (name: string) =>
  Deno.readTextFileSync(new URL(`../fixtures/host/qemu72_${name}`, import.meta.url));

/** A Linux with one QEMU, swtpm, and whatever `more` adds. */
function linux(more: FakeHostOptions = {}) {
  return fakeHost({
    ...more,
    files: {
      "/usr/bin/qemu-system-x86_64": PROGRAM,
      "/usr/bin/swtpm": PROGRAM,
      "/proc/self/status": "Cpus_allowed_list:\t0-1\n",
      ...more.files,
    },
    env: { PATH: "/usr/bin" },
    run: more.run ?? ((command, args) => {
      if (command.endsWith("swtpm")) {
        return { code: 0, stdout: "TPM emulator version 0.7.1, Copyright", stderr: "" };
      }
      const stdout = args[0] === "-machine"
        ? recorded(args[1] === "none" ? "x86_64.qmp" : "q35_help.txt")
        : recorded(`${args[0]?.slice(1)}_help.txt`);
      return { code: 0, stdout, stderr: "" };
    }),
  });
}

/** Gives the fake host a cache in a real temporary folder. */
async function withCache(
  body: (cacheDirectory: string, load: (host: ReturnType<typeof fakeHost>) => void) => unknown,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "utmost-host-" });
  const cacheDirectory = `${folder}/cache`;
  const load = (host: ReturnType<typeof fakeHost>) => {
    for (const entry of Deno.readDirSync(cacheDirectory)) {
      const path = `${cacheDirectory}/${entry.name}`;
      host.files[path] = Deno.readTextFileSync(path);
    }
  };
  try {
    await body(cacheDirectory, load);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("probeHost starts no program the second time, and asks for a new machine alone", () =>
  withCache(async (cacheDirectory, load) => {
    const first = linux();
    const options = { architecture: "x86_64", machine: "q35", cacheDirectory };
    const host = await probeHost(options, first);
    assertEquals(first.ran.length, 6); // a session, three helps, the machine, swtpm
    assertEquals(host.qemu?.machineProperties["pc-q35-7.2"], ["acpi", "hpet", "i8042", "vmport"]);
    assertEquals(host.swtpmVersion, [0, 7]);
    assertEquals(host.cores.logical, 2);
    assertEquals(host.accelerators.kvm, { usable: false, why: "there is no /dev/kvm" });

    const second = linux();
    load(second);
    assertEquals(await probeHost(options, second), host);
    assertEquals(second.ran, []);

    const third = linux();
    load(third);
    await probeHost({ ...options, machine: "microvm" }, third);
    assertEquals(third.ran, ["/usr/bin/qemu-system-x86_64 -machine microvm,help"]);
    for (const entry of Deno.readDirSync(cacheDirectory)) {
      assertEquals(Deno.statSync(`${cacheDirectory}/${entry.name}`).mode! & 0o777, 0o600);
    }
  }));

Deno.test("probeHost asks again when the binary or a folder of modules has changed", () =>
  withCache(async (cacheDirectory, load) => {
    const options = { architecture: "x86_64", cacheDirectory };
    await probeHost(options, linux());
    const changes: FakeHostOptions["files"][] = [
      { "/usr/bin/qemu-system-x86_64": { mode: 0o755, bytes: 2 } },
      { "/usr/bin/qemu-system-x86_64": { mode: 0o755, bytes: 1, modifiedMs: 1001 } },
      { "/usr/lib/x86_64-linux-gnu/qemu": { kind: "directory", modifiedMs: 5 } },
    ];
    for (const files of changes) {
      const host = linux({ files: files ?? {} });
      load(host);
      await probeHost(options, host);
      assertEquals(host.ran.length, 4, JSON.stringify(files));
    }
  }));

Deno.test("probeHost replaces a damaged cache", () =>
  withCache(async (cacheDirectory, load) => {
    const options = { architecture: "x86_64", cacheDirectory };
    const before = await probeHost(options, linux());
    const damages = ["", "{", "null", '{"format":0}', '{"format":1,"key":null,"value":null}'];
    for (const damage of damages) {
      const host = linux();
      load(host);
      for (const path of Object.keys(host.files)) {
        if (path.startsWith(cacheDirectory)) host.files[path] = damage;
      }
      assertEquals(await probeHost(options, host), before);
      assert(host.ran.length >= 4);
    }
    const whole = linux();
    load(whole);
    await probeHost(options, whole);
    assertEquals(whole.ran, []);
  }));

Deno.test("probeHost works without a cache folder that can be written", async () => {
  const host = await probeHost(
    { architecture: "x86_64", cacheDirectory: "/proc/none/utmost" },
    linux(),
  );
  assertEquals(host.qemu?.version, [7, 2, 22]);
});

Deno.test("probeHost gives a host without QEMU where there is none", async () => {
  const host = await probeHost(
    { architecture: "m68k", cacheDirectory: "/proc/none/utmost" },
    linux(),
  );
  assertEquals(host.qemu, null);
  assertStringIncludes(host.accelerators.kvm.why, "cannot run m68k guests");
});

Deno.test("probeHost refuses a --qemu of another architecture", async () => {
  const fake = linux({ files: { "/q/qemu": PROGRAM } });
  const error = await assertRejects(
    () =>
      probeHost(
        { architecture: "ppc", qemu: "/q/qemu", cacheDirectory: "/proc/none/utmost" },
        fake,
      ),
    HostError,
    '--qemu "/q/qemu": it emulates "x86_64", expected ppc',
  );
  assertEquals(error.exitCode, 5);
});

Deno.test("probeHost tries KVM once a boot, when nothing speaks against it", () =>
  withCache(async (cacheDirectory, load) => {
    const files = {
      "/dev/kvm": { kind: "device" as const },
      "/proc/cpuinfo": "flags\t\t: fpu vmx sse\n",
      "/proc/sys/kernel/random/boot_id": "boot-1\n",
    };
    const options = { architecture: "x86_64", cacheDirectory };
    const trials = (host: ReturnType<typeof fakeHost>) =>
      host.ran.filter((it) => it.includes("-accel kvm")).length;

    const aborted = linux({ files });
    const plain = aborted.run;
    aborted.run = async (command, args, runOptions) => {
      const result = await plain(command, args, runOptions);
      if (!args.includes("kvm")) return result;
      return { code: 134, stdout: "", stderr: "qemu: error: failed to set MSR 0x48f\n" };
    };
    const host = await probeHost(options, aborted);
    assertEquals(host.accelerators.kvm, {
      usable: false,
      why: "a trial run of kvm ended: qemu: error: failed to set MSR 0x48f",
    });
    assertEquals(trials(aborted), 1);

    const sameBoot = linux({ files });
    load(sameBoot);
    assertEquals((await probeHost(options, sameBoot)).accelerators.kvm, host.accelerators.kvm);
    assertEquals(sameBoot.ran, []);

    const nextBoot = linux({ files: { ...files, "/proc/sys/kernel/random/boot_id": "boot-2\n" } });
    load(nextBoot);
    const works = nextBoot.run;
    nextBoot.run = async (command, args, runOptions) => {
      await works(command, args, runOptions);
      const qmp = { QMP: { version: { qemu: { major: 7, minor: 2, micro: 22 } } } };
      const reply = { return: { running: false }, id: "status" };
      return { code: 0, stdout: `${JSON.stringify(qmp)}\n${JSON.stringify(reply)}\n`, stderr: "" };
    };
    assertEquals((await probeHost(options, nextBoot)).accelerators.kvm.usable, true);
    assertEquals(trials(nextBoot), 1);
  }));

Deno.test("probeHost reads a Mac through sysctl, once", () =>
  withCache(async (cacheDirectory, load) => {
    const mac = () => {
      const host = fakeHost({
        os: "darwin",
        architecture: "aarch64",
        files: { "/opt/homebrew/bin/qemu-system-aarch64": PROGRAM },
        run(command, args) {
          const stdout = command === "/usr/sbin/sysctl"
            ? "kern.hv_support: 1\nhw.physicalcpu: 10\nhw.logicalcpu: 10\n" +
              "hw.perflevel0.physicalcpu: 8\nhw.perflevel0.logicalcpu: 8\n"
            : args[0] === "-machine"
            ? recorded("x86_64.qmp").replace("kvm-accel", "hvf-accel")
            : "";
          return { code: 0, stdout, stderr: "" };
        },
      });
      return host;
    };
    const first = mac();
    const options = { architecture: "aarch64", cacheDirectory };
    const host = await probeHost(options, first);
    assertEquals(host.cores, {
      physical: 10,
      logical: 10,
      performancePhysical: 8,
      performanceLogical: 8,
    });
    assertEquals(host.accelerators.hvf.usable, true);
    assertEquals(host.accelerators.kvm.usable, false);
    assertEquals(host.audio, ["coreaudio"]);
    assertEquals(host.qemu?.spiceOptions, []);
    const second = mac();
    load(second);
    assertEquals(await probeHost(options, second), host);
    assertEquals(second.ran, []);
  }));

Deno.test("parseSwtpmVersion reads swtpm's own words", () => {
  assertEquals(
    parseSwtpmVersion("TPM emulator version 0.7.1, Copyright (c) 2014-2021 IBM Corp.\n"),
    [0, 7],
  );
  assertEquals(parseSwtpmVersion("what?"), null);
});
