/** One call to a running VM's supervisor: what most verbs are made of. */
import { withDeadline } from "../base/deadline.ts";
import { connectVm } from "../vm/find.ts";

/** How long a supervisor may take to end once its VM is off, in milliseconds. */
const SUPERVISOR_END_MS = 5_000;

/**
 * Calls one method of the supervisor of the VM that `target` names.
 *
 * @returns The VM's id, and the method's result.
 * @throws as `connectVm` and `ControlClient.call` do.
 */
export async function callVm(
  target: string,
  method: string,
  params: Record<string, unknown> = {},
  timeoutMs = 30_000,
): Promise<{ id: string; result: unknown }> {
  const { vm, client } = await connectVm(target);
  await using owned = client;
  return { id: vm.id, result: await owned.call(method, params, { timeoutMs }) };
}

/**
 * Calls a method that ends the VM, and waits for its supervisor's end, too: then the bundle is free
 * to be run again.
 */
export async function callLast(
  target: string,
  method: string,
  params: Record<string, unknown>,
  timeoutMs: number,
): Promise<{ id: string }> {
  const { vm, client } = await connectVm(target);
  await using owned = client;
  await owned.call(method, params, { timeoutMs });
  await withDeadline("the end of the supervisor", () => owned.closed, {
    timeoutMs: SUPERVISOR_END_MS,
  }).catch(() => {}); // the VM is off all the same
  return { id: vm.id };
}
