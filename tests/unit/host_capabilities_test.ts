import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { HostError } from "../../lib/base/errors.ts";
import {
  cpusOfTypes,
  devicesInHelp,
  keysInHelp,
  machineInHelp,
  namesInHelp,
  probeBinary,
  probeMachine,
} from "../../lib/qemu/host_capabilities.ts";
import { isAnswered, parseAnswers, questionText } from "../../lib/qemu/host_qmp.ts";
import { fakeHost } from "../fakes/host.ts";

/** Recorded from Debian's QEMU 7.2.22, lists cut to a few entries. */
const recorded = (name: string) =>
  Deno.readTextFileSync(new URL(`../fixtures/host/qemu72_${name}`, import.meta.url));

const recordedQemu = (_command: string, args: string[]) => ({
  code: 0,
  stderr: "",
  stdout: args[0] === "-machine"
    ? recorded(args[1] === "none" ? "x86_64.qmp" : "q35_help.txt")
    : recorded(`${args[0]?.slice(1)}_help.txt`),
});

Deno.test("probeBinary reads a recorded QEMU 7.2, by four programs", async () => {
  const host = fakeHost({ run: recordedQemu });
  const { target, capabilities } = await probeBinary(host, "/q", { timeoutMs: 1000 });
  assertEquals(host.ran.length, 4);
  assertEquals(target, "x86_64");
  assertEquals(capabilities.binary, "/q");
  assertEquals(capabilities.version, [7, 2, 22]);
  assertEquals(capabilities.machines["pc-q35-7.2"], { alias: "q35", cpuMax: 288 });
  assertEquals(capabilities.machines.isapc, { cpuMax: 1 });
  assertEquals(capabilities.cpus, ["base", "host", "max"]);
  assertEquals(
    capabilities.devices,
    ["isa-serial", "pxb", "usb-tablet", "virtio-blk", "virtio-blk-pci", "virtio-vga"],
  );
  assertEquals(capabilities.deviceProperties, {
    "VGA": ["addr", "edid", "vgamem_mb"],
    "virtio-vga": ["addr", "blob", "edid"],
  });
  assertEquals(capabilities.accelerators, ["kvm", "tcg"]);
  assertEquals(capabilities.netdevs.includes("user"), true);
  assertEquals(capabilities.chardevs.includes("spicevmc"), true);
  assertEquals(capabilities.spiceOptions.includes("rendernode"), true);
  assertEquals(
    capabilities.displays,
    ["none", "gtk", "sdl", "egl-headless", "curses", "spice-app", "dbus"],
  );
  assertEquals(capabilities.audiodevs.slice(0, 3), ["none", "alsa", "dbus"]);
});

Deno.test("probeBinary reads a QEMU without SPICE, whose help goes to stderr", async () => {
  const host = fakeHost({
    run(command, args) {
      if (args[0] !== "-spice") return recordedQemu(command, args);
      return { code: 1, stdout: "", stderr: "qemu: -spice help: There is no option group 'spice'" };
    },
  });
  const { capabilities } = await probeBinary(host, "/q", { timeoutMs: 1000 });
  assertEquals(capabilities.spiceOptions, []);
});

Deno.test("probeBinary says what a program without a greeting said", async () => {
  const host = fakeHost({
    run: () => ({ code: 127, stdout: "", stderr: "loading\n\x1b[1mlibfoo.so: not found\n\n" }),
  });
  const error = await assertRejects(
    () => probeBinary(host, "/q/qemu", { timeoutMs: 1000 }),
    HostError,
    '"/q/qemu"',
  );
  assertStringIncludes(error.message, "ended with status 127");
  assertStringIncludes(error.message, "libfoo.so: not found");
  assertEquals(error.message.includes("\x1b"), false);
});

Deno.test("probeMachine reads the full name and the properties, and knows no odd names", async () => {
  const host = fakeHost({ run: recordedQemu });
  assertEquals(await probeMachine(host, "/q", "q35", { timeoutMs: 1000 }), {
    name: "pc-q35-7.2",
    properties: ["acpi", "hpet", "i8042", "vmport"],
  });
  assertEquals(await probeMachine(host, "/q", "q35,dumpdtb=/x", { timeoutMs: 1000 }), null);
  assertEquals(host.ran.length, 1);
});

Deno.test("the readers of help texts give nothing for nothing", () => {
  assertEquals(devicesInHelp(""), []);
  assertEquals(namesInHelp("qemu: warning: none\n"), []);
  assertEquals(keysInHelp("There is no option group 'spice'"), []);
  assertEquals(machineInHelp("qemu-system-x86_64: unsupported machine type"), null);
});

Deno.test("devicesInHelp leaves out what a user cannot add", () => {
  const text = 'name "ICH9-LPC", bus PCI, no-user\r\nname "pxb", bus PCI\r\n';
  assertEquals(devicesInHelp(text), ["pxb"]);
});

Deno.test("namesInHelp skips warnings between the names", () => {
  assertEquals(
    namesInHelp("Available audio drivers:\nnone\nqemu: module x not found\nalsa\n"),
    ["none", "alsa"],
  );
});

Deno.test("cpusOfTypes takes QEMU's type names apart", () => {
  assertEquals(
    cpusOfTypes(["m68040-m68k-cpu", "Fujitsu-MB86904-sparc-cpu", "x-rv128-riscv-cpu", "hppa-cpu"]),
    ["m68040", "Fujitsu-MB86904", "x-rv128", "hppa-cpu"],
  );
});

Deno.test("parseAnswers pairs by id, in any order, and survives noise and a cut", () => {
  const questions = { a: { execute: "x" }, b: { execute: "y" } };
  const greeting = { QMP: { version: { qemu: { major: 10, minor: 0, micro: 2 } } } };
  const text = [
    "libfoo: hello",
    JSON.stringify(greeting),
    '{"return": {}}',
    '{"id": "b", "return": [2]}',
    '{"event": "STOP"}',
    '{"id": "__proto__", "return": 1}',
    '{"id": "a", "error": {"class": "CommandNotFound", "desc": "no"}}',
    '{"id": "a", "ret',
  ].join("\r\n");
  const answers = parseAnswers(text, questions);
  assertEquals(answers?.version, [10, 0, 2]);
  assertEquals(answers?.returned.a, undefined);
  assertEquals(answers?.returned.b, [2]);
  assertEquals(parseAnswers("", questions), null);
  assertEquals(questionText(questions).trim().split("\n").length, 4);
});

Deno.test("isAnswered waits for the end of the last reply", () => {
  const asked = questionText({ a: { execute: "x" } }).trim().split("\n").map((it) =>
    JSON.parse(it)
  );
  assertEquals(asked.map(({ execute }) => execute), ["qmp_capabilities", "x", "query-name"]);
  const last = `{"return": {}, "id": "${asked[2].id}"}\r\n`;
  assertEquals(isAnswered(`{"return": {}}\r\n{"return": [], "id": "a"}\r\n`), false);
  assertEquals(isAnswered(last.slice(0, -1)), false);
  assertEquals(isAnswered(`{"return": [], "id": "a"}\r\n${last}`), true);
});
