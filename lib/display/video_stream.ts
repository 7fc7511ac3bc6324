/**
 * Video streams: places that change as fast as a film does, which the server sends as frames of a
 * video codec instead of draws.
 *
 * The only codec here is MJPEG: each frame is a JPEG image. A server takes another one only for
 * clients that say they can decode it; `lib/spice` says what we can, and refuses the rest.
 *
 * A frame is shown when it comes. Its `mmTime` says when to show it so that it goes with the sound;
 * that is some hundred milliseconds later, in which the picture would not be the guest's.
 */
import type { Handlers } from "../spice/message_routes.ts";
import type { Decoded } from "../spice/codec.ts";
import type { DISPLAY_MESSAGES } from "../spice/display_messages.ts";
import type { Clip, Rect } from "../spice/draw_layouts.ts";
import type { ImageDecoders, ImageSize } from "./decoders.ts";
import { ImageError } from "./errors.ts";
import { NotDrawnError } from "./not_drawn.ts";
import { flipRows, type Picture } from "./picture.ts";

/** Streams that live at the same time; their numbers are below it. Source: spice, NUM_STREAMS. */
const MAX_STREAMS = 64;
/** Rectangles of a clip, which lasts as long as its stream. Windows above a film make a few. */
const MAX_CLIP_RECTS = 4096;
/** Source: spice/enums.h, SPICE_VIDEO_CODEC_TYPE. */
const MJPEG = 1;
/** Bit of a stream's flags: the first row of a frame is the upper one. */
const TOP_DOWN = 1;

/** A frame to be painted. */
export interface StreamFrame {
  surfaceId: number;
  /** Where it goes; scaled if its size differs, by the nearest pixel as spice-gtk does. */
  box: Rect;
  /** Where it may paint. */
  clip: Clip;
  /** Decodes it, if it is to be seen at all. @throws {NotDrawnError} if it cannot be decoded. */
  picture(): Picture;
}

/** What streams need. */
export interface VideoStreamsOptions {
  /** Returns the decoders, as soon as there are some. */
  decoders(): ImageDecoders | undefined;
  /** Paints a frame at once: its data is gone afterwards. */
  paint(frame: StreamFrame): void;
  /** Counts what is not drawn, by its reason: one of a few fixed texts. */
  ignore(reason: string): void;
}

/** Handlers of the messages about streams. */
export type StreamHandlers = Pick<
  Handlers<typeof DISPLAY_MESSAGES>,
  | "stream_create"
  | "stream_data"
  | "stream_data_sized"
  | "stream_clip"
  | "stream_destroy"
  | "stream_destroy_all"
>;

interface Stream {
  surfaceId: number;
  isMjpeg: boolean;
  isTopDown: boolean;
  /** Of frames that do not say their own. */
  size: ImageSize;
  dest: Rect;
  clip: Clip;
}

/** The streams of one display. */
export class VideoStreams {
  readonly #options: VideoStreamsOptions;
  readonly #streams = new Map<number, Stream>();

  constructor(options: VideoStreamsOptions) {
    this.#options = options;
  }

  /** How many streams live. */
  get count(): number {
    return this.#streams.size;
  }

  /** What is done with messages; messages about a stream that does not live are dropped. */
  readonly handlers: StreamHandlers = {
    stream_create: (message) => this.#create(message),
    stream_data: ({ streamId, data }) => {
      const stream = this.#streams.get(streamId);
      if (stream) this.#show(stream, data, stream.size, stream.dest);
    },
    stream_data_sized: ({ streamId, data, width, height, dest }) => {
      const stream = this.#streams.get(streamId);
      if (stream) this.#show(stream, data, { width, height }, dest);
    },
    stream_clip: ({ streamId, clip }) => {
      const stream = this.#streams.get(streamId);
      if (stream) stream.clip = this.#kept(clip);
    },
    stream_destroy: ({ streamId }) => void this.#streams.delete(streamId),
    stream_destroy_all: () => this.#streams.clear(),
  };

  #create(
    { streamId, surfaceId, flags, codec, streamWidth, streamHeight, dest, clip }: Decoded<
      typeof DISPLAY_MESSAGES[122]
    >,
  ): void {
    if (streamId >= MAX_STREAMS) {
      return this.#options.ignore("a video stream of an impossible number");
    }
    const isMjpeg = codec === MJPEG;
    if (!isMjpeg) this.#options.ignore("a video stream of a codec other than MJPEG");
    this.#streams.set(streamId, {
      surfaceId,
      isMjpeg,
      isTopDown: (flags & TOP_DOWN) !== 0,
      size: { width: streamWidth, height: streamHeight },
      dest,
      clip: this.#kept(clip),
    });
  }

  /** Returns a clip that may be kept; in the place of one that may not, one that hides all. */
  #kept(clip: Clip): Clip {
    if (clip === undefined || clip.length <= MAX_CLIP_RECTS) return clip;
    this.#options.ignore("a video stream under too many windows");
    return [];
  }

  #show(stream: Stream, data: Uint8Array, size: ImageSize, box: Rect): void {
    const { surfaceId, isMjpeg, isTopDown, clip } = stream;
    if (!isMjpeg) return;
    this.#options.paint({
      surfaceId,
      box,
      clip,
      picture: () => {
        const picture = this.#decode(data, size);
        if (!isTopDown) flipRows(picture.pixels, picture.width);
        return picture;
      },
    });
  }

  #decode(data: Uint8Array, size: ImageSize): Picture {
    const decoders = this.#options.decoders();
    if (!decoders?.jpeg) throw new NotDrawnError("a video frame, for which there is no decoder");
    try {
      return decoders.jpeg(data, size);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      throw new NotDrawnError("a broken video frame", { cause: error });
    }
  }
}
