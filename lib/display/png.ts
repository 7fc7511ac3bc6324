/**
 * Pictures as PNG files.
 *
 * `fast-png` takes 25 ms to import, so it is loaded with the first picture that is saved.
 */
import { basename, dirname, join } from "@std/path";
import { HostFailure } from "../base/errors.ts";
import { printable, quoted } from "../base/text.ts";
import type { Picture } from "./picture.ts";

/**
 * Encodes a picture as PNG with 8 bits each of red, green and blue; alpha is left out, as on a
 * screen.
 */
export async function encodePng({ width, height, pixels }: Omit<Picture, "hasAlpha">): Promise<
  Uint8Array<ArrayBuffer>
> {
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
 * Saves a picture as PNG. A file that is there is replaced at once, so that whoever reads it sees
 * one picture or the other; what is no file (a pipe, a device) is written to.
 *
 * @throws {HostFailure} when it cannot be written; a file that was there is as it was.
 */
export async function savePng(path: string, picture: Omit<Picture, "hasAlpha">): Promise<void> {
  const bytes = await encodePng(picture);
  try {
    await replaceFile(path, bytes);
  } catch (error) {
    throw new HostFailure(
      `Cannot save the screen to ${quoted(path)}: ${
        error instanceof Error ? printable(error.message) : error
      }`,
      { cause: error, hint: "Give a file in a folder that can be written." },
    );
  }
}

/** Puts `bytes` in the place of a file; a symbolic link stays one. */
async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const target = await Deno.realPath(path).catch(() => path);
  const there = await Deno.stat(target).catch(() => undefined);
  if (there !== undefined && !there.isFile) return await Deno.writeFile(target, bytes);
  const suffix = crypto.randomUUID().slice(0, 8);
  const temporary = join(dirname(target), `.${basename(target).slice(0, 200)}.${suffix}`);
  try {
    await Deno.writeFile(temporary, bytes, { createNew: true });
    // A file that may not be written must not be replaced either.
    if (there !== undefined) {
      (await Deno.open(target, { write: true })).close();
      if (there.mode !== null) await Deno.chmod(temporary, there.mode & 0o777);
    }
    await Deno.rename(temporary, target);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}
