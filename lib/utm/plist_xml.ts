/** XML property lists: the elements of the DTD, mapped from `@rgrove/parse-xml`'s tree. */
import { parseXml, XmlElement, XmlError, XmlText } from "@rgrove/parse-xml";
import { quoted } from "../base/text.ts";
import { MAX_PLIST_DEPTH, MAX_PLIST_VALUES, plistError, type PlistValue } from "./plist_value.ts";

/**
 * Reads the value inside `<plist>`. Only XML's five entities exist: a document type with
 * declarations of its own is refused, so nothing can expand.
 *
 * @throws {BundleError} with line and column.
 */
export function parseXmlPlist(text: string, file: string): PlistValue {
  const fail = (offset: number, what: string): never => {
    throw plistError(file, `${position(text, offset)}: ${what}`);
  };
  if (!/^\s*</.test(text)) {
    fail(0, `it begins with ${quoted(text.slice(0, 12))}, expected an XML or binary property list`);
  }
  checkNesting(text, fail);
  let root: XmlElement | null;
  try {
    root = parseXml(text, { includeOffsets: true }).root;
  } catch (cause) {
    if (!(cause instanceof XmlError)) throw cause;
    const what = cause.message.split(" (line ")[0] ?? "";
    throw plistError(file, `line ${cause.line}, column ${cause.column}: ${sentence(what)}`, cause);
  }
  if (root === null || root.name !== "plist") {
    return fail(root?.start ?? 0, `the root element is <${root?.name}>, expected <plist>`);
  }
  const [value, more] = elements(root, fail);
  if (value === undefined) return fail(root.start, "<plist> is empty, expected one value");
  if (more !== undefined) fail(more.start, `<${more.name}> follows, expected one value in <plist>`);
  return toValue(value, fail);
}

type Fail = (offset: number, what: string) => never;

/** The value of one element. Depth is limited by {@linkcode checkNesting}. */
function toValue(element: XmlElement, fail: Fail): PlistValue {
  switch (element.name) {
    case "dict":
      return toDict(element, fail);
    case "array":
      return elements(element, fail).map((child) => toValue(child, fail));
    case "string":
      return textOf(element, fail);
    case "integer":
      return toInteger(element, fail);
    case "real":
      return toReal(element, fail);
    case "true":
    case "false":
      if (element.children.length > 0) fail(element.start, `<${element.name}> is not empty`);
      return element.name === "true";
    case "date": {
      const date = new Date(textOf(element, fail).trim());
      if (Number.isNaN(date.getTime())) fail(element.start, "<date> is not one, expected ISO 8601");
      return date;
    }
    case "data":
      try {
        return Uint8Array.fromBase64(textOf(element, fail));
      } catch {
        return fail(element.start, "<data> is not valid Base64");
      }
    default:
      return fail(
        element.start,
        `the element is <${element.name}>, expected one of a property list`,
      );
  }
}

function toDict(dict: XmlElement, fail: Fail): PlistValue {
  const children = elements(dict, fail);
  const entries = new Map<string, PlistValue>();
  for (let index = 0; index < children.length; index += 2) {
    const key = children[index]!;
    if (key.name !== "key") fail(key.start, `the element is <${key.name}>, expected <key>`);
    const name = textOf(key, fail);
    const value = children[index + 1];
    if (value === undefined || value.name === "key") {
      return fail(key.start, `the key ${quoted(name)} has no value`);
    }
    // Readers differ in which of two they take, so what one checks another would not use.
    if (entries.has(name)) fail(key.start, `the key ${quoted(name)} is there twice, expected once`);
    entries.set(name, toValue(value, fail));
  }
  return entries;
}

function toInteger(element: XmlElement, fail: Fail): number | bigint {
  const text = textOf(element, fail).trim();
  const parts = /^([+-]?)(0[xX][0-9a-fA-F]{1,32}|[0-9]{1,39})$/.exec(text);
  if (!parts) return fail(element.start, `<integer> is ${quoted(text)}, expected a whole number`);
  const value = BigInt(parts[2]!) * (parts[1] === "-" ? -1n : 1n);
  const narrow = Number(value);
  return Number.isSafeInteger(narrow) ? narrow || 0 : value;
}

function toReal(element: XmlElement, fail: Fail): number {
  const text = textOf(element, fail).trim();
  const special: Record<string, number> = { nan: NaN, inf: Infinity, infinity: Infinity };
  const word = /^([+-]?)(nan|inf|infinity)$/i.exec(text);
  if (word) return special[word[2]!.toLowerCase()]! * (word[1] === "-" ? -1 : 1);
  if (!/^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$/.test(text)) {
    return fail(element.start, `<real> is ${quoted(text)}, expected a number`);
  }
  return Number(text);
}

/** The child elements; text between them must be blank. */
function elements(parent: XmlElement, fail: Fail): XmlElement[] {
  const found: XmlElement[] = [];
  for (const child of parent.children) {
    if (child instanceof XmlElement) found.push(child);
    else if (child instanceof XmlText && child.text.trim() !== "") {
      fail(
        child.start,
        `text ${quoted(child.text.trim(), 40)} in <${parent.name}>, expected elements`,
      );
    }
  }
  return found;
}

/** The text of an element that may hold nothing else. */
function textOf(element: XmlElement, fail: Fail): string {
  let text = "";
  for (const child of element.children) {
    if (child instanceof XmlText) text += child.text;
    else if (child instanceof XmlElement) {
      fail(child.start, `<${child.name}> in <${element.name}>, expected text`);
    }
  }
  return text;
}

/**
 * Bounds depth and number of elements, and refuses declarations, before the recursive parser runs.
 * It only counts tags: whatever is malformed is left for the parser to report.
 */
function checkNesting(text: string, fail: Fail): void {
  let depth = 0;
  let count = 0;
  const skip = (from: number, end: string) => {
    const at = text.indexOf(end, from);
    return at < 0 ? text.length : at + end.length;
  };
  for (let at = text.indexOf("<"); at >= 0 && at < text.length; at = text.indexOf("<", at)) {
    if (text.startsWith("<!--", at)) at = skip(at + 4, "-->");
    else if (text.startsWith("<![CDATA[", at)) at = skip(at + 9, "]]>");
    else if (text.startsWith("<?", at)) at = skip(at + 2, "?>");
    else if (text.startsWith("<!", at)) {
      const end = tagEnd(text, at);
      if (text.slice(at, end).includes("[")) {
        fail(at, "the document type declares entities of its own, expected Apple's");
      }
      at = end;
    } else if (text.startsWith("</", at)) {
      depth--;
      at = skip(at, ">");
    } else {
      const end = tagEnd(text, at);
      if (++count > 3 * MAX_PLIST_VALUES) fail(at, `more than ${count - 1} elements`);
      if (text[end - 2] !== "/" && ++depth > MAX_PLIST_DEPTH) {
        fail(at, `elements nest ${depth} deep, expected ${MAX_PLIST_DEPTH} at most`);
      }
      at = end;
    }
  }
}

/** The index behind the `>` that ends the tag at `start`; quoted values may hold one. */
function tagEnd(text: string, start: number): number {
  let quote = "";
  for (let at = start + 1; at < text.length; at++) {
    const char = text[at]!;
    if (quote !== "") quote = char === quote ? "" : quote;
    else if (char === '"' || char === "'") quote = char;
    else if (char === ">") return at + 1;
  }
  return text.length;
}

/** Line and column of an offset, from 1. */
function position(text: string, offset: number): string {
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  return `line ${line}, column ${offset - before.lastIndexOf("\n")}`;
}

/** The XML parser's words in the style of ours. */
function sentence(message: string): string {
  const plain = message.replaceAll("isn't", "is not").replaceAll("`", '"');
  return plain.charAt(0).toLowerCase() + plain.slice(1);
}
