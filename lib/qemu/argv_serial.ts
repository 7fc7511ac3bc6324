/** Serial ports. */
import { BundleError } from "../base/errors.ts";
import type { Serial } from "../utm/model.ts";
import { checkedName } from "./argv_checks.ts";
import type { RuleInput } from "./facts.ts";
import type { Property, QemuOption } from "./option.ts";

const DEFAULT_PORT = 1234;
const DEFAULT_SERVER = "example.com";

/** For each port a chardev `term<i>`, then what it is connected to inside QEMU. */
export function serialOptions({ config }: RuleInput): QemuOption[] {
  return config.serials.flatMap((serial, index) => {
    const from = `Serial[${index}]`;
    const id = `term${index}`;
    return [chardev(serial, index, id, from), connection(serial, id, from)];
  });
}

function chardev(serial: Serial, index: number, id: string, from: string): QemuOption {
  const make = (head: string, properties: Property[]): QemuOption => ({
    flag: "-chardev",
    head,
    properties: [["id", id], ...properties],
    from,
  });
  const port: Property = ["port", String(serial.tcpPort ?? DEFAULT_PORT)];
  switch (serial.mode) {
    case "Terminal":
      return make("spiceport", [["name", `com.utmapp.terminal.${index}`]]);
    case "TcpClient":
      return make("socket", [
        port,
        ["host", serial.tcpHostAddress || DEFAULT_SERVER],
        ["server", "off"],
      ]);
    case "TcpServer":
      return make("socket", [
        port,
        ["host", serial.remoteConnectionAllowed ? "0.0.0.0" : "127.0.0.1"],
        ["server", "on"],
        ["wait", serial.waitForConnection ? "on" : "off"],
      ]);
    case "Ptty":
      return make("pty", []);
  }
}

function connection(serial: Serial, id: string, from: string): QemuOption {
  switch (serial.target) {
    case "Auto":
      return { flag: "-serial", text: `chardev:${id}`, from };
    case "Manual":
      if (!serial.hardware) {
        throw new BundleError(
          `Cannot connect ${from}: Hardware is missing, expected a QEMU device for target Manual`,
        );
      }
      return {
        flag: "-device",
        head: checkedName(serial.hardware, `${from}.Hardware`),
        properties: [["chardev", id]],
        from,
      };
    case "Monitor":
      return { flag: "-mon", properties: [["chardev", id], ["mode", "readline"]], from };
    case "GDB":
      return { flag: "-gdb", text: `chardev:${id}`, from };
  }
}
