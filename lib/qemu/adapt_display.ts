/** Displays: what shows the guest's screen, and the adapters that draw on it. */
import { HostError } from "../base/errors.ts";
import type { Config } from "../utm/model.ts";
import { type Adapting, indexIn, substitute } from "./adapt_context.ts";
import { hasDevice, hasSpice, offers, qemuName, takesVgaMemory } from "./adapt_capabilities.ts";
import type { Host, QemuCapabilities } from "./host_model.ts";
import type { CommandOptions } from "./launch_options.ts";
import type { Property, QemuOption } from "./option.ts";

/** Properties that UTM sets on devices which draw by the GPU. */
const GL_PROPERTIES = ["hostmem", "blob", "venus"];

/** QEMU's names of adapters behind `-vga`. Source: QEMU system/vl.c, `vga_interfaces`. */
const VGA_NAMES: Readonly<Record<string, string>> = {
  VGA: "std",
  "cirrus-vga": "cirrus",
  "vmware-svga": "vmware",
  "virtio-vga": "virtio",
  "qxl-vga": "qxl",
  "sun-tcx": "tcx",
  cgthree: "cg3",
};

/** Whether a display device draws by the host's GPU. */
function isGl(hardware: string): boolean {
  return hardware.endsWith("-gl") || hardware.includes("-gl-");
}

/**
 * Returns the render node for GL scanouts through SPICE, or undefined for none.
 *
 * @throws {HostError} `--gl on`, and something is missing.
 */
export function chooseRenderNode(
  config: Config,
  host: Host,
  qemu: QemuCapabilities,
  options: CommandOptions,
): string | undefined {
  const wanted = config.displays.some((display) => isGl(display.hardware));
  if (options.gl === "off" || (options.gl === "auto" && !wanted)) return undefined;
  const node = options.renderNode ?? host.renderNodes[0];
  if (options.gl === "auto") {
    return host.os === "linux" && offers(qemu, "spiceOptions", "gl") ? node : undefined;
  }
  const cannot = "Cannot bring GL scanouts through SPICE (--gl on)";
  if (!hasSpice(host, qemu)) {
    throw new HostError(`${cannot}: ${qemuName(qemu)} has no SPICE, expected one with it`, {
      hint: host.os === "darwin"
        ? "Homebrew's QEMU has no SPICE; leave out --gl on"
        : "Install QEMU's SPICE modules (Debian: qemu-system-modules-spice), or leave out --gl on",
    });
  }
  if (!offers(qemu, "spiceOptions", "gl")) {
    throw new HostError(
      `${cannot}: the SPICE of ${qemuName(qemu)} has no gl, expected one with it`,
      {
        hint:
          "Install a QEMU with OpenGL (Debian: qemu-system-modules-opengl), or leave out --gl on",
      },
    );
  }
  if (node === undefined) {
    throw new HostError(
      `${cannot}: there is no readable DRM render node, expected one such as /dev/dri/renderD128`,
      { hint: "Give one with --rendernode, join the group of /dev/dri, or leave out --gl on" },
    );
  }
  return node;
}

/** Why there is no GL, for a bundle that wants it. */
function whyNoGl({ host, options, spice, qemu }: Adapting): string {
  if (options.gl === "off") return "GL is off";
  if (!spice) return `${qemuName(qemu)} has no SPICE to bring GL scanouts through`;
  if (host.renderNodes.length === 0) return "there is no readable DRM render node";
  return `the SPICE of ${qemuName(qemu)} has no gl`;
}

/** Display adapters, and `-display` where SPICE does not decide it. */
export function adaptDisplays(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  const result = options.flatMap((option): QemuOption[] => {
    if (option.flag === "-nographic") {
      // It would put the monitor and a serial port on stdio where machines have defaults.
      return at.spice ? [{ flag: "-display", head: "none", from: option.from }] : [];
    }
    if (indexIn("Display", option) === undefined) return [option];
    return option.flag === "-vga" ? [defaultAdapter(option, at)] : [adapter(option, at)].flat();
  });
  if (at.spice) return result;
  const start = result.findIndex((option) => option.flag === "-nodefaults");
  result.splice(start < 0 ? 1 : start, 0, window(at));
  return result;
}

/** `-display` for a QEMU without SPICE. */
function window(at: Adapting): QemuOption {
  const { options, qemu, config } = at;
  const none: QemuOption = { flag: "-display", head: "none", from: "Display" };
  if (options.display !== "window" || config.displays.length === 0) return none;
  const kinds = at.host.os === "darwin" ? ["cocoa", "sdl", "gtk"] : ["gtk", "sdl"];
  const kind = kinds.find((name) => offers(qemu, "displays", name));
  if (kind !== undefined) return { ...none, head: kind };
  substitute(at, "--window", "window", "none", `${qemuName(qemu)} has no window`);
  return none;
}

/** `-vga` of a SPARC machine takes a name of its own kind, and no video memory. */
function defaultAdapter(option: QemuOption, at: Adapting): QemuOption {
  const hardware = option.head ?? "";
  const memory = option.properties?.find(([key]) => key === "vgamem_mb")?.[1];
  if (memory !== undefined) {
    const key = `${option.from}.VgaRamMib`;
    substitute(at, key, memory, "", `QEMU's -vga ${hardware} takes no video memory`);
  }
  return { flag: "-vga", head: VGA_NAMES[hardware] ?? hardware, from: option.from };
}

function adapter(option: QemuOption, at: Adapting): QemuOption | [] {
  const hardware = option.head ?? "";
  const [name, why] = chooseAdapter(hardware, at);
  const key = `${option.from}.Hardware`;
  if (name !== hardware) substitute(at, key, hardware, name ?? "", why);
  if (name === undefined) return [];
  const properties = (option.properties ?? []).filter((it) => keepsProperty(it, name, option, at));
  return { ...option, head: name, properties };
}

function keepsProperty(
  [key, value]: Property,
  device: string,
  { from }: QemuOption,
  at: Adapting,
): boolean {
  if (GL_PROPERTIES.includes(key)) {
    if (isGl(device)) {
      const why = "Vulkan in the guest needs more than stock QEMU can be trusted to have";
      substitute(at, `${from}.Hardware`, `${key}=${value}`, "", why);
    }
    return false;
  }
  if (key !== "vgamem_mb" || takesVgaMemory(at.qemu, device)) return true;
  substitute(at, `${from}.VgaRamMib`, value, "", `${device} has no such property`);
  return false;
}

/** The adapter that stands for `hardware`, itself at best, and why it is another one. */
function chooseAdapter(hardware: string, at: Adapting): [string | undefined, string] {
  const { qemu, buses, renderNode, config } = at;
  const x86 = config.system.architecture === "x86_64" || config.system.architecture === "i386";
  const gl = isGl(hardware) && renderNode !== undefined;
  let name = hardware;
  let why = "";
  if (hardware.startsWith("virtio-ramfb")) {
    name = `${x86 ? "virtio-vga" : "virtio-gpu"}${gl ? "-gl" : ""}${x86 ? "" : "-pci"}`;
    why = "only UTM's QEMU has it";
  } else if (hardware === "apple-gfx-pci") {
    [name, why] = ["virtio-gpu-pci", "it draws by macOS only"];
  }
  if (isGl(hardware) && !gl) {
    name = name.replace("-gl", "");
    why = why ? `${why}, and ${whyNoGl(at)}` : whyNoGl(at);
  }
  if (!buses.pci || buses.virtio !== "pci") {
    if (name === "virtio-gpu-pci" && buses.virtio !== "none") {
      name = buses.virtio === "ccw" ? "virtio-gpu-ccw" : "virtio-gpu-device";
      why ||= "the machine has no PCI bus for it";
    }
  }
  if (hasDevice(qemu, name)) return [name, why];
  const missing = `${qemuName(qemu)} has no ${name === hardware ? "such device" : name}`;
  const stand = standIns(name, x86).find((candidate) => hasDevice(qemu, candidate));
  return [stand, why ? `${why}, and ${missing}` : missing];
}

/** Adapters to try in place of one that is missing, nearest first. */
function standIns(name: string, x86: boolean): string[] {
  const plain = isGl(name) ? [name.replace("-gl", "")] : [];
  return [...plain, ...(x86 ? ["virtio-vga", "VGA"] : ["virtio-gpu-pci", "VGA"])];
}
