import { assertEquals } from "@std/assert";
import { holds } from "../../tools/compile.ts";

Deno.test("holds finds a part anywhere, also behind a false start", () => {
  const rows: [bytes: number[], part: number[], found: boolean][] = [
    [[1, 2, 3], [1, 2, 3], true],
    [[1, 2, 3], [3], true],
    [[1, 1, 2], [1, 2], true],
    [[1, 2, 1, 3], [1, 3], true],
    [[1, 2], [1, 2, 3], false],
    [[1, 2, 1], [1, 3], false],
    [[], [1], false],
    [[1], [], true],
  ];
  for (const [bytes, part, found] of rows) {
    assertEquals(holds(new Uint8Array(bytes), new Uint8Array(part)), found, `${part} in ${bytes}`);
  }
});
