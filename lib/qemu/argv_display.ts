/** Display devices. */
import type { Display } from "../utm/model.ts";
import { takesVgaMemory } from "./adapt_capabilities.ts";
import { checkedName } from "./argv_checks.ts";
import { isGl, type RuleInput } from "./facts.ts";
import type { Property, QemuOption } from "./option.ts";

/** A `-device` per display; SPARC machines have one display, which `-vga` names. */
export function displayOptions(input: RuleInput): QemuOption[] {
  const { config, facts } = input;
  const [first, ...others] = config.displays;
  if (first === undefined) return [{ flag: "-nographic", from: "Display" }];
  // No QEMU takes UTM's `vgamem_mb` there.
  if (facts.sparc) return [device("-vga", first, 0, [])];
  return [first, ...others].flatMap((display, index) => {
    // The Quadra has it built in.
    if (display.hardware === "nubus-macfb") return [];
    const properties = videoMemory(display, input);
    if (facts.newWorld && display.hardware.toLowerCase().includes("vga")) {
      properties.push(["edid", "on"]);
    }
    if (isGl(display.hardware)) {
      properties.push(["hostmem", "256M"], ["blob", "true"], ["venus", "true"]);
    }
    return [device("-device", display, index, properties)];
  });
}

function device(flag: string, display: Display, index: number, properties: Property[]): QemuOption {
  const from = `Display[${index}]`;
  return { flag, head: checkedName(display.hardware, `${from}.Hardware`), properties, from };
}

/**
 * The display's own video memory. UTM's QEMU ends where a device has no such property; for a stock
 * one the step to the host decides, which also reports it.
 */
function videoMemory({ hardware, vgaRamMib }: Display, { host }: RuleInput): Property[] {
  if (vgaRamMib === undefined) return [];
  const { qemu, flavor } = host;
  if (flavor === "utm" && qemu !== null && !takesVgaMemory(qemu, hardware)) return [];
  return [["vgamem_mb", String(vgaRamMib)]];
}
