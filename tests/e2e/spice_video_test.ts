/** Pictures with losses, and video streams, against the real SPICE server. */
import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { pause, retry } from "../../lib/base/deadline.ts";
import { SpicePeer } from "./spice_peer.ts";
import { SpiceViewer } from "./spice_viewer.ts";

const WIDTH = 320;
const HEIGHT = 240;

/** Returns the square root of the mean of all squared differences of colours. */
async function loss(peer: SpicePeer, viewer: SpiceViewer): Promise<number> {
  const expected = await peer.expect();
  const { pixels } = viewer.displays[0]!.primary!;
  let sum = 0;
  for (let i = 0; i < expected.length; i++) {
    for (const shift of [0, 8, 16]) {
      sum += ((pixels[i]! >> shift & 255) - (expected[i]! >> shift & 255)) ** 2;
    }
  }
  return Math.sqrt(sum / expected.length / 3);
}

function expectNothingLeftOut(viewer: SpiceViewer): void {
  assertEquals([...viewer.displays[0]!.stats.ignored], []);
}

for (const [name, format] of [["JPEG", 8], ["JPEG and LZ for alpha", 9]] as const) {
  Deno.test(
    `e2e: video: images as ${name} are nearly what was drawn`,
    { timeout: 60_000 },
    async () => {
      await using peer = await SpicePeer.start({ transport: "tcp" });
      await peer.compression("auto_glz");
      await peer.command("jpeg always");
      await peer.primary(WIDTH, HEIGHT);
      await using viewer = await SpiceViewer.connect(peer, { takesCompression: true });
      const before = viewer.bytes;
      for (const picture of ["2", "6", "10", "6:0:t"]) { // gradients, what JPEG is taken for
        await peer.draw(
          `copy surface=0 box=10,10,300,200 src=bitmap:${format}:300x200:${picture} ` +
            "area=0,0,300,200 rop=8",
        );
      }
      await viewer.sync();
      assertLess(viewer.bytes - before, 4 * 300 * 200); // it was compressed to less than a quarter
      const lost = await loss(peer, viewer);
      assertGreater(lost, 0);
      assertLess(lost, 10);
      expectNothingLeftOut(viewer);
    },
  );
}

/** The same gradient again and again, so that it does not matter which frames the server drops. */
async function still(peer: SpicePeer, frames: number, width: number): Promise<void> {
  for (let i = 0; i < frames; i++) {
    await peer.draw(
      `copy surface=0 box=20,30,${width},120 src=bitmap:8:200x120:6:0:t area=0,0,200,120 rop=8`,
    );
    await pause(20);
  }
}

Deno.test("e2e: video: what keeps changing comes as MJPEG, and at last as it is", {
  timeout: 60_000,
}, async () => {
  await using peer = await SpicePeer.start({ transport: "tcp" });
  await peer.command("streaming all");
  await peer.primary(WIDTH, HEIGHT);
  await using viewer = await SpiceViewer.connect(peer, { takesCompression: true });
  const { counts } = viewer;
  await still(peer, 60, 200);
  await viewer.sync();
  assertEquals([counts.get("stream_create"), counts.get("stream_destroy")], [1, undefined]);
  assertGreater(counts.get("stream_data") ?? 0, 5);
  const lost = await loss(peer, viewer);
  assertGreater(lost, 0);
  assertLess(lost, 10);

  await retry("the end of the stream", async () => {
    await viewer.sync();
    if (!counts.has("stream_destroy")) throw new StreamLives();
  }, { timeoutMs: 20_000, canSucceedLater: (error) => error instanceof StreamLives });
  assertEquals(await loss(peer, viewer), 0);
  expectNothingLeftOut(viewer);
});

/** The server has not ended a stream yet. */
class StreamLives extends Error {}

Deno.test("e2e: video: a server that prefers another codec takes MJPEG for us", {
  timeout: 60_000,
}, async () => {
  await using peer = await SpicePeer.start({ transport: "tcp" });
  await peer.command("streaming all");
  await peer.command("codecs gstreamer:vp8;gstreamer:h264;spice:mjpeg;");
  await peer.primary(WIDTH, HEIGHT);
  await using viewer = await SpiceViewer.connect(peer, { takesCompression: true });
  await still(peer, 40, 200);
  await viewer.sync();
  assertGreater(viewer.counts.get("stream_data") ?? 0, 3);
  assertLess(await loss(peer, viewer), 10);
  expectNothingLeftOut(viewer);
});

Deno.test("e2e: video: a film is followed while other things are drawn over it", {
  timeout: 60_000,
}, async () => {
  await using peer = await SpicePeer.start({ transport: "tcp" });
  await peer.command("streaming all");
  await peer.primary(WIDTH, HEIGHT);
  await using viewer = await SpiceViewer.connect(peer, { takesCompression: true });
  const { counts } = viewer;
  await peer.command("video 40 200 120 30 20 20");
  await peer.draw("fill surface=0 box=40,30,50,40 brush=ff0000 rop=8");
  await peer.command("video 40 200 120 30 20 20");
  await peer.draw("fill surface=0 box=0,0,320,240 brush=00ff00 rop=8");
  await viewer.sync();
  assertGreater(counts.get("stream_data") ?? 0, 5);
  assertEquals(await loss(peer, viewer), 0);
  expectNothingLeftOut(viewer);
});

Deno.test(
  "e2e: video: a client that takes no compression gets no stream",
  { timeout: 60_000 },
  async () => {
    await using peer = await SpicePeer.start({ transport: "tcp" });
    await peer.command("streaming all");
    await peer.primary(WIDTH, HEIGHT);
    await using viewer = await SpiceViewer.connect(peer);
    await peer.command("video 60 200 120 30 20 20");
    await viewer.sync();
    assertEquals(viewer.counts.has("stream_create"), false);
    assert(viewer.counts.get("draw_copy")! >= 30);
    assertEquals(await loss(peer, viewer), 0);
  },
);
