/** What `utmost view` looks at, from its word. */
import { UsageError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import type { SpiceTarget } from "../spice/transport.ts";

/** A running VM of ours, or any SPICE server. */
export type ViewTarget = { vm: string } | { spice: SpiceTarget };

const EXPECTED = "expected spice+unix:///PATH or spice://HOST:PORT";

/**
 * Parses a target: `spice+unix:///PATH` (percent-encoded where it has to be), `spice://HOST:PORT`
 * with an IPv6 address in brackets, or else whatever names a running VM.
 *
 * @throws {UsageError} for an address of SPICE that is not complete, and for schemes that we do not
 * speak.
 */
export function parseViewTarget(text: string): ViewTarget {
  const [, scheme, rest = ""] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text) ?? [];
  switch (scheme?.toLowerCase()) {
    case undefined:
      return { vm: text };
    case "spice+unix":
      return { spice: { path: socketPath(text, rest) } };
    case "spice":
      return { spice: hostAndPort(text, rest) };
    default:
      throw new UsageError(`Cannot view ${quoted(text)}: there is no ${scheme}://, ${EXPECTED}`);
  }
}

function socketPath(text: string, rest: string): string {
  let path: string;
  try {
    path = decodeURIComponent(rest);
  } catch (cause) {
    const message = `Cannot view ${quoted(text)}: a percent sign begins no escape, write it as %25`;
    throw new UsageError(message, { cause });
  }
  if (path.startsWith("/") && !path.includes("\0")) return path;
  throw new UsageError(`Cannot view ${quoted(text)}: the path is not absolute, ${EXPECTED}`);
}

function hostAndPort(text: string, rest: string): SpiceTarget {
  const match = /^(?:\[([0-9a-f:.]+(?:%[^\]]+)?)\]|([^:[\]/?#@]+)):(\d{1,5})\/?$/i.exec(rest);
  const [, address, name, digits] = match ?? [];
  const [host, port] = [address ?? name, Number(digits)];
  if (host !== undefined && port >= 1 && port <= 65535) return { host, port };
  // `spice://host?port=5900` is another program's way to write it.
  throw new UsageError(`Cannot view ${quoted(text)}: it has no host and port, ${EXPECTED}`, {
    ...(/:.*:/.test(rest) && match === null ? { hint: "An IPv6 address is in brackets." } : {}),
  });
}
