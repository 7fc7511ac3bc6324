import { assertEquals, assertRejects } from "@std/assert";
import { UtmostError } from "../../lib/base/errors.ts";
import { expectShim, holds } from "../../tools/compile.ts";

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

Deno.test("expectShim wants a binary that opens the library that it carries", async () => {
  const binary = await Deno.makeTempFile({ prefix: "utmost-compiled-" });
  try {
    /** Makes a program that prints `text` when it is asked as `doctor --json`. */
    const prints = (text: string) => {
      const script = `#!/bin/sh\n[ "$*" = "doctor --json" ] && printf '%s\\n' '${text}'\nexit 5\n`;
      Deno.writeTextFileSync(binary, script);
      Deno.chmodSync(binary, 0o700);
    };
    prints('{"nativeShim":{"from":"carried","why":null}}');
    await expectShim(binary);
    prints('{"nativeShim":{"from":"built","why":null}}');
    await assertRejects(() => expectShim(binary), UtmostError, "carries: built");
    prints('{"nativeShim":{"from":null,"why":"its ABI is 7"}}');
    await assertRejects(() => expectShim(binary), UtmostError, "carries: its ABI is 7");
    prints("Segmentation fault");
    await assertRejects(() => expectShim(binary), UtmostError, "carries: ");
  } finally {
    await Deno.remove(binary);
  }
});
