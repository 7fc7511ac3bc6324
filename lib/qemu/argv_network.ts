/** Network cards and what they are connected to. */
import type { Network, PortForward } from "../utm/model.ts";
import { checkedAddress, checkedName } from "./argv_checks.ts";
import type { RuleInput } from "./facts.ts";
import { parseSubnet } from "./ipv4.ts";
import type { ExtraForward } from "./launch_options.ts";
import type { Property, QemuOption } from "./option.ts";

/** For each network the card, then its back end. */
export function networkOptions(input: RuleInput): QemuOption[] {
  const { networks } = input.config;
  if (networks.length === 0) return [{ flag: "-nic", text: "none", from: "Network" }];
  // Only user mode can forward ports.
  const forwarding = networks.findIndex((network) => network.mode === "Emulated");
  return networks.flatMap((network, index) => [
    card(input, network, index),
    netdev(network, index, index === forwarding ? input.options.forwards : []),
  ]);
}

/** A `-device`, or `-net nic` for a card that the machine has built in. */
function card({ facts }: RuleInput, network: Network, index: number): QemuOption {
  const from = `Network[${index}]`;
  const netdev: Property = ["netdev", `net${index}`];
  if (facts.sparc && network.hardware === "lance") {
    return {
      flag: "-net",
      head: "nic",
      properties: [["model", "lance"], ["macaddr", network.macAddress], netdev],
      from,
    };
  }
  if (facts.q800 && network.hardware === "dp8393x") {
    return {
      flag: "-net",
      head: "nic",
      properties: [["macaddr", network.macAddress], netdev],
      from,
    };
  }
  return {
    flag: "-device",
    head: checkedName(network.hardware, `${from}.Hardware`),
    properties: [["mac", network.macAddress], netdev],
    from,
  };
}

function netdev(network: Network, index: number, extra: readonly ExtraForward[]): QemuOption {
  const from = `Network[${index}]`;
  const id: Property = ["id", `net${index}`];
  if (network.mode === "Emulated") {
    return {
      flag: "-netdev",
      head: "user",
      properties: [
        id,
        ...(network.isolateFromHost ? [["restrict", "on"] as const] : []),
        ...userProperties(network),
        ...forwardProperties(network, from),
        ...extra.map(extraForwardProperty),
      ],
      from,
    };
  }
  const isolated: Property[] = network.isolateFromHost ? [["isolated", "on"]] : [];
  const vmnet = (head: string, own: Property[]): QemuOption => ({
    flag: "-netdev",
    head,
    properties: [id, ...own, ...isolated, ...subnetProperties(network)],
    from,
  });
  switch (network.mode) {
    case "Shared":
      return vmnet("vmnet-shared", []);
    case "Bridged":
      return vmnet("vmnet-bridged", [["ifname", network.bridgeInterface || "en0"]]);
    case "Host": {
      const uuid = network.hostNetUuid;
      return vmnet("vmnet-host", uuid ? [["net-uuid", uuid.toUpperCase()]] : []);
    }
  }
}

/** The addresses of a vmnet network. */
function subnetProperties(network: Network): Property[] {
  const properties: Property[] = [];
  const subnet = parseSubnet(network.vlanGuestAddress ?? "");
  if (subnet !== undefined) {
    properties.push(
      ["start-address", network.vlanDhcpStartAddress ?? subnet.first],
      ["end-address", network.vlanDhcpEndAddress ?? subnet.last],
      ["subnet-mask", subnet.mask],
    );
  }
  if (network.vlanGuestAddressIPv6) properties.push(["nat66-prefix", network.vlanGuestAddressIPv6]);
  return properties;
}

/** The addresses and names of a network in user mode, as `-netdev user` takes them. */
export function userProperties(network: Network): Property[] {
  const all: [string, string | undefined][] = [
    ["net", network.vlanGuestAddress],
    ["host", network.vlanHostAddress],
    ["ipv6-net", network.vlanGuestAddressIPv6],
    ["ipv6-host", network.vlanHostAddressIPv6],
    ["dhcpstart", network.vlanDhcpStartAddress],
    ["dns", network.vlanDnsServerAddress],
    ["ipv6-dns", network.vlanDnsServerAddressIPv6],
    ["dnssearch", network.vlanDnsSearchDomain],
    ["domainname", network.vlanDhcpDomain],
  ];
  return all.flatMap(([key, value]) => value ? [[key, value] as const] : []);
}

/**
 * The port forwards of a network, one `hostfwd` each, in order. Without a host address they keep
 * UTM's meaning, all addresses of the host.
 *
 * @param from The key path of the network.
 * @throws {BundleError} An address is no IPv4 address.
 */
export function forwardProperties(network: Network, from: string): Property[] {
  return network.portForward.map((forward, index) =>
    forwardProperty(forward, `${from}.PortForward[${index}]`)
  );
}

function forwardProperty(forward: PortForward, from: string): Property {
  const host = checkedAddress(forward.hostAddress ?? "", `${from}.HostAddress`);
  const guest = checkedAddress(forward.guestAddress ?? "", `${from}.GuestAddress`);
  const protocol = forward.protocol.toLowerCase();
  return ["hostfwd", `${protocol}:${host}:${forward.hostPort}-${guest}:${forward.guestPort}`];
}

/** A port forward of the command line, as `-netdev user` takes it. */
export function extraForwardProperty(forward: ExtraForward): Property {
  const { protocol, hostAddress, hostPort, guestPort } = forward;
  return ["hostfwd", `${protocol}:${hostAddress}:${hostPort}-:${guestPort}`];
}
