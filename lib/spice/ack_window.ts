/** When received messages are acknowledged. */

/**
 * Counts received messages for the server's window: it stops sending once two windows are
 * unacknowledged, and never resumes without an ACK.
 */
export class AckWindow {
  #window = 0;
  #received = 0;

  /** Starts anew with SET_ACK; that message itself is counted afterwards. 0 means no ACKs. */
  reset(window: number): void {
    this.#window = window;
    this.#received = 0;
  }

  /** Counts a message; returns whether an ACK is due now. */
  count(): boolean {
    if (this.#window === 0 || ++this.#received < this.#window) return false;
    this.#received = 0;
    return true;
  }
}
