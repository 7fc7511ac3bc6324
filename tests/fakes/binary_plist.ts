/** Writes binary property lists, for tests. Source: Apple's CFBinaryPList.c. */
import type { PlistValue } from "../../lib/utm/plist.ts";

/** The whole file for a root value: two-byte references, four-byte offsets, no shared objects. */
export function toBinaryPlist(root: PlistValue): Uint8Array {
  const objects: number[][] = [];
  add(root, objects);
  const body = [...new TextEncoder().encode("bplist00")];
  const offsets: number[] = [];
  for (const object of objects) {
    offsets.push(...bigEndian(BigInt(body.length), 4));
    body.push(...object);
  }
  const trailer = [0, 0, 0, 0, 0, 0, 4, 2, objects.length, 0, body.length].flatMap((value, at) =>
    at < 8 ? [value] : bigEndian(BigInt(value), 8)
  );
  return Uint8Array.from([...body, ...offsets, ...trailer]);
}

/** Appends a value with what it holds, and returns its number. */
function add(value: PlistValue, objects: number[][]): number {
  const index = objects.push([]) - 1;
  objects[index] = encode(value, objects);
  return index;
}

function encode(value: PlistValue, objects: number[][]): number[] {
  if (typeof value === "boolean") return [value ? 0x09 : 0x08];
  if (typeof value === "bigint") return [0x13, ...bigEndian(value, 8)];
  if (typeof value === "number") {
    return Number.isInteger(value)
      ? [0x13, ...bigEndian(BigInt(value), 8)]
      : [0x23, ...float(value)];
  }
  if (value instanceof Date) return [0x33, ...float(value.getTime() / 1000 - 978307200)];
  if (value instanceof Uint8Array) return [...head(0x40, value.length), ...value];
  if (typeof value === "string") {
    const units = Array.from({ length: value.length }, (_, at) => value.charCodeAt(at));
    return units.every((unit) => unit < 0x80)
      ? [...head(0x50, units.length), ...units]
      : [...head(0x60, units.length), ...units.flatMap((unit) => [unit >> 8, unit & 0xff])];
  }
  const items = Array.isArray(value) ? value : [...value.keys(), ...value.values()];
  const references = items.flatMap((item) => bigEndian(BigInt(add(item, objects)), 2));
  return Array.isArray(value)
    ? [...head(0xa0, value.length), ...references]
    : [...head(0xd0, value.size), ...references];
}

function head(type: number, count: number): number[] {
  return count < 15 ? [type | count] : [type | 15, 0x12, ...bigEndian(BigInt(count), 4)];
}

function bigEndian(value: bigint, length: number): number[] {
  return Array.from({ length }, (_, at) => Number((value >> BigInt(8 * (length - 1 - at))) & 255n));
}

function float(value: number): number[] {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return [...new Uint8Array(view.buffer)];
}
