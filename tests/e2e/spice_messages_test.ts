/**
 * Every message of the display and cursor channels that the real server can be made to send has
 * come, and was read. What never comes is named, with the reason.
 */
import { assertEquals } from "@std/assert";
import { pause } from "../../lib/base/deadline.ts";
import { cursorSetup } from "../../lib/spice/cursor_channel.ts";
import { CURSOR_MESSAGES } from "../../lib/spice/cursor_messages.ts";
import { DISPLAY_MESSAGES } from "../../lib/spice/display_messages.ts";
import { SpiceSession } from "../../lib/spice/session.ts";
import { type PeerHead, SpicePeer, SURFACE_FORMATS } from "./spice_peer.ts";
import { SpiceViewer } from "./spice_viewer.ts";

const WIDTH = 320;
const HEIGHT = 240;

/** Display messages that this server never sends us. */
const NEVER: Readonly<Record<string, string>> = {
  mode: "for clients of servers without surfaces, before 0.6",
  reset: "no call of the library's API made it send one",
  inval_all_pixmaps: "for sessions that migrate",
  stream_data_sized: "we do not offer SIZED_STREAM",
  stream_activate_report: "we do not offer STREAM_REPORT",
  gl_scanout_unix: "this session does not offer GL_SCANOUT",
  gl_draw: "this session does not offer GL_SCANOUT",
  quality_indicator: "nothing in the server sends it",
};

/** Surfaces, heads, every kind of draw, and a cache that overflows. */
async function driveOverUnix(): Promise<SpiceViewer> {
  await using peer = await SpicePeer.start();
  await peer.primary(WIDTH, HEIGHT);
  await using viewer = await SpiceViewer.connect(peer, { cachePixels: 20_000 });
  await peer.surface(1, 100, 100);
  await peer.random(1, 1500);
  const heads: PeerHead[] = [0, 1, 2].map((id) => ({ id, width: 100, height: 200, x: id * 100 }));
  await peer.heads(heads);
  await viewer.sync();
  assertEquals(viewer.displays[0]!.heads.map(({ id, x }) => [id, x]), [[0, 0], [1, 100], [2, 200]]);
  await peer.command("reset_cache");
  await peer.destroy(1);
  await peer.command("destroy_surfaces");
  await peer.primary(WIDTH, HEIGHT, SURFACE_FORMATS.rgb565);
  await viewer.sync();
  assertEquals(viewer.malformed, 0);
  return viewer;
}

/** A stream that is drawn over, and ended by a mode set. */
async function driveOverTcp(): Promise<SpiceViewer> {
  await using peer = await SpicePeer.start({ transport: "tcp" });
  await peer.command("streaming all");
  await peer.primary(WIDTH, HEIGHT);
  await using viewer = await SpiceViewer.connect(peer, { takesCompression: true });
  await peer.command("video 40 200 120 30 20 20");
  await peer.draw("fill box=60,40,40,40 brush=ff0000");
  await peer.command("video 15 200 120 30 20 20");
  for (let n = 0; n < 60 && !viewer.counts.has("stream_destroy"); n++) {
    await pause(100); // a stream that gets nothing ends after a second or so
    await viewer.sync();
  }
  await peer.primary(WIDTH, HEIGHT);
  await viewer.sync();
  assertEquals(viewer.malformed, 0);
  return viewer;
}

Deno.test("e2e: messages: all of the display channel come, or are known not to", {
  timeout: 60_000,
}, async () => {
  const counts = new Map<string, number>();
  for (const drive of [driveOverUnix, driveOverTcp]) {
    for (const [name, count] of (await drive()).counts) {
      counts.set(name, (counts.get(name) ?? 0) + count);
    }
  }
  const missing = Object.values(DISPLAY_MESSAGES).map(({ name }) => name)
    .filter((name) => !counts.has(name));
  console.log(`came: ${[...counts].map(([name, count]) => `${name} ${count}`).join(", ")}`);
  for (const name of missing) console.log(`never came: ${name}: ${NEVER[name] ?? "unknown"}`);
  assertEquals(missing.toSorted(), Object.keys(NEVER).toSorted());
});

Deno.test("e2e: messages: all of the cursor channel come, or are known not to", {
  timeout: 60_000,
}, async () => {
  const counts = new Map<string, number>();
  await using peer = await SpicePeer.start();
  await peer.primary(WIDTH, HEIGHT);
  await using session = await SpiceSession.connect(peer.target);
  const handlers: Record<string, () => void> = {};
  for (const { name } of Object.values(CURSOR_MESSAGES)) {
    handlers[name] = () => counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const channel = await session.open(cursorSetup(() => handlers));
  for (let unique = 0; unique < 800; unique++) { // the server keeps 256, and skips some
    await peer.cursor({ type: 0, width: 16, height: 16, seed: unique, unique });
  }
  await peer.moveCursor(10, 20);
  await peer.command("cursor trail 4 30");
  await peer.hideCursor();
  await peer.command("reset_cursor");
  await peer.primary(WIDTH, HEIGHT);
  await peer.sync();
  for (let n = 0; n < 50 && !(counts.has("reset") && counts.has("trail")); n++) await pause(50);
  assertEquals(channel.stats.malformed, 0);
  console.log(`came: ${[...counts].map(([name, count]) => `${name} ${count}`).join(", ")}`);
  const missing = Object.values(CURSOR_MESSAGES).map(({ name }) => name)
    .filter((name) => !counts.has(name));
  assertEquals(missing, []);
});
