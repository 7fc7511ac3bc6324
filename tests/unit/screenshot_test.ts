import { assertEquals, assertRejects } from "@std/assert";
import {
  HostError,
  HostFailure,
  NotRunningError,
  QemuError,
  QmpError,
  SpiceError,
  UsageError,
} from "../../lib/base/errors.ts";
import type { QmpClient } from "../../lib/qmp/client.ts";
import { QmpClosedError, QmpCommandError } from "../../lib/qmp/errors.ts";
import type { Captured, Screens } from "../../lib/vm/screens.ts";
import { saveLastScreenshot, saveScreenshot } from "../../lib/vm/screenshot.ts";
import { FakeGuest } from "../fakes/guest.ts";

/** A VM whose screens answer with `capture`, and whose QEMU answers a screendump with `dump`. */
function vmWith(
  capture: ((vm: FakeGuest) => Promise<Captured>) | undefined,
  dump: (vm: FakeGuest) => Promise<unknown> = () => Promise.resolve({}),
  kind: "surface" | "gl" = "surface",
) {
  const guest = new FakeGuest();
  return Object.assign(guest, {
    screens: capture &&
      { capture: () => capture(guest), displays: () => [{ id: 0, kind }] } as unknown as Screens,
    qmp: { execute: () => dump(guest) } as unknown as QmpClient,
  });
}

const lost = () => Promise.resolve<Captured>([undefined, "SPICE is lost (it closed)"]);
const refusal = (desc: string) => () =>
  Promise.reject(new QmpCommandError("screendump", { class: "GenericError", desc }));

async function withPath(work: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(`${folder}/screen.png`);
    assertEquals((await Array.fromAsync(Deno.readDir(folder))).length, 0, "nothing is left");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("saveScreenshot tells the end of the VM, whichever way it comes", async () => {
  await withPath(async (path) => {
    const vms = [
      vmWith((vm) => {
        vm.end();
        return Promise.reject(vm.gone.reason);
      }),
      vmWith(lost, (vm) => {
        setTimeout(() => vm.end(), 10);
        return Promise.reject(new QmpClosedError("Cannot run it: the connection is closed"));
      }),
      vmWith(lost, (vm) => {
        setTimeout(() => vm.end(), 10);
        return Promise.reject(new QemuError("Cannot go on: QEMU was ended by SIGKILL"));
      }),
    ];
    for (const vm of vms) {
      const error = await assertRejects(() => saveScreenshot(vm, path), NotRunningError);
      assertEquals(error.message, "Cannot save the screen: the VM has ended");
    }
  });
});

Deno.test("saveScreenshot says what QEMU's own picture may lack", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/screen.png`;
    const execute = (_: string, { filename }: { filename: string }) =>
      Deno.writeTextFile(filename, "a picture");
    const vm = { ...vmWith(lost, undefined, "gl"), qmp: { execute } as unknown as QmpClient };
    const { source, why } = await saveScreenshot(vm, path, { cursor: true });
    assertEquals([source, why], [
      "screendump",
      "SPICE is lost (it closed); what the guest's GPU has drawn may be missing from it; " +
      "the pointer is not in it",
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("saveLastScreenshot saves what was shown last, or says why it cannot", async () => {
  const vm = (latest: Captured) => ({
    screens: { latest: () => Promise.resolve(latest) } as unknown as Screens,
  });
  await withPath(async (path) => {
    const picture = { width: 1, height: 1, pixels: Uint32Array.of(0xff0000) };
    assertEquals(await saveLastScreenshot(vm([picture]), path), {
      ...{ path, display: 0, source: "spice" },
    });
    await Deno.remove(path);
    for (const last of [vm([undefined, "none came"]), { screens: undefined }]) {
      const why = last.screens === undefined ? "there was no SPICE" : "none came";
      await assertRejects(
        () => saveLastScreenshot(last, path),
        NotRunningError,
        `the VM has ended, and ${why}`,
      );
    }
  });
});

Deno.test("saveScreenshot tells QEMU's failures by who has failed", async () => {
  await withPath(async (path) => {
    await assertRejects(
      () =>
        saveScreenshot(
          vmWith(lost, refusal("There is no console to take a screendump from")),
          path,
        ),
      HostError,
      "hello has no display, expected one",
    );
    await assertRejects(
      () => saveScreenshot(vmWith(lost, refusal("Guest has not initialized the display")), path),
      QmpError,
      "Guest has not initialized the display",
    );
    await assertRejects(
      () => saveScreenshot(vmWith(lost, refusal("failed to write: No space left on device")), path),
      HostFailure,
      "No space left on device",
    );
  });
});

Deno.test("saveScreenshot of a further display needs SPICE, now or at all", async () => {
  await withPath(async (path) => {
    await assertRejects(
      () => saveScreenshot(vmWith(lost), path, { display: 1 }),
      SpiceError,
      "Cannot save display 1 to",
    );
    await assertRejects(
      () => saveScreenshot(vmWith(undefined), path, { display: 1 }),
      UsageError,
      "there is no SPICE",
    );
  });
});
