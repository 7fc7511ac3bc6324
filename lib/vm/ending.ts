/** How a VM ended, told from what QEMU said before it exited. */
import { GuestError, QemuError, type UtmostError } from "../base/errors.ts";

/** Why a VM is off. */
export type EndingReason =
  | "guest-shutdown"
  | "guest-reset"
  | "stopped"
  | "guest-panic"
  | "watchdog"
  | "qemu-died";

/** How a VM ended. */
export interface Ending {
  reason: EndingReason;
  /** Set where the end is a failure. */
  error?: UtmostError;
}

/** What was seen of a VM until its QEMU exited. */
export interface Witness {
  /** GUEST_PANICKED came. */
  panicked: boolean;
  /** The action of the last WATCHDOG event. */
  watchdog?: string;
  /** The reason of the last SHUTDOWN event. Source: QAPI `ShutdownCause`. */
  shutdown?: string;
  /** Somebody asked this supervisor to stop the VM. */
  stopRequested: boolean;
}

/** Actions of a watchdog that end the VM. Source: QAPI `WatchdogAction`. */
const ENDING_WATCHDOG_ACTIONS = ["shutdown", "poweroff"];

/**
 * Judges an exit of QEMU.
 *
 * @param died The error for an exit that nobody asked for, with QEMU's own words.
 */
export function judgeEnding(witness: Witness, died: UtmostError): Ending {
  const { panicked, watchdog, shutdown, stopRequested } = witness;
  if (panicked) {
    return {
      reason: "guest-panic",
      error: new GuestError("Cannot go on: the guest reported a panic (GUEST_PANICKED)", {
        hint: "The serial console has the guest's last words.",
      }),
    };
  }
  if (watchdog !== undefined && ENDING_WATCHDOG_ACTIONS.includes(watchdog)) {
    return {
      reason: "watchdog",
      error: new GuestError("Cannot go on: the watchdog of the guest fired", {
        hint: "The guest hung for longer than its watchdog allows.",
      }),
    };
  }
  if (stopRequested) return { reason: "stopped" };
  switch (shutdown) {
    case "guest-shutdown":
      return { reason: "guest-shutdown" };
    case "guest-reset":
      return { reason: "guest-reset" };
    case "host-qmp-quit":
    case "host-qmp-system-reset":
    case "host-ui":
      return { reason: "stopped" };
    case "host-signal":
      return {
        reason: "qemu-died",
        error: new QemuError("Cannot go on: a signal from outside ended QEMU", { cause: died }),
      };
    default:
      return { reason: "qemu-died", error: died };
  }
}
