/**
 * The link of a channel: who we are, what both sides can do, and the ticket.
 * Source: spice/protocol.h, SpiceLinkMess and SpiceLinkReply; spice-protocol, "Channel link".
 */
import { quoted } from "../base/text.ts";
import { ByteReader, ByteWriter, fixedBytes, struct, u32, u8 } from "./codec.ts";
import { SpiceDecodeError, SpiceLimitError, SpiceLinkError, SpiceTimeoutError } from "./errors.ts";
import type { SpiceStream } from "./transport.ts";

/** "REDQ", the first bytes of either side. */
const MAGIC = 0x5144_4552;
const VERSION = { major: 2, minor: 2 } as const;

/** What precedes the link message and its reply; `size` counts what follows. */
export const LINK_HEADER = struct({ magic: u32, major: u32, minor: u32, size: u32 });

/** The fixed part of our link message; capability words follow at `capsOffset`. */
export const LINK_MESSAGE = struct({
  connectionId: u32, // 0 for main, else the session id
  channelType: u8,
  channelId: u8,
  commonCount: u32, // words
  channelCount: u32, // words
  capsOffset: u32, // bytes from this message's start
});

/** The fixed part of the server's reply; capability words follow at `capsOffset`. */
export const LINK_REPLY = struct({
  error: u32,
  publicKey: fixedBytes(162), // DER SubjectPublicKeyInfo, RSA of 1024 bits, new for every link
  commonCount: u32, // words
  channelCount: u32, // words
  capsOffset: u32, // bytes from this reply's start
});

/** How long a server may take from our first byte to its verdict. */
const LINK_MS = 10_000;
/** The largest reply that is read, and the most capability words of a kind. */
const MAX_REPLY_BYTES = 4096;
const MAX_CAPS_WORDS = 1024;

/** Bits of the common capabilities. Source: spice/protocol.h, SPICE_COMMON_CAP. */
export const COMMON_CAPS = { authSelection: 0, authSpice: 1, authSasl: 2, miniHeader: 3 } as const;

const AUTH_SPICE = 1;
/** The most bytes of a password. Source: spice/protocol.h, SPICE_MAX_PASSWORD_LENGTH. */
const MAX_PASSWORD_BYTES = 60;

/** What is linked. */
export interface LinkRequest {
  /** The channel's name, for messages. */
  channel: string;
  /** The channel's type. Source: spice/enums.h, SPICE_CHANNEL. */
  type: number;
  /** Which one of that type. */
  id: number;
  /** 0 for main, else the session id out of main's INIT. */
  connectionId: number;
  /** Bits of the channel's own capabilities. */
  caps: readonly number[];
  /** The server's password, at most 60 bytes of UTF-8; none when left out. */
  password?: string | undefined;
  /**
   * Framed messages to send as early as possible. Without a password they travel with the ticket:
   * the server reads exactly the ticket and leaves the rest for the channel, so that a round trip
   * is saved. With a password they wait for its verdict, which a close of the server with unread
   * bytes could destroy.
   */
  early?: (caps: LinkResult) => Uint8Array;
  /** Is told what is waited for, for the message of a deadline. */
  onWait?: (what: string) => void;
  /** Milliseconds until the link fails; 10 s when left out. */
  timeoutMs?: number;
}

/** What the server can do. */
export interface LinkResult {
  /** Words of the common capabilities. */
  commonCaps: Uint32Array;
  /** Words of the channel's own capabilities. */
  channelCaps: Uint32Array;
}

/** Returns whether bit `bit` is in a set of capability words. */
export function hasCap(words: Uint32Array, bit: number): boolean {
  return ((words[bit >>> 5] ?? 0) >>> (bit & 31) & 1) === 1;
}

/** Returns capability bits as words; bit n is bit n mod 32 of word n div 32. */
export function capWords(bits: readonly number[]): Uint32Array {
  const words = new Uint32Array(bits.length === 0 ? 0 : (Math.max(...bits) >>> 5) + 1);
  for (const bit of bits) words[bit >>> 5]! |= 1 << (bit & 31);
  return words;
}

/** Returns header and link message as one block. */
export function encodeLink(
  request: Pick<LinkRequest, "type" | "id" | "connectionId" | "caps">,
): Uint8Array {
  const { authSelection, authSpice, miniHeader } = COMMON_CAPS;
  const common = capWords([authSelection, authSpice, miniHeader]);
  const channel = capWords(request.caps);
  const size = LINK_MESSAGE.minBytes + 4 * (common.length + channel.length);
  const writer = new ByteWriter(LINK_HEADER.minBytes + size);
  LINK_HEADER.encode(writer, { magic: MAGIC, ...VERSION, size });
  LINK_MESSAGE.encode(writer, {
    connectionId: request.connectionId,
    channelType: request.type,
    channelId: request.id,
    commonCount: common.length,
    channelCount: channel.length,
    capsOffset: LINK_MESSAGE.minBytes,
  });
  for (const word of [...common, ...channel]) writer.u32(word);
  return writer.finish();
}

/**
 * Returns the ticket: the password and a zero byte, encrypted with RSA-OAEP and SHA-1 under the
 * key of this link. The server decrypts it even when it asks for no password.
 *
 * @throws {SpiceLinkError} if the password is too long, or the key is none.
 */
export async function makeTicket(
  channel: string,
  publicKey: Uint8Array,
  password = "",
): Promise<Uint8Array> {
  const text = new TextEncoder().encode(password);
  if (text.length > MAX_PASSWORD_BYTES) {
    throw new SpiceLinkError(
      `Cannot link the ${channel} channel: the password has ${text.length} bytes, ` +
        `expected at most ${MAX_PASSWORD_BYTES}`,
    );
  }
  const plain = new Uint8Array(text.length + 1);
  plain.set(text);
  try {
    const key = await crypto.subtle.importKey(
      "spki",
      publicKey.slice(),
      { name: "RSA-OAEP", hash: "SHA-1" },
      false,
      ["encrypt"],
    );
    return new Uint8Array(await crypto.subtle.encrypt("RSA-OAEP", key, plain));
  } catch (error) {
    throw new SpiceLinkError(
      `Cannot link the ${channel} channel: the server's key cannot be used, ` +
        `expected an RSA key of 1024 bits`,
      { cause: error },
    );
  }
}

/**
 * Links a channel: afterwards framed messages flow both ways on `stream`.
 *
 * @throws {SpiceLinkError} when the server refuses, closes, or does not speak SPICE.
 * @throws {SpiceLimitError} when its reply is larger than any server's.
 * @throws {SpiceDecodeError} when its reply does not follow the protocol.
 * @throws {SpiceTimeoutError} when all of it takes longer than `timeoutMs`; the stream is closed then.
 */
export async function linkChannel(
  stream: SpiceStream,
  request: LinkRequest,
): Promise<LinkResult> {
  const { channel, onWait, timeoutMs = LINK_MS } = request;
  let waitsFor = "";
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    stream.close();
  }, timeoutMs);
  try {
    return await link(stream, {
      ...request,
      onWait(what) {
        waitsFor = what;
        onWait?.(what);
      },
    });
  } catch (error) {
    if (!isLate) throw error;
    throw new SpiceTimeoutError(
      `Cannot link the ${channel} channel: no ${waitsFor} within ${timeoutMs} ms`,
      { cause: error },
    );
  } finally {
    clearTimeout(timer);
  }
}

async function link(stream: SpiceStream, request: LinkRequest): Promise<LinkResult> {
  const { channel, onWait } = request;
  onWait?.(`link reply of the ${channel} channel`);
  await stream.write(encodeLink(request));
  const { publicKey, ...caps } = await readReply(stream, channel);
  if (!hasCap(caps.commonCaps, COMMON_CAPS.miniHeader)) {
    throw new SpiceLinkError(
      `Cannot link the ${channel} channel: the server has no mini headers, expected ` +
        `spice-server 0.9 or newer`,
    );
  }

  const ticket = await makeTicket(channel, publicKey, request.password);
  const early = request.early?.(caps) ?? new Uint8Array();
  const canHurry = request.password === undefined;
  const answer = new ByteWriter(4 + ticket.length + early.length);
  if (hasCap(caps.commonCaps, COMMON_CAPS.authSelection)) answer.u32(AUTH_SPICE);
  answer.bytes(ticket);
  if (canHurry) answer.bytes(early);
  onWait?.(`link result of the ${channel} channel`);
  await stream.write(answer.finish());
  await readResult(stream, channel, request.password !== undefined);
  if (!canHurry && early.length > 0) await stream.write(early);
  return caps;
}

/** Reads header and reply. */
async function readReply(
  stream: SpiceStream,
  channel: string,
): Promise<LinkResult & { publicKey: Uint8Array }> {
  const headerBytes = await stream.upTo(LINK_HEADER.minBytes);
  if (headerBytes.length === 0) {
    throw new SpiceLinkError(
      `Cannot link the ${channel} channel: the server closed the connection without a reply`,
      { hint: "The server may not have this channel, may need TLS, or is no SPICE server" },
    );
  }
  if (headerBytes.length < 4 || new ByteReader(headerBytes).u32() !== MAGIC) {
    throw notSpice(channel, headerBytes);
  }
  if (headerBytes.length < LINK_HEADER.minBytes) throw closedInside(channel, "link header");
  const header = LINK_HEADER.decode(new ByteReader(headerBytes));
  if (header.major !== VERSION.major) {
    throw new SpiceLinkError(
      `Cannot link the ${channel} channel: the server speaks protocol version ` +
        `${header.major}.${header.minor}, expected ${VERSION.major}`,
      { code: 4 },
    );
  }
  if (header.size > MAX_REPLY_BYTES) {
    throw new SpiceLimitError(
      `Cannot link the ${channel} channel: its link reply has ${header.size} bytes, ` +
        `expected at most ${MAX_REPLY_BYTES}`,
    );
  }
  const bytes = await stream.upTo(header.size);
  if (bytes.length < header.size) throw closedInside(channel, "link reply");
  const reader = new ByteReader(bytes);
  const error = reader.u32(); // the rest is zeros then, so it is looked at first
  if (error !== 0) throw SpiceLinkError.refused(channel, error);

  const reply = LINK_REPLY.decode(reader.at(0));
  const { commonCount, channelCount, capsOffset } = reply;
  if (commonCount > MAX_CAPS_WORDS || channelCount > MAX_CAPS_WORDS) {
    throw new SpiceLimitError(
      `Cannot link the ${channel} channel: the server lists ${commonCount} and ${channelCount} ` +
        `words of capabilities, expected at most ${MAX_CAPS_WORDS}`,
    );
  }
  if (capsOffset < LINK_REPLY.minBytes) {
    throw new SpiceDecodeError(
      `Cannot link the ${channel} channel: its capabilities begin at ${capsOffset}, ` +
        `expected ${LINK_REPLY.minBytes} or more`,
    );
  }
  const words = reader.at(capsOffset, 4 * (commonCount + channelCount));
  const read = (count: number) => Uint32Array.from({ length: count }, () => words.u32());
  return {
    publicKey: reply.publicKey.slice(), // the next read overwrites the buffer
    commonCaps: read(commonCount),
    channelCaps: read(channelCount),
  };
}

/** Reads the verdict on the ticket. */
async function readResult(
  stream: SpiceStream,
  channel: string,
  hasPassword: boolean,
): Promise<void> {
  const bytes = await stream.upTo(4);
  if (bytes.length < 4) {
    throw new SpiceLinkError(
      `Cannot link the ${channel} channel: the server closed the connection instead of ` +
        `judging the ticket`,
      { hint: hasPassword ? "Check the password" : "The server may need a password" },
    );
  }
  const code = new ByteReader(bytes).u32();
  if (code !== 0) throw SpiceLinkError.refused(channel, code, { password: hasPassword });
}

/** Makes the error for a server that closed in the middle of `what`. */
function closedInside(channel: string, what: string): SpiceLinkError {
  return new SpiceLinkError(
    `Cannot link the ${channel} channel: the server closed the connection inside its ${what}`,
  );
}

/** How other protocols greet, for the hint. */
const GREETINGS: readonly [start: string, what: string][] = [
  ['{"QMP"', "This is a QMP socket"],
  ["RFB ", "This is a VNC server"],
  ["SSH-", "This is an SSH server"],
  ["HTTP/", "This is a web server"],
  ["\x15\x03", "This port speaks TLS: use the port for plain connections"],
];

/** Makes the error for a server whose first bytes are not SPICE's. */
function notSpice(channel: string, bytes: Uint8Array): SpiceLinkError {
  const text = String.fromCharCode(...bytes);
  const known = GREETINGS.find(([start]) => text.startsWith(start));
  return new SpiceLinkError(
    `Cannot link the ${channel} channel: the server begins with ${quoted(text)}, expected "REDQ"`,
    { hint: known?.[1] ?? "This is not a SPICE server: check the address" },
  );
}
