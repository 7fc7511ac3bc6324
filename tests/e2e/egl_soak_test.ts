/**
 * 100,000 frames on every EGL there is: the program of `deno task test:native` that looks for what grows
 * (descriptors, memory, objects of GL), for longer.
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { ANGLE_DIR, hasAngle, whyNoAngleHere } from "../../tools/angle.ts";
import { whyNoBackportsHere } from "../../tools/backports.ts";
import { hasNewerMesa, WITH_NEWER_MESA } from "../../tools/newer_mesa.ts";

const NATIVE = fromFileUrl(new URL("../../native", import.meta.url));
const FRAMES = "100000";
const isLinux = Deno.build.os === "linux";

/** Runs a command in `native/`. @returns what it printed, errors among it, and its exit code */
async function run(command: string, ...args: string[]): Promise<{ text: string; code: number }> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args, cwd: NATIVE }).output();
  const decoder = new TextDecoder();
  return { text: decoder.decode(stdout) + decoder.decode(stderr), code };
}

/** A test on one EGL; `why` it cannot be there is printed. */
function soakTest(name: string, why: string | undefined, ...command: [string, ...string[]]): void {
  const title = `e2e: 100,000 frames on ${name} let nothing grow`;
  if (why !== undefined) console.error(`skipped: ${title}: ${why}`);
  Deno.test({
    name: title,
    ignore: why !== undefined,
    fn: async () => {
      const built = await run("make", "-s", "build/egl_soak");
      assertEquals(built, { text: "", code: 0 });
      const { text, code } = await run(...command, FRAMES);
      console.log(text.trim());
      assertEquals(code, 0);
      assertStringIncludes(text, ", 0 failed");
      assertEquals(text.includes("skipped"), false);
    },
  });
}

const noMesa = isLinux ? undefined : "it is Linux's";
const noAngle = await hasAngle() ? undefined : whyNoAngleHere() ?? "deno task setup brings it";
const noNewerMesa = await hasNewerMesa()
  ? undefined
  : await whyNoBackportsHere() ?? "deno task setup brings it";

soakTest("the system's Mesa", noMesa, "build/egl_soak", "mesa", "1", "-");
soakTest("ANGLE", noAngle, "build/egl_soak", "angle", "2", ANGLE_DIR);
soakTest("Mesa 25", noNewerMesa, WITH_NEWER_MESA, "build/egl_soak", "mesa-25", "1", "-");
