/**
 * The QMP commands in use, as types: arguments and result of each.
 *
 * Source: QEMU QMP reference manual (qapi/*.json); only the members in use are declared.
 */

/** Where the virtual machine stands. Source: QAPI `RunState`. */
export type RunState =
  | "debug"
  | "finish-migrate"
  | "guest-panicked"
  | "inmigrate"
  | "internal-error"
  | "io-error"
  | "paused"
  | "postmigrate"
  | "prelaunch"
  | "preconfig"
  | "restore-vm"
  | "running"
  | "save-vm"
  | "shutdown"
  | "suspended"
  | "watchdog"
  | "colo";

/** Source: QAPI `StatusInfo`. */
export interface StatusInfo {
  running: boolean;
  status: RunState;
}

/** Source: QAPI `VersionInfo`. */
export interface VersionInfo {
  qemu: { major: number; minor: number; micro: number };
  /** The packager's own suffix, such as ` (Debian 1:7.2+dfsg-7)`. */
  package: string;
}

/** Source: QAPI `ChardevInfo`. */
export interface ChardevInfo {
  label: string;
  /** Such as `disconnected:unix:/run/x.sock,server=on`, or `pty:/dev/pts/3`. */
  filename: string;
  "frontend-open": boolean;
}

/** Source: QAPI `BlockInfo`. */
export interface BlockInfo {
  /** The drive's id, from `-drive id=`. */
  device: string;
  /** The qdev path or id of the device that uses it. */
  qdev?: string;
  type: string;
  removable: boolean;
  locked: boolean;
  tray_open?: boolean;
  "io-status"?: "ok" | "failed" | "nospace";
  /** Absent: no medium. */
  inserted?: {
    file: string;
    drv: string;
    ro: boolean;
    "node-name"?: string;
    "backing_file"?: string;
  };
}

/** One key of the guest's keyboard. Source: QAPI `KeyValue`. */
export type KeyValue =
  | { type: "qcode"; data: string }
  | { type: "number"; data: number };

/** One virtual CPU. Source: QAPI `CpuInfoFast`. */
export interface CpuInfo {
  "cpu-index": number;
  "thread-id": number;
  target: string;
}

/** Source: QAPI `BlockJobInfo`. */
export interface BlockJobInfo {
  type: string;
  device: string;
  len: number;
  offset: number;
  status: string;
}

/** Source: QAPI `MigrationInfo`. */
export interface MigrationInfo {
  status?: string;
  "error-desc"?: string;
}

/** One input event. Source: QAPI `InputEvent`. */
export type InputEvent =
  | { type: "key"; data: { key: KeyValue; down: boolean } }
  | { type: "btn"; data: { button: string; down: boolean } }
  | { type: "rel" | "abs"; data: { axis: "x" | "y"; value: number } };

/** What a command without a result answers. */
export type Nothing = Record<string, never>;

/** Arguments and result of one command; `arguments` is `undefined` where it takes none. */
interface Command<Arguments, Result> {
  arguments: Arguments;
  result: Result;
}

/** The table: command name to its arguments and result. */
export interface QmpCommands {
  "qmp_capabilities": Command<{ enable?: "oob"[] } | undefined, Nothing>;
  "query-version": Command<undefined, VersionInfo>;
  "query-name": Command<undefined, { name?: string }>;
  "query-uuid": Command<undefined, { UUID: string }>;
  "query-commands": Command<undefined, { name: string }[]>;
  "query-kvm": Command<undefined, { enabled: boolean; present: boolean }>;
  "query-cpus-fast": Command<undefined, CpuInfo[]>;

  /** A property of an object of QEMU's own. */
  "qom-get": Command<{ path: string; property: string }, unknown>;

  "query-status": Command<undefined, StatusInfo>;
  /** `channels` has one entry for each channel of a client. */
  "query-spice": Command<undefined, { enabled: boolean; channels?: unknown[] }>;
  "cont": Command<undefined, Nothing>;
  "stop": Command<undefined, Nothing>;
  "quit": Command<undefined, Nothing>;
  "system_powerdown": Command<undefined, Nothing>;
  "system_reset": Command<undefined, Nothing>;
  "system_wakeup": Command<undefined, Nothing>;

  "query-chardev": Command<undefined, ChardevInfo[]>;
  "query-block": Command<undefined, BlockInfo[]>;
  "query-block-jobs": Command<undefined, BlockJobInfo[]>;
  "query-migrate": Command<undefined, MigrationInfo>;
  "eject": Command<{ device?: string; id?: string; force?: boolean }, Nothing>;
  "blockdev-change-medium": Command<
    {
      /** The drive's id, from `-drive id=`. */
      device?: string;
      /** The device's id, from `-device id=`. */
      id?: string;
      filename: string;
      format?: string;
      force?: boolean;
      "read-only-mode"?: "retain" | "read-only" | "read-write";
    },
    Nothing
  >;
  /** A line of the human monitor; the result is what it prints, errors too. */
  "human-monitor-command": Command<{ "command-line": string; "cpu-index"?: number }, string>;

  /** Saves the screen to a file of QEMU's; `format` since QEMU 7.1, PPM when left out. */
  "screendump": Command<
    { filename: string; device?: string; head?: number; format?: "ppm" | "png" },
    Nothing
  >;
  /** Presses keys together and lets go after `hold-time` milliseconds (100 when left out). */
  "send-key": Command<{ keys: KeyValue[]; "hold-time"?: number }, Nothing>;
  "input-send-event": Command<{ device?: string; head?: number; events: InputEvent[] }, Nothing>;
  "set_link": Command<{ name: string; up: boolean }, Nothing>;
  "balloon": Command<{ value: number }, Nothing>;
}

/** The name of a command in the table. */
export type QmpCommandName = keyof QmpCommands;

/** The names whose command can be sent without arguments. */
export type BareCommandName = {
  [Name in QmpCommandName]: undefined extends QmpCommands[Name]["arguments"] ? Name : never;
}[QmpCommandName];
