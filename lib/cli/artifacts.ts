/** The evidence of a failed run: what happened, what QEMU and the guest said, how QEMU was started. */
import { join } from "@std/path";
import { commandForShell } from "../base/words.ts";
import type { LaunchPlan } from "../qemu/launch_options.ts";
import type { LoggedEvent } from "../vm/events.ts";
import type { VirtualMachine } from "../vm/machine.ts";

/** What there is to keep. */
export interface Evidence {
  events: readonly LoggedEvent[];
  plan?: LaunchPlan;
  vm?: VirtualMachine;
}

/** Writes `events.ndjson`, `argv.txt`, `qemu.log` and `serial-N.log` into a folder, made if missing. */
export async function saveArtifacts(folder: string, evidence: Evidence): Promise<void> {
  const { events, plan, vm } = evidence;
  await Deno.mkdir(folder, { recursive: true });
  const write = (name: string, text: string) => Deno.writeTextFile(join(folder, name), text);
  await write("events.ndjson", events.map((event) => `${JSON.stringify(event)}\n`).join(""));
  if (plan !== undefined) {
    await write("argv.txt", `${commandForShell([plan.binary, ...plan.argv])}\n`);
  }
  if (vm === undefined) return;
  await write("qemu.log", vm.stderrTail.map((line) => `${line}\n`).join(""));
  for (const [index, port] of vm.serials) {
    await Deno.writeFile(join(folder, `serial-${index}.log`), port.history());
  }
}
