/** Recorded sessions of real servers, replayed. */
import { assert, assertEquals } from "@std/assert";
import type { ChannelSetup } from "../../lib/spice/channel_link.ts";
import { type MessageTable, routes } from "../../lib/spice/message_routes.ts";
import { CURSOR_MESSAGES } from "../../lib/spice/cursor_messages.ts";
import { DISPLAY_MESSAGES } from "../../lib/spice/display_messages.ts";
import { INPUTS_MESSAGES } from "../../lib/spice/inputs_messages.ts";
import { MAIN_MESSAGES } from "../../lib/spice/main_messages.ts";
import { readRecording, type Recording, recordingNames } from "../fakes/spice_recording.ts";
import { replay } from "../fakes/spice_replay.ts";

const TABLES: Readonly<Record<number, MessageTable>> = {
  1: MAIN_MESSAGES,
  2: DISPLAY_MESSAGES,
  3: INPUTS_MESSAGES,
  4: CURSOR_MESSAGES,
};
/** Messages that a libspice-server sends before it waits for an ACK. */
const WINDOW = 20;
/** What is replayed byte by byte of each connection: structures are cut alike in what follows. */
const FIRST_BYTES = 200_000;

/** Handlers that decode every message that has a layout, and count it by its name. */
function counting(table: MessageTable, counts: Map<string, number>): ChannelSetup {
  const handlers = Object.fromEntries(
    Object.values(table).filter(({ decode }) => decode).map(({ name }) => [
      name,
      () => counts.set(name, (counts.get(name) ?? 0) + 1),
    ]),
  );
  return { type: 0, caps: [], maxBytes: 1 << 28, routes: () => routes(table, handlers) };
}

/** Replays everything for which there is a table, and returns what came of it as plain data. */
async function summary(recording: Recording, chunkBytes?: number): Promise<unknown[]> {
  const counts = new Map<number, Map<string, number>>();
  const replayed = await replay(recording, {
    ...chunkBytes === undefined ? {} : { chunkBytes },
    setup({ type }) {
      const table = TABLES[type];
      if (table === undefined) return undefined;
      const own = new Map<string, number>();
      counts.set(type, own);
      return counting(table, own);
    },
  });
  return replayed.map(({ connection: { type, id }, channel, end, written }) => {
    const { messages, bytes, acks } = channel.stats;
    return { type, id, end: end.text, messages, bytes, acks, written, names: counts.get(type) };
  });
}

Deno.test("every recording is in the table of its README", async () => {
  const readme = await Deno.readTextFile(new URL("../fixtures/spice/README.md", import.meta.url));
  const listed = [...readme.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name);
  assertEquals(recordingNames(), listed.sort());
});

for (const name of recordingNames()) {
  const reading = readRecording(name);

  Deno.test(`recording ${name}: every message is known, whole and acknowledged`, async () => {
    const recording = await reading;
    const replayed = await replay(recording, {
      setup: ({ type }) => TABLES[type] && counting(TABLES[type], new Map()),
    });
    assert(replayed.length >= 2);
    for (const { connection, channel: { stats }, end } of replayed) {
      const where = `channel ${connection.type}.${connection.id}`;
      assertEquals([end.by, stats.malformed, [...stats.unknown]], ["server", 0, []], where);
      const isAcknowledged = connection.type === 2 || connection.type === 4;
      assertEquals(stats.acks, isAcknowledged ? Math.floor(stats.messages / WINDOW) : 0, where);
    }
  });

  Deno.test(`recording ${name}: the same comes of it however it is cut`, async () => {
    const recording = await reading;
    const whole = await summary(recording);
    for (const chunkBytes of [4093, 61_441]) {
      assertEquals(await summary(recording, chunkBytes), whole, `${chunkBytes} bytes a read`);
    }
  });

  Deno.test(`recording ${name}: the same comes of it byte by byte`, async () => {
    const { head, blocks } = await reading;
    const lengths = head.connections.map(() => 0);
    const first = blocks.filter(({ connection, bytes }) =>
      (lengths[connection]! += bytes.length) < FIRST_BYTES
    );
    const start = { head: { ...head, moments: [] }, blocks: first };
    assertEquals(await summary(start, 1), await summary(start));
  });
}
