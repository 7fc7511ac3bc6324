/**
 * Passports that the user has accepted once and for all, as direnv does with its files: a bundle that
 * asks for nothing else than what was accepted needs no `--allow`.
 */
import { join } from "@std/path";
import { HostFailure } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import type { Bundle } from "../utm/bundle.ts";
import type { Grant } from "../utm/grants.ts";
import { type Passport, riskyEntries, type RiskyEntry } from "../utm/passport.ts";

/** What is kept for one bundle. */
interface TrustRecord {
  version: 1;
  /** Absolute path of the bundle, for people who look into the file. */
  bundle: string;
  /** The entries that were accepted. */
  accepted: string[];
}

/** What tells one entry from another; a changed path or argument is another entry. */
function fingerprint({ key, what, grant }: RiskyEntry): string {
  return JSON.stringify([grant, key, what]);
}

async function recordPath(stateFolder: string, bundle: Bundle): Promise<string> {
  const name = new TextEncoder().encode(bundle.path);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", name));
  return join(stateFolder, "trust", `${hash.toHex().slice(0, 32)}.json`);
}

async function readRecord(path: string): Promise<TrustRecord | undefined> {
  try {
    const record = JSON.parse(await Deno.readTextFile(path)) as TrustRecord;
    return record.version === 1 && Array.isArray(record.accepted) ? record : undefined;
  } catch {
    return undefined; // Not there, or not readable: then nothing is trusted.
  }
}

/** The entries that need a grant and were not accepted by `trust`. */
export async function untrustedEntries(
  stateFolder: string,
  bundle: Bundle,
  passport: Passport,
): Promise<RiskyEntry[]> {
  const risky = riskyEntries(passport);
  if (risky.length === 0) return [];
  const record = await readRecord(await recordPath(stateFolder, bundle));
  if (record?.bundle !== bundle.path) return risky;
  const accepted = new Set(record.accepted);
  return risky.filter((entry) => !accepted.has(fingerprint(entry)));
}

/** The grants that `run` would refuse the bundle for, with `granted` and what was accepted. */
export async function missingGrants(
  stateFolder: string,
  bundle: Bundle,
  passport: Passport,
  granted: ReadonlySet<Grant>,
): Promise<ReadonlySet<Grant>> {
  const untrusted = await untrustedEntries(stateFolder, bundle, passport);
  return new Set(untrusted.map(({ grant }) => grant).filter((grant) => !granted.has(grant)));
}

/** Accepts the passport as it is now. @throws {HostFailure} when it cannot be remembered. */
export async function trustPassport(
  stateFolder: string,
  bundle: Bundle,
  passport: Passport,
): Promise<RiskyEntry[]> {
  const risky = riskyEntries(passport);
  const record: TrustRecord = {
    version: 1,
    bundle: bundle.path,
    accepted: risky.map(fingerprint),
  };
  const path = await recordPath(stateFolder, bundle);
  const temporary = `${path}.${crypto.randomUUID()}`;
  try {
    await Deno.mkdir(join(stateFolder, "trust"), { recursive: true, mode: 0o700 });
    await Deno.writeTextFile(temporary, JSON.stringify(record), { mode: 0o600, createNew: true });
    await Deno.rename(temporary, path);
  } catch (error) {
    throw new HostFailure(
      `Cannot remember the trust in ${quoted(path)}: ${
        error instanceof Error ? error.message : error
      }`,
      { cause: error },
    );
  }
  return risky;
}

/** Forgets what was accepted; returns whether there was anything. */
export async function forgetPassport(stateFolder: string, bundle: Bundle): Promise<boolean> {
  try {
    await Deno.remove(await recordPath(stateFolder, bundle));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
