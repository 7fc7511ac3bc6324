/** The GL mode of the SPICE peer itself, beside the reference client. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { GlPeer } from "./gl_peer.ts";
import { LineClient } from "./line_client.ts";
import { buildRig, SpicePeer } from "./spice_peer.ts";

/** The reference client on a peer. */
async function reference(peer: SpicePeer): Promise<LineClient<{ draws: number }>> {
  if (!("path" in peer.target)) throw new TypeError("Cannot attach over TCP");
  return await LineClient.start([
    await buildRig("spice_glib_client"),
    `spice+unix://${peer.target.path}`,
  ]);
}

Deno.test("e2e: gl peer: libspice-client-glib acknowledges every draw", {
  timeout: 120_000,
}, async () => {
  await using peer = await SpicePeer.start({ checked: true });
  const gl = new GlPeer(peer);
  await gl.draw(); // nobody to acknowledge it
  await gl.scanout({ width: 64, height: 48, format: "AB24", y0top: true, seed: 1 });
  const { fds } = await gl.info();
  {
    await using client = await reference(peer);
    const times = await gl.draws(2000);
    assertEquals(times.draws, 2000);
    assert(times.p50 <= times.p99 && times.p99 <= times.max);
    await gl.flood(200, { width: 16, height: 16, seed: 1 });
    await gl.draw({ x: 1, y: 2, w: 3, h: 4 });
    assertEquals((await client.ask()).draws, 2001);
    await gl.off();
    await gl.draw(); // complete at once: there is nothing to show
    assertEquals((await client.ask()).draws, 2001);
    await gl.scanout({ width: 16, height: 16 });
    await client.stop();
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

Deno.test("e2e: gl peer: a surface is there for as long as its scanout", {
  timeout: 120_000,
}, async () => {
  /** Every process has numbers of its own. Source: native/tests/standin. */
  const surfaces = (pid: number) =>
    [...Deno.readDirSync("/dev/shm")].filter(({ name }) => {
      const id = /^utmost-iosurface-(\d+)$/.exec(name)?.[1];
      return id !== undefined && Math.floor(Number(id) / 4096) === pid;
    }).length;
  await using peer = await SpicePeer.start({ checked: true });
  const gl = new GlPeer(peer);
  await gl.scanout({ kind: "pipe", width: 40, height: 30, seed: 7 });
  assertEquals(surfaces(peer.pid), 1);
  const expected = await gl.expect();
  await gl.scanout({ kind: "pipe", format: "RGBA", width: 40, height: 30, y0top: true, seed: 7 });
  assertEquals(await gl.expect(), expected);
  await gl.flood(100, { kind: "pipe", width: 40, height: 30 });
  assertEquals(surfaces(peer.pid), 1);
  await gl.scanout({ kind: "pipe", width: 40, height: 30, id: 1, bytes: 3, hung: true });
  await gl.again();
  assertEquals(surfaces(peer.pid), 0);
});
