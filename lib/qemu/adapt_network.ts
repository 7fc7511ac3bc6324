/** Networks: vmnet is macOS's and wants privileges, so most become user mode. */
import { UsageError } from "../base/errors.ts";
import type { Network } from "../utm/model.ts";
import { extraForwardProperty, forwardProperties } from "./argv_network.ts";
import { type Adapting, indexIn, substitute } from "./adapt_context.ts";
import { hasDevice, offers, qemuName } from "./adapt_capabilities.ts";
import { virtioOn } from "./adapt_buses.ts";
import { parseIpv4, parseSubnet, type Subnet } from "./ipv4.ts";
import type { ExtraForward } from "./launch_options.ts";
import type { Property, QemuOption } from "./option.ts";

/** The subnet of `-netdev user` when none is given. Source: QEMU net/slirp.c. */
const DEFAULT_SUBNET = parseSubnet("10.0.2.0/24");

/** Names that macOS gives to network interfaces; Linux has bridges of its own. */
const MAC_INTERFACE = /^(en|bridge|awdl|utun|llw|ap)\d+$/;

/** `-netdev`, the cards, and where forwarded ports listen. */
export function adaptNetworks(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  const result = options.flatMap((option): QemuOption[] => {
    const index = indexIn("Network", option);
    const network = index === undefined ? undefined : at.config.networks[index];
    if (network === undefined) return [option];
    if (option.flag === "-netdev") return backEnd(option, network, at);
    return offersUserMode(at) || keepsMode(network, at) ? card(option, at) : [];
  });
  return withExtraForwards(result, at);
}

/** `-nic none` needs no change; a card whose back end is gone would only warn. */
function offersUserMode({ qemu }: Adapting): boolean {
  return offers(qemu, "netdevs", "user");
}

/** Whether a network stays as it is meant, because the host and the user let it. */
function keepsMode(network: Network, at: Adapting): boolean {
  const { options, host, qemu } = at;
  if (!options.allowNetwork) return false;
  if (host.os === "darwin") {
    return (network.mode === "Bridged" || network.mode === "Host") &&
      offers(qemu, "netdevs", `vmnet-${network.mode.toLowerCase()}`);
  }
  return network.mode === "Bridged" && offers(qemu, "netdevs", "bridge") &&
    network.bridgeInterface !== undefined && !MAC_INTERFACE.test(network.bridgeInterface);
}

function backEnd(option: QemuOption, network: Network, at: Adapting): QemuOption[] {
  const head = option.head ?? "";
  const key = `${option.from}.Mode`;
  if (head !== "user" && keepsMode(network, at)) {
    return [at.host.os === "darwin" ? option : bridge(option, network, at)];
  }
  if (!offersUserMode(at)) {
    substitute(at, key, head, "none", `${qemuName(at.qemu)} is built without user-mode networking`);
    return [];
  }
  const user = head === "user" ? option : userMode(option, network, at);
  return [withSafeForwards(user, network, at)];
}

/** A Linux bridge, through QEMU's set-uid program for it. */
function bridge(option: QemuOption, network: Network, at: Adapting): QemuOption {
  const name = network.bridgeInterface ?? "";
  const why = "Linux has bridges in place of vmnet";
  substitute(at, `${option.from}.Mode`, option.head ?? "", "bridge", why);
  const properties: Property[] = [["id", idOf(option)], ["br", name]];
  return { flag: "-netdev", head: "bridge", properties, from: option.from };
}

/** User mode in place of vmnet, with the addresses of the configuration where they make sense. */
function userMode(option: QemuOption, network: Network, at: Adapting): QemuOption {
  const { from } = option;
  substitute(at, `${from}.Mode`, option.head ?? "", "user", whyUser(network, at));
  const given = parseSubnet(network.vlanGuestAddress ?? "");
  const subnet = given ?? DEFAULT_SUBNET;
  const properties: Property[] = [["id", idOf(option)]];
  if (network.mode === "Host" || network.isolateFromHost) {
    properties.push(["restrict", "on"]);
    if (network.isolateFromHost) {
      const why = "user mode isolates from everything but forwarded ports, not from the host alone";
      substitute(at, `${from}.IsolateFromHost`, "isolated=on", "restrict=on", why);
    }
  }
  if (given !== undefined) properties.push(["net", network.vlanGuestAddress ?? ""]);
  const dhcpStart = network.vlanDhcpStartAddress;
  if (dhcpStart !== undefined && subnet !== undefined && isInside(dhcpStart, subnet)) {
    properties.push(["dhcpstart", dhcpStart]);
  }
  const forwards = network.portForward.map((forward) =>
    subnet !== undefined && isInside(forward.guestAddress ?? "", subnet)
      ? forward
      : { ...forward, guestAddress: "" }
  );
  properties.push(...forwardProperties({ ...network, portForward: forwards }, from));
  return { flag: "-netdev", head: "user", properties, from };
}

function whyUser(network: Network, at: Adapting): string {
  const granted = at.options.allowNetwork;
  switch (network.mode) {
    case "Bridged":
      return granted && at.host.os === "linux"
        ? `there is no Linux bridge called ${JSON.stringify(network.bridgeInterface ?? "")}`
        : "bridging needs a bridge of the host and --allow network";
    case "Host":
      return at.host.os === "linux"
        ? "vmnet is macOS's; the guest reaches nothing but forwarded ports"
        : "vmnet needs root and --allow network; the guest reaches nothing but forwarded ports";
    default:
      return at.host.os === "linux"
        ? "vmnet is macOS's; the guest reaches out, and the host reaches forwarded ports"
        : "vmnet needs root; the guest reaches out, and the host reaches forwarded ports";
  }
}

/** Forwards without a host address listen on 127.0.0.1, unless more is granted. */
function withSafeForwards(option: QemuOption, network: Network, at: Adapting): QemuOption {
  let index = 0;
  const properties = (option.properties ?? []).map((property): Property => {
    const [key, value] = property;
    if (key !== "hostfwd") return property;
    const position = index++;
    // Those of the command line come last and name their address.
    if (position >= network.portForward.length || at.options.allowPorts) return property;
    const parts = /^(tcp|udp)::(.*)$/.exec(value);
    if (parts === null) return property;
    substitute(
      at,
      `${option.from}.PortForward[${position}].HostAddress`,
      "0.0.0.0",
      "127.0.0.1",
      "listening on all addresses needs --allow ports",
    );
    return [key, `${parts[1]}:127.0.0.1:${parts[2]}`];
  });
  return { ...option, properties };
}

/**
 * Adds the forwards of the command line, unless UTM's rules have.
 *
 * @throws {UsageError} No network is in user mode.
 */
function withExtraForwards(options: readonly QemuOption[], at: Adapting): QemuOption[] {
  const { forwards } = at.options;
  const [first] = forwards;
  if (first === undefined) return [...options];
  const isUser = (option: QemuOption) => option.flag === "-netdev" && option.head === "user";
  const [, wanted] = extraForwardProperty(first);
  const isThere = options.some((option) =>
    isUser(option) && option.properties?.some(([, value]) => value === wanted)
  );
  if (isThere) return [...options];
  const place = options.findIndex(isUser);
  if (place < 0) throw noUserNetwork(first);
  return options.map((option, index) =>
    index !== place ? option : {
      ...option,
      properties: [...(option.properties ?? []), ...forwards.map(extraForwardProperty)],
    }
  );
}

/** What is wrong with a `--forward` that no network can take. */
export function noUserNetwork({ protocol, hostPort, guestPort }: ExtraForward): UsageError {
  return new UsageError(
    `Cannot forward ${protocol}:${hostPort}:${guestPort}: ` +
      "the bundle has no network in user mode, expected at least one",
    { hint: "Add a network to the VM in UTM, or leave out --forward" },
  );
}

/** A network card that this QEMU and machine have. */
function card(option: QemuOption, at: Adapting): QemuOption[] {
  if (option.flag !== "-device") return [option];
  if (option.head === "sunhme" && at.machine.name === "sun4u") return [onBoard(option)];
  const { qemu, buses, config } = at;
  const { head = "", from } = option;
  const x86 = config.system.architecture === "x86_64" || config.system.architecture === "i386";
  const virtio = virtioOn(buses, head.startsWith("virtio-net") ? head : "virtio-net");
  const nearest = [
    ...(virtio !== undefined ? [virtio] : []),
    ...(x86 ? ["e1000", "ne2k_isa"] : ["e1000"]),
  ];
  let name: string | undefined = head;
  let why = "";
  if (head.startsWith("virtio-net") && head !== virtio) {
    [name, why] = [virtio, "the machine has no bus for it"];
  } else if (!hasDevice(qemu, head)) {
    // Windows and old systems on PCs bring a driver for e1000, everything else one for virtio.
    const order = x86 && buses.pci ? ["e1000", ...nearest] : nearest;
    name = order.find((candidate) => hasDevice(qemu, candidate));
    why = `${qemuName(qemu)} has no such device`;
  }
  if (name === head) return [option];
  substitute(at, `${from}.Hardware`, head, name ?? "", why);
  return name === undefined ? [] : [{ ...option, head: name }];
}

/** The card that a sun4u board has, and that has no place but the board's own. */
function onBoard({ head = "", properties = [], from }: QemuOption): QemuOption {
  const own = properties.map(([key, value]) => [key === "mac" ? "macaddr" : key, value] as const);
  return { flag: "-net", head: "nic", properties: [["model", head], ...own], from };
}

function isInside(address: string, { first, last }: Subnet): boolean {
  const [number, low, high] = [address, first, last].map(parseIpv4);
  return number !== undefined && low !== undefined && high !== undefined &&
    (number >>> 0) >= (low >>> 0) && (number >>> 0) <= (high >>> 0);
}

function idOf(option: QemuOption): string {
  return option.properties?.find(([key]) => key === "id")?.[1] ?? "";
}
