/** Pointer motion without a flood: what the server has not acknowledged is bounded. */

/** A motion of the pointer: by a distance, or to a place on a display; all in pixels. */
export type Motion =
  | { kind: "relative"; dx: number; dy: number }
  | { kind: "absolute"; x: number; y: number; display: number };

/** Motions on their way at most. A server that is slow, or whose guest is, sees the newest then. */
export const MAX_UNACKNOWLEDGED = 8;
const [MIN_I32, MAX_I32] = [-0x8000_0000, 0x7fff_ffff];

/**
 * Lets motions through while few are unacknowledged. Further ones are joined into one that waits:
 * distances are added up, of places the last one counts. Nothing is ever lost or reordered: a press
 * or a motion of the other kind first sends what waits.
 */
export class MotionWindow {
  readonly #send: (motion: Motion) => void;
  #unacknowledged = 0;
  #waiting: Motion | undefined;

  /** @param send Takes motions that leave now. */
  constructor(send: (motion: Motion) => void) {
    this.#send = send;
  }

  /** Whether a motion waits for an acknowledgement. */
  get isWaiting(): boolean {
    return this.#waiting !== undefined;
  }

  /** Motions that were sent and are not acknowledged. */
  get unacknowledged(): number {
    return this.#unacknowledged;
  }

  /** Takes a motion: it leaves at once if it may. */
  move(motion: Motion): void {
    const joined = this.#waiting && join(this.#waiting, motion);
    if (joined === undefined) this.flush();
    this.#waiting = joined ?? motion;
    if (this.#unacknowledged < MAX_UNACKNOWLEDGED) this.flush();
  }

  /** Takes the server's word that it has had `count` motions more. */
  acknowledge(count: number): void {
    this.#unacknowledged = Math.max(0, this.#unacknowledged - count);
    if (this.#unacknowledged < MAX_UNACKNOWLEDGED) this.flush();
  }

  /** Sends what waits, however many are on their way: what comes next depends on it. */
  flush(): void {
    const motion = this.#waiting;
    if (motion === undefined) return;
    this.#waiting = undefined;
    this.#unacknowledged++;
    this.#send(motion);
  }
}

/** Two motions as one; undefined where that is not possible. */
function join(first: Motion, second: Motion): Motion | undefined {
  if (second.kind === "absolute") {
    return first.kind === "absolute" && first.display === second.display ? second : undefined;
  }
  if (first.kind !== "relative") return undefined;
  const [dx, dy] = [first.dx + second.dx, first.dy + second.dy];
  const fits = Math.min(dx, dy) >= MIN_I32 && Math.max(dx, dy) <= MAX_I32;
  return fits ? { kind: "relative", dx, dy } : undefined;
}
