/**
 * Builds `native/build` where there is a C compiler, for tests that can do without; where there is
 * none, says so and ends well. What the compiler refuses is an error.
 */
import { fromFileUrl } from "@std/path";

const FOLDER = fromFileUrl(new URL("../native", import.meta.url));

async function isThere(command: string): Promise<boolean> {
  try {
    const options: Deno.CommandOptions = { args: ["--version"], stdout: "null", stderr: "null" };
    return (await new Deno.Command(command, options).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

if (import.meta.main) {
  const needed = ["make", Deno.env.get("CC") ?? "cc"];
  const there = await Promise.all(needed.map(isThere));
  const missing = needed.filter((_, i) => !there[i]);
  if (missing.length > 0) {
    console.error(`native/build is not built: there is no ${missing.join(", and no ")}`);
  } else {
    const { code } = await new Deno.Command("make", { args: ["-s", "-C", FOLDER] }).spawn().status;
    Deno.exit(code);
  }
}
