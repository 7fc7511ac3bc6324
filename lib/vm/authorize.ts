/** Whether a bundle may do what it asks for: granted now, or trusted before. */
import { places } from "../base/places.ts";
import type { Grant } from "../utm/grants.ts";
import { checkGrants, makePassport, riskyEntries } from "../utm/passport.ts";
import type { Bundle, ResolvedFiles } from "../utm/bundle.ts";

/**
 * Makes the passport and lets the bundle pass if everything in it is granted or trusted.
 *
 * @returns The grants that are in effect: those given, and those of what is trusted.
 * @throws {RefusedError} that names the key and the `--allow`.
 */
export async function authorize(
  bundle: Bundle,
  files: ResolvedFiles,
  grants: ReadonlySet<Grant>,
  options: { signal?: AbortSignal } = {},
): Promise<ReadonlySet<Grant>> {
  const passport = await makePassport(bundle, files, options);
  const asked = riskyEntries(passport).map(({ grant }) => grant);
  if (asked.every((grant) => grants.has(grant))) return grants;
  const { untrustedEntries } = await import("./trust.ts");
  checkGrants({ entries: await untrustedEntries(places().state, bundle, passport) }, grants);
  return new Set([...grants, ...asked]);
}
