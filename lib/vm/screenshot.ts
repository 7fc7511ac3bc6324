/** Saving a guest's screen: the picture that SPICE has brought, else QEMU's own screendump. */
import { HostError, UsageError, UtmostError } from "../base/errors.ts";
import { replaceFile } from "../base/replace_file.ts";
import { printable, quoted } from "../base/text.ts";
import { cannotSave, savePng } from "../display/png.ts";
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

/** How long the first picture may take to come, in milliseconds: it is sent as SPICE attaches. */
const FIRST_PICTURE_MS = 2_000;

/**
 * Saves a display as PNG. What the guest has drawn before the call is in it: QEMU brings what has
 * changed every 30 ms, and that is waited for.
 *
 * @throws {UsageError} where there is no such display.
 * @throws {HostFailure} when `path` cannot be written.
 * @throws {HostError} when QEMU cannot save it either.
 */
export async function saveScreenshot(
  vm: VirtualMachine,
  path: string,
  { cursor = false, display = 0 }: ScreenshotOptions = {},
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
    throw new UsageError(`Cannot save display ${display} to ${quoted(path)}: ${why}`, {
      hint: "Without SPICE only display 0 can be saved.",
    });
  }
  await screendump(vm, path);
  const noCursor = cursor ? ", so the pointer is not in it" : "";
  return { ...report, source: "screendump", why: `${why}${noCursor}` };
}

/** Lets QEMU save its first display; GL scanouts are not in its picture. */
async function screendump(vm: VirtualMachine, path: string): Promise<void> {
  try {
    await replaceFile(path, async (filename) => {
      await vm.qmp.execute("screendump", { filename, format: "png" }, { timeoutMs: 30_000 });
    });
  } catch (error) {
    if (!(error instanceof UtmostError)) throw cannotSave(path, error);
    throw new HostError(`Cannot save the screen to ${quoted(path)}: ${printable(error.message)}`, {
      cause: error,
    });
  }
}
