/**
 * Typing on a guest's keyboard: one typist at a time, so that two clients' keys do not mix, through
 * SPICE where the session has its inputs channel, else through QMP.
 */
import { type Keyboard, pressChords, typeText, type TypingOptions } from "../base/keyboard.ts";
import { type Key, parseChord } from "../base/keys.ts";
import { strokesOf } from "../base/us_layout.ts";
import { QmpKeyboard } from "../qmp/input.ts";
import { expectAwake, failureOf, type GuestOf } from "./guest_access.ts";
import { expectKeyboard } from "./guest_keyboard.ts";
import type { VirtualMachine } from "./machine.ts";
import { Turns } from "./turns.ts";

/** What carried the keys to QEMU. */
export type InputPath = "spice" | "qmp";

/** Types on one VM's keyboard. */
export class Typist {
  readonly #vm: GuestOf & Pick<VirtualMachine, "screens" | "qmp">;
  readonly #turns = new Turns();
  /** A keyboard was found: nobody takes it away. */
  #hasKeyboard = false;

  constructor(vm: GuestOf & Pick<VirtualMachine, "screens" | "qmp">) {
    this.#vm = vm;
  }

  /**
   * Types a text; see {@linkcode typeText}.
   *
   * @throws {UsageError} when a character is on no key of a US keyboard; nothing is typed then.
   * @throws {HostError} when the guest has no keyboard.
   * @throws {NotRunningError} while the guest is paused, and when it is paused or the VM ends before
   * all is typed.
   */
  async type(text: string, options: TypingOptions = {}): Promise<InputPath> {
    const whole = { verb: "type", count: strokesOf(text).length, unit: "characters" };
    return await this.#inTurn(
      whole,
      options,
      (keyboard, counted) => typeText(keyboard, text, counted),
    );
  }

  /**
   * Presses chords such as `ctrl-alt-delete` one after another; see {@linkcode pressChords}.
   *
   * @throws {UsageError} when a name is none; nothing is pressed then. {NotRunningError} as `type`.
   */
  async press(chords: readonly string[], options: TypingOptions = {}): Promise<InputPath> {
    const keys: Key[][] = chords.map(parseChord);
    const whole = { verb: "press", count: keys.length, unit: "keys" };
    return await this.#inTurn(whole, options, (keyboard, counted) => {
      return pressChords(keyboard, keys, counted);
    });
  }

  /** Waits for its turn, and lets `work` have the keyboard. What fails tells how far it came. */
  #inTurn(
    { verb, count, unit }: { verb: string; count: number; unit: string },
    options: TypingOptions,
    work: (keyboard: Keyboard, options: TypingOptions) => Promise<void>,
  ): Promise<InputPath> {
    const vm = this.#vm;
    let what = verb === "type" ? verb : `${verb} ${unit}`;
    const counted: TypingOptions = {
      ...options,
      onProgress(done) {
        what = `${verb} more than ${done} of ${count} ${unit}`;
        options.onProgress?.(done);
      },
    };
    return this.#turns.take(async (): Promise<InputPath> => {
      try {
        if (!this.#hasKeyboard) await expectKeyboard(vm, what);
        this.#hasKeyboard = true;
        const spice = await vm.screens?.inputs();
        await work(awake(vm, () => what, spice ?? new QmpKeyboard(vm.qmp)), counted);
        return spice === undefined ? "qmp" : "spice";
      } catch (error) {
        throw await failureOf(vm, what, error);
      }
    }, options.signal);
  }
}

/** A keyboard that presses no key while the guest is paused. */
function awake(vm: GuestOf, what: () => string, keyboard: Keyboard): Keyboard {
  return {
    get capsLock() {
      return keyboard.capsLock ?? false;
    },
    async sendKeys(events, signal) {
      if (events.some(({ down }) => down)) expectAwake(vm, what());
      await keyboard.sendKeys(events, signal);
    },
  };
}
