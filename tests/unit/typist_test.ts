import { assertEquals, assertRejects } from "@std/assert";
import type { KeyEvent } from "../../lib/base/keyboard.ts";
import { HostError, NotRunningError, UsageError } from "../../lib/base/errors.ts";
import type { QmpClient } from "../../lib/qmp/client.ts";
import { SpiceClosedError } from "../../lib/spice/errors.ts";
import type { Screens } from "../../lib/vm/screens.ts";
import { Typist } from "../../lib/vm/typist.ts";
import { FakeGuest } from "../fakes/guest.ts";

/** What QEMU tells of a machine. */
interface Machine {
  type: string;
  qtree: string;
}

const PC: Machine = { type: "pc-q35-7.2-machine", qtree: '  dev: i8042, id ""\r\n' };

/** A VM whose keys are noted; `onKeys` is called with each, and may fail. */
function typewriter(
  path: "spice" | "qmp",
  onKeys: (vm: FakeGuest) => void = () => {},
  machine: Machine = PC,
) {
  const log: string[] = [];
  const guest = new FakeGuest();
  const sendKeys = (events: readonly KeyEvent[]) => {
    for (const { key, down } of events) log.push(`${down ? "+" : "-"}${key.name}`);
    onKeys(guest);
    return Promise.resolve();
  };
  const inputs = { capsLock: false, sendKeys };
  const qmp = {
    execute(
      command: string,
      { events }: { events: { data: { key: { data: string }; down: boolean } }[] },
    ) {
      if (command === "qom-get") return Promise.resolve(machine.type);
      if (command === "human-monitor-command") return Promise.resolve(machine.qtree);
      const keys = events.map(({ data: { key, down } }) => ({ key: { name: key.data }, down }));
      return sendKeys(keys as unknown as KeyEvent[]);
    },
  };
  const vm = Object.assign(guest, {
    screens: path === "spice"
      ? { inputs: () => Promise.resolve(inputs) } as unknown as Screens
      : undefined,
    qmp: qmp as unknown as QmpClient,
  });
  return { vm, log, typist: new Typist(vm) };
}

const pressed = (log: readonly string[]) => log.filter((line) => line.startsWith("+"));
const FAST = { paceMs: 0, holdMs: 0 };

for (const path of ["spice", "qmp"] as const) {
  Deno.test(`Typist types through ${path}, and refuses a paused guest`, async () => {
    const { vm, log, typist } = typewriter(path);
    assertEquals(await typist.type("a", FAST), path);
    vm.state = "paused";
    await assertRejects(
      () => typist.type("b", FAST),
      NotRunningError,
      "Cannot type: a1b2c3d4 is paused, expected running",
    );
    await assertRejects(
      () => typist.press(["ret"], FAST),
      NotRunningError,
      "Cannot press keys: a1b2c3d4 is paused",
    );
    await assertRejects(() => typist.type("ü", FAST), UsageError);
    assertEquals(pressed(log), ["+a"]);
    vm.state = "running";
    await typist.press(["ret"], FAST);
    assertEquals(log.slice(-2), ["+ret", "-ret"]);
  });

  Deno.test(`Typist stops where the guest is paused meanwhile, through ${path}`, async () => {
    const { log, typist } = typewriter(path, (vm) => {
      if (log.length === 4) vm.state = "paused";
    });
    await assertRejects(
      () => typist.type("abcd", FAST),
      NotRunningError,
      "Cannot type more than 2 of 4 characters: a1b2c3d4 is paused, expected running",
    );
    assertEquals(pressed(log), ["+a", "+b"]);
  });
}

Deno.test("Typist tells the end of a VM whose connections end before QEMU", async () => {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const { typist } = typewriter("spice", (vm) => {
    timer ??= setTimeout(() => vm.end(), 10);
    throw new SpiceClosedError("Cannot reach the guest's keyboard and mouse: it closed");
  });
  await assertRejects(() => typist.type("ab", FAST), NotRunningError, "the VM has ended");
});

Deno.test("Typist refuses a guest without a keyboard, and only where that is certain", async () => {
  const disk = '  dev: virtio-blk-pci, id ""\r\n    drive = "kbd"\r\n';
  const none: Machine = { type: "virt-7.2-machine", qtree: disk };
  const { typist, log } = typewriter("spice", undefined, none);
  const error = await assertRejects(() => typist.type("a", FAST), HostError);
  assertEquals(error.message, "Cannot type: hello has no keyboard, expected one");
  await assertRejects(() => typist.press(["a"], FAST), HostError, "Cannot press keys");
  assertEquals(log, []);

  none.qtree += '    dev: usb-kbd, id ""\r\n'; // plugged in meanwhile
  await typist.type("a", FAST);
  const able: Machine[] = [
    { type: "virt-7.2-machine", qtree: `${disk}  dev: virtio-keyboard-pci, id ""\r\n` },
    { type: "virt-machine", qtree: "unknown command: 'info qtree'\r\n" },
    { type: "mac99-machine", qtree: disk },
    { type: "", qtree: disk },
  ];
  for (const machine of able) await typewriter("qmp", undefined, machine).typist.type("a", FAST);
});
