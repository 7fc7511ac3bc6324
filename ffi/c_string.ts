/** Texts as C takes them. */

/** Returns `text` in UTF-8, a zero byte at the end. @throws {TypeError} It has a zero inside. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) throw new TypeError("Cannot pass a text on: it has a zero inside");
  return new TextEncoder().encode(`${text}\0`);
}
