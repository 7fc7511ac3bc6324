import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { SHIM_FILE } from "../../ffi/find.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));

/** Compiles with something that is not denort; the module graph and the contents are fine. */
async function compileWith(
  denort: string,
): Promise<{ code: number; output: string; left: number }> {
  const folder = await Deno.makeTempDir({ prefix: "utmost-e2e-compile-" });
  try {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "tools/compile.ts", "--output", join(folder, "utmost")],
      cwd: ROOT,
      env: { DENORT_BIN: denort },
      stdin: "null",
    }).output();
    const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    return { code, output, left: [...Deno.readDirSync(folder)].length };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (
  const [name, path] of [["a stub", "/bin/true"], ["Deno itself", Deno.execPath()]] as const
) {
  Deno.test(`e2e: compile: ${name} for a result is a failure and is removed`, async () => {
    const { code, output, left } = await compileWith(path);
    const embedded =
      /^compile: every module of main\.ts resolves; embedded: (.*)$/m.exec(output)?.[1]
        ?.split(", ") ?? [];
    for (
      const file of [
        `native/build/${SHIM_FILE}`, // opened by the launch and by each display's thread
        "native/build/utmost-qemu-host",
        "lib/vm/display_worker.ts",
        "lib/vm/serve_display.ts", // which nothing but the Worker imports
      ]
    ) assert(embedded.includes(file), `${file} is not in ${embedded}`);
    assertStringIncludes(output, "expected what the sources print");
    assertEquals([code, left], [1, 0]);
  });
}

Deno.test("e2e: compile: without denort it says what would help", async () => {
  const { code, output, left } = await compileWith("/nonexistent/denort");
  assertStringIncludes(output, "is not to be had");
  assertStringIncludes(output, "set DENORT_BIN");
  assertEquals([code, left], [5, 0]);
});
