/** Displays of the real libspice-server that share a cache: lists, and waits for one another. */
import { assertEquals, assertGreater } from "@std/assert";
import { pause } from "../../lib/base/deadline.ts";
import { GuestDisplay } from "../../lib/display/guest_display.ts";
import { ImageCache } from "../../lib/display/image_cache.ts";
import { SpiceSession, type SpiceWarning } from "../../lib/spice/session.ts";
import { SpicePeer } from "./spice_peer.ts";

/** A few images: far fewer than are drawn, so that the server drops some all the time. */
const CACHE_PIXELS = 3000n;
const DRAWS = 300;

Deno.test("e2e: displays that share a small cache wait for one another", async () => {
  await using peer = await SpicePeer.start({ displays: 2 });
  const displays = new Map<number, GuestDisplay>();
  const imageCache = new ImageCache(); // the server's is one for all displays
  for (const id of [0, 1]) {
    await peer.display(id);
    await peer.primary(100, 80);
  }
  const warnings: SpiceWarning[] = [];
  const flaws: string[] = [];
  let invalidated = 0;
  await using session = await SpiceSession.connect(peer.target, {
    caches: { pixmapCacheSize: CACHE_PIXELS },
    onWarning: (warning) => warnings.push(warning),
    onDisplay(link) {
      const display = new GuestDisplay({ imageCache, onWarning: (text) => flaws.push(text) });
      displays.set(link.id, display);
      const handlers = display.handlers(link);
      return {
        ...handlers,
        inval_list(list) {
          invalidated += list.items.length;
          handlers.inval_list?.(list);
        },
      };
    },
  });
  const messages = () => [...session.stats.values()].reduce((sum, one) => sum + one.messages, 0);
  for (let i = 0; i < DRAWS; i++) {
    // A display refers to images that another has brought without a word of waiting for them, which
    // we do not do by ourselves: so what the other was sent has to be here first.
    await peer.sync();
    for (let seen = -1; seen !== messages();) {
      seen = messages();
      await pause(2);
    }
    await peer.display(i % 5 % 2);
    const size = 20 + i % 12;
    const image = `bitmap:8:${size}x${size}:${i % 12}:0:tc`;
    const box = `${7 * i % 50},${11 * i % 30},${size},${size}`;
    await peer.draw(`copy surface=0 box=${box} src=${image} area=0,0,${size},${size} rop=8`);
  }
  for (const id of [0, 1]) {
    await peer.display(id);
    await peer.sync();
    const expected = await peer.expect(0);
    const shown = () => displays.get(id)?.primary?.pixels;
    const isSame = () =>
      shown()?.every((pixel, i) => (pixel & 0xffffff) === (expected[i]! & 0xffffff));
    for (let tries = 0; !isSame() && tries < 100; tries++) await pause(20);
    assertEquals(isSame(), true, `display ${id}: ${JSON.stringify({ flaws, invalidated })}`);
  }
  assertGreater(invalidated, 100);
  assertEquals([warnings, flaws], [[], []]);
  for (const name of ["display", "display-1"]) {
    assertEquals(session.stats.get(name)?.malformed, 0);
  }
});
