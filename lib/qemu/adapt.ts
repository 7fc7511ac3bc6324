/**
 * The second pure step: rewrites the machine as UTM means it for the host at hand, and names each
 * substitution. Only plumbing changes in silence: sockets, where QEMU's data are, forms of one value.
 */
import type { BundleFiles, Config } from "../utm/model.ts";
import {
  adaptAccelerator,
  adaptCpu,
  adaptProcessors,
  checkMemory,
  chooseAccelerator,
} from "./adapt_accelerator.ts";
import { busesOf } from "./adapt_buses.ts";
import { assumedQemu, findMachine, hasDevice, hasSpice, qemuName } from "./adapt_capabilities.ts";
import { type Adapting, isUsers, type Rewrite, substitute } from "./adapt_context.ts";
import { adaptDisplays } from "./adapt_display.ts";
import { adaptDrives } from "./adapt_drives.ts";
import { adaptFirmware } from "./adapt_firmware.ts";
import { chooseGl } from "./adapt_gl.ts";
import { adaptClassicMacs, adaptGlobals, adaptMachine } from "./adapt_machine.ts";
import { adaptNetworks, noUserNetwork } from "./adapt_network.ts";
import { adaptShare, adaptSpiceAgent, adaptTpm, adaptVirtio } from "./adapt_sharing.ts";
import { adaptChardevs, adaptSerialDevices, adaptStart, socketPath } from "./adapt_sockets.ts";
import { adaptSound } from "./adapt_sound.ts";
import { adaptUsb } from "./adapt_usb.ts";
import { utmOptions } from "./argv.ts";
import type { Host } from "./host_model.ts";
import type {
  CommandOptions,
  ControlSocket,
  Helper,
  LaunchPlan,
  SocketPlan,
  Substitution,
} from "./launch_options.ts";
import { property, type QemuOption, toArgv } from "./option.ts";
import { runnable, utmVariables } from "./utm_app.ts";

/** What a plan is made from. */
export interface AdaptInput {
  readonly config: Config;
  readonly files: BundleFiles;
  readonly host: Host;
  readonly options: CommandOptions;
  readonly sockets: SocketPlan;
  /** Settled by `chooseAccelerator`; the options were made for it. */
  readonly accelerator: LaunchPlan["accelerator"];
}

/**
 * Makes the plan of a launch: UTM's rules, then this host. Asks nothing of the machine at hand.
 *
 * @throws {BundleError} The configuration asks for what no QEMU can give.
 * @throws {HostError} The host lacks something for which nothing else can stand.
 * @throws {UsageError} An option cannot be met by this bundle, or a socket's path is too long.
 */
export function buildPlan(
  config: Config,
  files: BundleFiles,
  host: Host,
  options: CommandOptions,
  sockets: SocketPlan,
): LaunchPlan {
  const substitutions: Substitution[] = [];
  const accelerator = chooseAccelerator(config, host, options, substitutions);
  // UTM's rules for CPU, machine and accelerator depend on what is really used.
  const settled: CommandOptions = { ...options, accel: accelerator.name };
  const machine = utmOptions(config, files, host, settled);
  const plan = adapt(machine, { config, files, host, options, sockets, accelerator });
  return { ...plan, substitutions: [...substitutions, ...plan.substitutions] };
}

/** Rewrites one list of options after another. */
const REWRITES: readonly Rewrite[] = [
  adaptStart,
  adaptNetworks,
  adaptDisplays,
  adaptSerialDevices,
  adaptCpu,
  adaptProcessors,
  adaptMachine,
  adaptAccelerator,
  adaptGlobals,
  adaptClassicMacs,
  checkMemory,
  adaptSound,
  adaptUsb,
  adaptDrives,
  adaptSpiceAgent,
  adaptVirtio,
  adaptShare,
];

/**
 * Rewrites UTM's options for a host.
 *
 * @param machine What `utmOptions` made for the accelerator in `input`.
 * @throws as `buildPlan`.
 */
export function adapt(machine: readonly QemuOption[], input: AdaptInput): LaunchPlan {
  if (input.host.flavor === "utm") return utmPlan(machine, input);
  const { config, files, host, options, sockets, accelerator } = input;
  const { architecture, target } = config.system;
  const qemu = host.qemu ?? assumedQemu(architecture);
  const found = findMachine(qemu, target);
  const gl = chooseGl(config, host, qemu, options);
  const at: Adapting = {
    config,
    files,
    host,
    options,
    sockets,
    accelerator,
    qemu,
    machine: found,
    buses: busesOf(architecture, found.fullName),
    spice: hasSpice(host, qemu),
    gl,
    substitutions: [],
  };

  const users = machine.filter(isUsers);
  const utms = machine.filter((option) => !isUsers(option));
  const rewritten = REWRITES.reduce<readonly QemuOption[]>((list, step) => step(list, at), utms);
  const controlSockets: ControlSocket[] = [];
  const helpers: Helper[] = [];
  const withSockets = adaptChardevs(rewritten, at, controlSockets);
  const firmware = adaptFirmware(adaptTpm(withSockets, at, helpers), at);
  const [binary, ...argv] = runnable(
    host.utm,
    host.qemu?.binary ?? `qemu-system-${architecture}`,
    toArgv([...withoutMissing(firmware.options, at), ...users]),
  );
  return {
    binary,
    argv,
    helpers,
    substitutions: at.substitutions,
    sockets: controlSockets,
    ...(at.spice ? { spice: socketPath(at, "spice") } : {}),
    gl: gl.kind === "scanouts",
    ...(gl.kind === "none" || gl.renderNode === undefined ? {} : { renderNode: gl.renderNode }),
    accelerator,
    ...(firmware.template === undefined ? {} : { efiVarsTemplate: firmware.template }),
    ...(firmware.templateFormat === undefined
      ? {}
      : { efiVarsTemplateFormat: firmware.templateFormat }),
  };
}

/** Leaves out devices that this QEMU does not have and for which nothing stands. */
function withoutMissing(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  return options.filter((option) => {
    if (option.flag !== "-device" || hasDevice(at.qemu, option.head ?? "")) return true;
    const key = option.from || "-device";
    substitute(at, key, option.head ?? "", "", `${qemuName(at.qemu)} has no such device`);
    return false;
  });
}

/** UTM's own line, with its own sockets. */
function utmPlan(machine: readonly QemuOption[], input: AdaptInput): LaunchPlan {
  const { config, files, host, options, accelerator } = input;
  const { architecture } = config.system;
  const [forward] = options.forwards;
  if (forward !== undefined && !config.networks.some(({ mode }) => mode === "Emulated")) {
    throw noUserNetwork(forward);
  }
  const valueOf = (flag: string, from: string, key: string) => {
    const option = machine.find((it) => it.flag === flag && it.from === from);
    return option && property(option, key);
  };
  const spice = valueOf("-spice", "", "addr");
  const tpm = valueOf("-chardev", "QEMU.TPMDevice", "path");
  const template = utmVarsTemplate(machine, input);
  return {
    binary: host.qemu?.binary ?? `qemu-system-${architecture}`,
    argv: toArgv(machine),
    helpers: tpm === undefined ? [] : [{
      name: "swtpm",
      argv: [
        host.swtpm ?? "swtpm",
        "socket",
        "--tpm2",
        "--ctrl",
        `type=unixio,path=${tpm},terminate`,
        "--tpmstate",
        `backend-uri=file://${files.tpmState}`,
      ],
      socket: tpm,
    }],
    substitutions: [],
    sockets: [],
    ...(spice === undefined ? {} : { spice }),
    gl: config.displays.some((it) => it.hardware.endsWith("-gl") || it.hardware.includes("-gl-")),
    accelerator,
    ...(template === undefined ? {} : { efiVarsTemplate: template }),
  };
}

/** UTM's template for variables that are missing. */
function utmVarsTemplate(
  machine: readonly QemuOption[],
  { config, files, host }: AdaptInput,
): string | undefined {
  const code = machine.find((it) => it.from === "QEMU.UEFIBoot" && property(it, "unit") === "0");
  if (code === undefined || files.efiVarsBytes !== undefined) return undefined;
  const secure = property(code, "file.filename")?.includes("-secure-code") ?? false;
  return utmVariables(host.resources ?? "", config.system.architecture, secure);
}
