/** Who the machine is: name, UUID, clock, and small devices. */
import { virtioDevice } from "./argv_drives.ts";
import type { RuleInput } from "./facts.ts";
import type { QemuOption } from "./option.ts";

/** `-name`, `-snapshot`, `-uuid`, `-rtc`, virtio-rng, virtio-balloon, the TPM. */
export function identityOptions(input: RuleInput): QemuOption[] {
  const { config, options } = input;
  const { information, qemu, system } = config;
  const uuid = information.uuid.toUpperCase();
  const result: QemuOption[] = [name(information.name)];
  if (options.disposable) result.push({ flag: "-snapshot", from: "--disposable" });
  result.push({ flag: "-uuid", text: uuid, from: "Information.UUID" });
  if (qemu.rtcLocalTime) {
    result.push({ flag: "-rtc", properties: [["base", "localtime"]], from: "QEMU.RTCLocalTime" });
  }
  const small = (name: string, from: string): QemuOption => ({
    flag: "-device",
    head: virtioDevice(name, system.architecture),
    from,
  });
  if (qemu.rngDevice) result.push(small("virtio-rng", "QEMU.RNGDevice"));
  if (qemu.balloonDevice) result.push(small("virtio-balloon", "QEMU.BalloonDevice"));
  return [...result, ...tpm(input, uuid)];
}

/** `-name`, with its key where QEMU would take the name for a request. */
function name(text: string): QemuOption {
  const clean = cleanName(text);
  const from = "Information.Name";
  return clean === "help"
    ? { flag: "-name", properties: [["guest", clean]], from }
    : { flag: "-name", head: clean, from };
}

/** Keeps letters with their marks, numbers, spaces and tabs, as UTM does. */
export function cleanName(name: string): string {
  return name.replace(/[^\p{L}\p{M}\p{N}\p{Zs}\t]/gu, "");
}

/** The TPM, which a program beside QEMU emulates. */
function tpm({ config, facts }: RuleInput, uuid: string): QemuOption[] {
  if (!config.qemu.tpmDevice) return [];
  const from = "QEMU.TPMDevice";
  const ppc64 = config.system.architecture === "ppc64";
  return [
    {
      flag: "-chardev",
      head: "socket",
      properties: [["id", "chrtpm0"], ["path", `${uuid}.swtpm`]],
      from,
    },
    {
      flag: "-tpmdev",
      head: "emulator",
      properties: [["id", "tpm0"], ["chardev", "chrtpm0"]],
      from,
    },
    {
      flag: "-device",
      head: facts.virtLike ? "tpm-crb-device" : ppc64 ? "tpm-spapr" : "tpm-tis",
      properties: [["tpmdev", "tpm0"]],
      from,
    },
  ];
}
