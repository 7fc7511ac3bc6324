/**
 * The passport of a bundle: every file, port, network, host device and extra argument that it will
 * touch, each with its risk and the grant that it needs. A bundle is code from somebody else: what it
 * asks for beyond its own files and user-mode networking is refused without a grant.
 *
 * What the user gives on the command line is the user's own wish and needs none.
 */
import { RefusedError } from "../base/errors.ts";
import { printable, quoted } from "../base/text.ts";
import { splitWords } from "../base/words.ts";
import type { Bundle, ResolvedFiles } from "./bundle.ts";
import type { Grant } from "./grants.ts";
import { imageReferences, type ReferenceOptions } from "./image_references.ts";
import type { Config, Drive, Network, Serial } from "./model.ts";
import { isHostDevice, riskyArguments, riskyMachineProperties } from "./passport_arguments.ts";

/** What kind of thing an entry is about. */
export type PassportKind =
  | "file"
  | "port"
  | "network"
  | "share"
  | "device"
  | "argument"
  | "monitor";

/** One thing that a bundle will touch. */
export interface PassportEntry {
  /** Key path in config.plist, or the option that the user gave. */
  key: string;
  kind: PassportKind;
  /** What it is: a path, an address, an argument. */
  what: string;
  /** What could go wrong; absent: nothing beyond the bundle itself. */
  risk?: string;
  /** The grant that it needs; absent: none. */
  grant?: Grant;
}

/** Everything that a bundle will touch. */
export interface Passport {
  entries: PassportEntry[];
}

/** An entry that needs a grant. */
export type RiskyEntry = PassportEntry & { grant: Grant };

/**
 * Looks at everything that a bundle asks for.
 *
 * @throws {BundleError} {HostError} where an image names other files and cannot be read.
 */
export async function makePassport(
  bundle: Bundle,
  files: ResolvedFiles,
  options: ReferenceOptions = {},
): Promise<Passport> {
  const { config } = bundle;
  return {
    entries: [
      ...await imageEntries(bundle, files, options),
      ...ownFileEntries(config, files),
      ...config.networks.flatMap(networkEntries),
      ...config.serials.flatMap(serialEntries),
      ...hardwareEntries(config),
      ...shareEntries(files),
      ...argumentEntries(config),
    ],
  };
}

/** The entries that need a grant. */
export function riskyEntries(passport: Passport): RiskyEntry[] {
  return passport.entries.filter((entry): entry is RiskyEntry => entry.grant !== undefined);
}

/**
 * Lets the bundle pass if everything it asks for is granted.
 *
 * @throws {RefusedError} that names the key and the `--allow`.
 */
export function checkGrants(passport: Passport, granted: ReadonlySet<Grant>): void {
  const refused = riskyEntries(passport).filter(({ grant }) => !granted.has(grant));
  const first = refused[0];
  if (first === undefined) return;
  const grants = [...new Set(refused.map(({ grant }) => grant))].join(",");
  const more = refused.length === 1 ? "" : ` (the first of ${refused.length} such requests)`;
  throw new RefusedError(
    `Cannot run this bundle: ${first.key} asks for ${printable(first.what, 300)}: ${first.risk}, ` +
      `expected the grant ${first.grant}${more}`,
    { hint: `If you trust the bundle, add --allow ${grants}; utmost inspect shows all of it.` },
  );
}

async function imageEntries(
  bundle: Bundle,
  files: ResolvedFiles,
  options: ReferenceOptions,
): Promise<PassportEntry[]> {
  const entries: PassportEntry[] = [];
  for (const [index, image] of files.images.entries()) {
    const drive = bundle.config.drives[index];
    if (image === undefined || drive === undefined) continue;
    // An external drive's medium comes from the user, with whatever it names inside itself.
    const given = drive.external;
    const key = given ? `--drive ${drive.identifier}` : `Drive[${index}].ImageName`;
    const mode = isWritten(drive) ? "read and written" : "read";
    const what = `${image.realPath} (${image.format}, ${mode})`;
    entries.push({
      key,
      kind: "file",
      what,
      ...(image.escapes && !given ? outside("it is not inside the bundle") : {}),
    });
    if (given) continue;
    const references = await imageReferences(image.realPath, image.format, bundle.path, options);
    for (const { image: owner, role, name, realPath, escapes } of references) {
      if (role === "extent" && realPath === owner) continue;
      entries.push({
        key: `${key} ${role}`,
        kind: "file",
        what: `${realPath ?? name} (named in ${owner})`,
        ...(escapes
          ? outside(`an image names it as its ${role}, and it is no file of the bundle`)
          : {}),
      });
    }
  }
  return entries;
}

function outside(risk: string): { risk: string; grant: Grant } {
  return { risk, grant: "external" };
}

function isWritten(drive: Drive): boolean {
  return drive.imageType === "Disk" && !drive.readOnly;
}

/** UEFI variables and TPM state; a link may lead them out of the bundle. */
function ownFileEntries(config: Config, files: ResolvedFiles): PassportEntry[] {
  const own = [
    { key: "QEMU.UEFIBoot", used: config.qemu.uefiBoot, path: files.efiVars },
    { key: "QEMU.TPMDevice", used: config.qemu.tpmDevice, path: files.tpmState },
  ];
  return own.filter(({ used }) => used).map(({ key, path }) => {
    const out = files.outside.find((file) => file.key === key);
    return {
      key,
      kind: "file",
      what: `${out?.realPath ?? path} (read and written)`,
      ...(out === undefined ? {} : outside("it is not inside the bundle")),
    };
  });
}

function networkEntries(network: Network, index: number): PassportEntry[] {
  const key = `Network[${index}]`;
  const entries: PassportEntry[] = [];
  switch (network.mode) {
    case "Bridged":
    case "Host":
      entries.push({
        key: `${key}.Mode`,
        kind: "network",
        what: network.mode === "Bridged"
          ? `a bridge to ${network.bridgeInterface ?? "the first interface"}`
          : "a host-only network",
        risk: "the guest becomes a neighbour of this host on a network",
        grant: "network",
      });
      break;
    default:
      entries.push({
        key: `${key}.Mode`,
        kind: "network",
        what: "user-mode networking: the guest connects out as this user",
      });
  }
  network.portForward.forEach((forward, position) => {
    const { protocol, hostAddress = "", hostPort, guestPort } = forward;
    const address = hostAddress === "" ? "127.0.0.1" : hostAddress;
    entries.push({
      key: `${key}.PortForward[${position}]`,
      kind: "port",
      what: `${protocol.toLowerCase()} ${address}:${hostPort} → guest ${guestPort}`,
      ...(isLoopback(address)
        ? {}
        : { risk: "others on the network can reach the guest", grant: "ports" as const }),
    });
  });
  return entries;
}

function isLoopback(address: string): boolean {
  return /^127(\.\d{1,3}){3}$/.test(address) || address === "localhost" ||
    address === "::1" || address === "[::1]";
}

function serialEntries(serial: Serial, index: number): PassportEntry[] {
  const key = `Serial[${index}]`;
  const entries: PassportEntry[] = [];
  if (serial.target === "Monitor" || serial.target === "GDB") {
    entries.push({
      key: `${key}.Target`,
      kind: "monitor",
      what: serial.target === "GDB" ? "a gdb server" : "a QEMU monitor",
      risk: "whoever reaches it controls QEMU, with the rights of this user",
      grant: "monitor",
    });
  }
  const port = serial.tcpPort ?? 1234;
  if (serial.mode === "TcpClient") {
    entries.push({
      key: `${key}.Mode`,
      kind: "network",
      what: `a connection to ${serial.tcpHostAddress ?? "example.com"}:${port}`,
      risk: "QEMU connects out by itself",
      grant: "network",
    });
  } else if (serial.mode === "TcpServer") {
    const open = serial.remoteConnectionAllowed;
    entries.push({
      key: `${key}.${open ? "RemoteConnectionAllowed" : "Mode"}`,
      kind: "port",
      what: `tcp ${open ? "0.0.0.0" : "127.0.0.1"}:${port} → serial port ${index}`,
      ...(open ? { risk: "others on the network can reach it", grant: "ports" as const } : {}),
    });
  }
  return entries;
}

function hardwareEntries(config: Config): PassportEntry[] {
  const named: [key: string, hardware: string | undefined][] = [
    ...config.displays.map(({ hardware }, i) => [`Display[${i}]`, hardware] as [string, string]),
    ...config.networks.map(({ hardware }, i) => [`Network[${i}]`, hardware] as [string, string]),
    ...config.sounds.map(({ hardware }, i) => [`Sound[${i}]`, hardware] as [string, string]),
    ...config.serials.map(({ target, hardware }, i) =>
      [`Serial[${i}]`, target === "Manual" ? hardware : undefined] as [string, undefined]
    ),
  ];
  return named.flatMap(([key, hardware]) =>
    hardware === undefined || !isHostDevice(hardware) ? [] : [{
      key: `${key}.Hardware`,
      kind: "device" as const,
      what: quoted(hardware),
      risk: "it reaches hardware, files or services of this host",
      grant: "devices" as const,
    }]
  );
}

function shareEntries(files: ResolvedFiles): PassportEntry[] {
  if (files.share === undefined) return [];
  const { path, readOnly } = files.share;
  const mode = readOnly ? "read" : "read and written";
  const what = `${path} (${mode} by the guest)`;
  if (!files.isShareOwn) return [{ key: "--share", kind: "share", what }];
  return [{
    key: "view.plist: SharedDirectoryPath",
    kind: "share",
    what,
    risk: "the guest sees what is in that directory of this host",
    grant: "share",
  }];
}

function argumentEntries({ qemu }: Config): PassportEntry[] {
  const risk = "QEMU can read and write any file, open ports and run programs by arguments";
  const entries: PassportEntry[] = [];
  for (const property of riskyMachineProperties(qemu.machinePropertyOverride ?? "")) {
    entries.push({
      key: "QEMU.MachinePropertyOverride",
      kind: "argument",
      what: quoted(property),
      risk: "it is none of the machine properties that are known to be harmless",
      grant: "args",
    });
  }
  // An option and its value may be two strings of the list.
  const words: { word: string; index: number }[] = qemu.additionalArguments.flatMap(
    (text, index) => splitWords(text).map((word) => ({ word, index })),
  );
  const risky = riskyArguments(words.map(({ word }) => word));
  if (words.length > 0 && risky.length === 0) {
    entries.push({
      key: "QEMU.AdditionalArguments",
      kind: "argument",
      what: words.map(({ word }) => word).join(" "),
    });
  }
  for (const what of risky) {
    const index = words.find(({ word }) => what === word || what.startsWith(`${word} `))?.index ??
      0;
    entries.push({
      key: `QEMU.AdditionalArguments[${index}]`,
      kind: "argument",
      what: quoted(what),
      risk,
      grant: "args",
    });
  }
  return entries;
}
