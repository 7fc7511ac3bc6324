/**
 * Typing on a guest's keyboard: one typist at a time, so that two clients' keys do not mix, through
 * SPICE where the session has its inputs channel, else through QMP.
 */
import { NotRunningError } from "../base/errors.ts";
import { type Keyboard, pressChords, typeText, type TypingOptions } from "../base/keyboard.ts";
import { type Key, parseChord } from "../base/keys.ts";
import { QmpKeyboard } from "../qmp/input.ts";
import type { VirtualMachine } from "./machine.ts";

/** What carried the keys to QEMU. */
export type InputPath = "spice" | "qmp";

/** Types on one VM's keyboard. */
export class Typist {
  readonly #vm: VirtualMachine;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(vm: VirtualMachine) {
    this.#vm = vm;
  }

  /**
   * Types a text; see {@linkcode typeText}.
   *
   * @throws {UsageError} when a character is on no key of a US keyboard; nothing is typed then.
   * @throws {NotRunningError} when the VM ends before all is typed.
   */
  type(text: string, options: TypingOptions = {}): Promise<InputPath> {
    return this.#inTurn(options, (keyboard, taken) => typeText(keyboard, text, taken));
  }

  /**
   * Presses chords such as `ctrl-alt-delete` one after another; see {@linkcode pressChords}.
   *
   * @throws {UsageError} when a name is none; nothing is pressed then.
   */
  async press(chords: readonly string[], options: TypingOptions = {}): Promise<InputPath> {
    const keys: Key[][] = chords.map(parseChord);
    return await this.#inTurn(options, (keyboard, taken) => pressChords(keyboard, keys, taken));
  }

  /** Waits for its turn, and lets `work` have the keyboard. */
  #inTurn(
    options: TypingOptions,
    work: (keyboard: Keyboard, options: TypingOptions) => Promise<void>,
  ): Promise<InputPath> {
    const mine = this.#turn.then(async (): Promise<InputPath> => {
      options.signal?.throwIfAborted();
      try {
        const spice = await this.#vm.screens?.inputs();
        await work(spice ?? new QmpKeyboard(this.#vm.qmp), options);
        return spice === undefined ? "qmp" : "spice";
      } catch (cause) {
        if (!this.#vm.gone.aborted) throw cause;
        throw new NotRunningError("Cannot type all of it: the VM has ended", { cause });
      }
    });
    this.#turn = mine.catch(() => {});
    return mine;
  }
}
