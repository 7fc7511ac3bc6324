/** What the rewriting of a machine for one host works with, shared by all `adapt_*.ts`. */
import type { BundleFiles, Config } from "../utm/model.ts";
import type { Buses } from "./adapt_buses.ts";
import type { FoundMachine } from "./adapt_capabilities.ts";
import type { GlWay } from "./adapt_gl.ts";
import type { Host, QemuCapabilities } from "./host_model.ts";
import type { CommandOptions, LaunchPlan, SocketPlan, Substitution } from "./launch_options.ts";
import type { QemuOption } from "./option.ts";

/** The case at hand: read by every rewrite; only `substitutions` grows. */
export interface Adapting {
  readonly config: Config;
  readonly files: BundleFiles;
  readonly host: Host;
  /** The host's QEMU, or what a stock one is taken to be where there is none. */
  readonly qemu: QemuCapabilities;
  readonly options: CommandOptions;
  readonly sockets: SocketPlan;
  readonly accelerator: LaunchPlan["accelerator"];
  /** The machine under which the guest will run. */
  readonly machine: FoundMachine;
  readonly buses: Buses;
  /** Whether this QEMU has a SPICE server. */
  readonly spice: boolean;
  /** How what the guest's GPU draws gets out of QEMU. */
  readonly gl: GlWay;
  readonly substitutions: Substitution[];
}

/** Rewrites a list of options; options that it has no business with pass unchanged. */
export type Rewrite = (options: readonly QemuOption[], at: Adapting) => QemuOption[];

/** Notes one substitution, once. */
export function substitute(
  at: Pick<Adapting, "substitutions">,
  key: string,
  from: string,
  to: string,
  why: string,
): void {
  const known = at.substitutions.some((it) => it.key === key && it.from === from && it.to === to);
  if (!known) at.substitutions.push({ key, from, to, why });
}

/** The index in a key path: 2 for `Drive[2].Interface` with section `Drive`. */
export function indexIn(section: string, option: QemuOption): number | undefined {
  const index = /^(\w+)\[(\d+)\]/.exec(option.from);
  return index?.[1] === section ? Number(index[2]) : undefined;
}

/** Whether an option is the user's own text, which is never rewritten. */
export function isUsers(option: QemuOption): boolean {
  return option.from.startsWith("QEMU.AdditionalArguments") || option.from.startsWith("--");
}
