import { assertEquals, assertLessOrEqual, assertStringIncludes } from "@std/assert";
import { keyNamed, KEYS } from "../../lib/base/keys.ts";
import { COMMANDS, type CommandSpec } from "../../lib/cli/command_table.ts";

Deno.test("every line of a command's help fits a terminal of 100 columns", () => {
  for (const { more = [] } of Object.values<CommandSpec>(COMMANDS)) {
    for (const line of more) assertLessOrEqual(line.length, 100, line);
  }
});

Deno.test("help keys names keys that there are", () => {
  const text = COMMANDS.keys.more.join(" ");
  const [, list = ""] = /Names: (.*), and the rest/.exec(text) ?? [];
  const names = list.split(/, | to | \(|\), /).map((name) => name.replace(")", ""));
  assertEquals(names.length > 50, true, list);
  for (const name of names) assertEquals(KEYS.has(keyNamed(name).name), true, name);
  assertStringIncludes(text, "13 no such VM");
});
