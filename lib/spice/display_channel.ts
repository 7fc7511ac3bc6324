/** How the display channel is linked. */
import type { Decoded } from "./codec.ts";
import { both, type Handlers, routes } from "./message_routes.ts";
import type { ChannelSetup, PacedLink } from "./channel_link.ts";
import {
  DISPLAY_CAPS,
  DISPLAY_MESSAGES,
  DISPLAY_REQUESTS,
  GL_SCANOUT_TRAILERS,
  IMAGE_COMPRESSIONS,
  NO_CACHES,
} from "./display_messages.ts";
import { DisplayLimit } from "./display_limit.ts";
import { encodeMessages } from "./framing.ts";
import { hasCap } from "./link.ts";
import { streamRefusals, VIDEO_CODECS } from "./stream_refusals.ts";

/** Type of the display channel. Source: spice/enums.h, SPICE_CHANNEL. */
export const DISPLAY_TYPE = 2;

const INVAL_ALL_PIXMAPS_ID = 106;

/** What can be said to be decoded. */
const COMPRESSION_CAPS = [
  DISPLAY_CAPS.lz4Compression,
  DISPLAY_CAPS.codecMjpeg,
  DISPLAY_CAPS.sizedStream, // frames may differ in size
] as const;

/** Handlers of a display's messages. */
export type DisplayHandlers = Handlers<typeof DISPLAY_MESSAGES>;

/** Options of {@linkcode displaySetup}. */
export interface DisplayOptions {
  /** Makes the handlers for one display; everything it draws is dropped when left out. */
  onDisplay?: (link: PacedLink) => DisplayHandlers;
  /**
   * Whether images may come compressed as the server likes it, and places that change all the time
   * as MJPEG streams; when left out, it is asked for plain pixels, which cost the least on a local
   * socket.
   */
  takesCompression?: boolean;
  /**
   * What is asked for where `takesCompression` is not set: plain pixels, or images packed with LZ,
   * which is exact as well; plain ones when left out. A server too old to be asked does as it likes.
   */
  compression?: "off" | "lz";
  /**
   * Whether scanouts of the guest's GPU may come, as descriptors: only over a connection that carries
   * them, and for handlers that answer each `gl_draw` with one `gl_draw_done`. A session that links a
   * display by itself leaves this out.
   */
  gl?: boolean;
  /** What images the server may refer to later; none when left out. */
  caches?: Partial<Decoded<typeof DISPLAY_REQUESTS.init.body>>;
}

/**
 * Returns how one display is linked. INIT travels with the ticket: it spares the server's display
 * thread a poll every 10 ms for an INIT that comes too late.
 */
export function displaySetup(options: DisplayOptions = {}): ChannelSetup {
  const { onDisplay, takesCompression = false, compression = "off", gl = false, caches } = options;
  const { init, preferred_compression } = DISPLAY_REQUESTS;
  const limit = new DisplayLimit();
  return {
    type: DISPLAY_TYPE,
    caps: [
      DISPLAY_CAPS.monitorsConfig,
      DISPLAY_CAPS.composite,
      DISPLAY_CAPS.a8Surface,
      // The server may choose among the codecs that follow: without any, it does not stream at all.
      DISPLAY_CAPS.multiCodec,
      ...takesCompression ? COMPRESSION_CAPS : [],
      ...gl ? [DISPLAY_CAPS.glScanout] : [],
    ],
    maxBytes: () => limit.maxBytes,
    waitsBefore: [INVAL_ALL_PIXMAPS_ID],
    trailers: GL_SCANOUT_TRAILERS,
    early({ channelCaps }) {
      const prefers = !takesCompression && hasCap(channelCaps, DISPLAY_CAPS.prefCompression);
      return encodeMessages((add) => {
        add(init, { ...NO_CACHES, ...caches });
        if (prefers) add(preferred_compression, { compression: IMAGE_COMPRESSIONS[compression] });
      });
    },
    routes(link) {
      const refusals = streamRefusals(link, takesCompression ? [VIDEO_CODECS.mjpeg] : []);
      const handlers = both(limit.handlers, both(refusals, onDisplay?.(link) ?? {}));
      return routes(DISPLAY_MESSAGES, handlers);
    },
  };
}
