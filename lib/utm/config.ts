/**
 * From a property list to the v4 model: tells the formats apart and parses today's one.
 *
 * Source: UTM 5.0.3, `UTMQemuConfiguration.swift` and `UTMConfiguration.swift`.
 */
import { BundleError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import {
  ConfigReport,
  type ConfigWarning,
  DictReader,
  optional,
  required,
} from "./config_reader.ts";
import {
  readDisplays,
  readInformation,
  readInput,
  readNetworks,
  readQemu,
  readSerials,
  readSharing,
  readSounds,
  readSystem,
} from "./config_sections.ts";
import { readDrives } from "./config_drives.ts";
import type { Config } from "./model.ts";
import type { PlistDict } from "./plist_value.ts";

export type { ConfigWarning } from "./config_reader.ts";

/** What a configuration does not say itself. */
export interface ConfigContext {
  /** The bundle's folder name without `.utm`: the name of a VM that has none. */
  bundleName: string;
  /** Absolute path of the bundle: a UUID that is missing is derived from it. */
  bundlePath: string;
  /** The architecture of this host by QEMU's name; old files ask for virtualisation by it. */
  hostArchitecture: string;
}

/** A configuration, and what had to be assumed about it. */
export interface ParsedConfig {
  config: Config;
  /** In the order of the file's sections; `--strict` makes the first an error. */
  warnings: ConfigWarning[];
  /** Key paths that UTM does not know either, for `-v`. */
  unknownKeys: string[];
}

/** The version of the format that UTM writes today. */
const CURRENT_VERSION = 4;

/**
 * Parses a configuration of any version; older ones are migrated in memory.
 *
 * @throws {BundleError} naming the key path, what is there and what was expected; also for machines
 * of Apple's Virtualization framework, which QEMU cannot run.
 */
export async function parseConfig(
  plist: PlistDict,
  context: ConfigContext,
): Promise<ParsedConfig> {
  const report = new ConfigReport("config.plist");
  const uuid = await deriveUuid(context.bundlePath);
  const config = await dispatch(plist, context, report, uuid);
  return { config, warnings: report.warnings, unknownKeys: report.unknownKeys() };
}

async function dispatch(
  plist: PlistDict,
  context: ConfigContext,
  report: ConfigReport,
  uuid: string,
): Promise<Config> {
  const backend = plist.get("Backend");
  if (backend === undefined || backend === "Unknown") {
    const legacy = new DictReader(report, plist, "", { loose: true });
    legacy.ignore("Backend");
    refuseLegacyApple(legacy, context);
    const version = legacy.integer("ConfigurationVersion", ANY_VERSION, {
      value: 0,
      required: false,
    });
    if (version > 2) {
      throw legacy.error("Backend", backend, `"QEMU" in a file of version ${version}`);
    }
    // Only old bundles pay for the tables of old values.
    const { migrateConfig } = await import("./legacy.ts");
    return migrateConfig(legacy, context, uuid, version);
  }
  const root = new DictReader(report, plist);
  const kind = root.choice("Backend", ["QEMU", "Apple"]);
  const version = root.integer("ConfigurationVersion", ANY_VERSION, optional(0));
  if (version !== CURRENT_VERSION) throw wrongVersion("ConfigurationVersion", version, report);
  if (kind === "Apple") throw appleError(context);
  const information = readInformation(
    root.section("Information", "report"),
    context.bundleName,
    uuid,
  );
  return {
    sourceVersion: version,
    dataFolder: "Data",
    information,
    system: readSystem(root.section("System", "error")),
    qemu: readQemu(root.section("QEMU", "report")),
    input: readInput(root.section("Input", "report")),
    sharing: readSharing(root.section("Sharing", "report")),
    displays: readDisplays(root.sections("Display", NO_SECTIONS)),
    drives: readDrives(root.sections("Drive", NO_SECTIONS)),
    networks: readNetworks(root.sections("Network", NO_SECTIONS), information.uuid),
    serials: readSerials(root.sections("Serial", NO_SECTIONS)),
    sounds: readSounds(root.sections("Sound", NO_SECTIONS)),
  };
}

const ANY_VERSION = { min: 0, max: Number.MAX_SAFE_INTEGER };
const NO_SECTIONS = required<never[]>([]);

/** The Apple machines of UTM 3 have no `Backend`, and would pass for an empty QEMU machine. */
function refuseLegacyApple(root: DictReader, context: ConfigContext): void {
  if (!root.flag("isAppleVirtualization", optional(false))) return;
  const version = root.integer("version", ANY_VERSION, optional(0));
  if (version > 3) throw wrongVersion("version", version, root.report);
  if (version > 0) throw appleError(context);
}

function appleError(context: ConfigContext): BundleError {
  return new BundleError(
    `Cannot run ${
      quoted(context.bundleName)
    }: it is a machine of Apple's Virtualization framework, ` +
      "which exists only inside macOS, expected one of QEMU",
    { hint: "Open it in UTM on a Mac, or make a machine with the QEMU backend from its disks" },
  );
}

function wrongVersion(key: string, version: number, report: ConfigReport): BundleError {
  return report.error(
    key,
    `it is ${version}, expected ${CURRENT_VERSION}`,
    version > CURRENT_VERSION || key === "version"
      ? "The bundle was made by a newer UTM than this program knows; update it"
      : "The bundle was made by a test version of UTM; open and save it in UTM",
  );
}

/** A UUID (version 8, RFC 9562) that stays the same for one path: a VM without one keeps its state. */
async function deriveUuid(path: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(path));
  const bytes = new Uint8Array(digest, 0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toHex().toUpperCase().replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
