/**
 * Versions 0 to 2 of the format (UTM 1 to 3), migrated to the v4 model in memory. What UTM assumes
 * silently is assumed silently here; what it changes is reported.
 *
 * Source: UTM 5.0.3, `Legacy/UTMLegacyQemuConfiguration*.m` and `UTMQemuConfiguration*.swift`.
 */
import type { ConfigContext } from "./config.ts";
import { type DictReader, optional } from "./config_reader.ts";
import { deriveMacAddress, present } from "./config_sections.ts";
import { ARCHITECTURES, NETWORK_MODES } from "./enums.ts";
import { readLegacyDrives } from "./legacy_drives.ts";
import { KNOWN_TARGETS, LEGACY_DEFAULT_TARGETS } from "./legacy_targets.ts";
import type {
  Config,
  Display,
  Information,
  InputSection,
  Network,
  PortForward,
  QemuSection,
  Serial,
  SharingSection,
  Sound,
  SystemSection,
} from "./model.ts";
import * as rule from "./value_rules.ts";

/**
 * Migrates a whole file.
 *
 * @param root Its top level, read loosely: booleans may be integers, numbers may be text.
 * @param derivedUuid Stands in for a UUID that is missing.
 * @throws {BundleError} naming the key path of a value that no release of UTM could have meant.
 */
export function migrateConfig(
  root: DictReader,
  context: ConfigContext,
  derivedUuid: string,
  version: number,
): Config {
  root.ignore("Printing", "version");
  const system = root.section("System", "silent");
  const sharing = root.section("Sharing", "silent");
  const architecture = readArchitecture(system);
  // UTM's defaults look at the machine as the file has it, before it is replaced by one of today's.
  const target = system.filledText("Target", rule.MACHINE_NAME) ??
    LEGACY_DEFAULT_TARGETS[architecture] ?? "";
  const information = readInformation(root, system, context.bundleName, derivedUuid);
  const hasSystem = root.has("System");
  const displaySection = root.section("Display", "silent");
  const consoleOnly = displaySection.flag("ConsoleOnly", optional(false));
  const display = root.has("Display")
    ? readDisplay(displaySection, sharing, target)
    : { ...INITIAL_DISPLAY, hardware: "virtio-vga" };
  return {
    sourceVersion: version,
    dataFolder: "Images",
    information,
    system: readSystem(system, architecture, hasSystem ? target : "q35"),
    qemu: readQemu(
      root.section("Debug", "silent"),
      system,
      hasSystem ? { target, hypervisor: architecture === context.hostArchitecture } : undefined,
    ),
    input: readInput(root, sharing, target),
    sharing: {
      directoryShareMode: sharing.flag("DirectorySharing", optional(false)) ? "WebDAV" : "None",
      directoryShareReadOnly: sharing.flag("DirectoryReadOnly", optional(false)),
      clipboardSharing: sharing.flag("ClipboardSharing", optional(false)),
    } satisfies SharingSection,
    displays: consoleOnly ? [] : [display],
    drives: readLegacyDrives(root.sections("Drives", optional<never[]>([]))),
    networks: readNetwork(root.section("Networking", "silent"), information.uuid),
    serials: consoleOnly ? [CONSOLE] : [],
    sounds: readSound(root.section("Sound", "silent")),
  };
}

/** A machine of the family `prefix`, such as `pc` or `virt`. */
function isFamily(target: string, ...prefixes: string[]): boolean {
  return prefixes.some((prefix) => target.startsWith(prefix));
}

/** Exactly `virt`, or a version of it. */
function isVirt(target: string): boolean {
  return target === "virt" || target.startsWith("virt-");
}

function readInformation(
  root: DictReader,
  system: DictReader,
  name: string,
  derivedUuid: string,
): Information {
  const info = root.section("Info", "silent");
  let uuid = system.text("SystemUUID", optional(derivedUuid));
  if (!rule.UUID.pattern.test(uuid)) {
    system.warn("SystemUUID", `is no UUID, ${derivedUuid}, derived from the path, is used`);
    uuid = derivedUuid;
  }
  return {
    name,
    iconCustom: info.flag("IconCustom", optional(false)),
    ...present({ icon: info.filledText("Icon"), notes: info.text("Notes", optional(undefined)) }),
    uuid: uuid.toUpperCase(),
  };
}

function readArchitecture(system: DictReader): string {
  const architecture = system.text("Architecture", optional("x86_64"));
  if ((ARCHITECTURES as readonly string[]).includes(architecture)) return architecture;
  system.warn("Architecture", "is not one that UTM knows today, x86_64 is used");
  return "x86_64";
}

function readSystem(section: DictReader, architecture: string, target: string): SystemSection {
  section.ignore("BootDevice");
  const flags = section.texts("CPUFlags", optional<string[]>([]), {
    pattern: /^[+-]?[A-Za-z0-9][A-Za-z0-9._-]*$/,
    expected: "a CPU feature, with or without sign",
  });
  const cpu = section.text("CPU", optional("")).trim();
  if (cpu !== "" && !rule.CPU_NAME.pattern.test(cpu)) {
    throw section.error("CPU", cpu, rule.CPU_NAME.expected);
  }
  return {
    architecture,
    target: currentTarget(section, architecture, target),
    cpu: cpu === "" ? "default" : cpu,
    cpuFlagsAdd: flags.filter((flag) => !flag.startsWith("-")).map((flag) =>
      flag.replace(/^\+/, "")
    ),
    cpuFlagsRemove: flags.filter((flag) => flag.startsWith("-")).map((flag) => flag.slice(1)),
    cpuCount: Math.max(0, section.integer("CPUCount", rule.CPU_COUNT, optional(0))),
    forceMulticore: section.flag("ForceMulticore", optional(false)),
    memorySize: section.integer("Memory", rule.MEMORY_MIB, optional(512)),
    jitCacheSize: section.integer("JITCacheSize", rule.JIT_CACHE_MIB, optional(0)),
  };
}

/** The machine itself if UTM still knows it, else the architecture's default of today. */
function currentTarget(section: DictReader, architecture: string, target: string): string {
  const known = KNOWN_TARGETS[architecture]!;
  if (known.targets.split(" ").includes(target)) return target;
  if (section.has("Target")) {
    section.warn(
      "Target",
      `is ${target}, which UTM does not know today, ${known.defaultTarget} is used`,
    );
  }
  return known.defaultTarget;
}

/** `defaults` is absent where the section `System` is: then UTM's repairs have nowhere to go. */
function readQemu(
  debug: DictReader,
  system: DictReader,
  defaults: { target: string; hypervisor: boolean } | undefined,
): QemuSection {
  debug.ignore("IgnoreAllConfiguration");
  const target = defaults?.target ?? "";
  const override = system.filledText("MachineProperties");
  return {
    debugLog: debug.flag("DebugLog", optional(false)),
    uefiBoot: system.flag("BootUefi", optional(isFamily(target, "virt"))),
    rngDevice: system.flag("RngEnabled", optional(isFamily(target, "pc", "q35", "virt"))),
    balloonDevice: false,
    tpmDevice: false,
    hypervisor: system.flag("UseHypervisor", optional(defaults?.hypervisor ?? false)),
    tso: false,
    rtcLocalTime: system.flag("RTCUseLocalTime", optional(defaults !== undefined)),
    ps2Controller: system.flag("ForcePS2Controller", optional(isFamily(target, "pc", "q35"))),
    ...(override === undefined ? {} : { machinePropertyOverride: override }),
    additionalArguments: readArguments(system),
  };
}

/** Version 1 held all arguments in one string. */
function readArguments(system: DictReader): string[] {
  if (!system.isText("AddArgs")) return system.texts("AddArgs", optional<string[]>([]));
  const text = system.filledText("AddArgs");
  return text === undefined ? [] : [text];
}

function readInput(root: DictReader, sharing: DictReader, target: string): InputSection {
  const input = root.section("Input", "silent");
  input.ignore("TouchscreenMode", "DirectInput", "InputInvertScroll");
  sharing.ignore("DirectoryName", "DirectoryBookmark");
  const hasSharing = root.has("Sharing");
  const usb3 = sharing.flag("Usb3Support", optional(hasSharing && isVirt(target)));
  const off = input.flag("InputLegacy", optional(false));
  return {
    usbBusSupport: off ? "Disabled" : usb3 ? "3.0" : "2.0",
    usbSharing: hasSharing,
    maximumUsbShare: sharing.integer("UsbRedirectMax", rule.USB_SLOTS, optional(3)),
  };
}

const INITIAL_DISPLAY: Omit<Display, "hardware"> = {
  dynamicResolution: false,
  upscalingFilter: "Nearest",
  downscalingFilter: "Linear",
  nativeResolution: false,
};

function readDisplay(section: DictReader, sharing: DictReader, target: string): Display {
  section.ignore(...CONSOLE_KEYS);
  const shares = ["ClipboardSharing", "DirectorySharing"].some((key) =>
    sharing.flag(key, optional(false))
  );
  const card = isFamily(target, "pc", "q35") ? "qxl-vga" : isVirt(target) ? "virtio-ramfb" : "VGA";
  return {
    hardware: section.text("DisplayCard", optional(card), rule.DEVICE_NAME),
    dynamicResolution: section.flag("DisplayFitScreen", optional(shares)),
    upscalingFilter: readFilter(section, "DisplayUpscaler", INITIAL_DISPLAY.upscalingFilter),
    downscalingFilter: readFilter(section, "DisplayDownscaler", INITIAL_DISPLAY.downscalingFilter),
    nativeResolution: section.flag("DisplayRetina", optional(false)),
  };
}

/** The look of a terminal window, and settings that have no successor. */
const CONSOLE_KEYS = [
  "ConsoleTheme",
  "ConsoleTextColor",
  "ConsoleBackgroundColor",
  "ConsoleFont",
  "ConsoleFontSize",
  "ConsoleBlink",
  "ConsoleResizeCommand",
  "ZoomScale",
  "ZoomLetterBox",
];

function readFilter(section: DictReader, key: string, other: "Linear" | "Nearest") {
  const filter = section.filledText(key) ?? "linear";
  return filter === "linear" ? "Linear" : filter === "nearest" ? "Nearest" : other;
}

const CONSOLE: Serial = {
  mode: "Terminal",
  target: "Auto",
  waitForConnection: false,
  remoteConnectionAllowed: false,
};

function readNetwork(section: DictReader, uuid: string): Network[] {
  section.ignore("DHCPHost");
  const stored = section.text("NetworkMode", optional("none"));
  const name = section.has("NetworkEnabled")
    ? section.flag("NetworkEnabled") ? "emulated" : "none"
    : stored;
  const mode = NETWORK_MODES.find((mode) => mode.toLowerCase() === name);
  if (mode === undefined) {
    if (name !== "none") section.warn("NetworkMode", "is not one that UTM knows, none is used");
    return [];
  }
  return [{
    mode,
    hardware: section.filledText("NetworkCard", rule.DEVICE_NAME) ?? "rtl8139",
    macAddress: section.filledText("NetworkCardMAC", rule.MAC_ADDRESS) ?? deriveMacAddress(uuid, 0),
    isolateFromHost: section.flag("IsolateGuest", optional(false)),
    portForward: section.sections("PortForward", optional<never[]>([])).map(readForward),
    ...present({
      bridgeInterface: section.filledText("NetworkBridgeInterface", rule.INTERFACE_NAME),
      vlanGuestAddress: section.filledText("IPSubnet", rule.IPV4_NETWORK),
      vlanGuestAddressIPv6: section.filledText("IPv6Subnet", rule.IPV6_NETWORK),
      vlanHostAddress: section.filledText("IPHost", rule.IPV4),
      vlanHostAddressIPv6: section.filledText("IPv6Host", rule.IPV6),
      vlanDhcpStartAddress: section.filledText("DHCPStart", rule.IPV4),
      vlanDhcpDomain: section.filledText("DHCPDomain", rule.DOMAIN_NAME),
      vlanDnsServerAddress: section.filledText("IPDNS", rule.IPV4),
      vlanDnsServerAddressIPv6: section.filledText("IPv6DNS", rule.IPV6),
      vlanDnsSearchDomain: section.filledText("DNSSearch", rule.DOMAIN_NAME),
    }),
  }];
}

/** UTM's migration forwards from the guest's port number; the file's own HostPort is meant. */
function readForward(section: DictReader): PortForward {
  const guestPort = section.integer("GuestPort", rule.PORT);
  return {
    protocol: section.filledText("Protocol") === "udp" ? "UDP" : "TCP",
    hostPort: section.integer("HostPort", rule.PORT_OR_ANY, optional(guestPort)),
    guestPort,
    ...present({
      hostAddress: section.filledText("HostAddress", rule.IP_ADDRESS),
      guestAddress: section.filledText("GuestAddress", rule.IP_ADDRESS),
    }),
  };
}

function readSound(section: DictReader): Sound[] {
  const card = section.filledText("SoundCard", rule.DEVICE_NAME) ?? "ac97";
  if (!section.flag("SoundEnabled", optional(false)) || card === "pcspk") return [];
  const renamed: Record<string, string> = { hda: "intel-hda", ac97: "AC97" };
  return [{ hardware: Object.hasOwn(renamed, card) ? renamed[card]! : card }];
}
