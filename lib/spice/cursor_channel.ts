/** How the cursor channel is linked. */
import type { ChannelLink, ChannelSetup } from "./channel_link.ts";
import { type Handlers, routes } from "./message_routes.ts";
import { CURSOR_MAX_BYTES, CURSOR_MESSAGES, CURSOR_TYPE } from "./cursor_messages.ts";

/** Handlers of the cursor channel's messages. */
export type CursorHandlers = Handlers<typeof CURSOR_MESSAGES>;

/**
 * Returns how the cursor channel is linked. Once it is, it is read to the session's end: on a reset
 * the server waits for it, up to 30 s.
 */
export function cursorSetup(onCursor: (link: ChannelLink) => CursorHandlers): ChannelSetup {
  return {
    type: CURSOR_TYPE,
    caps: [],
    maxBytes: CURSOR_MAX_BYTES,
    routes: (link) => routes(CURSOR_MESSAGES, onCursor(link)),
  };
}
