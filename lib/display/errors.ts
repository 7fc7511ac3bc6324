/** The branch of the error tree for pictures. */
import { SpiceError } from "../base/errors.ts";

/**
 * Image data that cannot be decoded, or of a kind that is not drawn here. It spoils one draw, never
 * the channel that brought it.
 */
export class ImageError extends SpiceError {
  override name = "ImageError";
}
