/**
 * The connections between QEMU and us: SPICE, QMP, the guest agent, serial terminals. UTM leads all
 * of them through SPICE; here each has a Unix socket of its own, in the instance's folder.
 */
import { UsageError } from "../base/errors.ts";
import { LONGEST_SOCKET_PATH } from "../base/socket_path.ts";
import { quoted } from "../base/text.ts";
import { type Adapting, indexIn, substitute } from "./adapt_context.ts";
import { isAtLeast, offers } from "./adapt_capabilities.ts";
import type { ControlSocket } from "./launch_options.ts";
import { type Property, property, type QemuOption, withProperty } from "./option.ts";

/** Seconds between attempts to reach a TCP server that is not ours. */
const RECONNECT_SECONDS = 1;

/**
 * Returns the path of a socket in the instance's folder.
 *
 * @throws {UsageError} It is too long for the host's sockets.
 */
export function socketPath(
  { sockets, host }: Pick<Adapting, "sockets" | "host">,
  name: string,
): string {
  const path = `${sockets.directory}/${name}`;
  const bytes = new TextEncoder().encode(path).length;
  const longest = LONGEST_SOCKET_PATH[host.os];
  if (bytes > longest) {
    throw new UsageError(
      `Cannot make the socket ${quoted(path)}: its path has ${bytes} bytes, ` +
        `expected at most ${longest}`,
      { hint: "Set XDG_RUNTIME_DIR to a folder with a shorter path" },
    );
  }
  return path;
}

/** `-L` and `-spice`. */
export function adaptStart(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  return options.flatMap((option): QemuOption[] => {
    // A stock QEMU knows where its own data are; UTM's library does not.
    if (option.flag === "-L") return at.host.utm === undefined ? [] : [option];
    if (option.flag !== "-spice") return [option];
    if (!at.spice) {
      substitute(at, "-spice", "on", "", "this QEMU has no SPICE: the screen comes by QMP");
      return [];
    }
    const known = (option.properties ?? []).filter(([key]) => offers(at.qemu, "spiceOptions", key));
    let result = withProperty({ ...option, properties: known }, "addr", socketPath(at, "spice"));
    const { gl } = at;
    if (gl.kind === "scanouts") {
      result = withProperty(result, "gl", gl.api);
      if (gl.renderNode !== undefined) {
        result = withProperty(result, "rendernode", gl.renderNode);
      }
    } else if (property(result, "gl") !== undefined) {
      result = withProperty(result, "gl", "off");
    }
    return [result];
  });
}

/** The chardevs of QMP, the guest agent and the serial ports; notes the sockets in `found`. */
export function adaptChardevs(
  options: readonly QemuOption[],
  at: Adapting,
  found: ControlSocket[],
): QemuOption[] {
  return options.map((option) => {
    if (option.flag !== "-chardev") return option;
    const id = property(option, "id") ?? "";
    const serial = indexIn("Serial", option);
    if (serial !== undefined) {
      return option.head === "spiceport"
        ? ourSocket(option, { id, kind: "serial", path: socketPath(at, id), serial }, at, found)
        : theirSocket(option, at);
    }
    if (id === "org.qemu.monitor.qmp") {
      return ourSocket(option, { id, kind: "qmp", path: socketPath(at, "qmp") }, at, found);
    }
    if (id === "org.qemu.guest_agent") {
      return ourSocket(option, { id, kind: "agent", path: socketPath(at, "qga") }, at, found);
    }
    return option;
  });
}

function ourSocket(
  option: QemuOption,
  socket: ControlSocket,
  at: Adapting,
  found: ControlSocket[],
): QemuOption {
  found.push(socket);
  const end: Property[] = at.sockets.listener === "qemu"
    ? [["server", "on"], ["wait", "off"]]
    : [["server", "off"]];
  return {
    flag: "-chardev",
    head: "socket",
    properties: [["id", socket.id], ["path", socket.path], ...end],
    from: option.from,
  };
}

/** A TCP socket or pty of the configuration: neither a missing peer nor a late one may stop us. */
function theirSocket(option: QemuOption, at: Adapting): QemuOption {
  if (option.head !== "socket") return option;
  if (property(option, "server") === "off") {
    // Without it QEMU ends when nobody listens.
    return isAtLeast(at.qemu, 9, 2)
      ? withProperty(option, "reconnect-ms", String(RECONNECT_SECONDS * 1000))
      : withProperty(option, "reconnect", String(RECONNECT_SECONDS));
  }
  if (property(option, "wait") !== "on") return option;
  const why = "a QEMU that waits for a client does not answer QMP";
  substitute(at, `${option.from}.WaitForConnection`, "on", "off", why);
  return withProperty(option, "wait", "off");
}

/** A serial port on virtio needs its controller in front, where UTM adds it later or not at all. */
export function adaptSerialDevices(options: readonly QemuOption[]): QemuOption[] {
  const isPort = (option: QemuOption) =>
    option.flag === "-device" && indexIn("Serial", option) !== undefined &&
    /^virt(serialport|console)$/.test(option.head ?? "");
  const first = options.findIndex(isPort);
  if (first < 0) return [...options];
  const isController = (option: QemuOption) =>
    option.flag === "-device" && option.head === "virtio-serial";
  const controller = options.find(isController) ??
    { flag: "-device", head: "virtio-serial", from: "Serial" };
  const rest = options.filter((option) => option !== controller);
  const place = rest.findIndex(isPort);
  return [...rest.slice(0, place), controller, ...rest.slice(place)];
}
