/** Display devices. */
import type { Display } from "../utm/model.ts";
import { checkedName } from "./argv_checks.ts";
import { isGl, type RuleInput } from "./facts.ts";
import type { Property, QemuOption } from "./option.ts";

/** A `-device` per display; SPARC machines have one display, which `-vga` names. */
export function displayOptions({ config, facts }: RuleInput): QemuOption[] {
  const [first, ...others] = config.displays;
  if (first === undefined) return [{ flag: "-nographic", from: "Display" }];
  if (facts.sparc) return [device("-vga", first, 0, videoMemory(first))];
  return [first, ...others].flatMap((display, index) => {
    // The Quadra has it built in.
    if (display.hardware === "nubus-macfb") return [];
    const properties = videoMemory(display);
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

function videoMemory(display: Display): Property[] {
  return display.vgaRamMib === undefined ? [] : [["vgamem_mb", String(display.vgaRamMib)]];
}
