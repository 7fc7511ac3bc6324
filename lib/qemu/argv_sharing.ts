/** Agents and shared directories. */
import { virtioDevice } from "./argv_drives.ts";
import type { RuleInput } from "./facts.ts";
import type { Property, QemuOption } from "./option.ts";

/** The guest agent, the SPICE agent, WebDAV, then a directory by 9p. */
export function sharingOptions(input: RuleInput): QemuOption[] {
  const { config, facts } = input;
  const result: QemuOption[] = [];
  if (facts.agent) {
    result.push(
      { flag: "-device", head: "virtio-serial", from: "" },
      ...port("", "org.qemu.guest_agent.0", "org.qemu.guest_agent", [], {
        head: "spiceport",
        properties: [["name", "org.qemu.guest_agent.0"], ["id", "org.qemu.guest_agent"]],
      }),
    );
  }
  if (facts.vdagent) {
    result.push(...port("Sharing", "com.redhat.spice.0", "vdagent", [], {
      head: "spicevmc",
      properties: [["id", "vdagent"], ["debug", "0"], ["name", "vdagent"]],
    }));
    if (config.sharing.directoryShareMode === "WebDAV") {
      const name = "org.spice-space.webdav.0";
      result.push(
        ...port("Sharing.DirectoryShareMode", name, "charchannel1", [["id", "channel1"]], {
          head: "spiceport",
          properties: [["name", name], ["id", "charchannel1"]],
        }),
      );
    }
  }
  return [...result, ...directory(input)];
}

/** A port of virtio-serial, then the chardev behind it. */
function port(
  from: string,
  name: string,
  chardev: string,
  own: Property[],
  backEnd: Pick<QemuOption, "head" | "properties">,
): QemuOption[] {
  return [
    {
      flag: "-device",
      head: "virtserialport",
      properties: [["chardev", chardev], ...own, ["name", name]],
      from,
    },
    { flag: "-chardev", ...backEnd, from },
  ];
}

/** A directory shared by 9p: whenever there is one, since it is chosen outside the configuration. */
function directory({ config, files, facts }: RuleInput): QemuOption[] {
  if (files.share === undefined || facts.sparc) return [];
  const from = "Sharing.DirectoryShareMode";
  const readOnly = files.share.readOnly || config.sharing.directoryShareReadOnly;
  return [{
    flag: "-fsdev",
    head: "local",
    properties: [
      ["id", "virtfs0"],
      ["path", files.share.path],
      ["security_model", "mapped-xattr"],
      ...(readOnly ? [["readonly", "on"] as const] : []),
    ],
    from,
  }, {
    flag: "-device",
    head: virtioDevice("virtio-9p", config.system.architecture),
    properties: [
      ["fsdev", "virtfs0"],
      ["mount_tag", facts.q800 || facts.newWorld ? "share_1" : "share"],
    ],
    from,
  }];
}
