/** What a property list holds, how much of it is read, and how it is named in messages. */
import { BundleError } from "../base/errors.ts";
import { printable, quoted } from "../base/text.ts";

/** One value of a property list. Integers beyond 2^53 are `bigint`. */
export type PlistValue =
  | string
  | number
  | bigint
  | boolean
  | Date
  | Uint8Array
  | PlistValue[]
  | PlistDict;

/** A dictionary of a property list; a `Map`, so that no key means anything to JavaScript. */
export interface PlistDict extends ReadonlyMap<string, PlistValue> {}

/** The most bytes that a property list may have: some 400 times what UTM writes. */
export const MAX_PLIST_BYTES = 4 * 1024 * 1024;
/** How deep arrays and dictionaries may nest; UTM's go to 5. */
export const MAX_PLIST_DEPTH = 64;
/** How many values a property list may hold. */
export const MAX_PLIST_VALUES = 100_000;

/** An error about the file as a whole; `what` says where it is, what is there, what was expected. */
export function plistError(file: string, what: string, cause?: unknown): BundleError {
  return new BundleError(`Cannot read ${printable(file)}: ${what}`, {
    hint: "The file is damaged or not a property list; `plutil -lint` on a Mac says more",
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Names a value and its type for a message: `the string "x"`, `the integer 3`, `a dictionary`. */
export function describeValue(value: PlistValue): string {
  if (typeof value === "string") {
    return value === "" ? "an empty string" : `the string ${quoted(value)}`;
  }
  if (typeof value === "boolean") return `the boolean ${value}`;
  if (typeof value === "bigint") return `the integer ${value}`;
  if (typeof value === "number") {
    return `the ${Number.isInteger(value) ? "integer" : "real number"} ${value}`;
  }
  if (value instanceof Date) return "a date";
  if (value instanceof Uint8Array) return "binary data";
  return Array.isArray(value) ? "an array" : "a dictionary";
}
