import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DeadlineError } from "../../lib/base/errors.ts";
import { kvmHint, kvmObstacle, tryAccelerator } from "../../lib/qemu/host_accelerators.ts";
import { fakeHost, type FakeNode } from "../fakes/host.ts";

const KVM: Record<string, FakeNode> = { "/dev/kvm": { kind: "device" } };
const FLAGS = (flags: string) => ({
  "/proc/cpuinfo": `processor: 0\nflags\t\t: ${flags}\nbugs:\n`,
});

Deno.test("kvmObstacle names the first thing in the way, with a hint where there is one", () => {
  const rows: [Parameters<typeof fakeHost>[0], string, string | null][] = [
    [{ os: "darwin" }, "x86_64", "KVM is Linux's"],
    [{ files: KVM }, "ppc", "this x86_64 processor cannot run ppc guests by itself"],
    [{}, "x86_64", "there is no /dev/kvm"],
    [
      { files: { "/dev/kvm": { kind: "device", open: "denied" } } },
      "x86_64",
      "/dev/kvm may not be opened by this user",
    ],
    [
      { files: { ...KVM, ...FLAGS("fpu vmxnet svm_lock") } },
      "x86_64",
      "/dev/kvm opens, but the CPU has neither vmx nor svm",
    ],
    [{ files: { ...KVM, ...FLAGS("fpu svm") } }, "i386", null],
    [{ files: { ...KVM, ...FLAGS("fpu vmx sse") } }, "x86_64", null],
    [{ architecture: "aarch64", files: KVM }, "aarch64", null],
    [
      { architecture: "aarch64", files: KVM },
      "x86_64",
      "this aarch64 processor cannot run x86_64 guests by itself",
    ],
  ];
  for (const [options, guest, expected] of rows) {
    const obstacle = kvmObstacle(fakeHost(options), guest);
    assertEquals(obstacle, expected);
    if (obstacle !== null && obstacle.includes("/dev/kvm")) {
      assertEquals(typeof kvmHint(obstacle), "string", obstacle);
    }
  }
});

Deno.test("tryAccelerator makes a CPU, and forgets a trial that took too long", async () => {
  const slow = fakeHost({
    run: () => {
      throw new DeadlineError("Cannot get the end of it");
    },
  });
  const result = await tryAccelerator(slow, "kvm", "/q", "aarch64", { timeoutMs: 50 });
  assertEquals(result, {
    finding: { usable: false, why: "a trial run of kvm did not end within 50 ms" },
    lasting: false,
  });
  assertStringIncludes(slow.ran[0] ?? "", "-machine virt,gic-version=max -accel kvm -cpu host");
});

Deno.test("tryAccelerator ends with the caller's signal", async () => {
  const host = fakeHost({
    run: (_command, _args, { signal }) => {
      throw signal?.reason;
    },
  });
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(
    () => tryAccelerator(host, "kvm", "/q", "x86_64", { timeoutMs: 50, signal }),
    Error,
    "enough",
  );
});
