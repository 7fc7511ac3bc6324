import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { HostError } from "../../lib/base/errors.ts";
import {
  findArchitectures,
  findBinary,
  findProgram,
  missingQemuHint,
} from "../../lib/qemu/host_binaries.ts";
import { fakeHost, PROGRAM } from "../fakes/host.ts";

Deno.test("findBinary takes --qemu before UTMOST_QEMU before PATH before Homebrew", () => {
  const files = {
    "/given/qemu-system-ppc": PROGRAM,
    "/mine/qemu-system-ppc": PROGRAM,
    "/usr/bin/qemu-system-ppc": PROGRAM,
    "/opt/homebrew/bin/qemu-system-ppc": PROGRAM,
  };
  const env = { PATH: "relative:/bin:/usr/bin", UTMOST_QEMU: "/mine" };
  const found = (host: ReturnType<typeof fakeHost>, qemu?: string) => findBinary(host, "ppc", qemu);
  assertEquals(found(fakeHost({ files, env }), "/given/"), {
    path: "/given/qemu-system-ppc",
    from: "--qemu",
  });
  assertEquals(found(fakeHost({ files, env }), "/given/qemu-system-ppc")?.from, "--qemu");
  assertEquals(found(fakeHost({ files, env })), {
    path: "/mine/qemu-system-ppc",
    from: "UTMOST_QEMU",
  });
  assertEquals(found(fakeHost({ files, env: { PATH: env.PATH } })), {
    path: "/usr/bin/qemu-system-ppc",
    from: "PATH",
  });
  assertEquals(found(fakeHost({ files, env: { PATH: "/bin" } })), {
    path: "/opt/homebrew/bin/qemu-system-ppc",
    from: "/opt/homebrew/bin",
  });
  assertEquals(findBinary(fakeHost({ files, env: { PATH: "/bin" } }), "m68k"), null);
});

Deno.test("findBinary takes Red Hat's qemu-kvm for the processor's own architecture only", () => {
  const host = fakeHost({ files: { "/usr/libexec/qemu-kvm": PROGRAM } });
  assertEquals(findBinary(host, "x86_64")?.path, "/usr/libexec/qemu-kvm");
  assertEquals(findBinary(host, "aarch64"), null);
});

Deno.test("findBinary names what was given and is of no use", () => {
  const host = fakeHost({
    files: { "/q/other": PROGRAM, "/plain": "text", "/d/qemu-system-ppc": "text" },
    env: { UTMOST_QEMU: "/nowhere" },
  });
  const message = (qemu?: string) =>
    assertThrows(() => findBinary(host, "ppc", qemu), HostError).message;
  assertStringIncludes(message("/absent"), '--qemu "/absent": there is no such file');
  assertStringIncludes(message(), 'UTMOST_QEMU "/nowhere"');
  assertStringIncludes(message("/q"), "the folder has no qemu-system-ppc");
  assertStringIncludes(message("/plain"), "it cannot be executed");
  assertStringIncludes(message("/d"), "qemu-system-ppc in it cannot be executed");
});

Deno.test("findArchitectures lists what has a program", () => {
  const host = fakeHost({
    files: {
      "/usr/bin/qemu-system-x86_64": PROGRAM,
      "/usr/bin/qemu-system-x86_64-microvm": PROGRAM,
      "/usr/bin/qemu-system-ppc": PROGRAM,
      "/usr/bin/qemu-system-arm": "not a program",
      "/q/qemu-system-m68k": PROGRAM,
    },
    env: { PATH: "/usr/bin" },
  });
  assertEquals(findArchitectures(host), ["ppc", "x86_64"]);
  assertEquals(findArchitectures(host, "/q"), ["m68k"]);
  assertEquals(findArchitectures(host, "/q/qemu-system-m68k"), ["m68k"]);
});

Deno.test("findProgram looks in PATH and in Homebrew's folders", () => {
  const files = { "/opt/homebrew/bin/swtpm": PROGRAM };
  assertEquals(findProgram(fakeHost({ files }), "swtpm"), "/opt/homebrew/bin/swtpm");
  assertEquals(findProgram(fakeHost({}), "swtpm"), null);
});

Deno.test("missingQemuHint names packages", () => {
  assertStringIncludes(missingQemuHint("aarch64", "linux"), "qemu-system-arm (Debian, Ubuntu)");
  assertStringIncludes(missingQemuHint("m68k", "linux"), "qemu-system-misc (Debian, Ubuntu)");
  assertStringIncludes(missingQemuHint("i386", "linux"), "qemu-system-x86 (Fedora, Arch)");
  assertStringIncludes(missingQemuHint("ppc", "darwin"), "brew install qemu");
  assertStringIncludes(missingQemuHint("ppc", "darwin"), "UTM.app");
});
