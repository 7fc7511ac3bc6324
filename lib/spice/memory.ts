/**
 * How much memory one session takes, whatever its server sends.
 *
 * - Messages under way: {@linkcode MAX_SESSION_BYTES} for all channels together, and while an array
 *   grows, its old half beside it.
 * - For each channel: a read buffer of 256 KiB, at most 256 KiB kept for the next message
 *   (more, counted above, where large ones follow each other), at most
 *   1 MiB of answers that the server does not read. At most {@linkcode MAX_DISPLAYS} displays are
 *   linked by themselves.
 * - What is remembered: each channel that was announced and each id that is not known, once; there
 *   are 65,536 of either at most.
 *
 * What handlers keep (surfaces, pictures, the clipboard) has limits of its own where it is kept.
 */
import { SpiceLimitError } from "./errors.ts";

/** The most bytes of messages that have begun and are not complete, in one session. */
export const MAX_SESSION_BYTES = 512 * 1024 * 1024;

/** Displays that are linked at most; QEMU has at most 16 display devices. */
export const MAX_DISPLAYS = 16;

/** What the messages under way in one session are taken from. */
export class MessageMemory {
  readonly #maxBytes: number;
  #taken = 0;

  constructor(maxBytes = MAX_SESSION_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that are taken now. */
  get taken(): number {
    return this.#taken;
  }

  /** Takes `bytes`. @throws {SpiceLimitError} when there are fewer left */
  take(bytes: number): void {
    if (this.#taken + bytes > this.#maxBytes) {
      throw new SpiceLimitError(
        `Cannot collect a message: all channels together need ${this.#taken + bytes} bytes, ` +
          `expected at most ${this.#maxBytes}`,
      );
    }
    this.#taken += bytes;
  }

  /** Gives back what was taken. */
  give(bytes: number): void {
    this.#taken -= bytes;
  }
}
