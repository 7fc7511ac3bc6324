/**
 * UTM's rules: from a configuration to the machine as UTM on a Mac means it. Pure; the second step,
 * `adapt.ts`, rewrites the result for the host at hand.
 *
 * The order is UTM's. It matters: PCI slots are given out in this order, and guests notice when
 * theirs change. User arguments come last, so that they win.
 *
 * `from` says where an option comes from. Every option of an entry carries the entry's key path.
 *
 * ```text
 * from                          options
 * (empty)                       -L, -S, -spice, the monitor, -nodefaults, -vga none, -global, the agent
 * Network[i], Network           -device or -net, then -netdev; -nic none
 * Display[i], Display           -device, or -vga on SPARC; -nographic
 * Serial[i]                     -chardev term<i>, then what it is connected to
 * System.CPU, System.CPUCount   -cpu; -smp
 * System.Target                 -machine; QEMU.MachinePropertyOverride is its suffix
 * QEMU.Hypervisor               -accel
 * QEMU.UEFIBoot                 -drive if=pflash, the code (unit 0), then the variables (unit 1)
 * System.Target                 helpers of classic Macs: nubus-virtio-mmio, loader, -prom-env
 * System.MemorySize             -m
 * Sound[i], Sound               -device; -audio and -audiodev
 * Input.UsbBusSupport           the bus usb-bus, tablet, mouse, keyboard
 * Input.MaximumUsbShare         usb-controller-<n>, usbredirchardev<n>, usbredirdev<n>
 * Input                         virtio tablets of classic Macs
 * Drive[i]                      controllers, -device, -drive; or -bios, -kernel, -initrd, -dtb
 * Sharing                       the SPICE agent: com.redhat.spice.0 and chardev vdagent
 * Sharing.DirectoryShareMode    WebDAV channel; -fsdev virtfs0 and virtio-9p
 * Information.Name, .UUID       -name, -uuid
 * --disposable                  -snapshot
 * QEMU.RTCLocalTime, QEMU.RNGDevice, QEMU.BalloonDevice, QEMU.TPMDevice
 * QEMU.AdditionalArguments[i]   the user's arguments
 * --                            arguments behind `--` on our own command line
 * ```
 *
 * Options of `run` are applied where the configuration has the same thing: `--memory` in `-m` and
 * the default of the translation cache, `--cpus` in `-smp`, `--accel` in `Facts.hypervisor`,
 * `--disposable` as `-snapshot`, `--forward` on the first network in user mode, a share in
 * `BundleFiles` as 9p. `--gl` and grants are matters of the host, so of `adapt.ts`.
 *
 * Where UTM's own line would fail, it is mended here: no arguments for an image of type None; video
 * memory per display; machine properties compared by whole keys; `f=on` for CPU features outside
 * x86 and SPARC; IDE drives in pairs on a PC with more than two; virtio devices by the machine's
 * bus; values escaped, or refused where QEMU cannot escape. Image formats are always written.
 *
 * Source: UTM 5.0.3, `UTMQemuConfiguration+Arguments.swift`.
 */
import type { BundleFiles, Config } from "../utm/model.ts";
import { cpuOptions } from "./argv_cpu.ts";
import { displayOptions } from "./argv_display.ts";
import { driveOptions } from "./argv_drives.ts";
import { firmwareOptions } from "./argv_firmware.ts";
import { identityOptions } from "./argv_identity.ts";
import { machineOptions } from "./argv_machine.ts";
import { networkOptions } from "./argv_network.ts";
import { serialOptions } from "./argv_serial.ts";
import { sharingOptions } from "./argv_sharing.ts";
import { soundOptions } from "./argv_sound.ts";
import { startOptions } from "./argv_start.ts";
import { usbOptions } from "./argv_usb.ts";
import { userOptions } from "./argv_user.ts";
import { deriveFacts, type RuleInput } from "./facts.ts";
import type { Host } from "./host_model.ts";
import type { CommandOptions } from "./launch_options.ts";
import type { QemuOption } from "./option.ts";

/** The sections of a command line, in UTM's order. */
const SECTIONS: readonly ((input: RuleInput) => QemuOption[])[] = [
  startOptions,
  networkOptions,
  displayOptions,
  serialOptions,
  cpuOptions,
  machineOptions,
  firmwareOptions,
  soundOptions,
  usbOptions,
  driveOptions,
  sharingOptions,
  identityOptions,
  userOptions,
];

/**
 * Returns the options with which UTM would start `config`, in UTM's order.
 *
 * @throws {BundleError} A value would change the meaning of the command, and cannot be escaped.
 */
export function utmOptions(
  config: Config,
  files: BundleFiles,
  host: Host,
  options: CommandOptions,
): QemuOption[] {
  const facts = deriveFacts(config, host, options);
  const input: RuleInput = { config, files, host, options, facts };
  return SECTIONS.flatMap((section) => section(input));
}
