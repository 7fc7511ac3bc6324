import { assertEquals } from "@std/assert";
import { toldOnce } from "../../lib/vm/told_once.ts";

Deno.test("toldOnce tells each text once, and stops at a server that makes up new ones", () => {
  const told: string[] = [];
  const tell = toldOnce((text) => told.push(text));
  for (const text of ["a", "b", "a", "b"]) tell(text);
  assertEquals(told, ["a", "b"]);
  for (let n = 0; n < 1000; n++) tell(`text ${n}`);
  assertEquals(told.length, 51);
  assertEquals(told.at(-1), "there is more of this, which is not told any longer");
});
