/**
 * Whether a guest has a keyboard at all. QEMU takes keys for one that has none, and drops them
 * without a word.
 *
 * Boards with a keyboard of their own (Macs, Suns, ARM boards) are many, and not all of them show
 * it as a device. So a guest is refused only where its machine is known to have none but those that
 * `info qtree` lists: the PCs and the `virt` machines.
 */
import { HostError } from "../base/errors.ts";
import { printable } from "../base/text.ts";
import { QmpCommandError } from "../qmp/errors.ts";
import type { VirtualMachine } from "./machine.ts";

/** Types of machines that show every keyboard. Source: QEMU hw/i386/pc*.c, virt.c of each target. */
const KNOWN_MACHINES = /^(pc-q35|pc-i440fx|virt)-/;
/** Devices that QEMU's keys go to: PS/2 (`i8042`, `ps2-kbd`), `usb-kbd`, `virtio-keyboard-*`. */
const KEYBOARD = /^\s*dev: [^,]*(i8042|kbd|keyboard)/m;

/**
 * Refuses a guest that has no keyboard.
 *
 * @param what What cannot be done: "type".
 * @throws {HostError} when there is none for certain.
 */
export async function expectKeyboard(
  { identity, qmp }: Pick<VirtualMachine, "identity" | "qmp">,
  what: string,
): Promise<void> {
  try {
    const machine = await qmp.execute("qom-get", { path: "/machine", property: "type" });
    if (typeof machine !== "string" || !KNOWN_MACHINES.test(machine)) return;
    const devices = await qmp.execute("human-monitor-command", { "command-line": "info qtree" });
    if (!devices.includes("dev: ") || KEYBOARD.test(devices)) return;
  } catch (error) {
    if (error instanceof QmpCommandError) return; // a QEMU that does not tell
    throw error;
  }
  throw new HostError(`Cannot ${what}: ${printable(identity.name)} has no keyboard, expected one`, {
    hint: "Without a display and without USB, a bundle has none; utmost send is for serial ports.",
  });
}
