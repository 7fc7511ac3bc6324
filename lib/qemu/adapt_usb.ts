/** USB: the bus, input devices, and redirection through SPICE. */
import { type Adapting, substitute } from "./adapt_context.ts";
import { hasDevice, qemuName } from "./adapt_capabilities.ts";
import { property, type QemuOption } from "./option.ts";

const XHCI = ["nec-usb-xhci", "qemu-xhci"];

/** The bus called `usb-bus` and what sits on it, then redirection. */
export function adaptUsb(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  return withBusForDrives(withoutRedirection(withBus(options, at), at), at);
}

/** A bus where `-usb` makes none; no USB at all where there is no place for a controller. */
function withBus(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  return options.flatMap((option): QemuOption[] => {
    if (!option.from.startsWith("Input.")) return [option];
    if (at.buses.usb === "none") {
      substitute(at, "Input.UsbBusSupport", "on", "Disabled", `${at.machine.name} has no USB`);
      return [];
    }
    if (option.flag === "-usb" && at.buses.usb === "controller") {
      const controller = bus(at, option.from);
      const why = `-usb makes no bus on ${at.machine.name}`;
      substitute(at, "Input.UsbBusSupport", "-usb", controller.head ?? "", why);
      return [controller];
    }
    return [XHCI.includes(option.head ?? "") ? { ...option, head: xhci(option.head, at) } : option];
  });
}

/** A controller whose bus is called as `-usb` calls it. */
function bus(at: Adapting, from: string): QemuOption {
  return { flag: "-device", head: xhci(undefined, at), properties: [["id", "usb-bus"]], from };
}

/** The xHCI controller that this QEMU has: `wanted`, if it can be. */
function xhci(wanted: string | undefined, { qemu }: Adapting): string {
  const order = wanted === undefined ? XHCI : [wanted, ...XHCI];
  return order.find((name) => hasDevice(qemu, name)) ?? "qemu-xhci";
}

/** Redirection needs SPICE and usbredir; its controllers go too, unless the user's devices use them. */
function withoutRedirection(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  const { qemu, spice, config } = at;
  const from = "Input.MaximumUsbShare";
  if (spice && hasDevice(qemu, "usb-redir")) return [...options];
  if (!options.some((option) => option.from === from)) return [...options];
  const why = spice ? `${qemuName(qemu)} is built without usbredir` : "it needs SPICE";
  substitute(at, "Input.UsbSharing", `${config.input.maximumUsbShare} slots`, "", why);
  const kept = config.qemu.additionalArguments.some((text) => text.includes("usb-controller-")) ||
    at.options.extraArguments.some((text) => text.includes("usb-controller-"));
  return options.filter((option) =>
    option.from !== from ||
    (kept && option.flag === "-device" && option.head !== "usb-redir")
  );
}

/** A controller for USB disks of a configuration without USB. */
function withBusForDrives(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  const place = options.findIndex((option) => option.head === "usb-storage");
  if (place < 0 || at.buses.usb === "none") return [...options];
  const hasBus = options.some((option) =>
    option.flag === "-usb" || property(option, "id") === "usb-bus"
  );
  if (hasBus) return [...options];
  const from = options[place]?.from ?? "";
  const controller: QemuOption = at.buses.pci ? bus(at, from) : { flag: "-usb", from };
  const why = "a drive is on USB, so there has to be a bus";
  substitute(at, "Input.UsbBusSupport", "Disabled", controller.head ?? "-usb", why);
  return [...options.slice(0, place), controller, ...options.slice(place)];
}
