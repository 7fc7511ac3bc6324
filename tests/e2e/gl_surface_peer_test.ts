/**
 * GL scanouts as UTM's QEMU makes them on macOS: pipes with the numbers of surfaces, from the real
 * server, with a stand-in for IOSurface.
 */
import { assertEquals, assertGreater } from "@std/assert";
import type { GlScanoutOptions } from "./gl_peer.ts";
import { expectNoGrowth, footprint, GlClient, GlPeerRig, standinShim } from "./gl_peer_client.ts";

const SCANOUTS = 10_000;
const options = { timeout: 180_000 };
const shape = { kind: "pipe", width: 64, height: 48 } as const;

for (const isWatched of [true, false]) {
  const watched = isWatched ? "watched" : "not watched";

  Deno.test(`e2e: gl surface: shown exactly in every format, ${watched}`, options, async () => {
    await using rig = await GlPeerRig.start(await standinShim());
    const { gl, client } = rig;
    await client.watch(isWatched);
    let seed = 1;
    for (const format of ["BGRA", "RGBA"]) {
      for (const y0top of [false, true]) { // means nothing here
        const what = `${format}, y0top ${y0top}`;
        await gl.scanout({ ...shape, width: 33, height: 17, format, y0top, seed: seed++ });
        await gl.draw();
        await client.expectPicture(gl, what);
        const area = { x: 5, y: 3, w: 7, h: 2 };
        await gl.paint(seed++, area);
        await gl.draw(area);
        await client.expectPicture(gl, `${what}, a part painted`);
        await gl.again();
        await gl.draw();
        await client.expectPicture(gl, `${what}, the same pipe twice`);
      }
    }
    assertEquals((await client.report()).warnings, []);
  });

  Deno.test(
    `e2e: gl surface: a pipe that makes no sense is survived, ${watched}`,
    options,
    async () => {
      const faults: Record<string, GlScanoutOptions> = {
        "nothing in the pipe": { ...shape, bytes: 0 },
        "3 bytes in the pipe": { ...shape, bytes: 3 },
        "8 bytes in the pipe": { ...shape, bytes: 8 },
        "a pipe that is replaced already": { ...shape, hung: true },
        "a pipe that is old": { ...shape, bytes: 0, hung: true },
        "a number without a surface": { ...shape, id: 0x7fffffff },
        "a surface that is not shared": { ...shape, hidden: true },
        "a surface of two planes": { ...shape, planes: 2 },
        "a surface of another width": { ...shape, claim: { width: 65 } },
        "width 65535": { ...shape, claim: { width: 65535 } },
      };
      await using rig = await GlPeerRig.start(await standinShim());
      const { gl, client } = rig;
      await client.watch(isWatched);
      await gl.scanout({ ...shape, seed: 1 });
      await gl.draw();
      await client.picture(); // opens what only pictures take
      const before = await footprint(client);
      let seed = 2;
      for (const [what, fault] of Object.entries(faults)) {
        await gl.scanout({ ...fault, seed: seed++ });
        await gl.draw();
        await gl.draw({ x: 1, y: 1, w: 2, h: 2 });
        await client.picture(); // the one before, or none
        await gl.again();
        await gl.draw();
        await gl.scanout({ ...shape, seed: seed++ });
        await gl.draw();
        await client.expectPicture(gl, `after ${what}`);
      }
      const { display } = await client.report();
      assertEquals(display.gl.draws, display.gl.acks);
      assertEquals((await gl.info()).owed, 0);
      await expectNoGrowth(client, before);
    },
  );

  Deno.test(`e2e: gl surface: a flood of ${SCANOUTS} scanouts, ${watched}`, options, async () => {
    await using rig = await GlPeerRig.start(await standinShim());
    const { gl, client } = rig;
    await client.watch(isWatched);
    await gl.flood(SCANOUTS / 4, { ...shape, seed: 1 });
    await gl.scanout({ ...shape, seed: 2 });
    await gl.draw();
    await client.expectPicture(gl, "the first one"); // opens what only pictures take
    const before = await footprint(client);
    await gl.flood(SCANOUTS * 3 / 4, { ...shape, seed: 7 });
    await gl.draw();
    await gl.scanout({ ...shape, seed: 3 }); // the last of a flood may be one whose pipe was read
    await gl.draw();
    await client.expectPicture(gl, "the next one");
    await expectNoGrowth(client, before);
    const { display } = await client.report();
    assertGreater(display.gl.scanouts, SCANOUTS);
    assertEquals(display.gl.draws, display.gl.acks);
  });
}

Deno.test(
  "e2e: gl surface: a later client finds the pipe empty, and shows the next scanout",
  options,
  async () => {
    const shim = await standinShim();
    await using rig = await GlPeerRig.start(shim);
    const { peer, gl, client } = rig;
    await gl.scanout({ ...shape, seed: 1 });
    await gl.draw();
    await client.expectPicture(gl, "the first client");
    await client[Symbol.asyncDispose]();
    await using next = await GlClient.start(peer, shim);
    await gl.draws(10);
    assertEquals(typeof await next.picture(), "string");
    await gl.scanout({ ...shape, seed: 2 });
    await gl.draw();
    await next.expectPicture(gl, "the second client");
  },
);
