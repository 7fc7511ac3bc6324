/**
 * The event log of one launch: what `--events` writes, what clients of the control socket follow,
 * and what is kept as evidence.
 *
 * Source of names and keys: the contract in README.md, "Events".
 */
import { msSinceExec } from "../base/clock.ts";

/** One event without its time. */
export type EventBody =
  | { event: "launch"; id: string; bundle: string; name: string; uuid: string }
  | { event: "substitution"; key: string; from: string; to: string; why: string }
  | { event: "qemu"; pid: number; binary: string; version: string; argv: string[] }
  | { event: "state"; from: string; to: string }
  | { event: "qmp"; name: string; data: unknown }
  | { event: "spice"; channel: string; id: number; state: string; reason?: string }
  | { event: "display"; id: number; kind: "surface" | "gl"; width: number; height: number }
  | { event: "expect"; pattern: string; matched: boolean; ms: number }
  | { event: "guard"; rule: string; text: string }
  | { event: "exit"; code: number; reason: string };

/** One event; `t` is milliseconds since the exec of this process, on a monotonic clock. */
export type LoggedEvent = { t: number } & EventBody;

/** Called for every event, in order. */
export type EventListener = (event: LoggedEvent) => void;

/** How many events are kept; the first ones (launch, argv, states) never go. */
const KEEP_FIRST = 1_000;
const KEEP_LAST = 1_000;

/** Collects events and hands them to listeners. */
export class EventLog {
  #first: LoggedEvent[] = [];
  #last: LoggedEvent[] = [];
  #dropped = 0;
  #listeners = new Set<EventListener>();

  /** Records an event and calls every listener with it. */
  emit(body: EventBody): void {
    const logged: LoggedEvent = { t: Math.round(msSinceExec() * 100) / 100, ...body };
    if (this.#first.length < KEEP_FIRST) this.#first.push(logged);
    else {
      this.#last.push(logged);
      if (this.#last.length > KEEP_LAST) {
        this.#last.shift();
        this.#dropped++;
      }
    }
    for (const listener of this.#listeners) listener(logged);
  }

  /** Calls `listener` for every event from now on, and first for those that are kept if `replay`. */
  subscribe(listener: EventListener, replay = false): Disposable {
    if (replay) { for (const event of this.history()) listener(event); }
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** The events that are kept: the first thousand and the last thousand. */
  history(): LoggedEvent[] {
    return [...this.#first, ...this.#last];
  }

  /** How many events are no longer kept. */
  get dropped(): number {
    return this.#dropped;
  }
}
