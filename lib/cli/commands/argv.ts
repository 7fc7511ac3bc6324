/** `utmost argv`: the QEMU command that `run` would use, as shell text or JSON. */
import { places } from "../../base/places.ts";
import { commandForShell, quoteForShell } from "../../base/words.ts";
import { openBundle } from "../../utm/bundle.ts";
import { prepare } from "../../vm/prepare.ts";
import { instancePaths } from "../../vm/runtime_dir.ts";
import type { Invocation } from "../args.ts";
import { requestOf } from "../run_settings.ts";
import type { Progress } from "../progress.ts";

/** Stands where a run has its instance's id, so that the text is the same every time. */
const ID = "utmost00";

/** Prints the command; starts nothing, refuses nothing. */
export async function argv(invocation: Invocation, progress: Progress): Promise<number> {
  const { words: [path = ""], flags } = invocation;
  const request = await requestOf(invocation);
  const bundle = await openBundle(path);
  for (const { key, message } of bundle.warnings) progress.warning(`${key}: ${message}`);
  const { directory } = instancePaths(places().runtime, ID);
  const { plan } = await prepare(bundle, request, { directory, listener: "qemu" });
  const helpers = plan.helpers.map((helper) => helper.argv);
  if (flags.has("json")) {
    const { binary, argv, substitutions } = plan;
    console.log(JSON.stringify({ binary, argv, helpers, substitutions }));
    return 0;
  }
  for (const { key, from, to, why } of plan.substitutions) {
    progress.info(`${key}: ${from} → ${to}: ${why}`);
  }
  console.log(`mkdir -p -m 700 ${quoteForShell(directory)}`);
  for (const helper of helpers) console.log(`${commandForShell(helper)} &`);
  console.log(commandForShell([plan.binary, ...plan.argv]));
  return 0;
}
