/** Addresses of SPICE servers as text that `utmost view` takes. */
import type { SpiceTarget } from "./transport.ts";

/** The address of a server: `spice+unix:///PATH`, escaped where it has to be, or `spice://HOST:PORT`. */
export function targetUri(target: SpiceTarget): string {
  if ("path" in target) return `spice+unix://${encodeURI(target.path)}`;
  const host = target.host.includes(":") ? `[${target.host}]` : target.host;
  return `spice://${host}:${target.port}`;
}
