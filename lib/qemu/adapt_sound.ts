/** Sound: the back ends, and cards that this QEMU has. */
import { type Adapting, indexIn, substitute } from "./adapt_context.ts";
import { hasDevice, isAtLeast, offers, qemuName } from "./adapt_capabilities.ts";
import type { QemuOption } from "./option.ts";

/** What an HDA controller is called, and the codec that UTM puts behind it. */
const HDA = { controller: "intel-hda", codec: "hda-duplex" } as const;

/** `-audio`, `-audiodev` and sound cards. */
export function adaptSound(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  return options.flatMap((option): QemuOption[] => {
    if (option.flag === "-audio") return audio(option, at);
    if (option.flag === "-audiodev") return [{ ...option, head: backEnd(option.head ?? "", at) }];
    if (option.flag === "-device" && indexIn("Sound", option) !== undefined) {
      return card(option, at);
    }
    return [option];
  });
}

/** `-audio` without a model is of QEMU 8.2 and later. */
function audio(option: QemuOption, at: Adapting): QemuOption[] {
  if (option.head === "none") return isAtLeast(at.qemu, 8, 2) ? [option] : [];
  if (isAtLeast(at.qemu, 8, 2)) return [{ ...option, head: backEnd(option.head ?? "", at) }];
  // Built-in hardware takes the first -audiodev.
  const why = `-audio of ${
    qemuName(at.qemu)
  } wants a card; built-in sound takes the first -audiodev`;
  substitute(at, "Sound", `-audio ${option.head}`, "", why);
  return [];
}

/** The back end in place of UTM's: `spice` stays where it can, Core Audio is macOS's. */
function backEnd(wanted: string, at: Adapting): string {
  const { qemu, host, spice } = at;
  if (wanted === "spice" && spice && offers(qemu, "audiodevs", "spice")) return wanted;
  if (wanted === "coreaudio" && host.os === "darwin") return wanted;
  const found = host.audio.find((name) => name !== "spice" && offers(qemu, "audiodevs", name));
  const name = found ?? "none";
  // Nobody misses a back end that no card plays to.
  if (at.config.sounds.length > 0) {
    const why = wanted === "spice"
      ? `${qemuName(qemu)} plays no sound through SPICE`
      : "Core Audio is macOS's";
    const silent = found === undefined ? `${why}, and nothing here plays sound` : why;
    substitute(at, "Sound", wanted, name, silent);
  }
  return name;
}

function card(option: QemuOption, at: Adapting): QemuOption[] {
  const { qemu, buses } = at;
  const { head = "", from } = option;
  if (hasDevice(qemu, head)) return [option];
  const why = `${qemuName(qemu)} has no such device`;
  const codec = option.properties?.find(([key]) => key === "audiodev")?.[1];
  if (codec === undefined || !buses.pci || !hasDevice(qemu, HDA.controller)) {
    substitute(at, `${from}.Hardware`, head, "", why);
    return [];
  }
  substitute(at, `${from}.Hardware`, head, HDA.controller, why);
  return [
    { flag: "-device", head: HDA.controller, from },
    { flag: "-device", head: HDA.codec, properties: [["audiodev", codec]], from },
  ];
}
