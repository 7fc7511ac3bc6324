/** The closed lists of values in config.plist. Source: UTM 5.0.3, `QEMUConstant*.swift`. */
import type {
  DriveInterface,
  ImageType,
  InputSection,
  NetworkMode,
  SerialMode,
  SerialTarget,
  SharingSection,
} from "./model.ts";

/** `System.Architecture`: suffixes of `qemu-system-…`. */
export const ARCHITECTURES = [
  "alpha",
  "arm",
  "aarch64",
  "avr",
  "hppa",
  "i386",
  "loongarch64",
  "m68k",
  "microblaze",
  "microblazeel",
  "mips",
  "mipsel",
  "mips64",
  "mips64el",
  "or1k",
  "ppc",
  "ppc64",
  "riscv32",
  "riscv64",
  "rx",
  "s390x",
  "sh4",
  "sh4eb",
  "sparc",
  "sparc64",
  "tricore",
  "x86_64",
  "xtensa",
  "xtensaeb",
] as const;

/** `Input.UsbBusSupport`. */
export const USB_BUS_SUPPORT: readonly InputSection["usbBusSupport"][] = ["Disabled", "2.0", "3.0"];
/** `Sharing.DirectoryShareMode`. */
export const SHARE_MODES: readonly SharingSection["directoryShareMode"][] = [
  "None",
  "WebDAV",
  "VirtFS",
];
/** `Display[].UpscalingFilter` and `DownscalingFilter`. */
export const FILTERS = ["Linear", "Nearest"] as const;
/** `Drive[].ImageType`. */
export const IMAGE_TYPES: readonly ImageType[] = [
  "None",
  "Disk",
  "CD",
  "BIOS",
  "LinuxKernel",
  "LinuxInitrd",
  "LinuxDTB",
];
/** `Drive[].Interface`. */
export const DRIVE_INTERFACES: readonly DriveInterface[] = [
  "None",
  "IDE",
  "SCSI",
  "SD",
  "MTD",
  "Floppy",
  "PFlash",
  "VirtIO",
  "NVMe",
  "USB",
];
/** `Network[].Mode`. */
export const NETWORK_MODES: readonly NetworkMode[] = ["Emulated", "Shared", "Host", "Bridged"];
/** `Network[].PortForward[].Protocol`. */
export const PROTOCOLS = ["TCP", "UDP"] as const;
/** `Serial[].Mode`. */
export const SERIAL_MODES: readonly SerialMode[] = ["Terminal", "TcpClient", "TcpServer", "Ptty"];
/** `Serial[].Target`. */
export const SERIAL_TARGETS: readonly SerialTarget[] = ["Auto", "Manual", "GDB", "Monitor"];
