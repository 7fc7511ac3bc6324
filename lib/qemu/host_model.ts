/**
 * What a host offers, as plain data: `host.ts` probes it, `described_hosts.ts` describes six fixed
 * ones, and building a command line asks nothing else.
 */

/** One machine type of a QEMU binary. Source: QAPI `MachineInfo`. */
export interface MachineInfo {
  /** The name without version that stands for it now, such as `q35`. */
  alias?: string;
  /** The most virtual CPUs. */
  cpuMax: number;
}

/** What one QEMU binary can do. */
export interface QemuCapabilities {
  /** Absolute path of the program, or of UTM's library. */
  binary: string;
  /** Major, minor, micro. */
  version: [number, number, number];
  /** Every device, machine, CPU and property is there (UTM's own QEMU in a described host). */
  everything?: boolean;
  /** By full name; `alias` leads from `q35` to `pc-q35-7.2`. */
  machines: Record<string, MachineInfo>;
  cpus: string[];
  devices: string[];
  /** Property names of the devices whose properties matter to a command line. */
  deviceProperties: Record<string, string[]>;
  /** Property names of each machine that was asked for, by full name. */
  machineProperties: Record<string, string[]>;
  /** Keys of `-spice`, empty where QEMU has no SPICE. */
  spiceOptions: string[];
  /** Whether its `gl` names an API (`es`, `core`), as in UTM's QEMU; absent: not asked. */
  spiceGlApis?: boolean;
  audiodevs: string[];
  netdevs: string[];
  displays: string[];
  accelerators: string[];
  chardevs: string[];
}

/** A firmware image that QEMU can start with. Source: QEMU docs/interop/firmware.json. */
export interface Firmware {
  /** Where this was found: a descriptor's path, or the place it was guessed from. */
  source: string;
  /** QMP's names of architectures. */
  architectures: string[];
  /** Globs over full machine names; empty: any. */
  machines: string[];
  /** Absolute path of the executable part. */
  code: string;
  codeFormat: "raw" | "qcow2";
  codeBytes: number;
  /** Absolute path of the variable store's template, if the variables are separate. */
  varsTemplate?: string;
  varsTemplateBytes?: number;
  varsFormat?: "raw" | "qcow2";
  /** How it is mapped: a flash pair, or one image for `-bios`. */
  device: "flash" | "memory";
  secureBoot: boolean;
  requiresSmm: boolean;
  enrolledKeys: boolean;
}

/** Whether an accelerator can be used, and why (not). */
export interface AcceleratorFinding {
  usable: boolean;
  /** One clause: "/dev/kvm opens, but the CPU has neither vmx nor svm". */
  why: string;
}

/** A host. */
export interface Host {
  /** How it is called in `--host`; absent for the machine at hand. */
  described?: string;
  os: "linux" | "darwin";
  /** The architecture of the processor, by QEMU's name. */
  architecture: string;
  /** `utm`: run by UTM itself, on whose line nothing is rewritten; `stock`: run by us. */
  flavor: "utm" | "stock";
  cores: {
    physical: number;
    logical: number;
    /** On processors with cores of two kinds; else the same as the two above. */
    performancePhysical: number;
    performanceLogical: number;
  };
  /** The newest `-cpu` model in UTM's table for this Intel processor; `utm` flavour only. */
  intelCpuModel?: string;
  /** Absent: not known. */
  memoryMiB?: number;
  accelerators: Record<"kvm" | "hvf", AcceleratorFinding>;
  /** The QEMU for the guest's architecture; null where there is none. */
  qemu: QemuCapabilities | null;
  firmware: Firmware[];
  /** Readable DRM render nodes, best first. */
  renderNodes: string[];
  /** The audio back ends that would work now, best first. */
  audio: string[];
  /** Absolute path of `swtpm`, or of UTM's library of it; null where there is none. */
  swtpm: string | null;
  /** Its version, major and minor; absent: not known, taken for 0.7 or newer. */
  swtpmVersion?: [number, number];
  /** Folder of UTM's resources, where its QEMU is used. */
  resources?: string;
  /** Where the QEMU is UTM.app's, run by us: a library that a program of ours opens. */
  utm?: UtmApp;
}

/** What is used of a UTM.app. */
export interface UtmApp {
  /** Absolute path of the app's folder. */
  app: string;
  /** Its version (`CFBundleShortVersionString`); absent: not known. */
  version?: string;
  /** Folder of the app's libraries. */
  frameworks: string;
  /** Folder of QEMU's data and UTM's firmware. */
  resources: string;
  /** Absolute path of `utmost-qemu-host`, which runs the libraries. */
  program: string;
}
