/** `utmost argv`: the QEMU command that `run` would use, as shell text or JSON. */
import { places } from "../../base/places.ts";
import { commandForShell, quoteForShell } from "../../base/words.ts";
import type { Host } from "../../qemu/host_model.ts";
import { type Bundle, openBundle, type ResolvedFiles } from "../../utm/bundle.ts";
import type { Grant } from "../../utm/grants.ts";
import { makePassport } from "../../utm/passport.ts";
import { missingGrants } from "../../vm/trust.ts";
import { prepare } from "../../vm/prepare.ts";
import { instancePaths } from "../../vm/runtime_dir.ts";
import { type Invocation, lastValue } from "../args.ts";
import { grantsOf, requestOf } from "../run_settings.ts";
import type { Progress } from "../progress.ts";

/** Stands where a run has its instance's id, so that the text is the same every time. */
const ID = "utmost00";

/** Prints the command; starts nothing, refuses nothing. */
export async function argv(invocation: Invocation, progress: Progress): Promise<number> {
  const { words: [path = ""], flags } = invocation;
  const request = await requestOf(invocation);
  const name = lastValue(invocation, "host");
  // A configuration of UTM 1 to 3 may leave the hypervisor to the host's architecture.
  const architecture = name === undefined ? undefined : /[^-]+$/.exec(name)?.[0];
  const bundle = await openBundle(
    path,
    architecture === undefined ? {} : { hostArchitecture: architecture },
  );
  for (const { message } of bundle.warnings) progress.warning(message);
  const host = name === undefined
    ? undefined
    : await describeHost(name, bundle.config.system.architecture);
  const directory = host === undefined
    ? instancePaths(places().runtime, ID).directory
    : `/tmp/utmost/${ID}`;
  const { plan, files } = await prepare(
    bundle,
    request,
    { directory, listener: "qemu" },
    {
      onNotice: (text) => progress.info(text),
      ...(host === undefined ? {} : { host }),
    },
  );
  if (host === undefined) await warnOfGrants(bundle, files, grantsOf(invocation), progress);
  const helpers = plan.helpers.map((helper) => helper.argv);
  if (flags.has("json")) {
    const { binary, argv, substitutions } = plan;
    console.log(JSON.stringify({ binary, argv, helpers, substitutions }));
    return 0;
  }
  for (const substitution of plan.substitutions) progress.substitution(substitution);
  console.log(`mkdir -p -m 700 ${quoteForShell(directory)}`);
  for (const helper of helpers) console.log(`${commandForShell(helper)} &`);
  console.log(commandForShell([plan.binary, ...plan.argv]));
  return 0;
}

/** A described host; its module carries much data, so it is loaded only here. */
async function describeHost(name: string, guest: string): Promise<Host> {
  const { describedHost } = await import("../../qemu/described_hosts.ts");
  return describedHost(name, guest);
}

/** Says what `run` would refuse: the command is printed all the same. */
async function warnOfGrants(
  bundle: Bundle,
  files: ResolvedFiles,
  granted: ReadonlySet<Grant>,
  progress: Progress,
): Promise<void> {
  const passport = await makePassport(bundle, files);
  const needed = await missingGrants(places().state, bundle, passport, granted);
  if (needed.size === 0) return;
  progress.warning(`run refuses this bundle without --allow ${[...needed].join(",")}`);
}
