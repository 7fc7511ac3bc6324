import { assertEquals, assertRejects } from "@std/assert";
import type { KeyEvent } from "../../lib/base/keyboard.ts";
import { NotRunningError, UsageError } from "../../lib/base/errors.ts";
import type { QmpClient } from "../../lib/qmp/client.ts";
import { SpiceClosedError } from "../../lib/spice/errors.ts";
import type { Screens } from "../../lib/vm/screens.ts";
import { Typist } from "../../lib/vm/typist.ts";
import { FakeGuest } from "../fakes/guest.ts";

/** A VM whose keys are noted; `onKeys` is called with each, and may fail. */
function typewriter(path: "spice" | "qmp", onKeys: (vm: FakeGuest) => void = () => {}) {
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
      _: string,
      { events }: { events: { data: { key: { data: string }; down: boolean } }[] },
    ) {
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
    await assertRejects(() => typist.type("abcd", FAST), NotRunningError, "paused");
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
