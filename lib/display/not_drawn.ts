/** Why a message does not change the picture. */
import { ImageError } from "./errors.ts";

/**
 * A message that is not drawn, and why. `reason` is one of a few fixed texts of this program, so
 * that they can be counted; a server cannot make up more.
 */
export class NotDrawnError extends ImageError {
  override name = "NotDrawnError";
  /** What is wrong, a clause that can follow "ignored:". */
  readonly reason: string;

  constructor(reason: string, options: ErrorOptions = {}) {
    super(`Cannot draw: ${reason}`, options);
    this.reason = reason;
  }
}
