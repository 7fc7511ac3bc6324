/** The USB bus, input devices, and slots for redirected USB devices. */
import type { RuleInput } from "./facts.ts";
import type { Property, QemuOption } from "./option.ts";

/** Slots that one controller for redirection serves. */
const SLOTS_PER_CONTROLLER = 3;

/** The bus, its input devices, redirection, then the inputs of classic Macs. */
export function usbOptions(input: RuleInput): QemuOption[] {
  const { facts } = input;
  const tablets: QemuOption[] = [];
  if (facts.newWorld) tablets.push(device("Input", "virtio-tablet-pci"));
  if (facts.q800) tablets.push(device("Input", "virtio-tablet-device"));
  return facts.usb ? [...bus(input), ...redirection(input), ...tablets] : tablets;
}

function device(from: string, head: string, properties: Property[] = []): QemuOption {
  return { flag: "-device", head, ...(properties.length === 0 ? {} : { properties }), from };
}

function bus({ config, facts }: RuleInput): QemuOption[] {
  const from = "Input.UsbBusSupport";
  const onBus: Property[] = [["bus", "usb-bus.0"]];
  const result: QemuOption[] = [
    facts.virtLike
      ? device(from, "nec-usb-xhci", [["id", "usb-bus"]])
      // QEMU calls this bus `usb-bus` too.
      : { flag: "-usb", from },
  ];
  if (!facts.newWorld) result.push(device(from, "usb-tablet", onBus));
  if (!config.qemu.ps2Controller) {
    result.push(device(from, "usb-mouse", onBus), device(from, "usb-kbd", onBus));
  }
  return result;
}

function redirection({ config, facts }: RuleInput): QemuOption[] {
  const from = "Input.MaximumUsbShare";
  const slots = config.input.maximumUsbShare;
  const result: QemuOption[] = [];
  for (let i = 0; i < Math.ceil(slots / SLOTS_PER_CONTROLLER); i++) {
    const id = `usb-controller-${i}`;
    if (config.input.usbBusSupport === "3.0") {
      result.push(device(from, facts.pc ? "nec-usb-xhci" : "qemu-xhci", [["id", id]]));
      continue;
    }
    result.push(device(from, "ich9-usb-ehci1", [["id", id]]));
    for (const [driver, firstPort] of [["uhci1", "0"], ["uhci2", "2"], ["uhci3", "4"]] as const) {
      result.push(device(from, `ich9-usb-${driver}`, [
        ["masterbus", `${id}.0`],
        ["firstport", firstPort],
        ["multifunction", "on"],
      ]));
    }
  }
  for (let i = 0; i < slots; i++) {
    const chardev = `usbredirchardev${i}`;
    result.push(
      {
        flag: "-chardev",
        head: "spicevmc",
        properties: [["name", "usbredir"], ["id", chardev]],
        from,
      },
      device(from, "usb-redir", [
        ["chardev", chardev],
        ["id", `usbredirdev${i}`],
        ["bus", `usb-controller-${Math.floor(i / SLOTS_PER_CONTROLLER)}.0`],
      ]),
    );
  }
  return result;
}
