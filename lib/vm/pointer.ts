/** Moving a guest's pointer, for clients of the control socket. */
import { HostError, UsageError } from "../base/errors.ts";
import { moveInSteps, type PointerButton, turnWheel } from "../base/pointer.ts";
import { quoted } from "../base/text.ts";
import { expectAwake, failureOf, type GuestOf } from "./guest_access.ts";
import type { VirtualMachine } from "./machine.ts";
import type { Screens } from "./screens.ts";
import { Turns } from "./turns.ts";

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

/** What is to be done with the pointer, checked. */
interface PointerOrder {
  to: { x: number; y: number; display: number } | undefined;
  by: { dx: number; dy: number } | undefined;
  press: PointerButton | undefined;
  release: PointerButton | undefined;
  scroll: number | undefined;
}

/** Moves one VM's pointer for several clients, one after another. */
export class PointerMover {
  readonly #vm: GuestOf & Pick<VirtualMachine, "screens">;
  readonly #turns = new Turns();
  /** What each client holds down, by the signal of its leaving. */
  readonly #held = new WeakMap<AbortSignal, Set<PointerButton>>();

  constructor(vm: GuestOf & Pick<VirtualMachine, "screens">) {
    this.#vm = vm;
  }

  /**
   * Does with the pointer what `params` says, in this order: moves it to a pixel (`x` and `y`, on
   * `display` unless that is 0) or by a distance (`dx`, `dy`), presses or releases a button (`press`,
   * `release`), turns the wheel (`scroll`, notches, down is positive).
   *
   * @param client Aborted when the client leaves: it moves nothing any more, and what it holds down
   * is let go.
   * @throws {UsageError} for values that make no sense. {HostError} where there is no SPICE.
   * @throws {NotRunningError} when the guest is paused, or the VM has ended.
   */
  async move(params: Record<string, unknown>, client: AbortSignal): Promise<void> {
    const order = orderOf(params);
    const vm = this.#vm;
    await this.#turns.take(async () => {
      try {
        await this.#carryOut(order, client);
      } catch (error) {
        throw await failureOf(vm, "move the pointer", error);
      }
    }, client);
  }

  async #carryOut({ to, by, press, release, scroll }: PointerOrder, client: AbortSignal) {
    const { screens } = this.#vm;
    expectAwake(this.#vm, "move the pointer");
    const inputs = await screens?.inputs();
    if (screens === undefined || inputs === undefined) {
      throw new HostError(
        "Cannot move the pointer: there is no SPICE, expected its inputs channel",
      );
    }
    const signal = AbortSignal.any([client, this.#vm.gone]);
    if (to !== undefined) {
      expectOnScreen(screens, to);
      inputs.moveTo(to.x, to.y, to.display);
      screens.placed(to.display, to.x, to.y);
    }
    if (by !== undefined) await moveInSteps(inputs, by.dx, by.dy, { signal });
    if (press !== undefined) {
      this.#holds(client).add(press);
      inputs.press(press);
    }
    if (release !== undefined) {
      this.#held.get(client)?.delete(release);
      inputs.release(release);
    }
    if (scroll !== undefined) await turnWheel(inputs, scroll, { signal });
    await inputs.settled();
  }

  /** What a client holds down; it is let go when the client leaves. */
  #holds(client: AbortSignal): Set<PointerButton> {
    const known = this.#held.get(client);
    if (known !== undefined) return known;
    const held = new Set<PointerButton>();
    this.#held.set(client, held);
    client.addEventListener("abort", () => {
      this.#turns.take(async () => {
        const inputs = await this.#vm.screens?.inputs();
        for (const button of held) inputs?.release(button);
      }).catch(() => {}); // the VM has ended
    }, { once: true });
    return held;
  }
}

/** Checks an order. @throws {UsageError} */
function orderOf(params: Record<string, unknown>): PointerOrder {
  const number = (name: string, most = MAX_PIXELS) => wholeNumber(params, name, most);
  const [x, y, dx, dy] = [number("x"), number("y"), number("dx"), number("dy")];
  const display = number("display");
  const scroll = number("scroll", MAX_NOTCHES);
  const [press, release] = [button(params, "press"), button(params, "release")];
  if ((x === undefined) !== (y === undefined)) {
    throw new UsageError("Cannot move the pointer: there is x or y alone, expected both");
  }
  if (display !== undefined && x === undefined) {
    throw new UsageError("Cannot move the pointer: there is a display alone, expected x and y");
  }
  if ([x, dx, dy, scroll, press, release].every((value) => value === undefined)) {
    throw new UsageError(
      "Cannot move the pointer: nothing is to be done, expected x and y, dx, dy, press, release " +
        "or scroll",
    );
  }
  const isMoved = dx !== undefined || dy !== undefined;
  return {
    to: x === undefined || y === undefined ? undefined : { x, y, display: display ?? 0 },
    by: isMoved ? { dx: dx ?? 0, dy: dy ?? 0 } : undefined,
    press,
    release,
    scroll,
  };
}

/** QEMU scales a place outside of the picture to one that no tablet has, and the guest goes astray. */
function expectOnScreen(
  screens: Screens,
  { x, y, display }: { x: number; y: number; display: number },
): void {
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
