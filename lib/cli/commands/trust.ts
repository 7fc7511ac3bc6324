/** `utmost trust` and `untrust`: remembers what a bundle asks for, or forgets it. */
import { places } from "../../base/places.ts";
import { printable } from "../../base/text.ts";
import { openBundle, resolveFiles } from "../../utm/bundle.ts";
import { makePassport } from "../../utm/passport.ts";
import { forgetPassport, trustPassport } from "../../vm/trust.ts";
import type { Invocation } from "../args.ts";
import type { Progress } from "../progress.ts";

/** Accepts the passport as it is now, and says what was accepted. */
export async function trust(
  { words: [path = ""], flags }: Invocation,
  progress: Progress,
): Promise<number> {
  const bundle = await openBundle(path);
  const files = await resolveFiles(bundle, { disposable: true });
  const passport = await makePassport(bundle, files);
  const accepted = await trustPassport(places().state, bundle, passport);
  if (flags.has("json")) console.log(JSON.stringify({ bundle: bundle.path, accepted }));
  else {
    progress.info(
      accepted.length === 0
        ? `${bundle.path} asks for nothing that needs a grant`
        : `${bundle.path} may do this from now on:`,
    );
    for (const { key, what } of accepted) progress.plain(`  ${key}: ${printable(what)}`);
  }
  return 0;
}

/** Forgets what was accepted. */
export async function untrust(
  { words: [path = ""], flags }: Invocation,
  progress: Progress,
): Promise<number> {
  const bundle = await openBundle(path);
  const forgotten = await forgetPassport(places().state, bundle);
  if (flags.has("json")) console.log(JSON.stringify({ bundle: bundle.path, forgotten }));
  else progress.info(`${bundle.path} ${forgotten ? "is no longer trusted" : "was not trusted"}`);
  return 0;
}
