/** What the user asked for on top of the bundle, and what building a command results in. */

/** What is changed from UTM's command, and why. Source: the contract in README.md, `argv --json`. */
export interface Substitution {
  /** Key path in config.plist, or the option: `Display[0].Hardware`, `-accel`. */
  key: string;
  from: string;
  to: string;
  /** One clause. */
  why: string;
}

/** A port forward from the command line. */
export interface ExtraForward {
  protocol: "tcp" | "udp";
  /** 127.0.0.1 unless said otherwise. */
  hostAddress: string;
  /** Never 0 here: a free one has been picked. */
  hostPort: number;
  guestPort: number;
}

/** The options of `run` that change the command. */
export interface CommandOptions {
  accel: "auto" | "kvm" | "hvf" | "tcg";
  requireAccel: boolean;
  gl: "auto" | "on" | "off";
  /** `--rendernode`. */
  renderNode?: string;
  /**
   * Whether the native shim is there, which takes GL scanouts; looked for only where GL is wanted.
   * Left out: it is not there.
   */
  hasShim?: boolean;
  /** Why it cannot be used: a message, for people. */
  shimObstacle?: string;
  /** `--memory`, MiB. */
  memoryMiB?: number;
  /** `--cpus`. */
  cpus?: number;
  /** `--disposable`. */
  disposable: boolean;
  forwards: ExtraForward[];
  /** Behind `--`, as they are. */
  extraArguments: string[];
  /** A substitution is an error. */
  strict: boolean;
  /** The grant `ports`: a forward without host address keeps UTM's meaning, all addresses. */
  allowPorts: boolean;
  /** The grant `network`: bridged and host-only networks keep their meaning where the host can. */
  allowNetwork: boolean;
  /** Whether a QEMU without SPICE opens a window of its own; `none` when left out. */
  display?: "none" | "window";
}

/** Which side of QEMU's control sockets listens. */
export interface SocketPlan {
  /** Absolute path of the instance's folder. */
  directory: string;
  /** `qemu`: QEMU listens, as `argv` prints it; `supervisor`: QEMU connects to sockets of ours. */
  listener: "qemu" | "supervisor";
}

/** A socket that QEMU and the supervisor meet on. */
export interface ControlSocket {
  /** The chardev's id: `qmp`, `term0`, `org.qemu.guest_agent`. */
  id: string;
  kind: "qmp" | "serial" | "agent";
  /** Absolute path. */
  path: string;
  /** Index into `Config.serials`, for kind `serial`. */
  serial?: number;
}

/** A program that has to run beside QEMU, and be up before it. */
export interface Helper {
  name: "swtpm";
  argv: string[];
  /** The socket that shows it is up. */
  socket: string;
  /**
   * Its state file, where it cannot work on `file` itself: `file` is copied to `copy` before the
   * start, and back when the helper has ended.
   */
  state?: { file: string; copy: string };
}

/** Everything that is needed to start one VM. */
export interface LaunchPlan {
  /** Absolute path of the QEMU binary, or its bare name where the host has none. */
  binary: string;
  /** Without the binary. */
  argv: string[];
  helpers: Helper[];
  substitutions: Substitution[];
  sockets: ControlSocket[];
  /** Path of the SPICE socket; absent where this QEMU has no SPICE. */
  spice?: string;
  /** Whether GL scanouts come through SPICE, so that the client has to take them. */
  gl: boolean;
  /** The render node of the GPU that QEMU draws on; ours has to be the same. Absent: none, or macOS. */
  renderNode?: string;
  /** The accelerator in use, and why. */
  accelerator: { name: "kvm" | "hvf" | "tcg"; why: string };
  /** Firmware's variable store to copy to `BundleFiles.efiVars` before the start, if it is missing. */
  efiVarsTemplate?: string;
  /** How that template is stored; anything but `raw` is converted to raw. `raw` when left out. */
  efiVarsTemplateFormat?: "raw" | "qcow2";
}
