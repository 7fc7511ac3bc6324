/** Values of options, from their text. */
import { UsageError } from "../base/errors.ts";
import { nearest, quoted } from "../base/text.ts";

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a duration such as `500ms`, `90s`, `1.5m` or `1h`. @throws {UsageError} */
export function parseDuration(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  const ms = Number(match?.[1]) * (UNIT_MS[match?.[2] ?? ""] ?? NaN);
  // Timers count in 32 bits.
  if (!(ms > 0) || ms > 2 ** 31 - 1) {
    throw new UsageError(
      `Cannot use ${option} ${quoted(text)}: expected a duration such as 500ms, 90s, 10m or 1h`,
    );
  }
  return Math.ceil(ms);
}

/** A whole number from `least` to `most`. @throws {UsageError} */
export function parseCount(option: string, text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(value >= least && value <= most)) {
    throw new UsageError(
      `Cannot use ${option} ${quoted(text)}: expected a whole number from ${least} to ${most}`,
    );
  }
  return value;
}

/** What `--send` means in bytes: UTF-8, with `\n \r \t \xHH \\` replaced. @throws {UsageError} */
export function parseSendText(text: string, verb = "send"): Uint8Array {
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  const pattern = /\\(?:x([0-9a-fA-F]{2})|([nrt\\])|([\s\S]?))|([^\\]+)/g;
  const escapes: Record<string, number> = { n: 0x0a, r: 0x0d, t: 0x09, "\\": 0x5c };
  for (const [all, hex, letter, unknown, plain] of text.matchAll(pattern)) {
    if (hex !== undefined) bytes.push(parseInt(hex, 16));
    else if (letter !== undefined) bytes.push(escapes[letter] ?? 0);
    else if (plain !== undefined) bytes.push(...encoder.encode(plain));
    else {
      throw new UsageError(
        `Cannot ${verb} ${quoted(text)}: ${
          quoted(all + (unknown === "x" ? "…" : ""))
        } is no escape, ` +
          `expected \\n, \\r, \\t, \\xHH or \\\\`,
      );
    }
  }
  return Uint8Array.from(bytes);
}

/** What `type` types: the text of `send`, which has to be one here. @throws {UsageError} */
export function parseTypedText(text: string): string {
  if (text === "") throw new UsageError("Cannot type nothing, expected a text");
  const bytes = parseSendText(text, "type");
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new UsageError(`Cannot type ${quoted(text)}: its bytes are no text`, { cause });
  }
}

/** Where a picture is saved: never on stdout. @throws {UsageError} */
export function parsePicturePath(option: string, text: string): string {
  if (text === "") {
    throw new UsageError(`Cannot use ${option} "": there is no name, expected a file`);
  }
  if (text !== "-") return text;
  throw new UsageError(`Cannot use ${option} "-": no picture goes to stdout, expected a file`, {
    hint: "A file of that name is ./-",
  });
}

/** The pattern of `--expect`; `^` and `$` match at line ends. @throws {UsageError} */
export function parsePattern(text: string): RegExp {
  try {
    return new RegExp(text, "m");
  } catch (error) {
    throw new UsageError(
      `Cannot use --expect ${quoted(text)}: ${error instanceof Error ? error.message : error}`,
    );
  }
}

/** A port forward of `--forward`; host port 0 stands for any free one. */
export interface ForwardOption {
  protocol: "tcp" | "udp";
  hostAddress: string;
  hostPort: number;
  guestPort: number;
}

/** Parses `tcp:[HOSTIP:]HOSTPORT:GUESTPORT`; an IPv6 address is in brackets. @throws {UsageError} */
export function parseForward(text: string): ForwardOption {
  const match = /^(tcp|udp):(?:(\[[0-9a-fA-F:.]+\]|[^:[\]]+):)?(\d{1,5}):(\d{1,5})$/.exec(text);
  const [, protocol, address = "127.0.0.1", host, guest] = match ?? [];
  const [hostPort, guestPort] = [Number(host), Number(guest)];
  if (match === null || hostPort > 65535 || guestPort < 1 || guestPort > 65535) {
    throw new UsageError(
      `Cannot use --forward ${quoted(text)}: expected tcp:[HOSTIP:]HOSTPORT:GUESTPORT (or udp:)`,
    );
  }
  return { protocol: protocol as "tcp" | "udp", hostAddress: address, hostPort, guestPort };
}

/** A port forward as people read it. */
export function formatForward(forward: ForwardOption): string {
  const { protocol, hostAddress, hostPort, guestPort } = forward;
  return `${protocol} ${hostAddress}:${hostPort} → guest ${guestPort}`;
}

/** Parses `DIR[:ro]`. @throws {UsageError} */
export function parseShare(text: string): { path: string; readOnly: boolean } {
  const readOnly = text.endsWith(":ro");
  const path = readOnly ? text.slice(0, -3) : text.replace(/:rw$/, "");
  if (path === "") throw new UsageError(`Cannot use --share ${quoted(text)}: expected DIR[:ro]`);
  return { path, readOnly };
}

/** Parses `ID=PATH` of `--drive`. @throws {UsageError} */
export function parseDrive(text: string): [id: string, path: string] {
  const at = text.indexOf("=");
  if (at < 1 || at === text.length - 1) {
    throw new UsageError(`Cannot use --drive ${quoted(text)}: expected ID=PATH`);
  }
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Splits lists such as `args,ports` and checks each word. @throws {UsageError} */
export function parseWords<T extends string>(
  option: string,
  texts: readonly string[],
  known: readonly T[],
): Set<T> {
  const words = texts.flatMap((text) => text.split(",")).map((word) => word.trim());
  for (const word of words) {
    if ((known as readonly string[]).includes(word)) continue;
    const near = nearest(word, known);
    throw new UsageError(
      `Cannot use ${option} ${quoted(word)}: it is not known, expected ${known.join(", ")}`,
      near === undefined ? {} : { hint: `Did you mean ${near}?` },
    );
  }
  return new Set(words as T[]);
}
