/**
 * WAIT_FOR_CHANNELS: a display may refer to a picture that the server sent on another one, and then
 * names the message that has to be handled first. Only where displays share a cache.
 */
import { DeadlineError } from "../base/errors.ts";
import { withDeadline } from "../base/deadline.ts";
import type { AwaitedMessage, RunningChannel } from "./channel_link.ts";
import { SpiceDecodeError, SpiceTimeoutError } from "./errors.ts";

/** How long a channel waits for others. */
const WAIT_MS = 30_000;

/** Which channels of one session wait for which others. */
export class ChannelWaits {
  readonly #find: (type: number, id: number) => RunningChannel | undefined;
  readonly #timeoutMs: number;
  readonly #waits = new Map<RunningChannel, ReadonlySet<RunningChannel>>();

  /**
   * @param find Returns the linked channel of a type and id.
   * @param timeoutMs How long one waits, 30 s when left out.
   */
  constructor(
    find: (type: number, id: number) => RunningChannel | undefined,
    timeoutMs = WAIT_MS,
  ) {
    this.#find = find;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Waits until the messages `awaited` have been handled, for `channel`. A channel that ends is
   * waited for no longer.
   *
   * @returns undefined if there is nothing to wait for.
   * @throws {SpiceDecodeError} for a channel that is not linked, and for one that waits, itself or
   * through others, for this one.
   */
  waitFor(channel: RunningChannel, awaited: readonly AwaitedMessage[]): Promise<void> | undefined {
    const others = new Set<RunningChannel>();
    const reached: Promise<void>[] = [];
    for (const { type, id, serial } of awaited) {
      const other = this.#find(type, id);
      if (other === undefined) {
        throw new SpiceDecodeError(
          `Cannot wait for message ${serial} of channel ${type}.${id}: it is not linked`,
        );
      }
      const reaching = other.reached(serial);
      if (reaching === undefined) continue;
      if (other === channel || this.#leadsTo(other, channel)) {
        throw new SpiceDecodeError(
          `Cannot wait for message ${serial} of the ${other.name} channel: it waits for this one`,
        );
      }
      others.add(other);
      reached.push(reaching);
    }
    if (reached.length === 0) return undefined;
    this.#waits.set(channel, others);
    return this.#wait(channel, reached).finally(() => this.#waits.delete(channel));
  }

  async #wait(channel: RunningChannel, reached: readonly Promise<void>[]): Promise<void> {
    const names = [...this.#waits.get(channel) ?? []].map(({ name }) => name).join(", ");
    // A channel that is closed meanwhile need not wait, and leaves no timer behind.
    const all = Promise.race([Promise.all(reached), channel.ending]);
    try {
      await withDeadline(names, () => all, { timeoutMs: this.#timeoutMs });
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error;
      throw new SpiceTimeoutError(
        `Cannot follow the ${channel.name} channel: it waits for ${names}, and nothing came ` +
          `within ${this.#timeoutMs} ms`,
        { cause: error },
      );
    }
  }

  #leadsTo(from: RunningChannel, to: RunningChannel): boolean {
    const seen = new Set<RunningChannel>([from]); // grows while it is walked
    for (const channel of seen) {
      for (const next of this.#waits.get(channel) ?? []) {
        if (next === to) return true;
        seen.add(next);
      }
    }
    return false;
  }
}
