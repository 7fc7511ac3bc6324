/** The guests of `examples/`, a real Linux and UEFI firmware, each run by the command line. */
import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { pause } from "../../lib/base/deadline.ts";
import { EXAMPLES_DIR } from "../../tools/build_examples.ts";
import { findInstaller, makeGuest } from "./make_guest.ts";
import { evidence, exists, qmpEvents, type Run, startUtmost, utmost } from "./utmost.ts";

const COMMON = ["--headless", "--accel", "tcg"];
const GUEST_SHUTDOWN = [{ guest: true, reason: "guest-shutdown" }];

/** Checks that the guest switched its machine off by itself, and that every text came. */
function assertGuestShutdown(run: Run): void {
  assertEquals(run.code, 0, evidence(run));
  assertEquals(qmpEvents(run, "SHUTDOWN"), GUEST_SHUTDOWN, evidence(run));
  const expects = run.events.filter(({ event }) => event === "expect");
  assert(expects.every(({ matched }) => matched === true), evidence(run));
}

// ------------------------------------------------------------------ examples

/** The examples, and what QEMU is told besides, so that each way to find a device is taken. */
const HELLOS = [
  { bundle: "hello", architecture: "x86_64", variants: ["", "type=pc"] },
  {
    bundle: "hello-arm64",
    architecture: "aarch64",
    variants: [
      "", // UTM under TCG: EL2, GICv2
      "gic-version=3",
      "virtualization=off",
      "virtualization=off,gic-version=3",
      "highmem=off",
    ],
  },
];

const hasProc = Deno.build.os === "linux";
if (!hasProc) console.log("skipped: CPU time of the examples: this system has no /proc");

for (const { bundle, architecture, variants } of HELLOS) {
  const path = join(EXAMPLES_DIR, `${bundle}.utm`);
  const banner = `utmost: hello from ${architecture}`;
  const hello = (...args: string[]) => utmost(path, ...COMMON, "--timeout", "60s", ...args);

  Deno.test(`e2e: ${bundle}.utm greets, edits lines, echoes and powers off`, async () => {
    const run = await hello(
      ...["--expect", `${banner}[^]*hello> `, "--send", "help\\r\\n", "--expect", "is echoed"],
      ...["--send", "no\\x03no\\x15one twp\\x7fo \\r", "--expect", "echo: one two\\r\\n"],
      ...["--send", "poweroff\\n", "--then", "wait"],
    );
    assertGuestShutdown(run);
    assertStringIncludes(run.serial, "utmost: powering off", evidence(run));
  });

  Deno.test(`e2e: ${bundle}.utm keeps what was sent before it started`, async () => {
    const run = await hello("--send", "early bird\\n", "--expect", "echo: early bird");
    assertGuestShutdown(run);
  });

  Deno.test(`e2e: ${bundle}.utm starts again at reboot`, async () => {
    const run = await hello(
      ...["--expect", "hello> ", "--send", "reboot\\n", "--expect", `rebooting[^]*${banner}`],
    );
    assertGuestShutdown(run);
    // The firmware of a PC resets once more before it starts from scratch.
    assertEquals(qmpEvents(run, "RESET")[0], { guest: true, reason: "guest-reset" }, evidence(run));
  });

  Deno.test({
    name: `e2e: ${bundle}.utm lets the CPU rest while nothing is typed`,
    ignore: !hasProc,
    fn: async () => {
      const run = await startUtmost(
        ...[path, ...COMMON, "--timeout", "60s", "--expect", "hello> ", "--then", "wait"],
      );
      let ticks: number;
      try {
        const { pid } = await run.event("qemu");
        await run.event("expect");
        const before = await cpuTicks(pid);
        await pause(1000);
        ticks = await cpuTicks(pid) - before;
      } finally {
        run.kill("SIGINT");
        await run.end();
      }
      assertLess(ticks, 20, `${ticks} hundredths of a second of CPU time in one second`);
    },
  });

  for (const variant of variants) {
    const machine = variant === "" ? [] : ["--", "-machine", variant];
    const name = `${bundle}.utm${variant === "" ? "" : ` with ${variant}`}`;

    Deno.test(`e2e: ${name} heeds the power button`, async () => {
      const run = await hello(
        ...["--expect", "hello> ", "--send", "awake?\\n", "--expect", "echo: awake?"],
        ...["--then", "stop", ...machine],
      );
      assertGuestShutdown(run);
      assertStringIncludes(run.serial, "utmost: power button", evidence(run));
    });

    Deno.test(`e2e: ${name} panics`, async () => {
      const run = await hello(
        ...["--expect", "hello> ", "--send", "panic\\n", "--then", "wait", ...machine],
      );
      assertEquals(run.code, 11, evidence(run));
      assertEquals(qmpEvents(run, "GUEST_PANICKED").length, 1, evidence(run));
      assertStringIncludes(run.serial, "utmost: panic", evidence(run));
    });
  }
}

/** The CPU time of a process, in clock ticks: hundredths of a second. Source: proc(5), stat. */
async function cpuTicks(pid: unknown): Promise<number> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]); // utime, stime
}

// ------------------------------------------------------------------ Linux

/** AAVMF for `-bios`: beside a kernel, UTM gives a machine no flash. */
const AAVMF = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd";

/** Debian's installers, and a text that tells how they were started. */
const LINUXES = [
  {
    debian: "amd64",
    architecture: "x86_64",
    console: "ttyS0",
    firmware: undefined,
    started: "Linux version \\d[^]*DMI: QEMU Standard PC \\(Q35",
  },
  {
    debian: "arm64",
    architecture: "aarch64",
    console: "ttyAMA0",
    firmware: AAVMF,
    started: "EFI stub: Booting Linux Kernel[^]*efi: EFI v[\\d.]+ by EDK II",
  },
] as const;

for (const { debian, architecture, console: port, firmware, started } of LINUXES) {
  const installer = await findInstaller(debian);
  const missing = installer === undefined
    ? `debian-installer-*-netboot-${debian} is not installed`
    : firmware !== undefined && !await exists(firmware)
    ? "qemu-efi-aarch64 is not installed"
    : undefined;
  if (missing !== undefined) console.log(`skipped: Linux on ${architecture}: ${missing}`);

  Deno.test({
    name: `e2e: Linux on ${architecture}: Debian's installer comes up, and its shell powers off`,
    ignore: missing !== undefined,
    fn: async () => {
      assert(installer !== undefined);
      const bios = firmware === undefined ? [] : [{ path: firmware, type: "BIOS" as const }];
      await using guest = await makeGuest({
        name: `debian-${debian}`,
        architecture,
        memoryMiB: 1024, // with less the installer asks for patience instead of a language
        images: [
          ...bios,
          { path: installer.kernel, type: "LinuxKernel" },
          { path: installer.initrd, type: "LinuxInitrd" },
        ],
        arguments: [`-append "console=${port} DEBIAN_FRONTEND=text"`],
        uefi: false,
      });
      const run = await utmost(
        ...[guest.path, ...COMMON, "--timeout", "5m", "--expect", started],
        ...["--expect", "Select a language[^]*default=\\d+> "],
        ...["--send", "\\x012", "--expect", "~ #"], // the second window of its screen
        ...["--send", "poweroff\\n", "--then", "wait"],
      );
      assertGuestShutdown(run);
    },
  });
}

// ------------------------------------------------------------------ UEFI

for (const architecture of ["x86_64", "aarch64"] as const) {
  Deno.test(`e2e: UEFI on ${architecture}: the firmware's shell comes up and powers off`, async () => {
    await using guest = await makeGuest({
      name: `uefi-${architecture}`,
      architecture,
      memoryMiB: 256,
      images: [],
      arguments: [],
      uefi: true,
    });
    const run = await utmost(
      ...[guest.path, ...COMMON, "--timeout", "2m", "--expect", "UEFI Interactive Shell"],
      ...["--expect", "any other key to continue", "--send", "\\r", "--expect", "Shell> "],
      ...["--send", "reset -s\\r", "--then", "wait"],
    );
    assertGuestShutdown(run);
    // The variables were made from the firmware's template: a firmware volume.
    const variables = await Deno.readFile(join(guest.path, "Data", "efi_vars.fd"));
    assertEquals(new TextDecoder().decode(variables.subarray(40, 44)), "_FVH");
  });
}
