/** Messages of the main channel. Source: spice.proto, MainChannel. */
import {
  countedList,
  countedText,
  empty,
  fixedBytes,
  message,
  restBytes,
  struct,
  u16,
  u32,
  u8,
} from "./codec.ts";

/** The most bytes of a message on the main channel. */
export const MAIN_MAX_BYTES = 64 * 1024;

/** Bits of the main channel's capabilities. Source: spice/protocol.h, SPICE_MAIN_CAP. */
export const MAIN_CAPS = {
  semiSeamlessMigrate: 0,
  nameAndUuid: 1,
  agentConnectedTokens: 2,
  seamlessMigrate: 3,
} as const;

/** Bits of a mouse mode, and its values. Source: spice/enums.h, SPICE_MOUSE_MODE. */
export const MOUSE_MODES = { server: 1, client: 2 } as const;

/** Server messages: id to name and, where we read them, layout. */
export const MAIN_MESSAGES = {
  101: message("migrate_begin", empty), // its body is of no use to us
  102: { name: "migrate_cancel" },
  103: message(
    "init",
    struct({
      sessionId: u32,
      displayChannelsHint: u32,
      supportedMouseModes: u32, // bits of MOUSE_MODES
      currentMouseMode: u32,
      agentConnected: u32, // 0 or 1
      agentTokens: u32,
      multiMediaTime: u32, // ms, 400 behind the clock of audio packets
      ramHint: u32,
    }),
  ),
  104: message(
    "channels_list",
    countedList(struct({ count: u32 }), struct({ type: u8, id: u8 })),
  ),
  105: message("mouse_mode", struct({ supported: u16, current: u16 })),
  106: { name: "multi_media_time" },
  107: message("agent_connected", empty), // to a client without agentConnectedTokens
  108: message("agent_disconnected", struct({ reason: u32 })), // a link error code
  109: message("agent_data", struct({ data: restBytes })), // at most 2048 bytes of the agent's stream
  110: message("agent_token", struct({ count: u32 })),
  111: message("migrate_switch_host", empty),
  112: { name: "migrate_end" },
  113: message("name", struct({ text: countedText })),
  114: message("uuid", struct({ bytes: fixedBytes(16) })),
  115: message("agent_connected_tokens", struct({ tokens: u32 })),
  116: message("migrate_begin_seamless", empty),
  117: { name: "migrate_dst_seamless_ack" },
  118: { name: "migrate_dst_seamless_nack" },
} as const;

/** Ids and layouts of client messages. */
export const MAIN_REQUESTS = {
  attach_channels: { id: 104, body: empty },
  mouse_mode_request: { id: 105, body: struct({ mode: u16 }) }, // one of MOUSE_MODES
  agent_start: { id: 106, body: struct({ tokens: u32 }) }, // messages that the server may send
  agent_data: { id: 107, body: struct({ data: restBytes }) },
} as const;
