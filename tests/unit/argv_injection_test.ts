import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { BundleError } from "../../lib/base/errors.ts";
import { argumentOf, type QemuOption, toArgv } from "../../lib/qemu/option.ts";
import type { BundleFiles, Config } from "../../lib/utm/model.ts";
import { built, config, display, drive, network, serial } from "./argv_fixtures.ts";

/** Text with everything that means something to QEMU, to a shell or to a terminal. */
const hostile: fc.Arbitrary<string> = fc.oneof(
  fc.string({
    unit: fc.constantFrom(..."aZ0,,,==\"'\\ \n\t{}[]:;-/%$`*?|&<>()~#!é中\u0000\u001b".split("")),
    maxLength: 12,
  }),
  fc.constantFrom(
    "x,readonly=off",
    "e1000,romfile=/etc/passwd",
    '{"driver":"loader","file":"/x"}',
    "help",
    "driver=loader",
    "-S",
    "a -device loader",
    'a" -device "loader',
    ",,",
    ",",
  ),
);

/** A configuration in which every text comes from `next`, and the files it names. */
function filled(next: () => string): { vm: Config; files: Partial<BundleFiles> } {
  const vm = config({
    information: { name: next() },
    system: { architecture: "aarch64", target: "virt", cpu: "max" },
    qemu: { uefiBoot: true, tpmDevice: true, rngDevice: true },
    input: { usbBusSupport: "3.0", maximumUsbShare: 1 },
    displays: [display("virtio-ramfb", 16)],
    drives: [
      drive({ identifier: `0${next()}` }),
      drive({ identifier: `1${next()}`, interface: "NVMe" }),
      drive({ identifier: `2${next()}`, interface: "USB", imageType: "CD" }),
      drive({ identifier: `3${next()}`, imageType: "LinuxInitrd" }),
    ],
    networks: [
      network({
        macAddress: next(),
        vlanGuestAddress: next(),
        vlanHostAddress: next(),
        vlanGuestAddressIPv6: next(),
        vlanHostAddressIPv6: next(),
        vlanDhcpStartAddress: next(),
        vlanDhcpDomain: next(),
        vlanDnsServerAddress: next(),
        vlanDnsServerAddressIPv6: next(),
        vlanDnsSearchDomain: next(),
      }),
      network({ mode: "Bridged", bridgeInterface: next(), vlanGuestAddressIPv6: next() }),
      network({ mode: "Host", hostNetUuid: next() }),
      network({
        mode: "Shared",
        vlanGuestAddress: "10.0.0.0",
        vlanDhcpStartAddress: next(),
        vlanDhcpEndAddress: next(),
      }),
    ],
    serials: [serial({ mode: "TcpClient", tcpHostAddress: next() })],
    sounds: [{ hardware: "intel-hda" }],
  });
  return {
    vm,
    files: {
      media: vm.drives.map(() => ({ path: `/${next()}`, format: "raw" })),
      efiVars: `/${next()}`,
      share: { path: `/${next()}`, readOnly: true },
    },
  };
}

/** An argument as QEMU takes it apart: commas part, doubled ones are text, keys end at `=`. */
function parts(argument: string): [key: string, value: string][] {
  const mark = "\uffff";
  return argument.replaceAll(",,", mark).split(",").map((part) => {
    const text = part.replaceAll(mark, ",");
    const end = text.indexOf("=");
    return end < 0 ? ["", text] : [text.slice(0, end), text.slice(end + 1)];
  });
}

/** What QEMU should find in an option that is not plain text. */
function meant({ head, properties = [] }: QemuOption): [key: string, value: string][] {
  return [...(head === undefined ? [] : [["", head] as [string, string]]), ...properties]
    .map(([key, value]) => [key, value]);
}

Deno.test("utmOptions: QEMU reads each option as it was meant, whatever the values are", () => {
  fc.assert(
    fc.property(fc.infiniteStream(hostile), (stream) => {
      const { vm, files } = filled(() => stream.next().value ?? "");
      for (const option of built(vm, { files })) {
        const argument = argumentOf(option);
        if (argument === undefined || option.text !== undefined) continue;
        // An empty text is left out or is a value; it never merges with what follows.
        assertEquals(parts(argument), meant(option), argument);
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("utmOptions: no value changes which options and properties there are", () => {
  const shape = (options: QemuOption[]) =>
    options.map(({ flag, head, properties = [], text }) => [
      flag,
      flag === "-name" ? undefined : head,
      ...properties.map(([key]) => key),
      text === undefined,
    ]);
  const tame = filled(() => "x");
  const expected = shape(built(tame.vm, { files: tame.files })).map((line) =>
    line.filter((word) => word !== "guest")
  );
  const words = toArgv(built(tame.vm, { files: tame.files })).length;
  fc.assert(
    fc.property(fc.infiniteStream(hostile.filter((text) => text !== "")), (stream) => {
      const { vm, files } = filled(() => stream.next().value ?? "");
      const options = built(vm, { files });
      assertEquals(
        shape(options).map((line) => line.filter((word) => word !== "guest")),
        expected,
      );
      assertEquals(toArgv(options).length, words);
    }),
    { numRuns: 300 },
  );
});

/** Places whose text QEMU looks up or takes apart by itself: nothing is let through but a name. */
const NAMES: Record<string, (text: string) => Config> = {
  "System.Target": (target) => config({ system: { target } }),
  "System.CPU": (cpu) => config({ system: { cpu } }),
  "System.CPUFlagsAdd[0]": (flag) => config({ system: { cpu: "max", cpuFlagsAdd: [flag] } }),
  "System.CPUFlagsRemove[0]": (flag) => config({ system: { cpu: "max", cpuFlagsRemove: [flag] } }),
  "Display[0].Hardware": (hardware) => config({ displays: [display(hardware)] }),
  "Network[0].Hardware": (hardware) => config({ networks: [network({ hardware })] }),
  "Serial[0].Hardware": (hardware) => config({ serials: [serial({ target: "Manual", hardware })] }),
  "Sound[0].Hardware": (hardware) => config({ sounds: [{ hardware }] }),
};

for (const [key, make] of Object.entries(NAMES)) {
  Deno.test(`utmOptions: ${key} is a name or refused`, () => {
    built(make("qemu64-v1.0_x+y"));
    for (const text of ["a,b", "a=b", "{}", "help", "a b", "-a", "a\nb", "a\u0000", "é"]) {
      const error = assertThrows(() => built(make(text)), BundleError);
      assert(error.message.startsWith(`Cannot use ${key}: it is "`), error.message);
    }
    fc.assert(fc.property(hostile, (text) => {
      try {
        const options = built(make(text));
        const bare = /^[A-Za-z0-9_.+-]+$/;
        assert(
          options.every(({ head }) => head === undefined || bare.test(head) || head === "Test"),
        );
        assert(options.every(({ suffix = "" }) => /^[+-]?[A-Za-z0-9_.+-]*$/.test(suffix)));
      } catch (error) {
        if (!(error instanceof BundleError)) throw error;
      }
    }));
  });
}
