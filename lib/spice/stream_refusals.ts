/**
 * Refusing video streams that cannot be decoded.
 *
 * What we say at the link keeps a server from making such streams. One that makes them all the same
 * would leave their place on the screen as it is, so it is told, and then draws again.
 */
import type { ChannelLink } from "./channel_link.ts";
import type { Handlers } from "./message_routes.ts";
import { type DISPLAY_MESSAGES, DISPLAY_REQUESTS } from "./display_messages.ts";

/** Numbers of streams are below this. Source: spice, NUM_STREAMS. */
const MAX_STREAMS = 64;
/** As many drops beside no frames mean that the client cannot decode the stream. */
const CANNOT_DECODE = 0xffffffff;

/** Codecs of video streams. Source: spice/enums.h, SPICE_VIDEO_CODEC_TYPE. */
export const VIDEO_CODECS = { mjpeg: 1, vp8: 2, h264: 3, vp9: 4, h265: 5 } as const;

/**
 * Returns handlers that refuse every stream of another codec than `codecs`, as soon as the server
 * asks for reports on it. How streams that are shown fare is not reported: it may only be asked of
 * clients that offer reports.
 */
export function streamRefusals(
  link: Pick<ChannelLink, "send">,
  codecs: readonly number[],
): Handlers<typeof DISPLAY_MESSAGES> {
  const refused = new Set<number>();
  return {
    stream_create: ({ streamId, codec }) => {
      if (codecs.includes(codec)) refused.delete(streamId);
      else if (streamId < MAX_STREAMS) refused.add(streamId);
    },
    stream_destroy: ({ streamId }) => void refused.delete(streamId),
    stream_destroy_all: () => refused.clear(),
    stream_activate_report: ({ streamId, uniqueId }) => {
      if (!refused.has(streamId)) return;
      link.send(DISPLAY_REQUESTS.stream_report, {
        streamId,
        uniqueId,
        startFrameMmTime: 0,
        endFrameMmTime: 0,
        numFrames: 0,
        numDrops: CANNOT_DECODE,
        lastFrameDelay: 0,
        audioDelay: 0,
      });
    },
  };
}
