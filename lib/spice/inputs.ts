/**
 * Keyboard and pointer of a guest through SPICE's inputs channel.
 *
 * Source: spice.proto, InputsChannel; what libspice-server and QEMU make of it is watched in
 * tests/e2e/inputs_test.ts.
 */
import { withDeadline } from "../base/deadline.ts";
import { DeadlineError, SpiceError } from "../base/errors.ts";
import type { Keyboard, KeyEvent } from "../base/keyboard.ts";
import type { Key } from "../base/keys.ts";
import type { Pointer, PointerButton } from "../base/pointer.ts";
import type { ChannelEnd, Request } from "./channel_link.ts";
import { routes } from "./message_routes.ts";
import { SpiceClosedError, SpiceTimeoutError } from "./errors.ts";
import {
  BUTTONS,
  INPUTS_CAPS,
  INPUTS_MAX_BYTES,
  INPUTS_MESSAGES,
  INPUTS_REQUESTS,
  INPUTS_TYPE,
  LOCKS,
  MAX_SCANCODE_BYTES,
  MOTION_ACK_BUNCH,
} from "./inputs_messages.ts";
import { hasCap } from "./link.ts";
import { MOUSE_MODES } from "./main_messages.ts";
import { type Motion, MotionWindow } from "./motion_window.ts";
import type { OpenChannel, SpiceSession } from "./session.ts";

const OPEN_TIMEOUT_MS = 10_000;
/** How long closing waits for the last releases to leave. */
const RELEASE_MS = 1000;

/** The lights on the guest's keyboard. */
export interface KeyLocks {
  scroll: boolean;
  num: boolean;
  caps: boolean;
}

/** Options of {@linkcode SpiceInputs.open}. */
export interface SpiceInputsOptions {
  /** Milliseconds until opening fails; 10 s when left out. */
  timeoutMs?: number;
  /** Gives up opening; the channel is not affected later. */
  signal?: AbortSignal;
  /** Is told when the guest turns a light of its keyboard on or off. */
  onLocks?: (locks: KeyLocks) => void;
}

/** What of a session is needed here. */
type Session = Pick<SpiceSession, "open" | "mouseMode">;

/** Keyboard and pointer of a guest; owns its channel, and borrows the session. */
export class SpiceInputs implements Keyboard, Pointer, AsyncDisposable {
  readonly #session: Session;
  readonly #onLocks: ((locks: KeyLocks) => void) | undefined;
  readonly #ready = Promise.withResolvers<void>();
  readonly #motions = new MotionWindow((motion) => this.#sendMotion(motion));
  readonly #held = new Set<Key>();
  #channel!: OpenChannel; // set by open(), the only one who makes one of these
  #end: ChannelEnd | undefined;
  #locks = 0;
  #buttons = 0;
  #settled = Promise.withResolvers<void>();

  private constructor(session: Session, options: SpiceInputsOptions) {
    this.#session = session;
    this.#onLocks = options.onLocks;
  }

  /**
   * Opens the inputs of a session.
   *
   * @throws {SpiceLinkError} when the server has none or refuses.
   * @throws {SpiceTimeoutError} when `timeoutMs` passes first.
   * @throws {SpiceClosedError} when the channel or the session has ended.
   * @throws the signal's reason when it is aborted first.
   */
  static async open(session: Session, options: SpiceInputsOptions = {}): Promise<SpiceInputs> {
    const { timeoutMs = OPEN_TIMEOUT_MS, signal } = options;
    const waiting = { timeoutMs, ...(signal ? { signal } : {}) };
    const inputs = new SpiceInputs(session, options);
    const channel = await session.open(inputs.#setup(), 0, waiting);
    inputs.#channel = channel;
    channel.closed.then((end) => {
      inputs.#end = end;
      inputs.#settled.resolve();
    });
    const lost = channel.closed.then(({ text }) => {
      throw new SpiceClosedError(`Cannot open the inputs channel: ${text}`);
    });
    lost.catch(() => {}); // it may come when nobody waits any longer, or before anybody does
    try {
      const ready = () => Promise.race([inputs.#ready.promise, lost]);
      await withDeadline("INIT of the inputs channel", ready, waiting);
      return inputs;
    } catch (error) {
      channel.close("its INIT did not come");
      if (!(error instanceof DeadlineError)) throw error;
      throw new SpiceTimeoutError(
        `Cannot open the inputs channel: no INIT within ${timeoutMs} ms`,
        { cause: error },
      );
    }
  }

  #setup(): Parameters<Session["open"]>[0] {
    return {
      type: INPUTS_TYPE,
      caps: [],
      maxBytes: INPUTS_MAX_BYTES,
      routes: () =>
        routes(INPUTS_MESSAGES, {
          init: ({ locks }) => {
            this.#setLocks(locks);
            this.#ready.resolve();
          },
          key_modifiers: ({ locks }) => this.#setLocks(locks),
          mouse_motion_ack: () => {
            this.#motions.acknowledge(MOTION_ACK_BUNCH);
            if (!this.#motions.isWaiting) this.#settle();
          },
        }),
    };
  }

  #setLocks(locks: number): void {
    const isChanged = locks !== this.#locks;
    this.#locks = locks;
    if (isChanged) this.#onLocks?.(this.locks);
  }

  /** The lights that the guest has on; all off in a guest that does not care for them. */
  get locks(): KeyLocks {
    const has = (bit: number) => (this.#locks & bit) !== 0;
    return { scroll: has(LOCKS.scroll), num: has(LOCKS.num), caps: has(LOCKS.caps) };
  }

  get capsLock(): boolean {
    return this.locks.caps;
  }

  /** Names of the keys that are down, in the order in which they went down. */
  get heldKeys(): string[] {
    return [...this.#held].map(({ name }) => name);
  }

  /** Resolves when the channel has ended, whoever ended it. Never rejects. */
  get closed(): Promise<ChannelEnd> {
    return this.#channel.closed;
  }

  /**
   * Presses and releases keys, in order; those of one call reach the guest's keyboard together. How
   * many it can hold for a slow guest depends on it: `typeText` keeps a pace.
   *
   * @throws {SpiceClosedError} when the channel has ended.
   */
  // deno-lint-ignore require-await -- so that a failure is a rejection, as of other keyboards
  async sendKeys(events: readonly KeyEvent[], signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const codes = events.map(({ key, down }) => down ? key.down : key.up);
    for (const { key, down } of events) {
      if (down) this.#held.add(key);
      else this.#held.delete(key);
    }
    if (hasCap(this.#channel.caps.channelCaps, INPUTS_CAPS.keyScancode)) {
      const bytes = Uint8Array.from(codes.flat());
      for (let at = 0; at < bytes.length; at += MAX_SCANCODE_BYTES) {
        const part = bytes.subarray(at, at + MAX_SCANCODE_BYTES);
        this.#send(INPUTS_REQUESTS.key_scancode, part);
      }
      return;
    }
    const { key_down, key_up } = INPUTS_REQUESTS;
    for (const [i, bytes] of codes.entries()) {
      const code = bytes.reduce((sum, byte, n) => sum | byte << 8 * n, 0);
      this.#send(events[i]!.down ? key_down : key_up, { code });
    }
  }

  /**
   * Turns lights of the keyboard on or off: the server presses the lock keys that differ. The guest
   * answers when it has followed, see `locks`.
   *
   * @throws {SpiceClosedError} when the channel has ended.
   */
  setLocks(locks: Partial<KeyLocks>): void {
    const { scroll, num, caps } = { ...this.locks, ...locks };
    const bits = (scroll ? LOCKS.scroll : 0) | (num ? LOCKS.num : 0) | (caps ? LOCKS.caps : 0);
    this.#send(INPUTS_REQUESTS.key_modifiers, { locks: bits });
  }

  /**
   * Moves the pointer by a distance, as a mouse does. At most 8 motions are on their way; further
   * ones are joined until the server has had some.
   *
   * @throws {SpiceError} while the guest's pointer is moved to places. {SpiceClosedError}
   */
  moveBy(dx: number, dy: number): void {
    this.#expectMode(MOUSE_MODES.server, "by a distance", "open the session with a relative one");
    for (const distance of [dx, dy]) {
      if (!Number.isInteger(distance) || Math.abs(distance) > 0x7fff_ffff) {
        throw new RangeError(`Cannot move the pointer by ${distance}: expected a whole number`);
      }
    }
    this.#move({ kind: "relative", dx, dy });
  }

  /**
   * Moves the pointer to a pixel of a display's picture. At most 8 motions are on their way; of
   * further ones the last is sent once the server has had some.
   *
   * @throws {SpiceError} while the guest cannot take places. {SpiceClosedError}
   */
  moveTo(x: number, y: number, display = 0): void {
    this.#expectMode(
      MOUSE_MODES.client,
      "to a place",
      "it needs a tablet (usb-tablet, virtio-tablet-pci) and a driver for it, or the SPICE agent",
    );
    for (const coordinate of [x, y]) {
      if (!Number.isInteger(coordinate) || coordinate < 0 || coordinate > 0xffff_ffff) {
        throw new RangeError(`Cannot move the pointer to ${x},${y}: expected pixels from 0 up`);
      }
    }
    this.#move({ kind: "absolute", x, y, display });
  }

  /** Motions of the wrong kind are dropped by the server without a word. */
  #expectMode(mode: number, what: string, hint: string): void {
    if (this.#session.mouseMode.current === mode) return;
    const is = mode === MOUSE_MODES.client ? "relative" : "absolute";
    throw new SpiceError(`Cannot move the pointer ${what}: the guest's pointer is ${is}`, { hint });
  }

  #move(motion: Motion): void {
    this.#expectOpen();
    this.#motions.move(motion);
  }

  /** Presses a button, after the motion that came before. @throws {SpiceClosedError} */
  press(button: PointerButton): void {
    this.#press(BUTTONS[button]);
  }

  /** Lets go of a button. @throws {SpiceClosedError} */
  release(button: PointerButton): void {
    this.#release(BUTTONS[button]);
  }

  /** Turns the wheel by so many notches; down is positive. @throws {SpiceClosedError} */
  scroll(notches: number): void {
    const button = notches < 0 ? BUTTONS.wheelUp : BUTTONS.wheelDown;
    for (let n = 0; n < Math.abs(notches); n++) {
      this.#press(button);
      this.#release(button);
    }
  }

  #press(button: number): void {
    this.#expectOpen();
    this.#motions.flush();
    if (!isWheel(button)) this.#buttons |= maskOf(button);
    this.#send(INPUTS_REQUESTS.mouse_press, { button, buttons: this.#buttons });
  }

  #release(button: number): void {
    this.#expectOpen();
    this.#motions.flush();
    this.#buttons &= ~maskOf(button);
    this.#send(INPUTS_REQUESTS.mouse_release, { button, buttons: this.#buttons });
  }

  /**
   * Resolves once every motion has been sent, that is once the server has had all but the last few.
   *
   * @throws {SpiceTimeoutError} when `timeoutMs` passes first, 10 s when left out.
   * @throws {SpiceClosedError} when the channel has ended.
   * @throws the signal's reason when it is aborted first.
   */
  async settled(options: { timeoutMs?: number; signal?: AbortSignal } = {}): Promise<void> {
    const { timeoutMs = OPEN_TIMEOUT_MS } = options;
    try {
      await withDeadline("word that the pointer has moved", async () => {
        while (this.#motions.isWaiting && !this.#end) await this.#settled.promise;
        await this.#channel.drained();
      }, { ...options, timeoutMs });
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error;
      throw new SpiceTimeoutError(
        `Cannot move the pointer: the server has not taken its motions within ${timeoutMs} ms`,
        { cause: error },
      );
    }
    this.#expectOpen();
  }

  #settle(): void {
    this.#settled.resolve();
    this.#settled = Promise.withResolvers();
  }

  #sendMotion(motion: Motion): void {
    const buttons = this.#buttons;
    const { mouse_motion, mouse_position } = INPUTS_REQUESTS;
    if (motion.kind === "relative") this.#send(mouse_motion, { ...motion, buttons });
    else this.#send(mouse_position, { ...motion, buttons });
  }

  #send<T>(request: Request<T>, value: T): void {
    this.#expectOpen();
    this.#channel.send(request, value);
  }

  #expectOpen(): void {
    if (this.#end === undefined) return;
    throw new SpiceClosedError(`Cannot reach the guest's keyboard and mouse: ${this.#end.text}`);
  }

  /** Releases all keys and buttons that are down, and closes the channel. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#end !== undefined) return;
    const events = [...this.#held].toReversed().map((key) => ({ key, down: false }));
    if (events.length > 0) await this.sendKeys(events);
    for (const button of Object.values(BUTTONS)) {
      if ((this.#buttons & maskOf(button)) !== 0) this.#release(button);
    }
    // A server that does not read will not get them: then closing does it, for the keys at least.
    await withDeadline("the last releases", () => this.#channel.drained(), {
      timeoutMs: RELEASE_MS,
    }).catch(() => {});
    this.#channel.close("the client closed the inputs");
    await this.#channel.closed;
  }
}

function maskOf(button: number): number {
  return 1 << (button - 1);
}

function isWheel(button: number): boolean {
  return button === BUTTONS.wheelUp || button === BUTTONS.wheelDown;
}
