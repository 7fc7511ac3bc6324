/** The states of one launch and what leads from one to the next, as data. */

/** What happened, as the supervisor saw it. */
export type VmEvent =
  | "spawn"
  | "greet"
  | "link"
  | "resume"
  | "pause"
  | "stop"
  | "exit";

/** Types a table so that every target is one of its own states. */
function table<S extends string>(
  rows: Record<S, Partial<Record<VmEvent, NoInfer<S>>>>,
): typeof rows {
  return rows;
}

/**
 * Every state with the events it accepts. `negotiated` goes straight to `running` where QEMU has no
 * SPICE. Source: the contract in README.md, "States".
 */
export const TRANSITIONS = table({
  prepared: { spawn: "spawned", stop: "stopped", exit: "stopped" },
  spawned: { greet: "negotiated", stop: "stopping", exit: "stopped" },
  negotiated: { link: "attached", resume: "running", stop: "stopping", exit: "stopped" },
  attached: { resume: "running", stop: "stopping", exit: "stopped" },
  running: { pause: "paused", resume: "running", stop: "stopping", exit: "stopped" },
  paused: { resume: "running", pause: "paused", stop: "stopping", exit: "stopped" },
  stopping: {
    greet: "stopping",
    link: "stopping",
    resume: "stopping",
    pause: "stopping",
    stop: "stopping",
    exit: "stopped",
  },
  stopped: { stop: "stopped" },
});

/** Where one launch stands; `stopped` is final. */
export type VmState = keyof typeof TRANSITIONS;

/**
 * Returns the state after `event`; the only place where a state changes.
 *
 * @throws {Error} when the state does not accept the event: a defect of ours.
 */
export function next(state: VmState, event: VmEvent): VmState {
  const to = TRANSITIONS[state][event];
  if (to === undefined) throw new Error(`Cannot handle "${event}" while ${state}`);
  return to;
}
