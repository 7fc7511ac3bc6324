/** A guest's pointer, by whatever carries its events. */

/** Buttons of a mouse; its wheel is turned by `scroll`. */
export type PointerButton = "left" | "middle" | "right" | "side" | "extra";

/** What carries pointer events to a guest: SPICE's inputs channel, or QMP. */
export interface Pointer {
  /** Moves the pointer by a distance, in steps of the guest's mouse; right and down are positive. */
  moveBy(dx: number, dy: number): void | Promise<void>;
  /** Moves the pointer to a pixel of a display's picture, counted from its upper left corner. */
  moveTo(x: number, y: number, display?: number): void | Promise<void>;
  /** Presses a button, where the pointer is. */
  press(button: PointerButton): void | Promise<void>;
  /** Lets go of a button. */
  release(button: PointerButton): void | Promise<void>;
  /** Turns the wheel by so many notches: down and towards the user is positive. */
  scroll(notches: number): void | Promise<void>;
}
