/**
 * Typing and pressing keys, at a pace that guests can follow, by whatever carries the key events.
 *
 * A keyboard holds few events for a guest that has not fetched them yet, and drops the rest: 16
 * bytes in a PS/2 controller, 16 events in a USB keyboard, which a guest asks every 8 to 10 ms for
 * one event. So each event has a time of its own.
 *
 * Measured with QEMU 7.2 under TCG on a busy host: SeaBIOS, OVMF and Linux lose nothing through PS/2
 * or virtio at any pace; through USB, Linux and OVMF lose most keys at 5 ms, and none at 10. No pace
 * helps against a guest that stalls for half a second (one that sets a video mode as it boots, say):
 * who types waits for a prompt first.
 */
import { pause } from "./deadline.ts";
import { type Key, KEYS } from "./keys.ts";
import { strokesOf } from "./us_layout.ts";

/** A key that goes down or comes up. */
export interface KeyEvent {
  readonly key: Key;
  readonly down: boolean;
}

/** What carries key events to a guest: SPICE's inputs channel, or QMP. */
export interface Keyboard {
  /**
   * Whether the guest has lit the Caps Lock light, so that letters come out in the other case; left
   * out where it cannot be known.
   */
  readonly capsLock?: boolean;
  /**
   * Passes key events on, in order.
   *
   * @throws when they cannot be passed on, or the signal's reason when it is aborted first.
   */
  sendKeys(events: readonly KeyEvent[], signal?: AbortSignal): Promise<void>;
}

/** Options of {@linkcode typeText} and {@linkcode pressChords}. */
export interface TypingOptions {
  /** Milliseconds from one key event to the next; {@linkcode PACE_MS} when left out. */
  paceMs?: number;
  /** Milliseconds for which a chord is held, at least `paceMs`; {@linkcode HOLD_MS} when left out. */
  holdMs?: number;
  /** Ends the typing; what is held then is released. */
  signal?: AbortSignal;
  /** Called with how many characters, or chords, have gone in, after each. */
  onProgress?: (done: number) => void;
}

/** The usual time from one key event to the next: one that is asked for every 10 ms is not late. */
export const PACE_MS = 15;
/** How long a chord is held: as QEMU's own `sendkey` does. */
export const HOLD_MS = 100;

const SHIFT = KEYS.get("shift")!;

/**
 * Types a text on a US keyboard, and returns once the last key is up. Nothing is typed when a
 * character of it is on no key. Where Caps Lock is known to be on, Shift makes up for it.
 *
 * @throws {UsageError} when a character is on no key.
 * @throws what the keyboard throws, or the signal's reason when it is aborted first.
 */
export async function typeText(
  keyboard: Keyboard,
  text: string,
  options: TypingOptions = {},
): Promise<void> {
  const strokes = strokesOf(text);
  await withHands(keyboard, options, async (hands) => {
    for (const [i, { key, shift, isLetter }] of strokes.entries()) {
      await hands.releaseAllBut(SHIFT);
      const wantsShift = shift !== (isLetter && keyboard.capsLock === true);
      if (wantsShift !== hands.holds(SHIFT)) await hands.move(SHIFT, wantsShift);
      await hands.move(key, true);
      options.onProgress?.(i + 1);
    }
  });
}

/**
 * Presses chords one after another: the keys of each go down in order, are held, and come up in
 * reverse.
 *
 * @throws what the keyboard throws, or the signal's reason when it is aborted first.
 */
export async function pressChords(
  keyboard: Keyboard,
  chords: readonly (readonly Key[])[],
  options: TypingOptions = {},
): Promise<void> {
  await withHands(keyboard, options, async (hands) => {
    for (const [i, chord] of chords.entries()) {
      await hands.releaseAllBut();
      for (const key of chord) await hands.move(key, true);
      options.onProgress?.(i + 1);
      hands.rest(options.holdMs ?? HOLD_MS);
    }
  });
}

/**
 * Lets `work` move keys, and releases what is down at its end, however it ended. That this fails is
 * no failure: all that had to arrive has, and the last Enter may have switched the guest off.
 */
async function withHands(
  keyboard: Keyboard,
  options: TypingOptions,
  work: (hands: Hands) => Promise<void>,
): Promise<void> {
  const hands = new Hands(keyboard, options);
  try {
    await work(hands);
  } finally {
    await hands.letGo().catch(() => {});
  }
}

/** Moves keys one at a time, gives the guest time for each, and knows which are down. */
class Hands {
  readonly #keyboard: Keyboard;
  readonly #paceMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #held = new Set<Key>();
  /** When the next key may move, on the clock of `performance.now()`. */
  #readyAt = 0;

  constructor(keyboard: Keyboard, { paceMs = PACE_MS, signal }: TypingOptions) {
    this.#keyboard = keyboard;
    this.#paceMs = paceMs;
    this.#signal = signal;
  }

  holds(key: Key): boolean {
    return this.#held.has(key);
  }

  /** Presses or releases a key, as soon as the one before had its time. */
  async move(key: Key, down: boolean): Promise<void> {
    await this.#ready();
    if (down) this.#held.add(key); // before it is sent: it may arrive although sending fails
    await this.#keyboard.sendKeys([{ key, down }], this.#signal);
    if (!down) this.#held.delete(key);
    this.rest(this.#paceMs);
  }

  /** Lets no key move for so many milliseconds, but at least for the time that each has. */
  rest(ms: number): void {
    this.#readyAt = performance.now() + Math.max(ms, this.#paceMs);
  }

  async #ready(): Promise<void> {
    this.#signal?.throwIfAborted();
    const ms = this.#readyAt - performance.now();
    if (ms > 0) await pause(ms, this.#signal);
  }

  /** Releases what is down but `kept`, newest first. */
  async releaseAllBut(kept?: Key): Promise<void> {
    for (const key of [...this.#held].toReversed()) if (key !== kept) await this.move(key, false);
  }

  /** Releases what is down, newest first, in its time, or at once when the signal is aborted. */
  async letGo(): Promise<void> {
    await this.#ready().catch(() => {});
    const events = [...this.#held].toReversed().map((key) => ({ key, down: false }));
    this.#held.clear();
    if (events.length > 0) await this.#keyboard.sendKeys(events);
  }
}
