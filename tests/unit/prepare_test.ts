import { assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { HostError } from "../../lib/base/errors.ts";
import { openBundle } from "../../lib/utm/bundle.ts";
import { prepare } from "../../lib/vm/prepare.ts";
import { options } from "./argv_fixtures.ts";

const HELLO = fromFileUrl(new URL("../../examples/hello.utm", import.meta.url));

Deno.test("prepare leaves nothing running when one part of it fails", async () => {
  const bundle = await openBundle(HELLO);
  const request = { options: options(), qemu: "/nonexistent/qemu", drives: new Map() };
  // The test's sanitizers see what is left of the others, such as a look at a file of the bundle.
  await assertRejects(
    () => prepare(bundle, request, { directory: "/nonexistent", listener: "supervisor" }),
    HostError,
    "/nonexistent/qemu",
  );
});
