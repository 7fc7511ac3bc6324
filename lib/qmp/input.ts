/**
 * Keyboard and pointer through QMP, for a QEMU without SPICE: `input-send-event`.
 *
 * Source: QEMU QMP reference manual, `input-send-event`, `InputEvent`.
 */
import type { Keyboard, KeyEvent } from "../base/keyboard.ts";
import type { QmpClient } from "./client.ts";
import type { InputEvent } from "./commands.ts";

/** A guest's keyboard; borrows the connection to QMP. */
export class QmpKeyboard implements Keyboard {
  readonly #qmp: Pick<QmpClient, "execute">;

  constructor(qmp: Pick<QmpClient, "execute">) {
    this.#qmp = qmp;
  }

  /**
   * Passes key events on, and returns once QEMU has taken them.
   *
   * @throws {QmpCommandError} when QEMU refuses: a machine without keyboard, or a key that its
   *   version does not know.
   */
  async sendKeys(keys: readonly KeyEvent[], signal?: AbortSignal): Promise<void> {
    const events = keys.map(({ key, down }): InputEvent => ({
      type: "key",
      data: { key: { type: "qcode", data: key.name }, down },
    }));
    await this.#qmp.execute("input-send-event", { events }, signal ? { signal } : {});
  }
}
