/** `utmost ps` and `utmost status`: what runs. */
import { printable } from "../../base/text.ts";
import { targetUri } from "../../spice/spice_uri.ts";
import { findVm, listVms } from "../../vm/find.ts";
import type { VmStatus } from "../../vm/control_methods.ts";
import type { Invocation } from "../args.ts";
import { formatTable } from "../table.ts";
import { formatForward } from "../values.ts";

/** Lists the running VMs of this user. */
export async function ps({ flags }: Invocation): Promise<number> {
  const vms = await listVms();
  if (flags.has("json")) console.log(JSON.stringify(vms));
  else {
    const rows = vms.map((vm) => [
      vm.id,
      printable(vm.name),
      vm.state,
      duration(vm.uptimeSeconds),
      String(vm.qemuPid ?? "-"),
      printable(vm.bundle),
    ]);
    console.log(formatTable([["ID", "NAME", "STATE", "UP", "QEMU", "BUNDLE"], ...rows]));
  }
  return 0;
}

/** Shows one running VM. */
export async function status({ words: [target = ""], flags }: Invocation): Promise<number> {
  const vm = await findVm(target);
  if (flags.has("json")) console.log(JSON.stringify(vm));
  else console.log(formatTable(describe(vm)));
  return 0;
}

function describe(vm: VmStatus): string[][] {
  const forwards = vm.forwards.map((forward) => ["forward", formatForward(forward)]);
  return [
    ["id", vm.id],
    ["name", printable(vm.name)],
    ["uuid", vm.uuid],
    ["bundle", printable(vm.bundle)],
    ["state", vm.state],
    ["up", duration(vm.uptimeSeconds)],
    ["supervisor", `pid ${vm.pid}`],
    ["qemu", vm.qemuPid === null ? "not started" : `pid ${vm.qemuPid}, ${vm.binary}`],
    ["accelerator", vm.accelerator ?? "-"],
    ["disposable", vm.disposable ? "yes" : "no"],
    ["terminals", String(vm.terminals)],
    ["spice", vm.spice === null ? "none" : targetUri({ path: vm.spice })],
    ...forwards,
  ];
}

function duration(seconds: number): string {
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${seconds % 60}s`;
  return `${Math.floor(seconds / 3600)}h${Math.floor(seconds % 3600 / 60)}m`;
}
