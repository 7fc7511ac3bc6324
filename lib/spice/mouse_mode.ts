/** How the guest's pointer is moved: by distances, or to places on the screen. */
import { withDeadline } from "../base/deadline.ts";
import type { ChannelEnd, ChannelLink } from "./channel_link.ts";
import { SpiceClosedError } from "./errors.ts";
import { MAIN_REQUESTS, MOUSE_MODES } from "./main_messages.ts";

/** `relative`: by distances. `absolute`: to places, where the guest has a tablet or the agent. */
export type PointerKind = "relative" | "absolute";

/** The value of each kind on the wire. */
const MODES: Readonly<Record<PointerKind, number>> = {
  relative: MOUSE_MODES.server,
  absolute: MOUSE_MODES.client,
};
const WAIT_MS = 10_000;

/** The mouse mode of a session: follows what the server tells, and asks for what is wanted. */
export class MouseMode {
  readonly #wanted: PointerKind;
  readonly #waiting = new Set<() => void>();
  #mode = { supported: 0, current: 0 };

  /** @param wanted What is asked for whenever the server can do it. */
  constructor(wanted: PointerKind) {
    this.#wanted = wanted;
  }

  /** Bits of MOUSE_MODES: what the server can do, and what is on. */
  get bits(): Readonly<{ supported: number; current: number }> {
    return this.#mode;
  }

  /** Takes note of what the server told on main, and asks: no server changes the mode by itself. */
  update(link: ChannelLink, mode: { supported: number; current: number }): void {
    this.#mode = mode;
    for (const check of this.#waiting) check();
    const wanted = MODES[this.#wanted];
    if (mode.current === wanted || (mode.supported & wanted) === 0) return;
    link.send(MAIN_REQUESTS.mouse_mode_request, { mode: wanted });
  }

  /** See {@linkcode SpiceSession.waitForPointer}. */
  async wait(
    kind: PointerKind,
    closed: Promise<ChannelEnd>,
    options: { timeoutMs?: number; signal?: AbortSignal },
  ): Promise<void> {
    const isOn = () => this.#mode.current === MODES[kind];
    if (isOn()) return;
    const changed = Promise.withResolvers<void>();
    const check = () => isOn() && changed.resolve();
    this.#waiting.add(check);
    const lost = closed.then(({ text }) => {
      throw new SpiceClosedError(`Cannot wait for the guest's pointer: ${text}`);
    });
    lost.catch(() => {}); // it may come when nobody waits any longer, or before anybody does
    try {
      await withDeadline(
        `a guest whose pointer is ${kind}`,
        () => Promise.race([changed.promise, lost]),
        { timeoutMs: WAIT_MS, ...options },
      );
    } finally {
      this.#waiting.delete(check);
    }
  }
}
