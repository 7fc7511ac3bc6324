import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { pause } from "../../lib/base/deadline.ts";
import { GuestCursor } from "../../lib/display/cursor.ts";
import { arrowShape } from "../../lib/display/cursor_shape.ts";
import { cursorSetup } from "../../lib/spice/cursor_channel.ts";
import { CURSOR_MAX_BYTES } from "../../lib/spice/cursor_messages.ts";
import { type OpenChannel, SpiceSession } from "../../lib/spice/session.ts";
import {
  type FakeConnection,
  FakeSpiceServer,
  join,
  le,
  serveDisplay,
} from "../fakes/spice_server.ts";

/** Runs `test` with a pointer that follows a fake server's channel. */
async function withCursor(
  test: (cursor: GuestCursor, server: FakeConnection, channel: OpenChannel) => Promise<void>,
): Promise<void> {
  const connected = Promise.withResolvers<FakeConnection>();
  await using server = await FakeSpiceServer.start({
    display: (connection) => {
      if (connection.link.type !== 4) return serveDisplay(connection);
      connected.resolve(connection);
      return connection.drain();
    },
  });
  await using session = await SpiceSession.connect(server.target);
  const cursor = new GuestCursor();
  const channel = await session.open(cursorSetup(() => cursor.handlers()));
  await test(cursor, await connected.promise, channel);
}

/** SET with a shape of type 0 and its data. */
function set(width: number, height: number, data: Uint8Array): Uint8Array {
  const place = le([2, 7], [2, 8], [1, 1]);
  const shape = le([2, 0], [8, 0], [1, 0], [2, width], [2, height], [2, 1], [2, 0]);
  return join(place, shape, data);
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let n = 0; !isTrue() && n < 2000; n++) await pause(1);
  assert(isTrue());
}

Deno.test("the cursor channel takes the largest shape, and a message of 2 MiB", () =>
  withCursor(async (cursor, server, channel) => {
    await server.send(103, set(512, 512, new Uint8Array(512 * 512 * 4)));
    await until(() => cursor.shape !== undefined);
    assertEquals(cursor.shape?.picture.pixels.length, 512 * 512);
    await server.send(103, set(0xffff, 0xffff, new Uint8Array(CURSOR_MAX_BYTES - 24)));
    await until(() => cursor.stats.refused === 1);
    assertEquals(cursor.shape, arrowShape());
    await server.send(104, le([2, 1], [2, 2]));
    await until(() => cursor.x === 1);
    assertEquals(channel.stats.malformed, 0);
  }));

Deno.test("a message of more than 2 MiB ends the cursor channel, before its body is there", () =>
  withCursor(async (_cursor, server, channel) => {
    await server.write(le([2, 103], [4, CURSOR_MAX_BYTES + 1]));
    const end = await channel.closed;
    assertEquals(end.by, "error");
    assertStringIncludes(end.text, "expected at most 2097152");
  }));

Deno.test("the cursor channel is acknowledged, and broken messages are put up with", () =>
  withCursor(async (cursor, server, channel) => {
    await server.send(3, le([4, 1], [4, 5]));
    for (let x = 1; x <= 9; x++) await server.send(104, le([2, x], [2, 0]));
    await server.send(103, le([2, 0], [2, 0], [1, 1], [2, 0], [8, 0])); // cut inside the shape
    await server.send(103, set(1, 1, Uint8Array.of(1, 2, 3, 255)));
    await until(() => cursor.shape !== undefined);
    assertEquals([cursor.x, cursor.shape?.picture.pixels[0]], [7, 0xff030201]);
    const { messages, acks, malformed } = channel.stats;
    assertEquals([messages, acks, malformed], [12, 2, 1]);
  }));
