import { assertEquals } from "@std/assert";

/** In a process of its own: a test runner has its own way with what nobody catches. */
const PROGRAM = `
import { surviveDefects } from ${JSON.stringify(import.meta.resolve("../../lib/cli/session.ts"))};
const told = Promise.withResolvers();
let count = 0;
using _defects = surviveDefects((error) => {
  console.log("told:", error.message);
  if (++count === 2) told.resolve();
});
void Promise.reject(new Error("nobody awaits this"));
queueMicrotask(() => {
  throw new Error("nobody catches this");
});
await Promise.race([told.promise, new Promise((resolve) => setTimeout(resolve, 10_000))]);
console.log("it goes on");
Deno.exit();
`;

Deno.test("surviveDefects tells what nobody has caught, and the process goes on", async () => {
  const command = new Deno.Command(Deno.execPath(), { args: ["eval", "--no-check", PROGRAM] });
  const { code, stdout, stderr } = await command.output();
  const lines = new TextDecoder().decode(stdout).trim().split("\n");
  assertEquals(
    [code, lines.length, lines.at(-1)],
    [0, 3, "it goes on"],
    new TextDecoder().decode(stderr),
  );
  assertEquals(
    new Set(lines.slice(0, 2)),
    new Set(["told: nobody awaits this", "told: nobody catches this"]),
  );
});
