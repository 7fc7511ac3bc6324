import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatIpv4, parseIpv4, parseSubnet } from "../../lib/qemu/ipv4.ts";

Deno.test("parseIpv4 reads what formatIpv4 writes", () => {
  fc.assert(fc.property(fc.nat(0xffffffff), (address) => {
    assertEquals(parseIpv4(formatIpv4(address)), address);
  }));
});

Deno.test("parseIpv4 takes nothing but four decimal numbers", () => {
  const wrong = ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", "::1", "localhost"];
  for (const text of wrong) assertEquals(parseIpv4(text), undefined, text);
});

Deno.test("parseSubnet reads addresses as UTM does", () => {
  const cases: [text: string, subnet: [first: string, last: string, mask: string] | undefined][] = [
    ["10.0.2.0/24", ["10.0.2.1", "10.0.2.254", "255.255.255.0"]],
    ["10.0.2.7", ["10.0.2.1", "10.0.2.254", "255.255.255.0"]],
    ["172.16.9.1/255.240.0.0", ["172.16.0.1", "172.31.255.254", "255.240.0.0"]],
    ["192.168.128.0/31", ["192.168.128.1", "192.168.128.0", "255.255.255.254"]],
    ["1.2.3.4/0", ["0.0.0.1", "255.255.255.254", "0.0.0.0"]],
    ["/10.1.2.3//25/", ["10.1.2.1", "10.1.2.126", "255.255.255.128"]],
    ["10.0.2.0/32", undefined],
    ["10.0.2.0/x", undefined],
    ["fd00::/64", undefined],
    ["", undefined],
  ];
  for (const [text, expected] of cases) {
    const subnet = parseSubnet(text);
    assertEquals(subnet && [subnet.first, subnet.last, subnet.mask], expected, text);
  }
});
