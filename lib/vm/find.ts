/** The running VMs, and the one that a user means. */
import { places } from "../base/places.ts";
import { withDeadline } from "../base/deadline.ts";
import { NotRunningError, UsageError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import { ControlClient } from "./control.ts";
import type { VmStatus } from "./control_methods.ts";
import { instancePaths, listInstances } from "./runtime_dir.ts";

/** How long a supervisor may take to say what it holds, in milliseconds. */
const STATUS_MS = 5_000;

/**
 * What every supervisor of this user says of its VM, in the order of their ids. One that ends in the
 * meantime, or does not answer in time, is left out.
 *
 * @throws the signal's reason when it is aborted.
 */
export async function listVms(signal?: AbortSignal): Promise<VmStatus[]> {
  const instances = await listInstances(places().runtime);
  const asked = await Promise.all(instances.map(({ control }) => askStatus(control, signal)));
  signal?.throwIfAborted();
  return asked.filter((status) => status !== undefined);
}

async function askStatus(path: string, signal?: AbortSignal): Promise<VmStatus | undefined> {
  const options = { timeoutMs: STATUS_MS, ...(signal === undefined ? {} : { signal }) };
  try {
    await using client = await withDeadline(
      "a connection to a supervisor",
      () => ControlClient.connect(path),
      options,
    );
    return await client.call("status", {}, options) as VmStatus;
  } catch {
    return undefined;
  }
}

/**
 * Finds the one running VM that `target` names: an instance id, a name, a UUID or a bundle's path.
 *
 * @throws {NotRunningError} when there is none.
 * @throws {UsageError} when there are several; the message lists their ids.
 * @throws the signal's reason when it is aborted.
 */
export async function findVm(target: string, signal?: AbortSignal): Promise<VmStatus> {
  if (/^spice(\+unix)?:\/\//i.test(target)) {
    const shown = quoted(target.replace(/\/\/.*@/s, "//…@"));
    throw new UsageError(`Cannot use ${shown} here: it is a SPICE server, expected a running VM`, {
      hint: "Only view takes SPICE servers yet. For VMs give an id, a name, a UUID or a bundle.",
    });
  }
  const running = await listVms(signal);
  const path = await Deno.realPath(target).catch(() => undefined);
  const matches = running.filter((vm) =>
    vm.id === target || vm.name === target || vm.uuid === target.toUpperCase() ||
    vm.bundle === path
  );
  const exact = matches.find((vm) => vm.id === target);
  const [first, second] = matches;
  if (exact !== undefined) return exact;
  if (first === undefined) {
    throw new NotRunningError(`Cannot find a running VM called ${quoted(target)}`, {
      hint: running.length === 0
        ? "No VM is running."
        : `Running: ${running.map((vm) => `${vm.id} (${vm.name})`).join(", ")}.`,
    });
  }
  if (second !== undefined) {
    throw new UsageError(
      `Cannot tell which VM ${quoted(target)} is: ${matches.map((vm) => vm.id).join(", ")}`,
      { hint: "Give one of these ids." },
    );
  }
  return first;
}

/** Connects to the supervisor of the VM that `target` names. @throws as {@linkcode findVm}. */
export async function connectVm(
  target: string,
  signal?: AbortSignal,
): Promise<{ vm: VmStatus; client: ControlClient }> {
  const vm = await findVm(target, signal);
  const { control } = instancePaths(places().runtime, vm.id);
  try {
    return { vm, client: await ControlClient.connect(control) };
  } catch (cause) {
    throw new NotRunningError(`Cannot reach ${vm.id}: it has just ended`, { cause });
  }
}
