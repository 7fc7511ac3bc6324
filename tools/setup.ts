/**
 * Installs what the other tasks need, and only what is missing.
 *
 * ```text
 * deno task setup                everything
 * deno task setup --for demo     what booting examples/hello.utm takes
 * deno task setup --dry-run      says what it would install
 * ```
 *
 * A run with nothing to do looks at a few dozen files and starts no program.
 */
import { parseArgs } from "@std/cli/parse-args";
import { join } from "@std/path";
import { HostError, UsageError, UtmostError } from "../lib/base/errors.ts";
import { fetchAngle, hasAngle, whyNoAngleHere } from "./angle.ts";
import { fetchBackport, whyNoBackportsHere } from "./backports.ts";
import { type Component, COMPONENTS, type Source } from "./components.ts";
import { hasNewerMesa, NEWER_MESA_BACKPORT } from "./newer_mesa.ts";
import { hasNewerQemu, NEWER_QEMU_BACKPORT } from "./newer_qemu.ts";
import { type PackageManager, packageManager } from "./package_managers.ts";

/** Which components a run is about. */
export type Level = Component["level"];

/** A component that is not there, with the way to get it here. */
export interface Missing {
  component: Component;
  source: Source;
}

/** The components of a level that this host can have and has not. */
export async function missing(
  level: Level,
  os: "linux" | "darwin",
  isPresent: (what: string) => Promise<boolean>,
  components: readonly Component[] = COMPONENTS,
): Promise<Missing[]> {
  const result: Missing[] = [];
  for (const component of components) {
    const source = component[os];
    if (source === undefined || (level === "demo" && component.level !== "demo")) continue;
    const present = await Promise.all(source.present.map(isPresent));
    if (present.includes(false)) result.push({ component, source });
  }
  return result;
}

/** What to install for `wanted`, given what the archive has, and what the archive lacks. */
export function plan(
  wanted: readonly Missing[],
  known: ReadonlySet<string>,
): { packages: string[]; unavailable: Missing[] } {
  const packages = new Set<string>();
  const unavailable: Missing[] = [];
  for (const entry of wanted) {
    const chosen = entry.source.packages.map((names) => names.find((name) => known.has(name)));
    if (chosen.includes(undefined)) unavailable.push(entry);
    else for (const name of chosen) if (name !== undefined) packages.add(name);
  }
  return { packages: [...packages].sort(), unavailable };
}

/** The packages of `entries` by name, alternatives joined by "or". */
export function packageNames(entries: readonly Missing[]): string {
  const names = entries.flatMap(({ source }) => source.packages.map((p) => p.join(" or ")));
  return [...new Set(names)].sort().join(", ");
}

/** Whether a command is on PATH or a file is there; `*` in a path is any one folder. */
export async function isPresent(what: string): Promise<boolean> {
  if (what.includes("/")) return await matches("/", what.split("/").filter((part) => part !== ""));
  const folders = (Deno.env.get("PATH") ?? "").split(":").filter((folder) => folder !== "");
  const found = await Promise.all(folders.map((folder) => exists(join(folder, what))));
  return found.includes(true);
}

/** Whether some path under `folder` has these parts. */
async function matches(folder: string, parts: readonly string[]): Promise<boolean> {
  const [part, ...rest] = parts;
  if (part === undefined) return await exists(folder);
  if (part !== "*") return await matches(join(folder, part), rest);
  const isFolder = await Deno.stat(folder).then((info) => info.isDirectory, () => false);
  if (!isFolder) return false;
  for await (const entry of Deno.readDir(folder)) {
    if (await matches(join(folder, entry.name), rest)) return true;
  }
  return false;
}

/** Whether a file or folder is there and can be seen. */
async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

function say(line: string): void {
  console.error(`setup: ${line}`);
}

/** Names what is missing when it cannot be installed. */
function cannotInstall(entries: readonly Missing[], why: string, cause?: unknown): HostError {
  return new HostError(`Cannot install what is missing: ${why}`, {
    hint: `Install these packages, then run this again: ${packageNames(entries)}`,
    cause,
  });
}

/** Words of an error, for the middle of a sentence. */
function words(error: unknown): string {
  if (error instanceof UtmostError) return error.message;
  throw error;
}

function isRequired({ component }: Missing): boolean {
  return component.optional !== true;
}

/** Finds out what to install, with fresh lists where the old ones do not do. */
async function choose(manager: PackageManager, wanted: readonly Missing[]) {
  const names = wanted.flatMap(({ source }) => source.packages.flat());
  const first = plan(wanted, await manager.known(names));
  if (await manager.hasLists() && !first.unavailable.some(isRequired)) return first;
  say(`${manager.name} update`);
  await manager.update();
  return plan(wanted, await manager.known(names));
}

/** Installs; old lists name files that the archive no longer has, so once more with fresh ones. */
async function install(manager: PackageManager, packages: readonly string[]): Promise<void> {
  try {
    await manager.install(packages);
  } catch (error) {
    say(`${words(error)}; trying once more with fresh lists`);
    await manager.update();
    await manager.install(packages);
  }
}

/** Makes a level complete. */
async function setup(level: Level, dryRun: boolean): Promise<void> {
  await installMissing(level, dryRun);
  if (level !== "all") return;
  for (const extra of EXTRAS) await addExtra(extra, dryRun);
}

/** What the tests have in `.cache`, beside what is installed. */
interface Extra {
  what: string;
  isThere(): Promise<boolean>;
  whyNot(): string | undefined | Promise<string | undefined>;
  fetch(): Promise<void>;
}

const EXTRAS: readonly Extra[] = [
  {
    what: "QEMU 10 from Debian's backports (13 MB)",
    isThere: hasNewerQemu,
    whyNot: whyNoBackportsHere,
    fetch: () => fetchBackport(NEWER_QEMU_BACKPORT),
  },
  {
    what: "Mesa 25 from Debian's backports (10 MB)",
    isThere: hasNewerMesa,
    whyNot: whyNoBackportsHere,
    fetch: () => fetchBackport(NEWER_MESA_BACKPORT),
  },
  {
    what: "ANGLE, which comes with an npm package of Chromium (70 MB)",
    isThere: hasAngle,
    whyNot: whyNoAngleHere,
    fetch: fetchAngle,
  },
];

/** Fetches one of them, where the host can have it. */
async function addExtra(extra: Extra, dryRun: boolean): Promise<void> {
  if (await extra.isThere() || await extra.whyNot() !== undefined) return;
  say(`fetching into .cache: ${extra.what}`);
  if (dryRun) return;
  try {
    await extra.fetch();
  } catch (error) {
    say(`going on without: ${words(error)}`);
  }
}

/** Installs the packages of a level. */
async function installMissing(level: Level, dryRun: boolean): Promise<void> {
  const os = Deno.build.os;
  if (os !== "linux" && os !== "darwin") {
    throw new HostError(`Cannot set up ${os}: it is not supported, expected Linux or macOS`);
  }
  const wanted = await missing(level, os, isPresent);
  if (wanted.length === 0) return say("everything is there");

  say(`missing: ${wanted.map(({ component }) => component.what).join("; ")}`);
  let manager: PackageManager;
  let chosen: ReturnType<typeof plan>;
  try {
    manager = await packageManager();
    chosen = await choose(manager, wanted);
  } catch (error) {
    const required = wanted.filter(isRequired);
    if (required.length > 0) throw cannotInstall(wanted, words(error), error);
    return say(`going on without: ${words(error)} (${packageNames(wanted)})`);
  }

  const required = chosen.unavailable.filter(isRequired);
  if (required.length > 0) {
    throw cannotInstall(required, `${manager.name} does not know ${packageNames(required)}`);
  }
  for (const { component, source } of chosen.unavailable) {
    say(`not to be had here: ${component.what} (${packageNames([{ component, source }])})`);
  }
  if (chosen.packages.length === 0) return;

  const size = await manager.size(chosen.packages);
  say(`installing with ${manager.name}${size === undefined ? "" : ` (${size})`}:`);
  say(`  ${chosen.packages.join(" ")}`);
  if (dryRun) return;
  try {
    await install(manager, chosen.packages);
  } catch (error) {
    throw cannotInstall(wanted, words(error), error);
  }
  const left = (await missing(level, os, isPresent)).filter(isRequired);
  if (left.length > 0) {
    const what = left.map(({ component }) => component.what).join("; ");
    throw new HostError(
      `Cannot find what was installed: ${what}, expected from ${packageNames(left)}`,
    );
  }
  say("done");
}

if (import.meta.main) {
  try {
    const args = parseArgs(Deno.args, {
      string: ["for"],
      boolean: ["dry-run"],
      default: { for: "all" },
      unknown: (arg) => {
        throw new UsageError(`Cannot set up: unknown argument ${arg}, expected --for or --dry-run`);
      },
    });
    const level = args.for;
    if (level !== "demo" && level !== "all") {
      throw new UsageError(`Cannot set up for "${level}": expected --for demo or --for all`);
    }
    await setup(level, args["dry-run"] === true);
  } catch (error) {
    if (!(error instanceof UtmostError)) throw error;
    say(error.message);
    if (error.hint !== undefined) say(error.hint);
    Deno.exit(error.exitCode);
  }
}
