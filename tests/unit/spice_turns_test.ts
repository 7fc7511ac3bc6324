/** Floods of cheap messages: a server must not keep the event loop from everything else. */
import { assert, assertEquals, assertLess } from "@std/assert";
import { pause } from "../../lib/base/deadline.ts";
import { GuestDisplay } from "../../lib/display/guest_display.ts";
import { routes } from "../../lib/spice/message_routes.ts";
import { SpiceChannel } from "../../lib/spice/channel.ts";
import { fixedBytes, struct, u32 } from "../../lib/spice/codec.ts";
import { DISPLAY_MESSAGES } from "../../lib/spice/display_messages.ts";
import { SpiceSession } from "../../lib/spice/session.ts";
import { SpiceStream } from "../../lib/spice/transport.ts";
import {
  channelsList,
  FakeConnection,
  FakeSpiceServer,
  framed,
  INIT,
  join,
  le,
  socketPair,
} from "../fakes/spice_server.ts";

/**
 * How long a turn may take: the goal is 16 ms and one message, the limit a second, with five times
 * the slack for a busy machine. A whole chunk of these floods takes 10 s and more.
 */
const MOST_MS = 5 * 1000;
/** How long floods are watched that are never over. */
const WATCH_MS = 700;

/** Measures the longest time between two turns of the event loop. */
class TurnWatch implements Disposable {
  longestMs = 0;
  #last = performance.now();
  readonly #timer = setInterval(() => {
    const now = performance.now();
    this.longestMs = Math.max(this.longestMs, now - this.#last);
    this.#last = now;
  }, 1);

  /** Watches until `isOver` says so. */
  async watch(what: string, isOver: () => boolean): Promise<void> {
    while (!isOver()) await pause(5);
    console.log(`${what}: the longest turn took ${this.longestMs.toFixed(1)} ms`);
    assertLess(this.longestMs, MOST_MS);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

const surface = (width: number, height: number) =>
  framed(314, le([4, 0], [4, width], [4, height], [4, 32], [4, 1]));
const fill = (width: number, height: number, color: number) =>
  framed(
    302,
    join(
      le([4, 0], [4, 0], [4, 0], [4, height], [4, width], [1, 0]), // base
      le([1, 1], [4, color], [2, 8], [1, 0], [4, 0], [4, 0], [4, 0]), // brush, operation, mask
    ),
  );
const RESET = framed(103);
const times = (count: number, bytes: Uint8Array) =>
  join(...Array.from({ length: count }, () => bytes));
/** Sub-messages that all lie at one place. */
const list = (count: number, message: Uint8Array) => {
  const offsets = Array.from({ length: count }, () => le([4, 2 + 4 * count]));
  return framed(8, join(le([2, count]), ...offsets, message));
};

const FLOODS: readonly [what: string, flood: Uint8Array][] = [
  ["5,000 fills of 3840×2160", join(surface(3840, 2160), times(5000, fill(3840, 2160, 1)))],
  ["2,000 RESETs of 16 megapixels", join(surface(4096, 4096), times(2000, RESET))],
  ["a list of 2,000 RESETs of 16 megapixels", join(surface(4096, 4096), list(2000, RESET))],
];

for (const [what, flood] of FLOODS) {
  Deno.test(`a flood leaves turns to others: ${what}`, async () => {
    const [client, conn] = await socketPair();
    const server = new FakeConnection(conn);
    const display = new GuestDisplay();
    const channel = new SpiceChannel(new SpiceStream(client), {
      name: "display",
      maxBytes: 1 << 20,
      routes: () => routes(DISPLAY_MESSAGES, display.handlers()),
    });
    const end = channel.run();
    const writing = server.write(flood).catch(() => {}); // the client closes before its end
    try {
      using watch = new TurnWatch();
      const over = performance.now() + WATCH_MS;
      await watch.watch(what, () => performance.now() > over);
    } finally {
      channel.close("the test is over");
      assertEquals((await end).by, "client");
      server.close();
      await writing;
    }
  });
}

Deno.test("a flood leaves turns to others: 10,000 lists of channels, 60,000 known", async () => {
  const many: [number, number][] = [];
  for (let type = 20; type < 255; type++) {
    for (let id = 0; id < 256; id++) many.push([type, id]);
  }
  await using server = await FakeSpiceServer.start({
    async main(connection) {
      await connection.write(INIT);
      await connection.receive(); // ATTACH_CHANNELS
      for (let at = 0; at < many.length; at += 1000) {
        await connection.write(channelsList(...many.slice(at, at + 1000)));
      }
      await connection.write(times(10_000, channelsList([20, 0])));
      await connection.drain();
    },
  });
  using watch = new TurnWatch();
  await using session = await SpiceSession.connect(server.target, { channels: [] });
  const messages = 1 + Math.ceil(many.length / 1000) + 10_000;
  const isOver = () => session.stats.get("main")?.messages === messages;
  await watch.watch("10,000 lists of channels", isOver);
  assertEquals(session.offered.length, many.length);
});

Deno.test("messages that take long are handled in order, and acknowledged", async () => {
  const COUNT = 200;
  const [client, conn] = await socketPair();
  const server = new FakeConnection(conn);
  const handled: number[] = [];
  let turns = 0;
  let turnsWhenDone = 0;
  const table = { 200: { name: "slow", ...struct({ n: u32, rest: fixedBytes(1500) }) } } as const;
  const channel = new SpiceChannel(new SpiceStream(client), {
    name: "slow",
    maxBytes: 1 << 20,
    routes: routes(table, {
      slow({ n, rest }) {
        // The message must still be what came, however long it had to wait.
        assert(rest.every((byte) => byte === n % 251), `message ${n} has changed`);
        handled.push(n);
        const end = performance.now() + 2;
        while (performance.now() < end) { /* what a large draw takes */ }
        if (handled.length === COUNT) turnsWhenDone = turns;
      },
    }),
  });
  const end = channel.run();
  const timer = setInterval(() => turns++, 1);
  const message = (n: number) => framed(200, join(le([4, n]), new Uint8Array(1500).fill(n % 251)));
  const parts = Array.from({ length: COUNT }, (_, n) => message(n));
  const writing = server.write(join(framed(3, le([4, 1], [4, 10])), ...parts));
  assertEquals((await server.receive()).type, 1); // ACK_SYNC
  for (let n = 0; n < Math.floor((COUNT + 1) / 10); n++) {
    assertEquals((await server.receive()).type, 2); // ACK
  }
  await writing;
  server.close();
  assertEquals((await end).by, "server");
  clearInterval(timer);
  assertEquals(handled, Array.from({ length: COUNT }, (_, n) => n));
  assert(turnsWhenDone >= 10, `${turnsWhenDone} turns of the event loop within ${2 * COUNT} ms`);
});
