/** The GL mode of the SPICE peer itself, beside the reference client. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { GlibClient } from "./glib_client.ts";
import { GlPeer } from "./gl_peer.ts";
import { SpicePeer } from "./spice_peer.ts";

Deno.test("e2e: gl peer: libspice-client-glib acknowledges every draw", {
  timeout: 120_000,
}, async () => {
  await using peer = await SpicePeer.start({ checked: true });
  const gl = new GlPeer(peer);
  await gl.draw(); // nobody to acknowledge it
  await gl.scanout({ width: 64, height: 48, format: "AB24", y0top: true, seed: 1 });
  const { fds } = await gl.info();
  {
    await using client = await GlibClient.start(peer.target);
    const times = await gl.draws(2000);
    assertEquals(times.draws, 2000);
    assert(times.p50 <= times.p99 && times.p99 <= times.max);
    await gl.flood(200, { width: 16, height: 16, seed: 1 });
    await gl.draw({ x: 1, y: 2, w: 3, h: 4 });
    assertEquals((await client.counts()).draws, 2001);
    await gl.off();
    await gl.draw(); // complete at once: there is nothing to show
    assertEquals((await client.counts()).draws, 2001);
    await gl.scanout({ width: 16, height: 16 });
    client.signal("SIGSTOP");
    await gl.post();
    await assertRejects(() => gl.settle(100), Error, "not acknowledged");
    await assertRejects(() => gl.scanout({ width: 1, height: 1 }), Error, "a draw is pending");
  }
  await gl.settle(); // the server acknowledges what a client that has gone owes
  const info = await gl.info();
  assertEquals({ ...info, fds: 0 }, { owed: 0, draws: 2004, scanouts: 202, fds: 0 });
  assert(info.fds <= fds + 1, `${info.fds} open files, ${fds} before`);
});

Deno.test("e2e: gl peer: a picture is the same in every format that has eight bits", {
  timeout: 120_000,
}, async () => {
  await using peer = await SpicePeer.start({ checked: true, displays: 2 });
  const gl = new GlPeer(peer);
  await gl.scanout({ width: 40, height: 30, seed: 7 });
  const expected = await gl.expect();
  assertEquals(new Set(expected.map((word) => word >>> 24)), new Set([0xff]));
  for (const format of ["AR24", "XB24", "AB24", "RX24", "BA24", "RG24", "BG24", "XR30", "AB30"]) {
    await gl.scanout({ width: 40, height: 30, format, y0top: true, stride: 256, seed: 7 });
    assertEquals(await gl.expect(), expected, format);
  }
  await gl.paint(8, { x: 10, y: 5, w: 2, h: 1 });
  const painted = await gl.expect();
  const changed = [...painted.keys()].filter((at) => painted[at] !== expected[at]);
  assertEquals(changed, [5 * 40 + 10, 5 * 40 + 11]);
});
