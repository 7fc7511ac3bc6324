/** Saving a guest's screen: the picture that SPICE has brought, else QEMU's own screendump. */
import {
  HostError,
  NotRunningError,
  QemuError,
  QmpError,
  SpiceError,
  UsageError,
  UtmostError,
} from "../base/errors.ts";
import { replaceFile } from "../base/replace_file.ts";
import { printable, quoted } from "../base/text.ts";
import { cannotSave, savePng } from "../display/png.ts";
import { QmpClosedError } from "../qmp/errors.ts";
import { failureOf, type GuestOf } from "./guest_access.ts";
import type { VirtualMachine } from "./machine.ts";

/** Options of {@linkcode saveScreenshot}. */
export interface ScreenshotOptions {
  /** Draws the mouse pointer, where the guest shows one. */
  cursor?: boolean;
  /** Which display; they count from 0. */
  display?: number;
}

/** What came of a screenshot. */
export interface ScreenshotReport {
  /** Where it is. */
  path: string;
  display: number;
  /** Whose picture it is. */
  source: "spice" | "screendump";
  /** Why it is QEMU's own. */
  why?: string;
}

/** What has to be known of a VM. */
type PicturedVm = GuestOf & Pick<VirtualMachine, "screens" | "qmp">;

/** What the system says to a QEMU that cannot write; QEMU passes it on. Source: strerror(3). */
const HOST_FAILURES =
  /No space left|Disk quota exceeded|File too large|Read-only file system|Input\/output error/i;

/** What QEMU says where the guest has no display. Source: QEMU ui/console.c, qmp_screendump. */
const NO_CONSOLE = /no console to take a screendump from/i;

/** How long the first picture may take to come, in milliseconds: it is sent as SPICE attaches. */
const FIRST_PICTURE_MS = 2_000;

/**
 * Saves a display as PNG. What the guest has drawn before the call is in it: QEMU brings what has
 * changed every 30 ms, and that is waited for.
 *
 * @throws {UsageError} where there is no such display.
 * @throws {HostFailure} when `path` cannot be written.
 * @throws {HostError} when the guest has no display.
 * @throws {QmpError} when QEMU cannot save it either; {SpiceError} for a display that only SPICE has.
 * @throws {NotRunningError} when the VM ends first.
 */
export async function saveScreenshot(
  vm: PicturedVm,
  path: string,
  options: ScreenshotOptions = {},
): Promise<ScreenshotReport> {
  try {
    return await save(vm, path, options);
  } catch (error) {
    throw await failureOf(vm, "save the screen", error);
  }
}

async function save(
  vm: PicturedVm,
  path: string,
  { cursor = false, display = 0 }: ScreenshotOptions,
): Promise<ScreenshotReport> {
  const report = { path, display };
  const [picture, why] = await vm.screens?.capture(display, {
    cursor,
    timeoutMs: FIRST_PICTURE_MS,
    signal: vm.gone,
  }) ?? [undefined, "there is no SPICE"];
  if (picture !== undefined) {
    await savePng(path, picture);
    return { ...report, source: "spice" };
  }
  if (display !== 0) {
    const message = `Cannot save display ${display} to ${quoted(path)}: ${why}`;
    if (vm.screens !== undefined) throw new SpiceError(message);
    throw new UsageError(message, { hint: "Without SPICE only display 0 can be saved." });
  }
  await screendump(vm, path);
  const isOnGpu = vm.screens?.displays().some(({ id, kind }) => id === display && kind === "gl");
  const left = isOnGpu ? "; what the guest's GPU has drawn may be missing from it" : "";
  const noCursor = cursor ? "; the pointer is not in it" : "";
  return { ...report, source: "screendump", why: `${why}${left}${noCursor}` };
}

/**
 * Saves what a display has shown last, of a VM that has ended.
 *
 * @throws {NotRunningError} when SPICE has brought no picture of it.
 * @throws {HostFailure} when `path` cannot be written.
 */
export async function saveLastScreenshot(
  vm: Pick<VirtualMachine, "screens">,
  path: string,
  { cursor = false, display = 0 }: ScreenshotOptions = {},
): Promise<ScreenshotReport> {
  const [picture, why] = await vm.screens?.latest(display, { cursor }) ??
    [undefined, "there was no SPICE"];
  if (picture === undefined) {
    throw new NotRunningError(
      `Cannot save the screen to ${quoted(path)}: the VM has ended, and ${why}`,
    );
  }
  await savePng(path, picture);
  return { path, display, source: "spice" };
}

/** Lets QEMU save its first display; textures that its scanouts show are not in its picture. */
async function screendump(vm: PicturedVm, path: string): Promise<void> {
  try {
    await replaceFile(path, async (filename) => {
      await vm.qmp.execute("screendump", { filename, format: "png" }, { timeoutMs: 30_000 });
    });
  } catch (error) {
    if (!(error instanceof UtmostError)) throw cannotSave(path, error);
    if (error instanceof QmpClosedError || error instanceof QemuError) throw error;
    if (NO_CONSOLE.test(error.message)) {
      const name = printable(vm.identity.name);
      throw new HostError(
        `Cannot save the screen to ${quoted(path)}: ${name} has no display, expected one`,
        { cause: error },
      );
    }
    if (HOST_FAILURES.test(error.message)) throw cannotSave(path, error);
    throw new QmpError(`Cannot save the screen to ${quoted(path)}: ${printable(error.message)}`, {
      cause: error,
    });
  }
}
