/**
 * Property lists, XML and binary, as `config.plist` holds them. What is read here was written by
 * somebody else: size, depth and number of values are limited before a library sees the bytes.
 *
 * Source: Apple's PropertyList-1.0.dtd; CFBinaryPList.c for the binary form.
 */
import { quoted } from "../base/text.ts";
import { describeValue, MAX_PLIST_BYTES, type PlistDict, plistError } from "./plist_value.ts";
import { parseXmlPlist } from "./plist_xml.ts";

export type { PlistDict, PlistValue } from "./plist_value.ts";

/**
 * Reads a property list whose root is a dictionary.
 *
 * @param bytes The whole file.
 * @param file What to call it in errors.
 * @throws {BundleError} naming the line or the byte where it stops being one.
 */
export async function parsePlist(bytes: Uint8Array, file: string): Promise<PlistDict> {
  if (bytes.length > MAX_PLIST_BYTES) {
    throw plistError(file, `it has ${bytes.length} bytes, expected ${MAX_PLIST_BYTES} at most`);
  }
  const root = startsWith(bytes, "bplist")
    // Few bundles are binary, and the library costs a launch more than all of this file.
    ? await (await import("./plist_binary.ts")).parseBinaryPlist(bytes, file)
    : parseXmlPlist(decodeText(bytes, file), file);
  if (!(root instanceof Map)) {
    throw plistError(file, `its root is ${describeValue(root)}, expected a dictionary`);
  }
  return root;
}

/** Decodes XML text: UTF-8, or UTF-16 with a byte order mark, as its first bytes tell. */
function decodeText(bytes: Uint8Array, file: string): string {
  const label = bytes[0] === 0xff && bytes[1] === 0xfe
    ? "utf-16le"
    : bytes[0] === 0xfe && bytes[1] === 0xff
    ? "utf-16be"
    : "utf-8";
  let text: string;
  try {
    text = new TextDecoder(label, { fatal: true }).decode(bytes);
  } catch (cause) {
    throw plistError(file, `it is not valid ${label.toUpperCase()}, expected UTF-8 text`, cause);
  }
  const declared = /^<\?xml[^>]{0,200}?encoding\s*=\s*["']([^"']{1,40})/.exec(text)?.[1];
  const expected = label === "utf-8" ? ["utf-8", "utf8", "us-ascii", "ascii"] : ["utf-16"];
  if (declared && !expected.includes(declared.toLowerCase().replace(/^(utf-16)[lb]e$/, "$1"))) {
    throw plistError(file, `its encoding is said to be ${quoted(declared)}, expected UTF-8`);
  }
  return text;
}

/** Whether `bytes` begin with the ASCII text `prefix`. */
function startsWith(bytes: Uint8Array, prefix: string): boolean {
  return prefix.length <= bytes.length &&
    [...prefix].every((char, index) => bytes[index] === char.charCodeAt(0));
}
