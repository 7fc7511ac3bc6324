/** Moving a guest's pointer, for clients of the control socket. */
import type { PointerButton } from "../base/pointer.ts";
import { HostError, UsageError } from "../base/errors.ts";
import type { Screens } from "./screens.ts";

const BUTTONS: readonly string[] = [
  "left",
  "middle",
  "right",
  "side",
  "extra",
] satisfies PointerButton[];

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
  const number = (name: string) => wholeNumber(params, name);
  const [x, y, dx, dy] = [number("x"), number("y"), number("dx"), number("dy")];
  const display = number("display") ?? 0;
  const [press, release] = [button(params, "press"), button(params, "release")];
  const scroll = number("scroll");
  const inputs = await screens?.inputs();
  if (screens === undefined || inputs === undefined) {
    throw new HostError("Cannot move the pointer: there is no SPICE, expected its inputs channel");
  }
  if (x !== undefined && y !== undefined) {
    if (x < 0 || y < 0) throw new UsageError("Cannot move the pointer: x or y is negative");
    inputs.moveTo(x, y, display);
    screens.placed(display, x, y);
  }
  if (dx !== undefined || dy !== undefined) inputs.moveBy(dx ?? 0, dy ?? 0);
  if (press !== undefined) inputs.press(press);
  if (release !== undefined) inputs.release(release);
  if (scroll !== undefined) inputs.scroll(scroll);
  await inputs.settled();
}

function wholeNumber(params: Record<string, unknown>, name: string): number | undefined {
  const value = params[name];
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && Math.abs(value) < 1e6) return value;
  throw new UsageError(`Cannot move the pointer: ${name} is no whole number of pixels`);
}

function button(params: Record<string, unknown>, name: string): PointerButton | undefined {
  const value = params[name];
  if (value === undefined) return undefined;
  if (typeof value === "string" && BUTTONS.includes(value)) return value as PointerButton;
  throw new UsageError(
    `Cannot move the pointer: ${name} is no button, expected ${BUTTONS.join(", ")}`,
  );
}
