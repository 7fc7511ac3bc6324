/**
 * The SPICE client by itself, for scripts: any SPICE server, its screens, and what no command of
 * `utmost` has yet: the guest's clipboard, its resolution, and its ports.
 *
 * ```ts
 * import { SpiceAgent, SpiceSession } from "./lib/spice_client.ts";
 *
 * const agent = new SpiceAgent();
 * await using session = await SpiceSession.connect({ path: "/run/vm/spice" }, {
 *   channels: [], // no displays
 *   onMain: (link) => agent.handlers(link),
 * });
 * await agent.connected(); // the guest runs spice-vdagent
 * await agent.clipboard.offer({ text: "to the guest" });
 * console.log(await agent.clipboard.readText()); // what the guest has copied
 * await agent.resize([{ width: 1280, height: 800 }]);
 * ```
 *
 * A server has one client: a session of yours takes the place of a supervisor's. This module is apart
 * from `mod.ts` so that whoever launches VMs does not load it.
 */
export { SpiceError } from "./base/errors.ts";
export {
  type AgentEvent,
  type AgentOptions,
  type AgentWait,
  type MonitorPlace,
  SpiceAgent,
} from "./spice/agent.ts";
export type {
  ClipboardContents,
  ClipboardEvent,
  ClipboardFormat,
  ClipboardOptions,
  ClipboardSelection,
  GuestClipboard,
} from "./spice/clipboard.ts";
export { SpiceInputs } from "./spice/inputs.ts";
export { openPort, type PortEvent, type PortOptions, SpicePort } from "./spice/port.ts";
export {
  type SpiceCloseReason,
  SpiceSession,
  type SpiceSessionOptions,
  type SpiceTarget,
} from "./spice/session.ts";
export { type RemoteOptions, RemoteScreens } from "./vm/remote_screens.ts";
