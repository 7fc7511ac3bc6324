/**
 * Pictures as PNG files.
 *
 * `fast-png` takes 25 ms to import, so it is loaded with the first picture that is saved.
 */
import type { HostFailure } from "../base/errors.ts";
import { replaceFile } from "../base/replace_file.ts";
import { cannotWrite } from "../base/write_failure.ts";
import type { Picture } from "./picture.ts";

/**
 * Encodes a picture as PNG with 8 bits each of red, green and blue; alpha is left out, as on a
 * screen.
 */
export async function encodePng(
  { width, height, pixels }: Omit<Picture, "hasAlpha">,
): Promise<Uint8Array<ArrayBuffer>> {
  const { encode } = await import("fast-png");
  const data = new Uint8Array(width * height * 3);
  for (let i = 0, at = 0; i < width * height; i++) {
    const pixel = pixels[i]!;
    data[at++] = pixel >> 16;
    data[at++] = pixel >> 8;
    data[at++] = pixel;
  }
  return encode({ width, height, data, channels: 3, depth: 8 }) as Uint8Array<ArrayBuffer>;
}

/**
 * Saves a picture as PNG; a file that is there is replaced at once.
 *
 * @throws {HostFailure} when it cannot be written; a file that was there is as it was.
 */
export async function savePng(path: string, picture: Omit<Picture, "hasAlpha">): Promise<void> {
  const bytes = await encodePng(picture);
  try {
    await replaceFile(path, (target) => Deno.writeFile(target, bytes));
  } catch (error) {
    throw cannotSave(path, error);
  }
}

/** The error for a file that cannot be written. */
export function cannotSave(path: string, error: unknown): HostFailure {
  return cannotWrite("save the screen to", path, error);
}
