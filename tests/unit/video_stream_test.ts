/** Video streams: where their frames go, and what is refused. */
import { assertEquals } from "@std/assert";
import { ImageError } from "../../lib/display/errors.ts";

import type { DisplayHandlers } from "../../lib/spice/display_channel.ts";
import { DISPLAY_REQUESTS } from "../../lib/spice/display_messages.ts";
import { streamRefusals, VIDEO_CODECS } from "../../lib/spice/stream_refusals.ts";
import { display, type Drawn, FORMAT, rect, rows } from "./display_fixtures.ts";

type Create = Parameters<NonNullable<DisplayHandlers["stream_create"]>>[0];

/** A display of 4 by 3 with one stream, and a decoder whose pixels are the bytes of the data. */
function streaming(changes: Partial<Create> = {}, format: number = FORMAT.xrgb): Drawn {
  const drawn = display(4, 3, format, {
    decoders: {
      jpeg(data, { width, height }) {
        if (data.length !== width * height) throw new ImageError("of another size");
        return { width, height, pixels: Uint32Array.from(data), hasAlpha: false };
      },
    },
  });
  drawn.send.stream_create(create(changes));
  return drawn;
}

function create(changes: Partial<Create> = {}): Create {
  return {
    surfaceId: 0,
    streamId: 7,
    flags: 1,
    codec: VIDEO_CODECS.mjpeg,
    stamp: 0n,
    streamWidth: 2,
    streamHeight: 2,
    srcWidth: 2,
    srcHeight: 2,
    dest: rect(1, 1, 2, 2),
    clip: undefined,
    ...changes,
  };
}

const frame = (...data: number[]) => ({ streamId: 7, mmTime: 0, data: Uint8Array.from(data) });
const short = (drawn: Drawn) =>
  rows(drawn).map((row) => row.split(" ").map((pixel) => parseInt(pixel, 16) & 0xffffff).join(" "));
const ignored = ({ display }: Drawn) => Object.fromEntries(display.stats.ignored);

Deno.test("a video frame is painted where its stream is", () => {
  const drawn = streaming();
  drawn.send.stream_data(frame(1, 2, 3, 4));
  assertEquals(short(drawn), ["0 0 0 0", "0 1 2 0", "0 3 4 0"]);
  drawn.send.stream_data(frame(5, 6, 7, 8));
  assertEquals(short(drawn), ["0 0 0 0", "0 5 6 0", "0 7 8 0"]);
  assertEquals(ignored(drawn), {});
});

Deno.test("a video frame is turned over where its stream is bottom-up", () => {
  const drawn = streaming({ flags: 0 });
  drawn.send.stream_data(frame(1, 2, 3, 4));
  assertEquals(short(drawn), ["0 0 0 0", "0 3 4 0", "0 1 2 0"]);
});

Deno.test("a video frame is scaled to its place by taking the nearest pixel", () => {
  const drawn = streaming({ dest: rect(0, 0, 4, 3) });
  drawn.send.stream_data(frame(1, 2, 3, 4));
  assertEquals(short(drawn), ["1 1 2 2", "1 1 2 2", "3 3 4 4"]);
  drawn.send.stream_data_sized({
    ...frame(1, 2, 3, 4, 5, 6, 7, 8),
    width: 4,
    height: 2,
    dest: rect(0, 1, 2, 1),
  });
  assertEquals(short(drawn), ["1 1 2 2", "1 3 2 2", "3 3 4 4"]);
});

Deno.test("a video frame stays within its surface and its stream's clip", () => {
  const drawn = streaming({ dest: rect(-1, 2, 2, 2), clip: [rect(0, 0, 4, 9)] });
  drawn.send.stream_data(frame(1, 2, 3, 4));
  assertEquals(short(drawn), ["0 0 0 0", "0 0 0 0", "2 0 0 0"]);
  drawn.send.stream_create(create({ dest: rect(0, 0, 2, 2), clip: [rect(1, 0, 1, 1)] }));
  drawn.send.stream_data(frame(5, 6, 7, 8));
  assertEquals(short(drawn), ["0 6 0 0", "0 0 0 0", "2 0 0 0"]);
  drawn.send.stream_clip({ streamId: 7, clip: [] });
  drawn.send.stream_data(frame(9, 9, 9, 9));
  drawn.send.stream_clip({ streamId: 7, clip: [rect(0, 0, 1, 1), rect(1, 1, 1, 1)] });
  drawn.send.stream_data(frame(1, 2, 3, 4));
  assertEquals(short(drawn), ["1 6 0 0", "0 4 0 0", "2 0 0 0"]);
});

Deno.test("a video frame is made to fit a surface of 16 bits", () => {
  const drawn = streaming({}, FORMAT.x1r5g5b5);
  drawn.send.stream_data(frame(0, 7, 8, 255));
  assertEquals(short(drawn), ["0 0 0 0", "0 0 0 0", "0 8 255 0"]);
});

Deno.test("frames of a stream that was destroyed, or never made, are dropped", () => {
  const drawn = streaming();
  drawn.send.stream_data({ ...frame(1, 1, 1, 1), streamId: 8 });
  drawn.send.stream_clip({ streamId: 8, clip: undefined });
  drawn.send.stream_destroy({ streamId: 7 });
  drawn.send.stream_data(frame(1, 1, 1, 1));
  drawn.send.stream_create(create());
  drawn.send.stream_destroy_all({});
  drawn.send.stream_data(frame(1, 1, 1, 1));
  assertEquals(short(drawn), ["0 0 0 0", "0 0 0 0", "0 0 0 0"]);
  assertEquals(ignored(drawn), {});
});

Deno.test("what cannot be shown of streams is counted by its reason", () => {
  const drawn = streaming({ codec: VIDEO_CODECS.h264 });
  const { send, display } = drawn;
  send.stream_data(frame(1, 1, 1, 1));
  send.stream_create(create({ streamId: 64 }));
  send.stream_data({ ...frame(1, 1, 1, 1), streamId: 64 });
  send.stream_create(create({ clip: Array.from({ length: 5000 }, () => rect(0, 0, 4, 3)) }));
  send.stream_data(frame(1, 1, 1, 1));
  send.stream_create(create());
  send.stream_data(frame(1, 1, 1));
  send.stream_create(create({ dest: { left: 2, top: 0, right: 1, bottom: 1 } }));
  send.stream_data(frame(1, 1, 1, 1));
  send.stream_create(create({ surfaceId: 3 }));
  send.stream_data(frame(1, 1, 1, 1));
  display.decoders = undefined;
  send.stream_create(create());
  send.stream_data(frame(1, 1, 1, 1));
  assertEquals(short(drawn), ["0 0 0 0", "0 0 0 0", "0 0 0 0"]);
  assertEquals(ignored(drawn), {
    "a video stream of a codec other than MJPEG": 1,
    "a video stream of an impossible number": 1,
    "a video stream under too many windows": 1,
    "a broken video frame": 1,
    "a rectangle of impossible size": 1,
    "a draw on an unknown surface": 1,
    "a video frame, for which there is no decoder": 1,
  });
});

Deno.test("a frame that cannot be seen is not decoded", () => {
  let decoded = 0;
  const { send } = display(4, 3, FORMAT.xrgb, {
    decoders: {
      jpeg: () => (decoded++, { width: 1, height: 1, pixels: new Uint32Array(1), hasAlpha: false }),
    },
  });
  send.stream_create(create({ dest: rect(4, 0, 2, 2) }));
  send.stream_data(frame(1));
  send.stream_create(create({ clip: [] }));
  send.stream_data(frame(1));
  assertEquals(decoded, 0);
});

Deno.test("a stream of another codec is refused as soon as reports are asked for", () => {
  const sent: unknown[] = [];
  const link = {
    send: <T>(request: { id: number }, value: T) => void sent.push({ id: request.id, value }),
  };
  const handlers = streamRefusals(link, [VIDEO_CODECS.mjpeg]) as Required<DisplayHandlers>;
  const activate = (streamId: number, uniqueId: number) =>
    handlers.stream_activate_report({ streamId, uniqueId, maxWindowSize: 5, timeoutMs: 1000 });
  handlers.stream_create(create({ streamId: 1, codec: VIDEO_CODECS.vp8 }));
  handlers.stream_create(create({ streamId: 2 }));
  handlers.stream_create(create({ streamId: 3, codec: VIDEO_CODECS.vp9 }));
  handlers.stream_create(create({ streamId: 3 }));
  handlers.stream_create(create({ streamId: 100, codec: VIDEO_CODECS.vp9 }));
  for (const id of [1, 2, 3, 100]) activate(id, 10 + id);
  assertEquals(sent, [{
    id: DISPLAY_REQUESTS.stream_report.id,
    value: {
      streamId: 1,
      uniqueId: 11,
      startFrameMmTime: 0,
      endFrameMmTime: 0,
      numFrames: 0,
      numDrops: 0xffffffff,
      lastFrameDelay: 0,
      audioDelay: 0,
    },
  }]);
  handlers.stream_create(create({ streamId: 4, codec: VIDEO_CODECS.h265 }));
  handlers.stream_destroy({ streamId: 4 });
  activate(4, 1);
  handlers.stream_destroy_all({});
  activate(1, 2);
  assertEquals(sent.length, 1);
});
