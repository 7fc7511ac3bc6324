/**
 * Messages of the guest agent, which travel in AGENT_DATA of the main channel.
 *
 * Source: spice/vd_agent.h.
 */
import { type Codec, countedList, i32, restBytes, restList, struct, u32, u64 } from "./codec.ts";

/** The only version of the agent's protocol, in the head of every message. */
export const AGENT_PROTOCOL = 1;

/** The most bytes of the agent's stream in one AGENT_DATA. Source: VD_AGENT_MAX_DATA_SIZE. */
export const AGENT_DATA_BYTES = 2048;

/** The most bytes of clipboard contents, both ways: 16 MiB. */
export const MAX_CLIPBOARD_BYTES = 16 * 1024 * 1024;

/** The most bytes of any other agent message; a list of every clipboard format has a few hundred. */
export const MAX_AGENT_BYTES = 64 * 1024;

/** What each agent message starts with. */
export const AGENT_HEAD = struct({
  protocol: u32,
  type: u32,
  opaque: u64, // 0
  size: u32, // bytes that follow
});

/** Bits of an agent's capabilities. Source: VD_AGENT_CAP. */
export const AGENT_CAPS = {
  mouseState: 0,
  monitorsConfig: 1,
  reply: 2,
  clipboard: 3, // before clipboards by demand: not spoken here
  displayConfig: 4,
  clipboardByDemand: 5,
  clipboardSelection: 6,
  sparseMonitorsConfig: 7, // a monitor may be off, 0 × 0
  guestLineendLf: 8,
  guestLineendCrlf: 9,
  maxClipboard: 10,
  audioVolumeSync: 11,
  monitorsConfigPosition: 12,
  fileXferDisabled: 13,
  fileXferDetailedErrors: 14,
  graphicsDeviceInfo: 15,
  clipboardNoReleaseOnRegrab: 16,
  clipboardGrabSerial: 17,
} as const;

/** A capability by name. */
export type AgentCap = keyof typeof AGENT_CAPS;

/** What we announce. */
export const OUR_AGENT_CAPS: readonly AgentCap[] = [
  "monitorsConfig",
  "reply",
  "clipboardByDemand",
  "clipboardSelection",
  "monitorsConfigPosition",
  "clipboardNoReleaseOnRegrab",
  "clipboardGrabSerial",
];

/** Returns capabilities as words of 32 bits. */
export function capWords(caps: Iterable<AgentCap>): number[] {
  const words = [0];
  for (const cap of caps) words[0] = (words[0]! | 1 << AGENT_CAPS[cap]) >>> 0;
  return words;
}

/** Returns the capabilities in `words` that have a name. */
export function namedCaps(words: readonly number[]): Set<AgentCap> {
  const names = Object.entries(AGENT_CAPS) as [AgentCap, number][];
  return new Set(names.filter(([, bit]) => (words[0] ?? 0) >>> bit & 1).map(([name]) => name));
}

/** Clipboards by their number. Source: VD_AGENT_CLIPBOARD_SELECTION. */
export const CLIPBOARD_SELECTIONS = ["clipboard", "primary", "secondary"] as const;

/** Kinds of clipboard contents by their number; 0 is a refusal. Source: VD_AGENT_CLIPBOARD. */
export const CLIPBOARD_FORMATS = {
  text: 1, // UTF-8
  png: 2,
  bmp: 3,
  tiff: 4,
  jpeg: 5,
} as const;

/** The number that says "nothing", the polite refusal. */
export const CLIPBOARD_NONE = 0;

/** Flags of MONITORS_CONFIG. */
export const MONITORS_FLAGS = { usePositions: 1 } as const;

/** Results in REPLY. */
export const AGENT_SUCCESS = 1;

/** The number of a selection, and three bytes that mean nothing. */
const selection: Codec<number> = {
  minBytes: 4,
  decode(reader) {
    const number = reader.u8();
    reader.bytes(3);
    return number;
  },
  encode: (writer, value) => u32.encode(writer, value),
};

/** A field that this agent does not know: not on the wire, and always `value`. */
function absent(value: number): Codec<number> {
  return { minBytes: 0, decode: () => value, encode() {} };
}

/** What the messages that we read or write hold, by name; sizes and places in pixels. */
export interface AgentValues {
  monitors_config: {
    count: number;
    flags: number; // of MONITORS_FLAGS
    items: { height: number; width: number; depth: number; x: number; y: number }[];
  };
  reply: { type: number; error: number };
  clipboard: { selection: number; format: number; data: Uint8Array };
  announce_capabilities: { request: number; words: number[] };
  clipboard_grab: { selection: number; serial: number; formats: number[] };
  clipboard_request: { selection: number; format: number };
  clipboard_release: { selection: number };
  max_clipboard: { bytes: number }; // -1: no limit
}

/** Types of those messages. */
export const AGENT_TYPES: Readonly<Record<keyof AgentValues, number>> = {
  monitors_config: 2,
  reply: 3,
  clipboard: 4,
  announce_capabilities: 6,
  clipboard_grab: 7,
  clipboard_request: 8,
  clipboard_release: 9,
  max_clipboard: 14,
};

/** Those messages by type. */
export const AGENT_MESSAGES: ReadonlyMap<number, keyof AgentValues> = new Map(
  (Object.entries(AGENT_TYPES) as [keyof AgentValues, number][]).map((
    [name, type],
  ) => [type, name]),
);

/** Layouts of those messages. */
export type AgentLayouts = { readonly [N in keyof AgentValues]: Codec<AgentValues[N]> };

/** What is done with messages, by name. */
export type AgentHandlers = { readonly [N in keyof AgentValues]?: (value: AgentValues[N]) => void };

/** Returns the layouts that an agent with `caps` reads and writes. */
export function agentLayouts(caps: ReadonlySet<AgentCap>): AgentLayouts {
  const target = caps.has("clipboardSelection") ? selection : absent(0);
  const serial = caps.has("clipboardGrabSerial") ? u32 : absent(0);
  return {
    monitors_config: countedList(
      struct({ count: u32, flags: u32 }),
      struct({ height: u32, width: u32, depth: u32, x: i32, y: i32 }),
    ),
    reply: struct({ type: u32, error: u32 }),
    clipboard: struct({ selection: target, format: u32, data: restBytes }),
    announce_capabilities: struct({ request: u32, words: restList(u32) }),
    clipboard_grab: struct({ selection: target, serial, formats: restList(u32) }),
    clipboard_request: struct({ selection: target, format: u32 }),
    clipboard_release: struct({ selection: target }),
    max_clipboard: struct({ bytes: i32 }),
  };
}
