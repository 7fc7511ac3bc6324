/**
 * UTM.app's libraries, run by `utmost-qemu-host`: here in a made-up app, whose libraries become this
 * system's own QEMU and swtpm once they are run. So all but UTM's code itself is the real thing.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { pause } from "../../lib/base/deadline.ts";
import { findInPath } from "../../lib/qemu/executable.ts";
import { HELLO, type Sandbox, sandboxTest } from "./sandbox.ts";

const NATIVE = fromFileUrl(new URL("../../native", import.meta.url));
/** A launch takes half of this. */
const LATEST_KILL_MS = 600;
const KILLS = 40;

/** Builds the stand-ins and puts them where UTM has its libraries. */
async function makeApp(sandbox: Sandbox, folder = "UTM.app"): Promise<string> {
  const make = await new Deno.Command("make", {
    args: ["-s", "-C", NATIVE, "qemu-standins", "all"],
  })
    .output();
  assert(make.success, new TextDecoder().decode(make.stderr));
  const app = sandbox.path(folder);
  for (
    const [name, standin] of [["qemu-x86_64-softmmu", "as_qemu"], ["swtpm.0", "as_swtpm"]] as const
  ) {
    const place = join(app, "Contents/Frameworks", `${name}.framework/Versions/A`);
    await Deno.mkdir(place, { recursive: true });
    await Deno.copyFile(join(NATIVE, "build/standin/qemu", `${standin}.so`), join(place, name));
  }
  await Deno.mkdir(join(app, "Contents/Resources/qemu"), { recursive: true });
  await Deno.writeTextFile(
    join(app, "Contents/Info.plist"),
    "<key>CFBundleShortVersionString</key><string>5.0.3</string>",
  );
  sandbox.env.UTMOST_UTM_APP = app;
  return app;
}

sandboxTest("e2e: UTM.app: a guest with a TPM runs on the app's libraries", async (sandbox) => {
  const app = await makeApp(sandbox);
  const bundle = await sandbox.bundle({ tpm: true });
  const run = sandbox.startRun([
    bundle,
    ...["--headless", "--expect", "hello> ", "--send", "poweroff\\n", "--then", "wait"],
    ...["--timeout", "60s"],
  ]);
  const { code, stderr } = await run.outcome;
  assertEquals(code, 0, stderr);
  const { binary, argv } = await run.until({ event: "qemu" });
  assertStringIncludes(binary as string, "utmost-qemu-host");
  const library = join(app, "Contents/Frameworks/qemu-x86_64-softmmu.framework/Versions/A");
  assertEquals((argv as string[]).slice(1, 6), [
    "--library",
    join(library, "qemu-x86_64-softmmu"),
    "--",
    "-L",
    join(app, "Contents/Resources/qemu"),
  ]);
});

sandboxTest("e2e: UTM.app: the printed command runs, and names the app", async (sandbox) => {
  const app = await makeApp(sandbox);
  const bundle = await sandbox.bundle({ tpm: true });
  const { binary, argv, helpers } = await sandbox.json(["argv", bundle]) as {
    binary: string;
    argv: string[];
    helpers: string[][];
  };
  assertStringIncludes(argv.join(" "), `--library ${app}/Contents/Frameworks/qemu-x86_64`);
  assertStringIncludes(helpers[0]!.join(" "), `--library ${app}/Contents/Frameworks/swtpm.0`);
  const version = await new Deno.Command(binary, { args: [...argv.slice(0, 3), "--version"] })
    .output();
  assertStringIncludes(new TextDecoder().decode(version.stdout), "QEMU emulator version");
});

sandboxTest("e2e: UTM.app: --qemu goes before it", async (sandbox) => {
  await makeApp(sandbox);
  const own = findInPath("qemu-system-x86_64")!;
  const { binary } = await sandbox.json(["argv", HELLO, "--qemu", own]) as { binary: string };
  assertEquals(binary, own);
});

sandboxTest("e2e: UTM.app: what is no app is named, with exit 5", async (sandbox) => {
  for (const [path, why] of [["/nonexistent", "no such folder"], ["/tmp", "it has no QEMU"]]) {
    const run = await sandbox.run([HELLO], { env: { UTMOST_UTM_APP: path! } });
    assertEquals(run.code, 5);
    assertStringIncludes(run.stderr, `UTMOST_UTM_APP "${path}"`);
    assertStringIncludes(run.stderr, why!);
  }
});

sandboxTest("e2e: UTM.app: doctor tells of it", async (sandbox) => {
  const app = await makeApp(sandbox);
  const { code, stdout } = await sandbox.run(["doctor"]);
  assertEquals(code, 0, stdout);
  assertStringIncludes(stdout, `UTM.app 5.0.3 at ${app}`);
});

sandboxTest(
  `e2e: UTM.app: ${KILLS} random kill -9 of the supervisor leave nothing`,
  async (sandbox) => {
    await makeApp(sandbox);
    const bundle = await sandbox.bundle({ tpm: true });
    await sandbox.boot(bundle); // so that the host is probed
    const kinds = (await sandbox.processes()).map(({ command }) => command.split(" ")[0]);
    assert(kinds.some((it) => it?.endsWith("swtpm")), kinds.join(", "));
    assert(kinds.some((it) => it?.endsWith("qemu-system-x86_64")), kinds.join(", "));
    assertEquals((await sandbox.run(["stop", bundle])).code, 0);
    for (let n = 0; n < KILLS; n++) {
      const run = sandbox.start(["run", bundle]);
      const delayMs = Math.random() * LATEST_KILL_MS;
      await pause(delayMs);
      run.kill("SIGKILL");
      assertEquals((await run.outcome).code, -1);
      const left = await sandbox.leftovers();
      assertEquals(left, [], `kill ${n} after ${delayMs.toFixed(0)} ms left processes behind`);
    }
  },
  { timeout: 180_000 },
);
