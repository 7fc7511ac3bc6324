import { assertEquals, assertThrows } from "@std/assert";
import { BundleError } from "../../lib/base/errors.ts";
import type { PortForward } from "../../lib/utm/model.ts";
import { config, lines, network } from "./argv_fixtures.ts";

const FORWARD: PortForward = { protocol: "TCP", hostPort: 2222, guestPort: 22 };

/** The `-netdev` of a machine with one network. */
function netdev(parts: Parameters<typeof network>[0]): string | undefined {
  return lines(config({ networks: [network(parts)] }), "Network[0]")[1];
}

Deno.test("networkOptions: no network", () => {
  assertEquals(lines(config(), "Network"), ["-nic none"]);
});

Deno.test("networkOptions: back ends by mode", () => {
  assertEquals(netdev({ mode: "Emulated" }), "-netdev user,id=net0");
  assertEquals(netdev({ mode: "Shared" }), "-netdev vmnet-shared,id=net0");
  assertEquals(netdev({ mode: "Bridged" }), "-netdev vmnet-bridged,id=net0,ifname=en0");
  assertEquals(
    netdev({ mode: "Bridged", bridgeInterface: "en7,x=y" }),
    "-netdev vmnet-bridged,id=net0,ifname=en7,,x=y",
  );
  assertEquals(netdev({ mode: "Host" }), "-netdev vmnet-host,id=net0");
  assertEquals(
    netdev({ mode: "Host", hostNetUuid: "aa-bb", isolateFromHost: true }),
    "-netdev vmnet-host,id=net0,net-uuid=AA-BB,isolated=on",
  );
});

Deno.test("networkOptions: user mode takes every address, in UTM's order, then forwards", () => {
  assertEquals(
    netdev({
      isolateFromHost: true,
      vlanDhcpDomain: "example.org",
      vlanDnsSearchDomain: "a,b",
      vlanDnsServerAddressIPv6: "fec0::3",
      vlanDnsServerAddress: "10.1.0.3",
      vlanDhcpEndAddress: "10.1.0.99",
      vlanDhcpStartAddress: "10.1.0.9",
      vlanHostAddressIPv6: "fec0::2",
      vlanGuestAddressIPv6: "fec0::/64",
      vlanHostAddress: "10.1.0.2",
      vlanGuestAddress: "10.1.0.0/24",
      portForward: [FORWARD, {
        protocol: "UDP",
        hostAddress: "127.0.0.1",
        hostPort: 53,
        guestAddress: "10.1.0.9",
        guestPort: 5353,
      }],
    }),
    "-netdev user,id=net0,restrict=on,net=10.1.0.0/24,host=10.1.0.2,ipv6-net=fec0::/64," +
      "ipv6-host=fec0::2,dhcpstart=10.1.0.9,dns=10.1.0.3,ipv6-dns=fec0::3,dnssearch=a,,b," +
      "domainname=example.org,hostfwd=tcp::2222-:22,hostfwd=udp:127.0.0.1:53-10.1.0.9:5353",
  );
});

Deno.test("networkOptions: vmnet takes the subnet and no forwards", () => {
  assertEquals(
    netdev({
      mode: "Shared",
      isolateFromHost: true,
      vlanGuestAddress: "192.168.70.0/24",
      vlanDhcpEndAddress: "192.168.70.99",
      vlanGuestAddressIPv6: "fd00::",
      vlanDnsServerAddress: "1.1.1.1",
      portForward: [FORWARD],
    }),
    "-netdev vmnet-shared,id=net0,isolated=on,start-address=192.168.70.1," +
      "end-address=192.168.70.99,subnet-mask=255.255.255.0,nat66-prefix=fd00::",
  );
});

Deno.test("networkOptions: forwards of the command line go to the first network in user mode", () => {
  const vm = config({ networks: [network({ mode: "Shared" }), network(), network()] });
  const forwards = [
    { protocol: "tcp", hostAddress: "127.0.0.1", hostPort: 8080, guestPort: 80 },
  ] as const;
  const netdevs = lines(vm, "Network", { options: { forwards: [...forwards] } })
    .filter((line) => line.startsWith("-netdev"));
  assertEquals(netdevs, [
    "-netdev vmnet-shared,id=net0",
    "-netdev user,id=net1,hostfwd=tcp:127.0.0.1:8080-:80",
    "-netdev user,id=net2",
  ]);
});

Deno.test("networkOptions: built-in cards are named by -net", () => {
  const card = (architecture: string, target: string, hardware: string) =>
    lines(
      config({ system: { architecture, target }, networks: [network({ hardware })] }),
      "Network[0]",
    )[0];
  const mac = "52:54:00:00:00:01";
  assertEquals(
    card("sparc", "SS-5", "lance"),
    `-net nic,model=lance,macaddr=${mac},netdev=net0`,
  );
  assertEquals(card("m68k", "q800", "dp8393x"), `-net nic,macaddr=${mac},netdev=net0`);
  assertEquals(card("m68k", "virt", "dp8393x"), `-device dp8393x,mac=${mac},netdev=net0`);
  assertEquals(card("x86_64", "q35", "lance"), `-device lance,mac=${mac},netdev=net0`);
});

Deno.test("networkOptions refuses a forward whose address could change its meaning", () => {
  for (const hostAddress of ["127.0.0.1:80-:22", "0-1", "localhost", "a,b"]) {
    const error = assertThrows(
      () => netdev({ portForward: [{ ...FORWARD, hostAddress }] }),
      BundleError,
    );
    assertEquals(
      error.message,
      `Cannot use Network[0].PortForward[0].HostAddress: it is "${hostAddress}", ` +
        "expected an IPv4 address such as 127.0.0.1",
    );
  }
});
