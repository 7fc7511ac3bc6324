/** What `utmost view` looks at, from its word. */
import { resolve } from "@std/path";
import { UsageError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import { targetUri } from "../spice/spice_uri.ts";
import type { SpiceTarget } from "../spice/transport.ts";

/** A running VM of ours, or any SPICE server. */
export type ViewTarget = { vm: string } | { spice: SpiceTarget };

/** A name and its password in an address: they are never shown. */
const USER = /\/\/.*@/s;

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
  if (USER.test(text)) {
    const shown = text.replace(USER, "//…@");
    throw new UsageError(`Cannot view ${quoted(shown)}: SPICE has no users, ${EXPECTED}`, {
      hint: "A password is given with --password-file FILE.",
    });
  }
  const match = /^(?:\[([0-9a-f:.]+(?:%[^\]]+)?)\]|([^:[\]/?#@]+)):(\d+)\/?$/i.exec(rest);
  const [, address, name, digits] = match ?? [];
  const [host, port] = [address ?? name, Number(digits)];
  if (host !== undefined && port >= 1 && port <= 65535) return { host, port };
  if (match !== null) {
    throw new UsageError(
      `Cannot view ${quoted(text)}: the port is ${digits}, expected one from 1 to 65535`,
    );
  }
  // `spice://host?port=5900` is another program's way to write it.
  throw new UsageError(`Cannot view ${quoted(text)}: it has no host and port, ${EXPECTED}`, {
    ...(/^[0-9a-f.]*:[0-9a-f.]*:[0-9a-f:.%]*$/i.test(rest)
      ? { hint: "An IPv6 address is in brackets." }
      : {}),
  });
}

/** The address of the SPICE server that a word seems to mean which names no VM. */
export async function likelyAddress(word: string): Promise<string | undefined> {
  if (/^(?:\[[^\]]+\]|[^:/\s[\]@]+):\d{1,5}$/.test(word)) return `spice://${word}`;
  const isSocket = await Deno.stat(word).then(({ isSocket }) => isSocket === true, () => false);
  return isSocket ? targetUri({ path: resolve(word) }) : undefined;
}
