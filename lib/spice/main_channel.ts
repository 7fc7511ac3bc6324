/** How the main channel is linked, and what its messages mean to the session. */
import { both, type Handlers, routes } from "./message_routes.ts";
import type { ChannelSetup, PacedLink } from "./channel_link.ts";
import type { Decoded } from "./codec.ts";
import { encodeMessages } from "./framing.ts";
import { MAIN_CAPS, MAIN_MAX_BYTES, MAIN_MESSAGES, MAIN_REQUESTS } from "./main_messages.ts";

/** Type of the main channel. Source: spice/enums.h, SPICE_CHANNEL. */
export const MAIN_TYPE = 1;

/** Handlers of main's messages. */
export type MainHandlers = Handlers<typeof MAIN_MESSAGES>;

/** Which mouse modes there are, as bits of MOUSE_MODES. */
export interface MouseModes {
  supported: number;
  current: number;
}

/** What the session wants to know. */
export interface MainListener {
  onSession(sessionId: number): void;
  /** Called with the channels that the server has, and later with those that are new. */
  onChannels(channels: readonly { type: number; id: number }[]): void;
  onMouseMode(link: PacedLink, modes: MouseModes): void;
  /** Takes the VM's name, safe to show. */
  onName(name: string): void;
  /** The server wants to move the session to another host. */
  onMigrate(): void;
}

/**
 * Returns how main is linked; ATTACH_CHANNELS travels with the ticket.
 *
 * @param more Makes handlers beside the session's own.
 */
export function mainSetup(
  listener: MainListener,
  more: (link: PacedLink) => MainHandlers,
): ChannelSetup {
  const handlers = (link: PacedLink): MainHandlers => ({
    init(init: Decoded<typeof MAIN_MESSAGES[103]>) {
      const { supportedMouseModes: supported, currentMouseMode: current } = init;
      listener.onMouseMode(link, { supported, current });
      listener.onSession(init.sessionId);
    },
    channels_list: ({ items }) => listener.onChannels(items),
    mouse_mode: (modes) => listener.onMouseMode(link, modes),
    name: ({ text }) => listener.onName(text),
    migrate_begin: () => listener.onMigrate(),
    migrate_switch_host: () => listener.onMigrate(),
    migrate_begin_seamless: () => listener.onMigrate(),
  });
  return {
    type: MAIN_TYPE,
    caps: [MAIN_CAPS.nameAndUuid, MAIN_CAPS.agentConnectedTokens],
    maxBytes: MAIN_MAX_BYTES,
    early: () => encodeMessages((add) => add(MAIN_REQUESTS.attach_channels, {})),
    routes: (link) => routes(MAIN_MESSAGES, both(handlers(link), more(link))),
  };
}
