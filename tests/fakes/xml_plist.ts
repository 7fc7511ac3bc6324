/** Writes XML property lists as UTM does, for tests. */
import type { PlistValue } from "../../lib/utm/plist.ts";

/** The whole file for a root value; keys keep their order. */
export function toXmlPlist(root: PlistValue): string {
  return '<?xml version="1.0" encoding="UTF-8"?>\n' +
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" ' +
    '"http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n' +
    `<plist version="1.0">\n${write(root)}\n</plist>\n`;
}

function write(value: PlistValue): string {
  if (typeof value === "string") return `<string>${escape(value)}</string>`;
  if (typeof value === "boolean") return value ? "<true/>" : "<false/>";
  if (typeof value === "bigint") return `<integer>${value}</integer>`;
  if (typeof value === "number") {
    return Number.isInteger(value) ? `<integer>${value}</integer>` : `<real>${value}</real>`;
  }
  if (value instanceof Date) return `<date>${value.toISOString().replace(/\.\d+/, "")}</date>`;
  if (value instanceof Uint8Array) return `<data>\n${value.toBase64()}\n</data>`;
  if (Array.isArray(value)) return `<array>\n${value.map(write).join("\n")}\n</array>`;
  const entries = [...value].map(([key, item]) => `<key>${escape(key)}</key>\n${write(item)}\n`);
  return `<dict>\n${entries.join("")}</dict>`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
