/** What a bundle may be allowed beyond its own files and user-mode networking. */

/**
 * Every grant. `args`: QEMU arguments and machine properties of its own. `external`: files outside
 * itself. `ports`: listen beyond 127.0.0.1. `network`: bridged and host-only networks, outgoing
 * serial TCP. `share`: a host directory that its configuration names. `monitor`: a QEMU monitor or
 * gdb server. `devices`: host hardware. Source: the contract in README.md, "Grants".
 */
export const GRANTS = [
  "args",
  "external",
  "ports",
  "network",
  "share",
  "monitor",
  "devices",
] as const;

/** One grant. */
export type Grant = typeof GRANTS[number];
