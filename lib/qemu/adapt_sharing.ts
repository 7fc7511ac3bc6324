/** Agents, shared directories, and the small devices: bus, SPICE and TPM. */
import { HostError } from "../base/errors.ts";
import { virtioOn } from "./adapt_buses.ts";
import { type Adapting, substitute } from "./adapt_context.ts";
import { hasDevice, offers, qemuName } from "./adapt_capabilities.ts";
import { socketPath } from "./adapt_sockets.ts";
import type { Helper } from "./launch_options.ts";
import { property, type QemuOption, withProperty } from "./option.ts";
import { runnable } from "./utm_app.ts";

/** Virtio devices that are named for PCI where the machine has another place for them, or none. */
export function adaptVirtio(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  const isSerial = (option: QemuOption) => option.head === "virtio-serial";
  const orphans = at.buses.virtio === "none" && options.some(isSerial);
  return options.flatMap((option): QemuOption[] => {
    if (orphans && belongsToPort(option)) return [];
    if (option.flag !== "-device") return [option];
    const head = option.head ?? "";
    // Drives, cards and displays have rules of their own.
    if (!/^virtio-(serial|rng|balloon|9p)\b/.test(head)) return [option];
    const name = virtioOn(at.buses, head);
    const plain = at.buses.virtio === "pci" && isSerial(option) ? head : name;
    if (plain === head) return [option];
    const key = option.from || "Sharing";
    substitute(at, key, head, plain ?? "", `${at.machine.name} has no PCI bus for it`);
    return plain === undefined ? [] : [{ ...option, head: plain }];
  });
}

/** Whether an option is a port of virtio-serial of UTM's, or its chardev. */
function belongsToPort(option: QemuOption): boolean {
  const id = property(option, "id") ?? property(option, "chardev") ?? "";
  return option.head === "virtserialport" ||
    (option.flag === "-chardev" &&
      ["org.qemu.guest_agent", "vdagent", "charchannel1"].includes(id));
}

/** The SPICE agent and WebDAV, where there is no SPICE to lead them to. */
export function adaptSpiceAgent(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  if (at.spice) return [...options];
  const { config, qemu } = at;
  const windowed = at.options.display === "window" && offers(qemu, "chardevs", "qemu-vdagent");
  return options.flatMap((option): QemuOption[] => {
    const link = property(option, "chardev") ?? property(option, "id");
    if (option.from === "Sharing.DirectoryShareMode" && /^-(device|chardev)$/.test(option.flag)) {
      if (property(option, "fsdev") !== undefined) return [option];
      substitute(at, option.from, "WebDAV", "None", "it needs SPICE; --share DIR shares by 9p");
      return [];
    }
    if (option.from !== "Sharing" || link !== "vdagent") return [option];
    if (!windowed) {
      const why = "the clipboard and the resolution of the screen need SPICE";
      substitute(at, "Sharing", "vdagent", "", why);
      return [];
    }
    if (option.flag !== "-chardev") return [option];
    substitute(at, "Sharing", "spicevmc", "qemu-vdagent", "this QEMU has no SPICE");
    return [{
      flag: "-chardev",
      head: "qemu-vdagent",
      properties: [
        ["id", "vdagent"],
        ["name", "vdagent"],
        ["clipboard", config.sharing.clipboardSharing ? "on" : "off"],
      ],
      from: option.from,
    }];
  });
}

/** A directory by 9p, if this QEMU is built with it. */
export function adaptShare(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  const { qemu } = at;
  const device = options.find((option) => option.head?.startsWith("virtio-9p"));
  if (device === undefined || hasDevice(qemu, device.head ?? "")) return [...options];
  const key = "Sharing.DirectoryShareMode";
  substitute(at, key, "VirtFS", "None", `${qemuName(qemu)} is built without 9p`);
  return options.filter((option) => option !== device && option.flag !== "-fsdev");
}

/** TPM devices that this QEMU may have in place of UTM's. */
const TPM_DEVICES = ["tpm-tis-device", "tpm-tis", "tpm-crb", "tpm-spapr"];

/** The TPM: swtpm on a socket of ours. State cannot be left out in silence, so lacks are errors. */
export function adaptTpm(
  options: readonly QemuOption[],
  at: Adapting,
  helpers: Helper[],
): QemuOption[] {
  return options.map((option) => {
    if (option.from !== "QEMU.TPMDevice") return option;
    if (option.flag === "-chardev") {
      const socket = socketPath(at, "swtpm");
      helpers.push(swtpm(at, socket));
      return withProperty(option, "path", socket);
    }
    if (option.flag !== "-device") return option;
    const head = option.head ?? "";
    if (hasDevice(at.qemu, head)) return option;
    const why = `${qemuName(at.qemu)} has no such device`;
    const name = TPM_DEVICES.find((candidate) => hasDevice(at.qemu, candidate));
    if (name === undefined) {
      throw new HostError(`Cannot give the guest its TPM: ${why}, expected ${head}`, {
        hint: "Use a QEMU with TPM support, or switch off QEMU.TPMDevice in UTM",
      });
    }
    substitute(at, option.from, head, name, why);
    return { ...option, head: name };
  });
}

/** The first swtpm that works on a file of any name. */
const SWTPM_WITH_FILES = [0, 7] as const;

function swtpm({ host, files, sockets }: Adapting, socket: string): Helper {
  if (host.swtpm === null) {
    throw new HostError("Cannot give the guest its TPM: there is no swtpm, expected it in PATH", {
      hint: host.os === "darwin"
        ? "Install it with: brew install swtpm"
        : "Install the package swtpm (apt install swtpm)",
    });
  }
  const [major, minor] = host.swtpmVersion ?? SWTPM_WITH_FILES;
  const old = major < SWTPM_WITH_FILES[0] ||
    (major === SWTPM_WITH_FILES[0] && minor < SWTPM_WITH_FILES[1]);
  // swtpm cannot escape commas, and before 0.7 it knows folders only.
  const copied = old || files.tpmState.includes(",");
  const folder = `${sockets.directory}/tpm`;
  return {
    name: "swtpm",
    argv: runnable(host.utm, host.swtpm, [
      "socket",
      "--tpm2",
      "--ctrl",
      `type=unixio,path=${socket}`,
      "--terminate", // the same as a word of --ctrl is of 0.8 and later
      "--tpmstate",
      copied ? `dir=${folder}` : `backend-uri=file://${files.tpmState}`,
    ]),
    socket,
    ...(copied ? { state: { file: files.tpmState, copy: `${folder}/tpm2-00.permall` } } : {}),
  };
}
