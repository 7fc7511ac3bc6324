import { assert, assertEquals } from "@std/assert";
import { knownCause } from "../../lib/qemu/known_causes.ts";
import { QemuLaunchError } from "../../lib/qemu/process.ts";

const WORDS: [what: string, exitCode: number, hint: string, lines: string[]][] = [
  ["an image in use", 14, "image open", [
    'qemu-system-x86_64: -drive if=none,file=d.qcow2: Failed to get "write" lock',
    "Is another process using the image [d.qcow2]?",
  ]],
  ["a taken port", 14, "port", [
    "qemu-system-x86_64: -netdev user,id=n: Could not set up host forwarding rule 'tcp::22-:22'",
  ]],
  ["too little memory", 14, "--memory", [
    "qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory",
  ]],
  ["no KVM", 6, "--accel tcg", [
    "Could not access KVM kernel module: No such file or directory",
    "qemu-system-x86_64: failed to initialize kvm: No such file or directory",
  ]],
];
for (const [what, exitCode, hint, stderrTail] of WORDS) {
  Deno.test(`QemuLaunchError knows ${what}`, () => {
    const error = new QemuLaunchError("QEMU", ["qemu"], { code: 1, signal: null, stderrTail });
    assertEquals(error.exitCode, exitCode);
    assert(error.hint?.includes(hint), error.hint);
  });
}

Deno.test("QemuLaunchError has exit code 6 and no hint for other words", () => {
  const exit = { code: 1, signal: null, stderrTail: ["qemu: -nope: invalid option"] };
  const error = new QemuLaunchError("QEMU", ["qemu"], exit);
  assertEquals([error.exitCode, error.hint], [6, undefined]);
  assertEquals(knownCause([]), undefined);
});
