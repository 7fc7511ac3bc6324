/**
 * The v4 model of a UTM configuration, after parsing and migration: every value is present and of
 * its final type. Keys follow config.plist (in camel case), values keep UTM's spelling.
 *
 * Source: UTM 5.0.3, `Configuration/UTMQemuConfiguration*.swift`.
 */

/** How an image is attached to the guest. */
export type DriveInterface =
  | "None"
  | "IDE"
  | "SCSI"
  | "SD"
  | "MTD"
  | "Floppy"
  | "PFlash"
  | "VirtIO"
  | "NVMe"
  | "USB";

/** What an image is. */
export type ImageType =
  | "None"
  | "Disk"
  | "CD"
  | "BIOS"
  | "LinuxKernel"
  | "LinuxInitrd"
  | "LinuxDTB";

/** How a network card reaches the world. */
export type NetworkMode = "Emulated" | "Shared" | "Host" | "Bridged";

/** Where a serial port leads. */
export type SerialMode = "Terminal" | "TcpClient" | "TcpServer" | "Ptty";

/** What a serial port is connected to inside QEMU. */
export type SerialTarget = "Auto" | "Manual" | "GDB" | "Monitor";

/** Section `Information`. */
export interface Information {
  name: string;
  iconCustom: boolean;
  icon?: string;
  notes?: string;
  /** RFC 4122 text in upper case. */
  uuid: string;
}

/** Section `System`. */
export interface SystemSection {
  /** The suffix of `qemu-system-…`. */
  architecture: string;
  /** QEMU machine name. */
  target: string;
  /** QEMU CPU model, or `default`. */
  cpu: string;
  /** CPU features to add, without sign. */
  cpuFlagsAdd: string[];
  /** CPU features to remove, without sign. */
  cpuFlagsRemove: string[];
  /** Virtual CPUs; 0 means as many as fit the host. */
  cpuCount: number;
  forceMulticore: boolean;
  /** MiB. */
  memorySize: number;
  /** MiB of TCG translation cache; 0 means a quarter of the memory. */
  jitCacheSize: number;
}

/** Section `QEMU`. */
export interface QemuSection {
  debugLog: boolean;
  uefiBoot: boolean;
  rngDevice: boolean;
  balloonDevice: boolean;
  tpmDevice: boolean;
  hypervisor: boolean;
  tso: boolean;
  rtcLocalTime: boolean;
  ps2Controller: boolean;
  /** Machine properties, comma separated, as QEMU takes them. */
  machinePropertyOverride?: string;
  /** The user's own arguments; one string may hold several. */
  additionalArguments: string[];
}

/** Section `Input`. */
export interface InputSection {
  usbBusSupport: "Disabled" | "2.0" | "3.0";
  usbSharing: boolean;
  /** Number of USB redirection slots. */
  maximumUsbShare: number;
}

/** Section `Sharing`. */
export interface SharingSection {
  directoryShareMode: "None" | "WebDAV" | "VirtFS";
  directoryShareReadOnly: boolean;
  clipboardSharing: boolean;
}

/** One entry of `Display`. */
export interface Display {
  /** A QEMU `-device` name. */
  hardware: string;
  /** MiB. */
  vgaRamMib?: number;
  dynamicResolution: boolean;
  upscalingFilter: "Linear" | "Nearest";
  downscalingFilter: "Linear" | "Nearest";
  nativeResolution: boolean;
}

/** One entry of `Drive`; their order is the boot order. */
export interface Drive {
  /** File name in the data folder; absent for an external (removable) drive, or one without image. */
  imageName?: string;
  imageType: ImageType;
  interface: DriveInterface;
  /** 0: one IDE unit a bus; 1 and more: two where the machine allows. */
  interfaceVersion: number;
  /** Used in QEMU ids behind the prefix `drive`. */
  identifier: string;
  readOnly: boolean;
  /** The medium comes from outside the bundle, or the drive is empty. */
  external: boolean;
}

/** One entry of `Network[].PortForward`. */
export interface PortForward {
  protocol: "TCP" | "UDP";
  /** Empty or absent: all addresses of the host. */
  hostAddress?: string;
  hostPort: number;
  /** Empty or absent: the first DHCP lease. */
  guestAddress?: string;
  guestPort: number;
}

/** One entry of `Network`. */
export interface Network {
  mode: NetworkMode;
  /** A QEMU network card. */
  hardware: string;
  macAddress: string;
  isolateFromHost: boolean;
  portForward: PortForward[];
  bridgeInterface?: string;
  vlanGuestAddress?: string;
  vlanGuestAddressIPv6?: string;
  vlanHostAddress?: string;
  vlanHostAddressIPv6?: string;
  vlanDhcpStartAddress?: string;
  vlanDhcpEndAddress?: string;
  vlanDhcpDomain?: string;
  vlanDnsServerAddress?: string;
  vlanDnsServerAddressIPv6?: string;
  vlanDnsSearchDomain?: string;
  hostNetUuid?: string;
}

/** One entry of `Serial`. */
export interface Serial {
  mode: SerialMode;
  target: SerialTarget;
  /** A QEMU device, for target `Manual`. */
  hardware?: string;
  tcpHostAddress?: string;
  tcpPort?: number;
  waitForConnection: boolean;
  remoteConnectionAllowed: boolean;
}

/** One entry of `Sound`. */
export interface Sound {
  /** A QEMU sound device, or one of the built-in `pcspk`, `screamer`, `asc`. */
  hardware: string;
}

/** A whole configuration. */
export interface Config {
  /** The version that the file had: 0, 1 or 2 were migrated, 4 is today's. */
  sourceVersion: number;
  /** The folder inside the bundle that relative names start from. */
  dataFolder: "Data" | "Images";
  information: Information;
  system: SystemSection;
  qemu: QemuSection;
  input: InputSection;
  sharing: SharingSection;
  displays: Display[];
  drives: Drive[];
  networks: Network[];
  serials: Serial[];
  sounds: Sound[];
}

/** How an image is stored; always said to QEMU, never left to its probing. */
export type DiskFormat = "raw" | "qcow2" | "vmdk" | "vdi" | "vpc" | "vhdx";

/** The image behind a drive, found on disk. */
export interface Medium {
  /** Absolute path. */
  path: string;
  format: DiskFormat;
  /** The path is a host device, such as `/dev/sdb`. */
  device?: boolean;
}

/** A directory to share with the guest. */
export interface Share {
  /** Absolute path. */
  path: string;
  readOnly: boolean;
}

/** The files of a bundle that a command line names, as absolute paths: nothing else is looked up. */
export interface BundleFiles {
  /** The bundle itself, without trailing slash. */
  bundle: string;
  /** Parallel to `Config.drives`; absent: no image (external and empty, or none needed). */
  media: (Medium | undefined)[];
  /** Where the UEFI variables are, or would be made. */
  efiVars: string;
  /** Bytes of the variable store; absent when it is not there yet. */
  efiVarsBytes?: number;
  /** Where the TPM keeps its state. */
  tpmState: string;
  /** What the guest shares, if anything. */
  share?: Share;
}
