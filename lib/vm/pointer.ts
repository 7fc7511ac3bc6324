/** Moving a guest's pointer, for clients of the control socket. */
import { HostError, UsageError } from "../base/errors.ts";
import { moveInSteps, type PointerButton, turnWheel } from "../base/pointer.ts";
import { quoted } from "../base/text.ts";
import type { Screens } from "./screens.ts";

const BUTTONS: readonly string[] = [
  "left",
  "middle",
  "right",
  "side",
  "extra",
] satisfies PointerButton[];

/** The farthest place or distance: four seconds in steps that a mouse can tell. */
const MAX_PIXELS = 32_767;
const MAX_NOTCHES = 1000;

/**
 * Does with the pointer what `params` says, in this order: moves it to a pixel (`x`, `y`, and
 * `display` unless it is 0) or by a distance (`dx`, `dy`), presses or releases a button (`press`,
 * `release`), turns the wheel (`scroll`, notches, down is positive).
 *
 * @throws {UsageError} for values that make no sense. {HostError} where there is no SPICE.
 */
export async function movePointer(
  screens: Screens | undefined,
  params: Record<string, unknown>,
): Promise<void> {
  const number = (name: string, most = MAX_PIXELS) => wholeNumber(params, name, most);
  const [x, y, dx, dy] = [number("x"), number("y"), number("dx"), number("dy")];
  const display = number("display") ?? 0;
  const [press, release] = [button(params, "press"), button(params, "release")];
  const scroll = number("scroll", MAX_NOTCHES);
  const inputs = await screens?.inputs();
  if (screens === undefined || inputs === undefined) {
    throw new HostError("Cannot move the pointer: there is no SPICE, expected its inputs channel");
  }
  if (x !== undefined && y !== undefined) {
    expectOnScreen(screens, display, x, y);
    inputs.moveTo(x, y, display);
    screens.placed(display, x, y);
  }
  if (dx !== undefined || dy !== undefined) await moveInSteps(inputs, dx ?? 0, dy ?? 0);
  if (press !== undefined) inputs.press(press);
  if (release !== undefined) inputs.release(release);
  if (scroll !== undefined) await turnWheel(inputs, scroll);
  await inputs.settled();
}

/** QEMU scales a place outside of the picture to one that no tablet has, and the guest goes astray. */
function expectOnScreen(screens: Screens, display: number, x: number, y: number): void {
  const shown = screens.displays().find(({ id }) => id === display);
  if (shown === undefined || shown.width === 0) {
    throw new UsageError(`Cannot move the pointer to ${x},${y}: display ${display} shows nothing`);
  }
  if (x >= 0 && y >= 0 && x < shown.width && y < shown.height) return;
  throw new UsageError(
    `Cannot move the pointer to ${x},${y}: display ${display} has ${shown.width} x ` +
      `${shown.height} pixels`,
  );
}

function wholeNumber(
  params: Record<string, unknown>,
  name: string,
  most: number,
): number | undefined {
  const value = params[name];
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && Math.abs(value) <= most) return value;
  throw new UsageError(
    `Cannot move the pointer: ${name} is ${quoted(JSON.stringify(value))}, ` +
      `expected a whole number from -${most} to ${most}`,
  );
}

function button(params: Record<string, unknown>, name: string): PointerButton | undefined {
  const value = params[name];
  if (value === undefined) return undefined;
  if (typeof value === "string" && BUTTONS.includes(value)) return value as PointerButton;
  throw new UsageError(
    `Cannot move the pointer: ${name} is no button, expected ${BUTTONS.join(", ")}`,
  );
}
