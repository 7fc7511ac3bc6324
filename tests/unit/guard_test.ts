import { assert, assertEquals, assertThrows } from "@std/assert";
import { HostError } from "../../lib/base/errors.ts";
import { guardCommand } from "../../lib/qemu/guard.ts";

Deno.test("guardCommand native puts the program behind the guard's own options", () => {
  assertEquals(
    guardCommand("/bin/sleep", ["1"], { kind: "native", nativeHost: "/x/host", parentPid: 42 }),
    {
      kind: "native",
      program: "/x/host",
      args: ["--parent", "42", "--", "/bin/sleep", "1"],
      lifeline: false,
    },
  );
});

Deno.test("guardCommand setpriv compares the parent's pid behind the signal", {
  ignore: Deno.build.os !== "linux", // parent-death signals are Linux's
}, () => {
  const guarded = guardCommand("/bin/sleep", ["1"], { kind: "setpriv", parentPid: 42 });
  assert(guarded.program.endsWith("/setpriv"));
  assertEquals(guarded.args.slice(0, 4), ["--pdeathsig", "KILL", "/bin/sh", "-c"]);
  assertEquals(guarded.args.slice(5), ["42", "/bin/sleep", "1"]);
  assertEquals(guarded.lifeline, false);
});

Deno.test("guardCommand shell wants a lifeline", () => {
  const guarded = guardCommand("/bin/sleep", ["1"], { kind: "shell" });
  assertEquals(guarded.args.slice(2), ["utmost-guard", "/bin/sleep", "1"]);
  assertEquals(guarded.lifeline, true);
});

Deno.test("guardCommand none leaves the command as it is", () => {
  assertEquals(guardCommand("/bin/sleep", ["1"], { kind: "none" }), {
    kind: "none",
    program: "/bin/sleep",
    args: ["1"],
    lifeline: false,
  });
});

Deno.test("guardCommand chooses a guard by itself, and the native one where there is one", () => {
  assert(guardCommand("/bin/sleep", []).kind !== "none");
  assertEquals(guardCommand("/bin/sleep", [], { nativeHost: "/x/host" }).kind, "native");
});

Deno.test("guardCommand refuses a guard that is not installed", () => {
  const path = Deno.env.get("PATH") ?? "";
  Deno.env.set("PATH", "/nowhere");
  try {
    assertThrows(() => guardCommand("/bin/sleep", [], { kind: "setpriv" }), HostError, "setpriv");
    assertEquals(guardCommand("/bin/sleep", []).kind === "setpriv", false);
  } finally {
    Deno.env.set("PATH", path);
  }
});
