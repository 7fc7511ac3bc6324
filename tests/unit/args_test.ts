import { assert, assertEquals, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import { UsageError } from "../../lib/base/errors.ts";
import { lastValue, parseCommandLine } from "../../lib/cli/args.ts";
import { COMMANDS } from "../../lib/cli/command_table.ts";

function refusal(...args: string[]): { message: string; hint: string } {
  const error = assertThrows(() => parseCommandLine(args), UsageError);
  assertEquals(error.exitCode, 2);
  return { message: error.message, hint: error.hint ?? "" };
}

Deno.test("parseCommandLine takes a bundle alone for run", () => {
  const parsed = parseCommandLine(["vm.utm", "--headless", "--memory=512", "--", "-d", "int"]);
  assertEquals([parsed.command, parsed.words], ["run", ["vm.utm"]]);
  assertEquals([...parsed.flags], ["headless"]);
  assertEquals(lastValue(parsed, "memory"), "512");
  assertEquals(parsed.passthrough, ["-d", "int"]);
});

Deno.test("parseCommandLine finds the command behind options, and values that begin with a dash", () => {
  const parsed = parseCommandLine(["--memory", "512", "run", "vm.utm", "--send", "-x", "-q"]);
  assertEquals([parsed.command, parsed.words], ["run", ["vm.utm"]]);
  assertEquals(parsed.steps, [{ name: "send", value: "-x" }]);
  assert(parsed.flags.has("quiet"));
});

Deno.test("parseCommandLine keeps steps in the order given", () => {
  const args = ["a.utm", "--expect", "x", "--send=1", "--screenshot", "p.png", "--expect=y"];
  assertEquals(parseCommandLine(args).steps, [
    { name: "expect", value: "x" },
    { name: "send", value: "1" },
    { name: "screenshot", value: "p.png" },
    { name: "expect", value: "y" },
  ]);
});

Deno.test("parseCommandLine counts the last of a value that is given twice, and all of a list", () => {
  const parsed = parseCommandLine([
    "a.utm",
    "--cpus",
    "1",
    "--cpus",
    "2",
    "--allow=args",
    "--allow",
    "ports",
  ]);
  assertEquals(lastValue(parsed, "cpus"), "2");
  assertEquals(parsed.values.get("allow"), ["args", "ports"]);
});

Deno.test("parseCommandLine leaves words as they are typed", () => {
  assertEquals(parseCommandLine(["send", "vm", "0123"]).words, ["vm", "0123"]);
  assertEquals(
    parseCommandLine(["qmp", "vm", '{"execute":"stop"}']).words[1],
    '{"execute":"stop"}',
  );
});

Deno.test("parseCommandLine names the nearest known command or flag", () => {
  assertEquals(refusal("rnu"), {
    message: 'Cannot run "rnu": it is neither a command nor a bundle',
    hint: "Did you mean run?",
  });
  assertEquals(refusal("a.utm", "--hedless").hint, "Did you mean --headless?");
  assertEquals(refusal("a.utm", "--accel", "kmv").hint, "Did you mean kvm?");
  assertEquals(refusal("ps", "--kill").message, 'Cannot use "--kill": ps has no such flag');
  assertEquals(refusal("a.utm", "-x").message, 'Cannot use "-x": run has no such flag');
  assertEquals(refusal("a.utm", "-_").message, 'Cannot use "-_": run has no such flag');
  assertEquals(
    refusal("superwise").message,
    'Cannot run "superwise": it is neither a command nor a bundle',
  );
});

Deno.test("parseCommandLine refuses flags with values, options without, and wrong word counts", () => {
  assertEquals(
    refusal("a.utm", "--headless=no").message,
    'Cannot use "--headless=no": --headless takes no value',
  );
  assertEquals(
    refusal("a.utm", "--memory").message,
    "Cannot use --memory: there is no value, expected MIB",
  );
  assertEquals(
    refusal("run").message,
    "Cannot run run: a word is missing, expected utmost run BUNDLE",
  );
  assertEquals(
    refusal("ps", "x").message,
    'Cannot run ps: "x" is one word too many, expected utmost ps',
  );
  assertEquals(refusal("ps", "--", "x").message, 'Cannot use "--" with ps: it passes nothing on');
});

Deno.test("parseCommandLine takes words that begin with a dash behind -- where words are typed", () => {
  const typed = parseCommandLine(["type", "vm", "--", "-x --y"]);
  assertEquals([typed.words, typed.passthrough], [["vm", "-x --y"], []]);
  assertEquals(parseCommandLine(["keys", "vm", "-", "ctrl-c", "a"]).words, [
    "vm",
    "-",
    "ctrl-c",
    "a",
  ]);
  assertEquals(parseCommandLine(["--json", "send", "--", "vm", "-x"]).words, ["vm", "-x"]);
  assertEquals(
    refusal("keys", "vm").message,
    "Cannot run keys: a word is missing, expected utmost keys VM KEY…",
  );
  assertEquals(
    refusal("type", "vm", "a", "b").message,
    'Cannot run type: "b" is one word too many, expected utmost type VM TEXT',
  );
});

Deno.test("parseCommandLine tells the screenshot of view and the step of run apart", () => {
  const parsed = parseCommandLine(["--duration", "5s", "view", "vm", "--screenshot", "a.png"]);
  assertEquals([parsed.command, parsed.words, parsed.steps], ["view", ["vm"], []]);
  assertEquals(lastValue(parsed, "screenshot"), "a.png");
  assertEquals(lastValue(parsed, "duration"), "5s");
  const saved = parseCommandLine(["screenshot", "vm", "a.png", "--cursor", "--display=1"]);
  assertEquals([saved.words, saved.flags.has("cursor")], [["vm", "a.png"], true]);
  assertEquals(refusal("view", "vm", "--passwd", "x").hint, "utmost help view lists its flags.");
  assertEquals(refusal("vew").hint, "Did you mean view?");
});

Deno.test("parseCommandLine answers --help, -h and --version without words", () => {
  assertEquals(parseCommandLine([]).command, "help");
  assertEquals(parseCommandLine(["-h"]).command, "help");
  assertEquals(parseCommandLine(["--version"]).command, "version");
  assert(parseCommandLine(["stop", "--help"]).flags.has("help"));
});

Deno.test("parseCommandLine either parses or refuses, whatever it is given", () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom(
      ...Object.keys(COMMANDS),
      "--",
      "-",
      "--=",
      "--constructor",
      "__proto__",
      "-qv",
    ),
    fc.constantFrom("--send", "--memory=1", "--json", "a.utm", "-h"),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), (args) => {
      try {
        parseCommandLine(args);
      } catch (error) {
        assert(error instanceof UsageError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
