/** `utmost inspect`: a bundle's configuration after migration, and its passport. */
import { places } from "../../base/places.ts";
import { printable } from "../../base/text.ts";
import { type Bundle, openBundle, resolveFiles } from "../../utm/bundle.ts";
import { makePassport, type PassportEntry, riskyEntries } from "../../utm/passport.ts";
import { missingGrants, untrustedEntries } from "../../vm/trust.ts";
import type { Invocation } from "../args.ts";
import { grantsOf, requestOf } from "../run_settings.ts";
import type { Progress } from "../progress.ts";
import { formatTable } from "../table.ts";

/** Shows everything that the bundle will touch, each risk and the grant it needs; refuses nothing. */
export async function inspect(invocation: Invocation, progress: Progress): Promise<number> {
  const { words: [path = ""], flags } = invocation;
  const request = await requestOf(invocation);
  const bundle = await openBundle(path);
  const files = await resolveFiles(bundle, {
    drives: request.drives,
    disposable: true, // so that a bundle that cannot be written is shown, too
    ...(request.share === undefined ? {} : { share: request.share }),
  });
  const passport = await makePassport(bundle, files);
  const untrusted = await untrustedEntries(places().state, bundle, passport);
  const needed = await missingGrants(places().state, bundle, passport, grantsOf(invocation));
  const warnings = [...bundle.warnings, ...files.warnings];
  if (flags.has("json")) {
    console.log(JSON.stringify({
      bundle: bundle.path,
      config: bundle.config,
      warnings,
      unknownKeys: bundle.unknownKeys,
      passport: passport.entries,
      trusted: untrusted.length < riskyEntries(passport).length,
      needs: [...needed],
    }));
    return 0;
  }
  console.log(describe(bundle));
  console.log(`\nPassport\n${passportTable(passport.entries, bundle.path)}`);
  for (const { message } of warnings) progress.warning(message);
  for (const key of bundle.unknownKeys) progress.detail(`${key} means nothing to UTM`);
  console.log(
    needed.size === 0
      ? "\nNothing here needs a grant that is not given."
      : `\nTo run it: --allow ${[...needed].join(",")}, or utmost trust once.`,
  );
  return 0;
}

function describe({ path, config }: Bundle): string {
  const { information, system, qemu, displays, drives, networks, serials, sounds } = config;
  const from = config.sourceVersion === 4 ? "4" : `${config.sourceVersion}, migrated to 4`;
  const names = (list: readonly { hardware?: string }[]) =>
    list.map(({ hardware }) => hardware ?? "-").join(", ") || "none";
  return formatTable([
    ["Name", printable(information.name)],
    ["UUID", information.uuid],
    ["Bundle", printable(path)],
    ["Version", from],
    ["System", `${system.architecture}, ${system.target}, CPU ${system.cpu}`],
    ["CPUs", system.cpuCount === 0 ? "as many as fit the host" : String(system.cpuCount)],
    ["Memory", `${system.memorySize} MiB`],
    ["Firmware", qemu.uefiBoot ? "UEFI" : "the machine's own"],
    ["Displays", names(displays)],
    [
      "Drives",
      drives.map((drive) => `${drive.imageType} on ${drive.interface}`).join(", ") || "none",
    ],
    ["Networks", networks.map((card) => `${card.hardware} (${card.mode})`).join(", ") || "none"],
    ["Serials", serials.map((serial) => `${serial.mode} (${serial.target})`).join(", ") || "none"],
    ["Sound", names(sounds)],
  ].map(([name = "", value = ""]) => [name, printable(value)]));
}

/** Two columns, paths in the bundle relative to it; what needs a grant says so on a line of its own. */
function passportTable(entries: readonly PassportEntry[], bundle: string): string {
  if (entries.length === 0) return "  It touches nothing on this host.";
  const width = Math.max(...entries.map(({ key }) => key.length));
  return entries.flatMap(({ key, what, risk, grant }) => [
    `  ${key.padEnd(width)}  ${printable(what.replaceAll(`${bundle}/`, ""))}`,
    ...(grant === undefined ? [] : [`  ${" ".repeat(width)}  needs ${grant}: ${risk}`]),
  ]).join("\n");
}
