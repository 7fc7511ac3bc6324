/** Sound devices and the back ends that they play to. */
import { checkedName } from "./argv_checks.ts";
import type { RuleInput } from "./facts.ts";
import type { QemuOption } from "./option.ts";

/** Sound hardware that a machine has built in. */
const BUILT_IN = ["pcspk", "screamer", "asc"];

/** The back ends `audio1` (Core Audio) and `audio0` (SPICE), then the devices. */
export function soundOptions({ config }: RuleInput): QemuOption[] {
  const has = (name: string) => config.sounds.some((sound) => sound.hardware === name);
  const result: QemuOption[] = [];
  const from = "Sound";
  if (config.sounds.length === 0) result.push({ flag: "-audio", head: "none", from });
  // SPICE plays at 48 kHz, and Screamer knows 44.1 kHz only.
  if (has("screamer")) result.push({ flag: "-audio", head: "coreaudio", from });
  if (has("pcspk")) {
    result.push({ flag: "-audiodev", head: "coreaudio", properties: [["id", "audio1"]], from });
  }
  result.push({ flag: "-audiodev", head: "spice", properties: [["id", "audio0"]], from });
  config.sounds.forEach((sound, index) => {
    if (!BUILT_IN.includes(sound.hardware)) result.push(...devices(sound.hardware, index));
  });
  return result;
}

/** One sound card; an HDA controller gets a codec, which is what plays. */
function devices(hardware: string, index: number): QemuOption[] {
  const from = `Sound[${index}]`;
  const head = checkedName(hardware, `${from}.Hardware`);
  const properties = [["audiodev", "audio0"]] as const;
  return hardware.includes("hda")
    ? [{ flag: "-device", head, from }, { flag: "-device", head: "hda-duplex", properties, from }]
    : [{ flag: "-device", head, properties, from }];
}
