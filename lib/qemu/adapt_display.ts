/** Displays: what shows the guest's screen, and the adapters that draw on it. */
import { type Adapting, indexIn, substitute } from "./adapt_context.ts";
import { hasDevice, offers, qemuName, takesVgaMemory } from "./adapt_capabilities.ts";
import { glTwin, type GlWay, HEADLESS_COST } from "./adapt_gl.ts";
import { isGl } from "./facts.ts";
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

/** Display adapters, and `-display` where SPICE does not decide it. */
export function adaptDisplays(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  let hasGl = false;
  const result = options.flatMap((option): QemuOption[] => {
    if (option.flag === "-nographic") {
      // It would put the monitor and a serial port on stdio where machines have defaults.
      return at.spice ? [{ flag: "-display", head: "none", from: option.from }] : [];
    }
    if (indexIn("Display", option) === undefined) return [option];
    if (option.flag === "-vga") return [defaultAdapter(option, at)];
    const adapted = [adapter(option, at, hasGl)].flat();
    hasGl ||= adapted.some(({ head }) => isGl(head ?? ""));
    return adapted;
  });
  const { gl } = at;
  if (at.spice && gl.kind !== "headless") return result;
  const start = result.findIndex((option) => option.flag === "-nodefaults");
  result.splice(start < 0 ? 1 : start, 0, gl.kind === "headless" ? headless(gl, at) : window(at));
  return result;
}

/** QEMU draws by the GPU without showing it: SPICE, or a `screendump`, gets plain pictures. */
function headless(
  { renderNode, why }: Extract<GlWay, { kind: "headless" }>,
  at: Adapting,
): QemuOption {
  substitute(at, "--gl", "GL scanouts", "egl-headless", `${why}; ${HEADLESS_COST}`);
  const properties: Property[] = [["rendernode", renderNode]];
  return { flag: "-display", head: "egl-headless", properties, from: "Display" };
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

/** @param hasGl Whether a display before this one draws by the GPU. */
function adapter(option: QemuOption, at: Adapting, hasGl: boolean): QemuOption | [] {
  const hardware = option.head ?? "";
  const [name, why] = chooseAdapter(hardware, at, hasGl);
  const key = `${option.from}.Hardware`;
  if (name !== hardware) substitute(at, key, hardware, name ?? "", why);
  if (name === undefined) return [];
  const properties = (option.properties ?? []).filter((it) => keepsMemory(it, name, option, at));
  return { ...option, head: name, properties: glProperties(properties, name, option, at) };
}

/** Blobs and Vulkan: UTM's QEMU has them; they are left out of another one, and of plain devices. */
function glProperties(
  properties: readonly Property[],
  device: string,
  { from }: QemuOption,
  at: Adapting,
): Property[] {
  if (isGl(device) && at.host.utm !== undefined) {
    const known = at.qemu.deviceProperties[device];
    return properties.filter(([key]) =>
      !GL_PROPERTIES.includes(key) || (known?.includes(key) ?? true)
    );
  }
  const [kept, dropped] = [true, false].map((keep) =>
    properties.filter(([key]) => GL_PROPERTIES.includes(key) !== keep)
  ) as [Property[], Property[]];
  if (isGl(device) && dropped.length > 0) {
    const words = dropped.map((it) => it.join("=")).join(",");
    const why = "Vulkan in the guest needs more than stock QEMU can be trusted to have";
    substitute(at, `${from}.Hardware`, words, "", why);
  }
  return kept;
}

function keepsMemory(
  [key, value]: Property,
  device: string,
  { from }: QemuOption,
  at: Adapting,
): boolean {
  if (key !== "vgamem_mb" || takesVgaMemory(at.qemu, device)) return true;
  substitute(at, `${from}.VgaRamMib`, value, "", `${device} has no such property`);
  return false;
}

/** The adapter that stands for `hardware`, itself at best, and why it is another one. */
function chooseAdapter(
  hardware: string,
  at: Adapting,
  hasGl: boolean,
): [string | undefined, string] {
  const { qemu, config, gl } = at;
  const { architecture } = config.system;
  const x86 = architecture === "x86_64" || architecture === "i386";
  let name = hardware;
  const reasons: string[] = [];
  if (hardware.startsWith("virtio-ramfb") && !hasDevice(qemu, hardware)) {
    name = `${x86 ? "virtio-vga" : "virtio-gpu"}${isGl(hardware) ? "-gl" : ""}${x86 ? "" : "-pci"}`;
    reasons.push("only UTM's QEMU has it");
  } else if (hardware === "apple-gfx-pci" && at.host.utm === undefined) {
    name = "virtio-gpu-pci";
    reasons.push("it draws by macOS only");
  }
  if (isGl(name) && (gl.kind === "none" || hasGl)) {
    name = name.replace("-gl", "");
    // Source: QEMU hw/display/virtio-gpu-gl.c, virtio_gpu_gl_device_realize.
    reasons.push(gl.kind === "none" ? gl.why : "QEMU takes one device with 3D, the first");
  } else if (gl.kind !== "none" && !hasGl && !isGl(name)) {
    const twin = at.options.gl === "on" ? glTwin(name, architecture, qemu) : undefined;
    if (twin !== undefined) {
      name = twin;
      reasons.push("--gl on asks for its twin with 3D");
    }
  }
  const onBus = nameOnBus(name, at);
  if (onBus !== name && reasons.length === 0) reasons.push("the machine has no PCI bus for it");
  name = onBus;
  if (hasDevice(qemu, name)) return [name, reasons.join(", and ")];
  reasons.push(`${qemuName(qemu)} has no ${name === hardware ? "such device" : name}`);
  const stand = standIns(name, x86).find((candidate) => hasDevice(qemu, candidate));
  return [stand, reasons.join(", and ")];
}

/** A virtio adapter for PCI by its name on the bus that the machine has. */
function nameOnBus(name: string, { buses }: Adapting): string {
  if (buses.pci && buses.virtio === "pci") return name;
  if (buses.virtio === "none" || !/^virtio-gpu(-gl)?-pci$/.test(name)) return name;
  if (buses.virtio === "ccw") return "virtio-gpu-ccw";
  return name.replace(/-pci$/, "-device");
}

/** Adapters to try in place of one that is missing, nearest first. */
function standIns(name: string, x86: boolean): string[] {
  const plain = isGl(name) ? [name.replace("-gl", "")] : [];
  return [...plain, ...(x86 ? ["virtio-vga", "VGA"] : ["virtio-gpu-pci", "VGA"])];
}
