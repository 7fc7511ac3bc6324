/**
 * Blending between surfaces with and without opacity, beside the real SPICE server: what is left in
 * the unused byte of an xRGB surface is opacity as soon as a draw says so.
 */
import { assertEquals } from "@std/assert";
import { SpicePeer, SURFACE_FORMATS } from "./spice_peer.ts";
import { differenceText, SpiceViewer } from "./spice_viewer.ts";

const COUNT = 400;
const WIDTH = 64;
const HEIGHT = 48;
const DEEP = [SURFACE_FORMATS.xrgb, SURFACE_FORMATS.argb] as const;

/** Returns numbers from 0 to before `limit`, the same ones for the same seed. */
function numbers(seed: number): (limit: number) => number {
  return (limit) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 16) % limit;
  };
}

/** Returns a random copy or blend, as a command of the peer. */
function randomDraw(below: (limit: number) => number, isDeep: readonly boolean[]): string {
  const surface = below(isDeep.length);
  const [width, height] = [1 + below(30), 1 + below(20)];
  const box = [below(WIDTH - width), below(HEIGHT - height), width, height];
  // The server aborts at an image of another depth.
  const sources = isDeep.flatMap((deep, id) =>
    id !== surface && id !== 0 && deep === isDeep[surface] ? [id] : []
  );
  const isBitmap = sources.length === 0 || below(2) === 0;
  const src = isBitmap
    ? `bitmap:${8 + below(2)}:${width}x${height}:${below(9999)}:0:t`
    : `surface:${sources[below(sources.length)]}`;
  const corner = isBitmap ? [0, 0] : [below(WIDTH - width), below(HEIGHT - height)];
  const source = `box=${box} src=${src} area=${[...corner, width, height]}`;
  if (below(2) === 0) return `copy surface=${surface} ${source} rop=8 scale=1`;
  const alpha = below(2) === 0 ? 255 : below(256);
  return `alpha_blend surface=${surface} ${source} alpha=${alpha} alpha_flags=${below(4)}`;
}

for (const [name, format] of Object.entries(SURFACE_FORMATS)) {
  if (name === "a8") continue; // never shown
  Deno.test(`e2e: blends: ${COUNT} between surfaces, ${name} and others`, async () => {
    await using peer = await SpicePeer.start();
    await using viewer = await SpiceViewer.connect(peer);
    const formats: readonly number[] = [format, format, ...DEEP];
    await peer.primary(WIDTH, HEIGHT, format);
    for (let id = 1; id < formats.length; id++) {
      await peer.surface(id, WIDTH, HEIGHT, formats[id]);
    }
    const below = numbers(format);
    const isDeep = formats.map((one) => DEEP.some((deep) => deep === one));
    for (let i = 0; i < COUNT; i++) {
      const draw = randomDraw(below, isDeep);
      await peer.draw(draw);
      await viewer.sync();
      for (const id of formats.keys()) {
        const difference = viewer.difference(await peer.expect(id), id);
        if (difference) throw new Error(`${differenceText(difference)} on ${id} after "${draw}"`);
      }
    }
    assertEquals([...viewer.displays[0]!.stats.ignored], []);
  });
}
