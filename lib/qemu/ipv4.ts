/** IPv4 addresses as numbers, for the networks of a configuration. */

/** Reads four decimal numbers with dots; undefined for anything else, as `inet_pton` does. */
export function parseIpv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let address = 0;
  for (const part of match.slice(1)) {
    const byte = Number(part);
    if (byte > 255 || String(byte) !== part) return undefined;
    address = address * 256 + byte;
  }
  return address;
}

/** Writes an unsigned 32-bit number with dots. */
export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

/** The addresses that a subnet has for its hosts. */
export interface Subnet {
  /** The first address after the network's own. */
  first: string;
  /** The last address before the broadcast address. */
  last: string;
  mask: string;
}

/**
 * Reads `address`, `address/bits` (0 to 31) or `address/mask`; without a mask it is a /24. Undefined
 * where UTM makes nothing of it.
 */
export function parseSubnet(text: string): Subnet | undefined {
  const parts = text.split("/").filter((part) => part !== "");
  const address = parseIpv4(parts[0] ?? "");
  const mask = parts.length === 2 ? parseMask(parts[1] ?? "") : 0xffffff00;
  if (address === undefined || mask === undefined) return undefined;
  return {
    first: formatIpv4((address & mask) + 1),
    last: formatIpv4((address | ~mask) - 1),
    mask: formatIpv4(mask),
  };
}

/** Reads the part behind the slash. */
function parseMask(text: string): number | undefined {
  const dotted = parseIpv4(text);
  if (dotted !== undefined) return dotted;
  if (!/^\d{1,2}$/.test(text) || Number(text) > 31) return undefined;
  // Shifting by 32 would shift by 0.
  return Number(text) === 0 ? 0 : 0xffffffff << (32 - Number(text));
}
