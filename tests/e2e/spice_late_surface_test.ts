/**
 * Off-screen surfaces from before the client attached. The server tells of one when it is first
 * needed, by its picture.
 *
 * Where a draw on the surface is what needs it, the picture is taken with that draw already made, and
 * the draw is sent as well: what is not the same when it is made twice comes out wrong, INVERS for
 * one. No client can tell this from the picture of a surface that was needed as a source, which has
 * no draw too many, since the draw that needed the source can have been left out as hidden. A launch attaches before the
 * guest draws anything; one that is taken up again can be met by this.
 * Source: spice-server, dcc.cpp, add_drawable_surface_images.
 */
import { assertEquals } from "@std/assert";
import { SpicePeer } from "./spice_peer.ts";
import { differenceText, SpiceViewer } from "./spice_viewer.ts";

const SIZE = 8;
const BEFORE = 0x123456;
const INVERTED = 0xedcba9;

/** Starts a peer with a surface 1 that is filled. */
async function startPeer(): Promise<SpicePeer> {
  const peer = await SpicePeer.start();
  await peer.primary(64, 64);
  await peer.surface(1, SIZE, SIZE);
  await peer.draw(`fill surface=1 box=0,0,${SIZE},${SIZE} brush=${BEFORE.toString(16)}`);
  return peer;
}

Deno.test(
  "e2e: late surface: its first draw is in its picture already",
  { timeout: 120_000 },
  async () => {
    await using peer = await startPeer();
    const seen: [string, number][] = [];
    await using viewer = await SpiceViewer.connect(peer, {
      onMessage: (name, { surfaces }) => {
        const pixel = surfaces.get(1)?.pixels[0];
        if (pixel !== undefined && name !== "monitors_config") seen.push([name, pixel & 0xffffff]);
      },
    });
    await viewer.sync();
    assertEquals(seen, []);
    await peer.draw(`invers surface=1 box=0,0,${SIZE},${SIZE}`);
    await viewer.sync();
    assertEquals(seen, [
      ["surface_create", 0],
      ["draw_copy", INVERTED],
      ["draw_invers", BEFORE],
    ]);
    assertEquals((await peer.expect(1))[0], INVERTED);
  },
);

Deno.test(
  "e2e: late surface: one that is needed as a source first comes out right",
  { timeout: 120_000 },
  async () => {
    await using peer = await startPeer();
    await using viewer = await SpiceViewer.connect(peer);
    await peer.draw(
      `copy surface=0 box=0,0,${SIZE},${SIZE} src=surface:1 area=0,0,${SIZE},${SIZE}`,
    );
    await peer.draw(`invers surface=1 box=0,0,${SIZE},${SIZE}`);
    await viewer.sync();
    for (const id of [0, 1]) {
      const difference = viewer.difference(await peer.expect(id), id);
      assertEquals(difference && differenceText(difference), undefined);
    }
  },
);
