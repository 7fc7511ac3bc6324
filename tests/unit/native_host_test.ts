import { assertEquals } from "@std/assert";
import { parsePlist } from "../../lib/utm/plist.ts";

Deno.test("entitlements.plist is a plain list, without the comments that its reader refuses", async () => {
  const bytes = await Deno.readFile(new URL("../../native/entitlements.plist", import.meta.url));
  assertEquals(new TextDecoder().decode(bytes).includes("<!--"), false);
  const entitlements = await parsePlist(bytes, "entitlements.plist");
  assertEquals(entitlements.get("com.apple.security.hypervisor"), true);
  assertEquals(entitlements.get("com.apple.security.cs.allow-jit"), true);
});
