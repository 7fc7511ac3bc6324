/** What a run leaves in its bundle: a disposable one nothing, any other what UTM would. */
import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { join } from "@std/path";
import { hashTree, type Sandbox, sandboxTest } from "./sandbox.ts";

const POWEROFF = ["--expect", "hello> ", "--send", "poweroff\\n", "--then", "wait"];
const BUDGET = ["--timeout", "60s"];

/** Writes to the first disk of a running VM, in the place of its guest. */
async function writeDisk(sandbox: Sandbox, id: string): Promise<void> {
  const blocks = await sandbox.json(["qmp", id, "query-block"]) as { device: string }[];
  for (const command of ["write -P 85 64k 4k", "flush"]) {
    const line = `qemu-io ${blocks[0]?.device} "${command}"`;
    const request = {
      execute: "human-monitor-command",
      arguments: { "command-line": line },
    };
    assertEquals(await sandbox.json(["qmp", id, JSON.stringify(request)]), "");
  }
}

/** Asserts that two states are of one TPM: seeds of its own would differ in many bytes. */
function assertSameTpm([one, two]: Uint8Array[]): void {
  assertGreater(one!.length, 1_000);
  const changed = one!.filter((byte, at) => byte !== two![at]).length;
  console.log(`${changed} of ${one!.length} bytes of tpmdata changed`);
  assertLess(changed, 64);
}

sandboxTest(
  "e2e: bundle: --disposable leaves every byte, also of two runs side by side",
  async (sandbox) => {
    const bundle = await sandbox.bundle({ writable: true });
    const before = await hashTree(bundle);
    const ids = [
      await sandbox.boot(bundle, "--disposable"),
      await sandbox.boot(bundle, "--disposable"),
    ];
    for (const id of ids) await writeDisk(sandbox, id);
    assertEquals(await hashTree(bundle), before);
    for (const id of ids) assertEquals((await sandbox.run(["stop", id])).code, 0);
    assertEquals(await hashTree(bundle), before);
    assertEquals(await sandbox.instances(), []);
  },
);

sandboxTest("e2e: bundle: a run in place writes the disk, and nothing else", async (sandbox) => {
  const bundle = await sandbox.bundle({ writable: true });
  const before = await hashTree(bundle);
  const id = await sandbox.boot(bundle);
  await writeDisk(sandbox, id);
  assertEquals((await sandbox.run(["stop", id])).code, 0);
  const { "Data/hello.img": disk, ...others } = await hashTree(bundle);
  const { "Data/hello.img": diskBefore, ...othersBefore } = before;
  assertEquals(others, othersBefore);
  assert(disk !== diskBefore, "the disk was written");
  const image = await Deno.readFile(join(bundle, "Data", "hello.img"));
  assertEquals([...image.subarray(65536, 65540)], [85, 85, 85, 85]);
});

sandboxTest("e2e: bundle: a disk that is read-only stays as it is", async (sandbox) => {
  const bundle = await sandbox.bundle();
  const before = await hashTree(bundle);
  assertEquals((await sandbox.run([bundle, ...POWEROFF, ...BUDGET])).code, 0);
  assertEquals(await hashTree(bundle), before);
});

sandboxTest(
  "e2e: bundle: swtpm is a helper that ends with its VM, and tpmdata survives",
  async (sandbox) => {
    const bundle = await sandbox.bundle({ tpm: true });
    const before = await hashTree(bundle);
    const path = join(bundle, "Data", "tpmdata");
    const states: Uint8Array[] = [];
    for (let n = 0; n < 2; n++) {
      const id = await sandbox.boot(bundle);
      const swtpms = (await sandbox.processes()).filter(({ command }) =>
        command.includes("swtpm socket ")
      );
      assertEquals(swtpms.length, 1, "one swtpm");
      assertEquals((await sandbox.run(["stop", id])).code, 0);
      assertEquals(await sandbox.leftovers(), []);
      states.push(await Deno.readFile(path));
      const { "Data/tpmdata": _, ...others } = await hashTree(bundle);
      assertEquals(others, before);
    }
    assertSameTpm(states);
    const { mode } = await Deno.stat(path);
    assertEquals((mode ?? 0) & 0o777, 0o600);
  },
);

sandboxTest(
  "e2e: bundle: a TPM of a path with a comma, which swtpm cannot take",
  async (sandbox) => {
    const bundle = await sandbox.bundle({ tpm: true, name: "a,b" });
    const states: Uint8Array[] = [];
    for (let n = 0; n < 2; n++) {
      const { code, stderr } = await sandbox.run([bundle, ...POWEROFF, ...BUDGET]);
      assertEquals(code, 0, stderr);
      states.push(await Deno.readFile(join(bundle, "Data", "tpmdata")));
    }
    assertSameTpm(states);
    assertEquals(Object.keys(await hashTree(bundle)).length, 3, "nothing else is there");
  },
);

sandboxTest("e2e: bundle: UEFI and TPM, disposable and in place", async (sandbox) => {
  const bundle = await sandbox.bundle({ uefi: true, tpm: true, writable: true });
  const steps = ["--expect", "BdsDxe: ", "--then", "kill", "--timeout", "120s"];
  const before = await hashTree(bundle);
  const first = await sandbox.run([bundle, "--disposable", ...steps]);
  assertEquals(first.code, 0, first.stderr);
  assertEquals(await hashTree(bundle), before);
  assertEquals(await sandbox.leftovers(), []);

  const inPlace = await sandbox.run([bundle, ...steps]);
  assertEquals(inPlace.code, 0, inPlace.stderr);
  const made = await hashTree(bundle);
  assertEquals(
    Object.keys(made).filter((name) => before[name] !== made[name]).toSorted(),
    ["Data/efi_vars.fd", "Data/tpmdata"],
  );

  const [one, two] = await Promise.all(
    [0, 1].map(() => sandbox.run([bundle, "--disposable", ...steps])),
  );
  assertEquals([one?.code, two?.code], [0, 0], `${one?.stderr}${two?.stderr}`);
  assertEquals(await hashTree(bundle), made);
  assertEquals(await sandbox.instances(), []);
});

sandboxTest("e2e: bundle: swtpm that dies leaves a VM that can be stopped", async (sandbox) => {
  const bundle = await sandbox.bundle({ tpm: true });
  const id = await sandbox.boot(bundle);
  const [swtpm] = (await sandbox.processes()).filter(({ command }) =>
    command.includes("swtpm socket ")
  );
  Deno.kill(swtpm!.pid, "SIGKILL");
  const stopped = await sandbox.run(["stop", id]);
  assertEquals(stopped.code, 0, stopped.stderr);
  assertEquals(await sandbox.instances(), []);
});
