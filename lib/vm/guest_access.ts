/** What a VM has to be for something to be done with its guest, and why that has failed. */
import { withDeadline } from "../base/deadline.ts";
import { NotRunningError, QemuError, UtmostError } from "../base/errors.ts";
import { QmpClosedError } from "../qmp/errors.ts";
import { SpiceClosedError } from "../spice/errors.ts";
import type { Ending } from "./ending.ts";
import type { VirtualMachine } from "./machine.ts";

/** How long the exit of QEMU may lag behind the end of its connections, in milliseconds. */
const EXIT_LAG_MS = 5_000;

/** What has to be known of a VM. */
export type GuestOf = Pick<VirtualMachine, "identity" | "state" | "ended" | "gone">;

/**
 * Refuses what a guest that does not run would never get: QEMU drops keys and motions then, and
 * says so by QMP only.
 *
 * @param what What cannot be done: "type".
 * @throws {NotRunningError} when the guest is paused.
 */
export function expectAwake({ identity, state }: GuestOf, what: string): void {
  if (state !== "paused") return;
  throw new NotRunningError(`Cannot ${what}: ${identity.id} is paused, expected running`, {
    hint: `Let it go on with: utmost resume ${identity.id}`,
  });
}

/** Waits for the end of a VM whose connections have ended; undefined if it goes on. */
export async function endingOf(vm: GuestOf): Promise<Ending | undefined> {
  return await withDeadline("the exit of QEMU", () => vm.ended, { timeoutMs: EXIT_LAG_MS })
    .catch(() => undefined);
}

/**
 * The error to be told for one that was seen while something was done with a VM: that the VM has
 * ended, where that is the reason.
 *
 * @param what What cannot be done: "save the screen".
 */
export async function failureOf(vm: GuestOf, what: string, error: unknown): Promise<unknown> {
  if (!isLoss(error) && !(vm.gone.aborted && isAbort(error, vm.gone))) return error;
  if (await endingOf(vm) === undefined) return error;
  return new NotRunningError(`Cannot ${what}: the VM has ended`, { cause: error });
}

/** Whether QEMU has ended, or a connection: its exit may follow. */
function isLoss(error: unknown): boolean {
  return error instanceof QemuError || error instanceof QmpClosedError ||
    error instanceof SpiceClosedError ||
    error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.BadResource;
}

/** Whether a wait was given up, and not for a reason of its own. */
function isAbort(error: unknown, gone: AbortSignal): boolean {
  return error === gone.reason || !(error instanceof UtmostError);
}
