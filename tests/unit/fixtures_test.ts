import { assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { BundleError } from "../../lib/base/errors.ts";
import { openBundle, resolveFiles } from "../../lib/utm/bundle.ts";

const BUNDLES = fromFileUrl(new URL("../fixtures/bundles/", import.meta.url));
const README = await Deno.readTextFile(new URL("../fixtures/README.md", import.meta.url));
const names = [...Deno.readDirSync(BUNDLES)].map((entry) => entry.name).sort();

for (const name of names) {
  const apple = name.startsWith("apple");
  Deno.test(`fixture ${name} ${apple ? "is refused as Apple's" : "opens without complaint"}`, async () => {
    const open = openBundle(`${BUNDLES}${name}`, { hostArchitecture: "x86_64" });
    if (apple) {
      await assertRejects(() => open, BundleError, "Virtualization framework");
      return;
    }
    const bundle = await open;
    const files = await resolveFiles(bundle);
    assertEquals(files.outside, []);
    assertEquals(files.warnings, []);
    if (!name.startsWith("odd")) assertEquals(bundle.warnings, []);
    if (name !== "binary.utm") assertEquals(bundle.unknownKeys, []);
  });
}

Deno.test("every fixture is in the table of fixtures/README.md", () => {
  const listed = [...README.matchAll(/^\| `([^`]+)` \|/gm)].map((row) => `${row[1]}.utm`).sort();
  assertEquals(listed, names);
});
