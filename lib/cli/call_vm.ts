/** One call to a running VM's supervisor: what most verbs are made of. */
import { connectVm } from "../vm/find.ts";

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
