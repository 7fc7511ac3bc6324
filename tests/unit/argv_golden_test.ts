/**
 * The command of every fixture bundle on every described host, as text that somebody has read. One
 * line for each option; `~` for what is substituted; nothing of the machine at hand.
 */
import { fromFileUrl, join } from "@std/path";
import { UtmostError } from "../../lib/base/errors.ts";
import { quoteForShell } from "../../lib/base/words.ts";
import { buildPlan } from "../../lib/qemu/adapt.ts";
import { DESCRIBED_HOSTS, describedHost } from "../../lib/qemu/described_hosts.ts";
import type { LaunchPlan } from "../../lib/qemu/launch_options.ts";
import { openBundle, resolveFiles } from "../../lib/utm/bundle.ts";
import { parseConfig } from "../../lib/utm/config.ts";
import type { BundleFiles, Config } from "../../lib/utm/model.ts";
import { parsePlist } from "../../lib/utm/plist.ts";
import { options } from "./argv_fixtures.ts";
import { assertGolden, assertNoOtherGolden } from "./golden.ts";

const BUNDLES = fromFileUrl(new URL("../fixtures/bundles/", import.meta.url));

/** Where the bundles are said to be: a UUID that a bundle lacks is derived from its path. */
const PLACE = "/vm/";

const SOCKETS = { directory: "/run/user/1000/utmost/0a1b2c3d", listener: "qemu" } as const;

const names = [...Deno.readDirSync(BUNDLES)].map((entry) => entry.name)
  .filter((name) => !name.startsWith("apple")).sort();

for (const name of names) {
  Deno.test(`buildPlan: ${name} on the described hosts`, async () => {
    const files = elsewhere(await resolveFiles(await openBundle(join(BUNDLES, name))));
    const texts = [];
    for (const host of DESCRIBED_HOSTS) {
      const config = await configOn(name, describedHost(host, "x86_64").architecture);
      texts.push(`# ${host}\n${describe(config, files, host)}`);
    }
    await assertGolden(`argv/${fileName(name)}`, texts.join("\n"));
  });
}

Deno.test("buildPlan: there is no snapshot without its fixture", async () => {
  await assertNoOtherGolden("argv", names.map(fileName));
});

/** File names that every system takes. */
function fileName(name: string): string {
  return `${name.replace(/\.utm$/, "").replace(/[^\w-]+/g, "_")}.txt`;
}

/** A fixture's configuration as it is on a host: the old format leaves the hypervisor to it. */
async function configOn(name: string, hostArchitecture: string): Promise<Config> {
  const path = join(BUNDLES, name, "config.plist");
  const { config } = await parseConfig(await parsePlist(await Deno.readFile(path), path), {
    bundleName: name.replace(/\.utm$/, ""),
    bundlePath: PLACE + name,
    hostArchitecture,
  });
  return config;
}

/** The files as if the bundle was at {@linkcode PLACE}. */
function elsewhere(files: BundleFiles): BundleFiles {
  const move = (path: string) => PLACE + path.slice(BUNDLES.length);
  return {
    bundle: move(files.bundle),
    media: files.media.map((medium) => medium && { ...medium, path: move(medium.path) }),
    efiVars: move(files.efiVars),
    tpmState: move(files.tpmState),
  };
}

/** What comes of a configuration on a host. */
function describe(config: Config, files: BundleFiles, hostName: string): string {
  const host = describedHost(hostName, config.system.architecture);
  try {
    return describePlan(buildPlan(config, files, host, options(), SOCKETS));
  } catch (error) {
    if (!(error instanceof UtmostError)) throw error;
    return `! ${error.name} (exit code ${error.exitCode}): ${error.message}\n`;
  }
}

function describePlan(plan: LaunchPlan): string {
  const lines = [
    plan.binary,
    ...grouped(plan.argv),
    ...plan.helpers.map((helper) => `helper: ${helper.argv.map(quoteForShell).join(" ")}`),
    ...plan.sockets.map(({ id, kind, path }) => `socket: ${kind} ${id} ${path}`),
    `spice: ${plan.spice ?? "none"}${plan.gl ? ", with GL" : ""}`,
    `accelerator: ${plan.accelerator.name}: ${plan.accelerator.why}`,
  ];
  if (plan.efiVarsTemplate !== undefined) lines.push(`variables from: ${plan.efiVarsTemplate}`);
  for (const { key, from, to, why } of plan.substitutions) {
    lines.push(`~ ${key}: ${from || "nothing"} -> ${to || "nothing"} (${why})`);
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** One line for each option and its argument, written for a shell. */
function grouped(argv: readonly string[]): string[] {
  const lines: string[] = [];
  argv.forEach((word, index) => {
    const text = quoteForShell(word);
    const isFlag = word.startsWith("-") || lines.length === 0;
    const follows = !isFlag && argv[index - 1]?.startsWith("-");
    if (follows) lines.push(`${lines.pop()} ${text}`);
    else lines.push(text);
  });
  return lines;
}
