import { assert } from "@std/assert";
import { join } from "@std/path";
import { buildExample, EXAMPLES, EXAMPLES_DIR } from "../../tools/build_examples.ts";

for (const example of EXAMPLES) {
  Deno.test(`e2e: examples: ${example.source} builds the committed image`, async () => {
    const committed = await Deno.readFile(join(EXAMPLES_DIR, example.image));
    const built = await buildExample(example);
    const same = built.length === committed.length &&
      built.every((byte, index) => byte === committed[index]);
    assert(same, `examples/${example.image} is not what its source builds: run deno task examples`);
  });
}
