/** The first options: resources, SPICE, the monitor, and no devices but those that are named. */
import type { RuleInput } from "./facts.ts";
import type { QemuOption } from "./option.ts";

/** Where UTM's resources are when nothing else is known. */
const DEFAULT_RESOURCES = "/Applications/UTM.app/Contents/Resources/qemu";

/** Returns the path of one of UTM's resources. */
export function resourcePath(input: RuleInput, name: string): string {
  return `${resourceFolder(input)}/${name}`;
}

function resourceFolder({ host }: RuleInput): string {
  return host.resources ?? DEFAULT_RESOURCES;
}

/** `-L`, `-S`, `-spice`, the monitor, `-nodefaults`, `-vga none`. */
export function startOptions(input: RuleInput): QemuOption[] {
  const { config, facts } = input;
  const start: QemuOption[] = [
    { flag: "-L", text: resourceFolder(input), from: "" },
    { flag: "-S", from: "" },
    {
      flag: "-spice",
      properties: [
        ["unix", "on"],
        // Relative: the path of a Unix socket is limited to 104 bytes on macOS.
        ["addr", `${config.information.uuid.toUpperCase()}.spice`],
        ["disable-ticketing", "on"],
        ["image-compression", "off"],
        ["playback-compression", "off"],
        ["streaming-video", "off"],
        ["gl", facts.anyGl ? "es" : "off"],
      ],
      from: "",
    },
    {
      flag: "-chardev",
      head: "spiceport",
      properties: [["name", "org.qemu.monitor.qmp.0"], ["id", "org.qemu.monitor.qmp"]],
      from: "",
    },
    {
      flag: "-mon",
      properties: [["chardev", "org.qemu.monitor.qmp"], ["mode", "control"]],
      from: "",
    },
  ];
  // The display of a SPARC machine is one of its defaults.
  if (facts.sparc) return start;
  return [...start, { flag: "-nodefaults", from: "" }, { flag: "-vga", head: "none", from: "" }];
}
