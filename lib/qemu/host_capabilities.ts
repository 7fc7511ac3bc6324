/**
 * What one QEMU binary can do, asked of it: one QMP session without a machine, and beside it the
 * three `help` texts that QMP does not give.
 */
import type { HostAccess, RunOptions } from "./host_access.ts";
import { ask, type Question } from "./host_qmp.ts";
import type { MachineInfo, QemuCapabilities } from "./host_model.ts";
import { together } from "./together.ts";

/** Capabilities, and what the binary says it emulates. */
export interface ProbedBinary {
  /** The suffix of `qemu-system-…`, as `query-target` says it. */
  target: string;
  /** `machineProperties` is empty here: see {@linkcode probeMachine}. */
  capabilities: QemuCapabilities;
}

/** Properties of one machine type. */
export interface ProbedMachine {
  /** Without its alias: `pc-q35-7.2`. */
  name: string;
  properties: string[];
}

/**
 * The devices whose properties a command line depends on: displays (memory, EDID, blobs), and sound
 * devices (where the audio back end goes).
 */
const DEVICES_WITH_PROPERTIES = [
  ...["VGA", "secondary-vga", "isa-vga", "cirrus-vga", "isa-cirrus-vga", "ati-vga"],
  ...["bochs-display", "ramfb", "qxl", "qxl-vga", "vmware-svga", "virtio-vga", "virtio-vga-gl"],
  ...["virtio-gpu-pci", "virtio-gpu-gl-pci", "virtio-gpu-device", "virtio-gpu-gl-device"],
  ...["virtio-gpu-ccw", "cg3", "tcx", "sm501", "nubus-macfb"],
  ...["AC97", "ES1370", "adlib", "asc", "cs4231a", "gus", "hda-duplex", "isa-pcspk", "sb16"],
  ...["screamer", "usb-audio", "virtio-sound-device", "virtio-sound-pci"],
];

/** Prefix of a question about one device's properties. */
const PROPERTIES = "properties:";

/** HMP commands: QMP has no list of what `-device` and `-netdev` take, aliases included. */
function monitor(commandLine: string): Question {
  return { execute: "human-monitor-command", arguments: { "command-line": commandLine } };
}

const QUESTIONS = {
  target: { execute: "query-target" },
  machines: { execute: "query-machines" },
  cpuDefinitions: { execute: "query-cpu-definitions" },
  cpuTypes: { execute: "qom-list-types", arguments: { implements: "cpu" } },
  // Listing types loads QEMU's modules, so what follows knows what they bring.
  deviceTypes: { execute: "qom-list-types", arguments: { implements: "device" } },
  accelerators: { execute: "qom-list-types", arguments: { implements: "accel" } },
  chardevs: { execute: "query-chardev-backends" },
  deviceHelp: monitor("device_add help"),
  netdevHelp: monitor("netdev_add help"),
} as const satisfies Record<string, Question>;

/**
 * Asks the QEMU at `binary` everything that holds for all its machines.
 *
 * @throws {HostError} when it does not start, or not answer in time.
 */
export async function probeBinary(
  access: HostAccess,
  binary: string,
  options: RunOptions,
): Promise<ProbedBinary> {
  const questions: Record<string, Question> = { ...QUESTIONS };
  for (const typename of DEVICES_WITH_PROPERTIES) {
    questions[PROPERTIES + typename] = {
      execute: "device-list-properties",
      arguments: { typename },
    };
  }
  const help = async (option: string, signal: AbortSignal) => {
    // A QEMU without the option ends with an error and an empty list. It may also not start at
    // all; then the session says why.
    const result = await access.run(binary, [option, "help"], { ...options, signal })
      .catch(() => null);
    return result?.stdout ?? "";
  };
  const [answers, spice, audiodev, display] = await together(options.signal, (signal) => [
    ask(access, binary, questions, { ...options, signal }),
    help("-spice", signal),
    help("-audiodev", signal),
    help("-display", signal),
  ]);
  const { version, returned } = answers;

  const deviceProperties: Record<string, string[]> = {};
  for (const typename of DEVICES_WITH_PROPERTIES) {
    const names = namesIn(returned[PROPERTIES + typename]);
    if (names.length > 0) deviceProperties[typename] = names.sort();
  }
  const devices = devicesInHelp(textOf(returned.deviceHelp));
  const definitions = namesIn(returned.cpuDefinitions);
  const target = (returned.target as { arch?: unknown } | undefined)?.arch;
  return {
    target: typeof target === "string" ? target : "",
    capabilities: {
      binary,
      version,
      machines: machinesIn(returned.machines),
      cpus: (definitions.length > 0 ? definitions : cpusOfTypes(namesIn(returned.cpuTypes))).sort(),
      devices: (devices.length > 0 ? devices : namesIn(returned.deviceTypes)).sort(),
      deviceProperties,
      machineProperties: {},
      spiceOptions: keysInHelp(spice),
      spiceGlApis: /^\s+gl=<(?!bool)/m.test(spice), // stock QEMU: gl=<bool (on/off)>
      audiodevs: namesInHelp(audiodev),
      netdevs: namesInHelp(textOf(returned.netdevHelp)),
      displays: namesInHelp(display),
      accelerators: namesIn(returned.accelerators)
        .filter((name) => name.endsWith("-accel"))
        .map((name) => name.slice(0, -"-accel".length)).sort(),
      chardevs: namesIn(returned.chardevs).sort(),
    },
  };
}

/**
 * Asks for the properties of `machine`, by full name or alias; null when this QEMU does not have it.
 *
 * QMP's `qom-list-properties` would need no process of its own, but it makes an instance of the
 * machine, and QEMU 7.2 aborts on one of `microvm` (`acpi_setup_microvm`).
 */
export async function probeMachine(
  access: HostAccess,
  binary: string,
  machine: string,
  options: RunOptions,
): Promise<ProbedMachine | null> {
  // A machine's name cannot hold a comma; one in a bundle must not become an option.
  if (!/^[\w.+-]+$/.test(machine)) return null;
  const result = await access.run(binary, ["-machine", `${machine},help`], options);
  return machineInHelp(result.stdout);
}

/** Reads the answer of `query-machines`. */
export function machinesIn(answer: unknown): Record<string, MachineInfo> {
  const machines: Record<string, MachineInfo> = {};
  for (const entry of Array.isArray(answer) ? answer : []) {
    if (typeof entry?.name !== "string") continue;
    const cpuMax = typeof entry["cpu-max"] === "number" ? entry["cpu-max"] : 1;
    machines[entry.name] = typeof entry.alias === "string"
      ? { alias: entry.alias, cpuMax }
      : { cpuMax };
  }
  return machines;
}

/**
 * The names for `-cpu` behind QOM type names: `m68040-m68k-cpu` is `m68040`. A type without a
 * model in its name (`hppa-cpu`) is named in full.
 */
export function cpusOfTypes(types: string[]): string[] {
  return types.map((type) => /^(.+)-[a-z0-9_]+-cpu$/.exec(type)?.[1] ?? type);
}

/**
 * Reads `-device help`: lines like `name "virtio-blk-pci", bus PCI, alias "virtio-blk"`. The result
 * has both names of such a device.
 */
export function devicesInHelp(text: string): string[] {
  const names = new Set<string>();
  for (const line of text.split("\n")) {
    const name = /^name "([^"]+)"/.exec(line)?.[1];
    if (name === undefined || /, no-user\s*$/.test(line)) continue;
    names.add(name);
    const alias = /, alias "([^"]+)"/.exec(line)?.[1];
    if (alias !== undefined) names.add(alias);
  }
  return [...names];
}

/** Reads a help text with a heading and then one name a line; other lines are warnings. */
export function namesInHelp(text: string): string[] {
  const lines = text.split("\n").map((line) => line.trim());
  const heading = lines.findIndex((line) => line.endsWith(":"));
  return heading < 0 ? [] : lines.slice(heading + 1).filter((line) => /^[\w-]+$/.test(line));
}

/** Reads the keys of a help text with lines like `  addr=<str>   - description`. */
export function keysInHelp(text: string): string[] {
  return [...text.matchAll(/^\s+([\w.-]+)=</gm)].map((match) => match[1] ?? "").sort();
}

/** Reads `-machine X,help`, whose first line is `pc-q35-7.2-machine options:`. */
export function machineInHelp(text: string): ProbedMachine | null {
  const name = /^(\S+)-machine options:/m.exec(text)?.[1];
  return name === undefined ? null : { name, properties: keysInHelp(text) };
}

/** The `name`s of a QMP answer that is a list of objects. */
function namesIn(answer: unknown): string[] {
  if (!Array.isArray(answer)) return [];
  return answer.map((entry) => entry?.name).filter((name) => typeof name === "string");
}

function textOf(answer: unknown): string {
  return typeof answer === "string" ? answer : "";
}
