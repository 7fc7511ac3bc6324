/** Messages that every channel has. Source: spice.proto, BaseChannel. */
import { countedList, countedText, empty, message, struct, u32, u64, u8 } from "./codec.ts";

/** The most bytes of one of these messages, apart from PING. */
export const BASE_MAX_BYTES = 64 * 1024;

/** The most bytes of a PING; the server measures bandwidth with up to 250 KB. */
export const PING_MAX_BYTES = 512 * 1024;

/** The part of PING that is answered; padding up to the message's end follows. */
const PING = struct({ id: u32, timestamp: u64 });

/** Messages of other channels, each by its channel's type and id and its own number there. */
export const AWAITED_MESSAGES = countedList(
  struct({ count: u8 }),
  struct({ type: u8, id: u8, serial: u64 }), // serial: from 1
);

/** Server messages: id to name and layout. */
export const BASE_MESSAGES = {
  1: message("migrate", struct({ flags: u32 })), // 1 need flush, 2 data transfer
  2: { name: "migrate_data" }, // only follows migrate, which ends the session
  3: message("set_ack", struct({ generation: u32, window: u32 })), // window in messages
  4: message("ping", PING),
  5: message("wait_for_channels", AWAITED_MESSAGES), // only where displays share a cache
  6: message("disconnecting", struct({ time: u64, reason: u32 })), // reason: a link error code
  7: message(
    "notify",
    struct({ time: u64, severity: u32, visibility: u32, what: u32, text: countedText }),
  ),
  8: { name: "list" }, // u16 n, n × u32 offset of a sub-message; see channel.ts
} as const;

/** Ids of client messages. */
export const BASE_REQUESTS = {
  ack_sync: { id: 1, body: struct({ generation: u32 }) },
  ack: { id: 2, body: empty },
  pong: { id: 3, body: PING },
} as const;

/** Severities of NOTIFY, by number. Source: spice/enums.h, SPICE_NOTIFY_SEVERITY. */
export const NOTIFY_SEVERITIES = ["info", "warn", "error"] as const;
