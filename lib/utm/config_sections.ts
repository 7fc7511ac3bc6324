/** The sections of a v4 configuration, one function each; `config_drives.ts` has the drives. */
import { type DictReader, optional, required } from "./config_reader.ts";
import {
  ARCHITECTURES,
  FILTERS,
  NETWORK_MODES,
  PROTOCOLS,
  SERIAL_MODES,
  SERIAL_TARGETS,
  SHARE_MODES,
  USB_BUS_SUPPORT,
} from "./enums.ts";
import type {
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

/** Reads `Information`; `derivedUuid` stands in for a UUID that is missing. */
export function readInformation(
  section: DictReader,
  bundleName: string,
  derivedUuid: string,
): Information {
  const iconCustom = section.flag("IconCustom", required(false));
  const icon = section.filledText("Icon");
  const notes = section.text("Notes", optional(undefined));
  return {
    name: section.text("Name", required(bundleName)) || bundleName,
    iconCustom,
    ...(icon === undefined ? {} : { icon }),
    ...(notes === undefined ? {} : { notes }),
    uuid: section.text("UUID", required(derivedUuid), rule.UUID).toUpperCase(),
  };
}

/** Reads `System`. */
export function readSystem(section: DictReader): SystemSection {
  return {
    architecture: section.choice("Architecture", ARCHITECTURES),
    target: section.text("Target", undefined, rule.MACHINE_NAME),
    cpu: readCpu(section),
    cpuFlagsAdd: section.texts("CPUFlagsAdd", required([]), rule.CPU_FLAG),
    cpuFlagsRemove: section.texts("CPUFlagsRemove", required([]), rule.CPU_FLAG),
    cpuCount: Math.max(0, section.integer("CPUCount", rule.CPU_COUNT, required(0))),
    forceMulticore: section.flag("ForceMulticore", required(false)),
    memorySize: section.integer("MemorySize", rule.MEMORY_MIB, required(512)),
    jitCacheSize: section.integer("JITCacheSize", rule.JIT_CACHE_MIB, required(0)),
  };
}

/** UTM's names of SPARC processors end in blanks; none at all means the default. */
function readCpu(section: DictReader): string {
  const cpu = section.text("CPU", required("default")).trim();
  if (cpu === "") return "default";
  if (!rule.CPU_NAME.pattern.test(cpu)) throw section.error("CPU", cpu, rule.CPU_NAME.expected);
  return cpu;
}

/** Reads `QEMU`. */
export function readQemu(section: DictReader): QemuSection {
  const override = section.filledText("MachinePropertyOverride");
  return {
    debugLog: section.flag("DebugLog", required(false)),
    uefiBoot: section.flag("UEFIBoot", required(false)),
    rngDevice: section.flag("RNGDevice", required(false)),
    balloonDevice: section.flag("BalloonDevice", required(false)),
    tpmDevice: section.flag("TPMDevice", required(false)),
    hypervisor: section.flag("Hypervisor", required(false)),
    tso: section.flag("TSO", optional(false)),
    rtcLocalTime: section.flag("RTCLocalTime", required(false)),
    ps2Controller: section.flag("PS2Controller", required(false)),
    ...(override === undefined ? {} : { machinePropertyOverride: override }),
    additionalArguments: section.texts("AdditionalArguments", required([])),
  };
}

/** Reads `Input`. */
export function readInput(section: DictReader): InputSection {
  return {
    usbBusSupport: section.choice("UsbBusSupport", USB_BUS_SUPPORT, required("2.0")),
    usbSharing: section.flag("UsbSharing", required(false)),
    maximumUsbShare: section.integer("MaximumUsbShare", rule.USB_SLOTS, required(3)),
  };
}

/** Reads `Sharing`. */
export function readSharing(section: DictReader): SharingSection {
  return {
    directoryShareMode: section.choice("DirectoryShareMode", SHARE_MODES, required("None")),
    directoryShareReadOnly: section.flag("DirectoryShareReadOnly", required(false)),
    clipboardSharing: section.flag("ClipboardSharing", required(false)),
  };
}

/** Reads `Display`. */
export function readDisplays(sections: DictReader[]): Display[] {
  return sections.map((section) => {
    const vgaRamMib = section.integer("VgaRamMib", rule.VIDEO_MIB, optional(undefined));
    return {
      hardware: section.text("Hardware", undefined, rule.DEVICE_NAME),
      ...(vgaRamMib ? { vgaRamMib } : {}),
      dynamicResolution: section.flag("DynamicResolution", required(true)),
      upscalingFilter: section.choice("UpscalingFilter", FILTERS, required("Nearest")),
      downscalingFilter: section.choice("DownscalingFilter", FILTERS, required("Linear")),
      nativeResolution: section.flag("NativeResolution", required(false)),
    };
  });
}

/** Reads `Network`; `uuid` is the machine's, for addresses that are missing. */
export function readNetworks(sections: DictReader[], uuid: string): Network[] {
  return sections.map((section, index) => ({
    mode: section.choice("Mode", NETWORK_MODES),
    hardware: section.text("Hardware", undefined, rule.DEVICE_NAME),
    macAddress: section.filledText("MacAddress", rule.MAC_ADDRESS) ??
      assumeMacAddress(section, uuid, index),
    isolateFromHost: section.flag("IsolateFromHost", required(false)),
    portForward: section.sections("PortForward", required<never[]>([])).map(readForward),
    ...present({
      bridgeInterface: section.filledText("BridgeInterface", rule.INTERFACE_NAME),
      vlanGuestAddress: section.filledText("VlanGuestAddress", rule.IPV4_NETWORK),
      vlanGuestAddressIPv6: section.filledText("VlanGuestAddressIPv6", rule.IPV6_NETWORK),
      vlanHostAddress: section.filledText("VlanHostAddress", rule.IPV4),
      vlanHostAddressIPv6: section.filledText("VlanHostAddressIPv6", rule.IPV6),
      vlanDhcpStartAddress: section.filledText("VlanDhcpStartAddress", rule.IPV4),
      vlanDhcpEndAddress: section.filledText("VlanDhcpEndAddress", rule.IPV4),
      vlanDhcpDomain: section.filledText("VlanDhcpDomain", rule.DOMAIN_NAME),
      vlanDnsServerAddress: section.filledText("VlanDnsServerAddress", rule.IPV4),
      vlanDnsServerAddressIPv6: section.filledText("VlanDnsServerAddressIPv6", rule.IPV6),
      vlanDnsSearchDomain: section.filledText("VlanDnsSearchDomain", rule.DOMAIN_NAME),
      hostNetUuid: section.filledText("HostNetUuid", rule.UUID)?.toUpperCase(),
    }),
  }));
}

function assumeMacAddress(section: DictReader, uuid: string, index: number): string {
  const address = deriveMacAddress(uuid, index);
  section.warn("MacAddress", `is missing, ${address}, derived from the UUID, is used`);
  return address;
}

/** A local, unicast MAC address that stays the same for one machine and card. */
export function deriveMacAddress(uuid: string, index: number): string {
  const bytes = Uint8Array.fromHex(uuid.replaceAll("-", "").slice(-12));
  bytes[0] = (bytes[0]! & 0xfc) | 0x02;
  bytes[5] = bytes[5]! + index;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0").toUpperCase()).join(":");
}

/** Before UTM 4.4 the keys of a forward began with a small letter; an entry has one spelling. */
function readForward(section: DictReader): PortForward {
  const old = ["Protocol", "HostPort", "GuestPort"].every((key) => !section.has(key)) &&
    ["protocol", "hostPort", "guestPort"].some((key) => section.has(key));
  const spell = (key: string) => old ? key.charAt(0).toLowerCase() + key.slice(1) : key;
  return {
    protocol: section.choice(spell("Protocol"), PROTOCOLS),
    hostPort: section.integer(spell("HostPort"), rule.PORT_OR_ANY),
    guestPort: section.integer(spell("GuestPort"), rule.PORT),
    ...present({
      hostAddress: section.filledText(spell("HostAddress"), rule.IP_ADDRESS),
      guestAddress: section.filledText(spell("GuestAddress"), rule.IP_ADDRESS),
    }),
  };
}

/** Reads `Serial`; the look of a terminal window is not kept. */
export function readSerials(sections: DictReader[]): Serial[] {
  return sections.map((section) => {
    section.ignore("Terminal");
    const target = section.choice("Target", SERIAL_TARGETS);
    const hardware = section.filledText("Hardware", rule.DEVICE_NAME);
    if (target === "Manual" && hardware === undefined) {
      throw section.error("Hardware", undefined, "a QEMU device name, since Target is Manual");
    }
    return {
      mode: section.choice("Mode", SERIAL_MODES),
      target,
      waitForConnection: section.flag("WaitForConnection", optional(false)),
      remoteConnectionAllowed: section.flag("RemoteConnectionAllowed", optional(false)),
      ...present({
        hardware,
        tcpHostAddress: section.filledText("TcpHostAddress", rule.HOST_NAME),
        tcpPort: section.integer("TcpPort", rule.PORT, optional(undefined)),
      }),
    };
  });
}

/** Reads `Sound`. */
export function readSounds(sections: DictReader[]): Sound[] {
  return sections.map((section) => ({
    hardware: section.text("Hardware", undefined, rule.DEVICE_NAME),
  }));
}

/** Leaves out the keys without value. */
export function present<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: NonNullable<T[K]> };
}
