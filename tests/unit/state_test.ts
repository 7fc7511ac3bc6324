import { assertEquals, assertThrows } from "@std/assert";
import { next, TRANSITIONS, type VmEvent, type VmState } from "../../lib/vm/state.ts";

const STATES = Object.keys(TRANSITIONS) as VmState[];
const EVENTS: VmEvent[] = ["spawn", "greet", "link", "resume", "pause", "stop", "exit"];

/** The contract's table, by hand: state to the states that it may go to. */
const CONTRACT: Record<VmState, VmState[]> = {
  prepared: ["spawned", "stopped"],
  spawned: ["negotiated", "stopping", "stopped"],
  negotiated: ["attached", "running", "stopping", "stopped"],
  attached: ["running", "stopping", "stopped"],
  running: ["paused", "stopping", "stopped"],
  paused: ["running", "stopping", "stopped"],
  stopping: ["stopped"],
  stopped: [],
};

Deno.test("next leads from every state exactly to the states of the contract", () => {
  for (const from of STATES) {
    const reached = new Set<VmState>();
    for (const event of EVENTS) {
      try {
        const to = next(from, event);
        if (to !== from) reached.add(to);
      } catch (error) {
        assertEquals((error as Error).message, `Cannot handle "${event}" while ${from}`);
      }
    }
    assertEquals([...reached].sort(), [...CONTRACT[from]].sort(), from);
  }
});

Deno.test("next changes nothing for a second stop, a late greeting or a late link", () => {
  for (const event of ["stop", "greet", "link", "resume", "pause"] as const) {
    assertEquals(next("stopping", event), "stopping");
  }
});

Deno.test("next refuses to run before QMP has answered", () => {
  for (const from of ["prepared", "spawned", "stopped"] as const) {
    assertThrows(() => next(from, "resume"), Error, `while ${from}`);
  }
});
