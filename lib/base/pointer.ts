/**
 * A guest's pointer, by whatever carries its events, and what is done with it at a pace that guests
 * can follow.
 */
import { pause } from "./deadline.ts";
import { PACE_MS } from "./keyboard.ts";

/** Buttons of a mouse; its wheel is turned by `scroll`. */
export type PointerButton = "left" | "middle" | "right" | "side" | "extra";

/** What carries pointer events to a guest: SPICE's inputs channel, or QMP. */
export interface Pointer {
  /**
   * Moves the pointer by a distance, in steps of the guest's mouse; right and down are positive. A
   * PS/2 mouse reports 508 steps at once and keeps the rest for its next event: `moveInSteps` does
   * not run into that.
   */
  moveBy(dx: number, dy: number): void | Promise<void>;
  /**
   * Moves the pointer to a pixel of a display's picture, counted from its upper left corner. What is
   * outside of it is not checked here, and QEMU passes nonsense on.
   */
  moveTo(x: number, y: number, display?: number): void | Promise<void>;
  /** Presses a button, where the pointer is. */
  press(button: PointerButton): void | Promise<void>;
  /** Lets go of a button. */
  release(button: PointerButton): void | Promise<void>;
  /**
   * Turns the wheel by so many notches at once: down and towards the user is positive. A virtio
   * device drops all but about 16: `turnWheel` does not run into that.
   */
  scroll(notches: number): void | Promise<void>;
}

/** Options of what is done at a pace. */
export interface PointerOptions {
  /** Milliseconds from one event to the next; {@linkcode PACE_MS} when left out. */
  paceMs?: number;
  /** Ends it, by rejecting with the signal's reason. */
  signal?: AbortSignal;
}

/** What one packet of a PS/2 mouse can tell. Source: IBM PS/2 mouse, stream mode packet. */
const MAX_STEP = 127;

/** Moves the pointer by a distance of any size, in a straight line. */
export async function moveInSteps(
  pointer: Pointer,
  dx: number,
  dy: number,
  { paceMs = PACE_MS, signal }: PointerOptions = {},
): Promise<void> {
  const steps = Math.ceil(Math.max(Math.abs(dx), Math.abs(dy)) / MAX_STEP);
  let [x, y] = [0, 0];
  for (let n = 1; n <= steps; n++) {
    const [nextX, nextY] = [Math.round(dx * n / steps), Math.round(dy * n / steps)];
    await pointer.moveBy(nextX - x, nextY - y);
    [x, y] = [nextX, nextY];
    await pause(paceMs, signal);
  }
}

/** Turns the wheel by any number of notches; down is positive. */
export async function turnWheel(
  pointer: Pointer,
  notches: number,
  { paceMs = PACE_MS, signal }: PointerOptions = {},
): Promise<void> {
  for (let left = Math.abs(notches); left > 0; left--) {
    await pointer.scroll(Math.sign(notches));
    await pause(paceMs, signal);
  }
}

/** Presses a button and lets go of it, once or several times; returns once the guest had its time. */
export async function click(
  pointer: Pointer,
  button: PointerButton,
  { times = 1, paceMs = PACE_MS, signal }: PointerOptions & { times?: number } = {},
): Promise<void> {
  for (let n = 0; n < times; n++) {
    await pointer.press(button);
    try {
      await pause(paceMs, signal);
    } finally {
      await pointer.release(button);
    }
    await pause(paceMs, signal);
  }
}
