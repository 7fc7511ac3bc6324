/**
 * What texts and numbers must look like that end up inside QEMU options. They are also escaped there;
 * refusing them here names the key at fault.
 */
import type { TextRule } from "./config_reader.ts";

/** A device, a sound card, a network card: a name as in `-device NAME`. */
export const DEVICE_NAME: TextRule = {
  pattern: /^[A-Za-z0-9._+-]+$/,
  expected: "a QEMU device name",
};
/** A machine as in `-machine NAME`. */
export const MACHINE_NAME: TextRule = {
  pattern: /^[A-Za-z0-9._+-]+$/,
  expected: "a QEMU machine name",
};
/** A processor as in `-cpu NAME`, blanks around it removed; old SPARC names have some inside. */
export const CPU_NAME: TextRule = {
  pattern: /^[A-Za-z0-9]([A-Za-z0-9._+ -]*[A-Za-z0-9._+-])?$/,
  expected: "a QEMU CPU name",
};
/** A CPU feature without sign. */
export const CPU_FLAG: TextRule = {
  pattern: /^[A-Za-z0-9][A-Za-z0-9._-]*$/,
  expected: "a CPU feature without sign",
};
/** RFC 4122 text. */
export const UUID: TextRule = {
  pattern: /^[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$/,
  expected: "a UUID",
};
/** Six pairs of hexadecimal digits. Source: QEMU `net_parse_macaddr`. */
export const MAC_ADDRESS: TextRule = {
  pattern: /^[0-9A-Fa-f]{2}([:-])[0-9A-Fa-f]{2}(\1[0-9A-Fa-f]{2}){4}$/,
  expected: 'a MAC address like "52:54:00:12:34:56"',
};

const OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const IPV4_TEXT = `${OCTET}(\\.${OCTET}){3}`;
// What is inside the colons is left to QEMU; only the characters matter here.
const IPV6_TEXT = "(?=[^/]*:)[0-9A-Fa-f:]{2,39}(\\.[0-9.]+)?(%[A-Za-z0-9._-]+)?";

/** An IPv4 address. */
export const IPV4: TextRule = {
  pattern: new RegExp(`^${IPV4_TEXT}$`),
  expected: "an IPv4 address",
};
/** An IPv6 address. */
export const IPV6: TextRule = {
  pattern: new RegExp(`^${IPV6_TEXT}$`),
  expected: "an IPv6 address",
};
/** An address of either family. */
export const IP_ADDRESS: TextRule = {
  pattern: new RegExp(`^(${IPV4_TEXT}|${IPV6_TEXT})$`),
  expected: "an IPv4 or IPv6 address",
};
/** An IPv4 network: address alone, with a prefix length, or with a dotted mask. */
export const IPV4_NETWORK: TextRule = {
  pattern: new RegExp(`^${IPV4_TEXT}(/(3[0-2]|[12]?[0-9]|${IPV4_TEXT}))?$`),
  expected: 'an IPv4 network like "10.0.2.0/24"',
};
/** An IPv6 network. */
export const IPV6_NETWORK: TextRule = {
  pattern: new RegExp(`^${IPV6_TEXT}(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?$`),
  expected: 'an IPv6 network like "fec0::/64"',
};
/** A DNS name. */
export const DOMAIN_NAME: TextRule = {
  pattern: /^[A-Za-z0-9_]([A-Za-z0-9._-]{0,252})$/,
  expected: "a domain name",
};
/** A host to connect to: a name or an address, the latter perhaps in brackets. */
export const HOST_NAME: TextRule = {
  pattern: new RegExp(`^([A-Za-z0-9_][A-Za-z0-9._-]{0,252}|${IPV6_TEXT}|\\[${IPV6_TEXT}\\])$`),
  expected: "a host name or an address",
};
/** A network interface of the host. */
export const INTERFACE_NAME: TextRule = {
  pattern: /^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,63}$/,
  expected: "the name of a network interface",
};

/** A port that something listens on. */
export const PORT = { min: 1, max: 65535 };
/** A port that QEMU may choose by itself. */
export const PORT_OR_ANY = { min: 0, max: 65535 };
/** MiB of guest memory; QEMU's own limits are those of machine and host. */
export const MEMORY_MIB = { min: 1, max: 16 * 1024 * 1024 };
/** Virtual CPUs; the machine's own limit is checked against QEMU. Zero and less mean automatic. */
export const CPU_COUNT = { min: -(2 ** 31), max: 4096 };
/** MiB of translation cache. */
export const JIT_CACHE_MIB = { min: 0, max: 1024 * 1024 };
/** MiB of video memory. */
export const VIDEO_MIB = { min: 0, max: 16 * 1024 };
/** USB redirection slots; UTM creates a device for each. */
export const USB_SLOTS = { min: 0, max: 64 };
/** How IDE units are numbered. */
export const INTERFACE_VERSION = { min: 0, max: 2 ** 31 - 1 };
