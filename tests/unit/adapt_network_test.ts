import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../lib/base/errors.ts";
import { all, changes, homebrew, linux, plan, qemu } from "./adapt_fixtures.ts";
import { network } from "./argv_fixtures.ts";

const system = { cpu: "qemu64" };
const ssh = { protocol: "TCP", hostPort: 2222, guestPort: 22 } as const;

Deno.test("buildPlan turns vmnet into user mode and honours its forwards", () => {
  const result = plan({ system, networks: [network({ mode: "Shared", portForward: [ssh] })] });
  assertEquals(all(result, "-netdev"), ["user,id=net0,hostfwd=tcp:127.0.0.1:2222-:22"]);
  assertEquals(changes(result), [
    "Network[0].Mode: vmnet-shared -> user",
    "Network[0].PortForward[0].HostAddress: 0.0.0.0 -> 127.0.0.1",
  ]);
});

Deno.test("buildPlan keeps forwards on all addresses with the grant, and explicit ones always", () => {
  const networks = [network({ portForward: [ssh, { ...ssh, hostAddress: "10.1.2.3" }] })];
  assertEquals(all(plan({ system, networks }, { options: { allowPorts: true } }), "-netdev"), [
    "user,id=net0,hostfwd=tcp::2222-:22,hostfwd=tcp:10.1.2.3:2222-:22",
  ]);
  assertEquals(all(plan({ system, networks }), "-netdev"), [
    "user,id=net0,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=tcp:10.1.2.3:2222-:22",
  ]);
});

Deno.test("buildPlan keeps addresses of a vmnet that make sense in user mode", () => {
  const shared = (start: string) =>
    all(
      plan({
        system,
        networks: [network({
          mode: "Shared",
          vlanGuestAddress: "192.168.7.0/24",
          vlanDhcpStartAddress: start,
          portForward: [{ ...ssh, guestAddress: "192.168.64.9" }],
        })],
      }),
      "-netdev",
    )[0];
  const forward = "hostfwd=tcp:127.0.0.1:2222-:22"; // a guest address outside leads nowhere
  assertEquals(
    shared("192.168.7.50"),
    `user,id=net0,net=192.168.7.0/24,dhcpstart=192.168.7.50,${forward}`,
  );
  assertEquals(shared("10.0.0.5"), `user,id=net0,net=192.168.7.0/24,${forward}`);
});

Deno.test("buildPlan restricts what was host-only", () => {
  const result = plan({ system, networks: [network({ mode: "Host" })] });
  assertEquals(all(result, "-netdev"), ["user,id=net0,restrict=on"]);
});

Deno.test("buildPlan bridges where host, bundle and user let it", () => {
  const bridged = (bridgeInterface: string, allowNetwork: boolean, host = linux()) =>
    all(
      plan(
        { system, networks: [network({ mode: "Bridged", bridgeInterface })] },
        { host, options: { allowNetwork } },
      ),
      "-netdev",
    )[0];
  assertEquals(bridged("virbr0", true), "bridge,id=net0,br=virbr0");
  assertEquals(bridged("virbr0,model=x", true), "bridge,id=net0,br=virbr0,,model=x");
  assertEquals(bridged("virbr0", false), "user,id=net0");
  assertEquals(bridged("en0", true), "user,id=net0");
  assertEquals(bridged("en0", true, homebrew()), "vmnet-bridged,id=net0,ifname=en0");
  assertEquals(bridged("en0", false, homebrew()), "user,id=net0");
});

Deno.test("buildPlan adds --forward to the first network in user mode, once", () => {
  const forwards = [
    { protocol: "tcp", hostAddress: "127.0.0.1", hostPort: 5555, guestPort: 80 },
  ] as const;
  const netdevs = (mode: "Shared" | "Emulated") =>
    all(
      plan({ system, networks: [network({ mode }), network()] }, {
        options: { forwards: [...forwards] },
      }),
      "-netdev",
    );
  const extra = ",hostfwd=tcp:127.0.0.1:5555-:80";
  assertEquals(netdevs("Emulated"), [`user,id=net0${extra}`, "user,id=net1"]);
  assertEquals(netdevs("Shared").filter((it) => it.includes(extra)).length, 1);
  assertThrows(() => plan({ system }, { options: { forwards: [...forwards] } }), UsageError);
});

Deno.test("buildPlan leaves a network out where QEMU has no user mode", () => {
  const result = plan({ system, networks: [network()] }, {
    host: linux({ qemu: qemu({ netdevs: ["tap"] }) }),
  });
  assertEquals([all(result, "-netdev"), all(result, "-device").includes("e1000")], [[], false]);
  assertEquals(changes(result), ["Network[0].Mode: user -> none"]);
});

Deno.test("buildPlan gives the nearest card for one that is missing", () => {
  const result = plan({ system, networks: [network({ hardware: "vmxnet3" })] });
  assertEquals(changes(result), ["Network[0].Hardware: vmxnet3 -> e1000"]);
  assertEquals(
    all(result, "-device")[0],
    "e1000,mac=52:54:00:00:00:01,netdev=net0",
  );
});
