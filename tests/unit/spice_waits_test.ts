/** WAIT_FOR_CHANNELS: a channel that waits for messages of others. */
import { assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { pause } from "../../lib/base/deadline.ts";
import { routes } from "../../lib/spice/message_routes.ts";
import { SpiceChannel } from "../../lib/spice/channel.ts";
import { ChannelWaits } from "../../lib/spice/channel_waits.ts";
import { DISPLAY_MESSAGES } from "../../lib/spice/display_messages.ts";
import { SpiceTimeoutError } from "../../lib/spice/errors.ts";
import { SpiceStream } from "../../lib/spice/transport.ts";
import { framed, join, le } from "../fakes/spice_server.ts";
import { FedConnection } from "../fakes/spice_replay.ts";

type Awaited = [type: number, id: number, serial: number];
const DISPLAY = 2;

/** The body of WAIT_FOR_CHANNELS. */
const list = (...awaited: Awaited[]) =>
  join(
    le([1, awaited.length]),
    ...awaited.map(([type, id, serial]) => le([1, type], [1, id], [8, serial])),
  );
const wait = (...awaited: Awaited[]) => framed(5, list(...awaited));
const invalidateAll = (...awaited: Awaited[]) => framed(106, list(...awaited));
const mark = framed(102);

/** Some displays of one session, each fed by the test, and a log of what they handled. */
class Displays implements AsyncDisposable {
  readonly log: string[] = [];
  readonly feeds: FedConnection[] = [];
  readonly channels: SpiceChannel[] = [];
  readonly ends: ReturnType<SpiceChannel["run"]>[] = [];

  constructor(count: number, timeoutMs = 5000, chunkBytes = Infinity) {
    const find = (type: number, id: number) => type === DISPLAY ? this.channels[id] : undefined;
    const waits = new ChannelWaits(find, timeoutMs);
    for (let id = 0; id < count; id++) {
      const note = (what: string) => void this.log.push(`${id} ${what}`);
      const feed = new FedConnection(chunkBytes);
      const channel: SpiceChannel = new SpiceChannel(new SpiceStream(feed), {
        name: `display-${id}`,
        id,
        maxBytes: 1 << 20,
        waitsBefore: [106],
        waitFor: (awaited) => waits.waitFor(channel, awaited),
        routes: routes(DISPLAY_MESSAGES, {
          mark: () => note("mark"),
          reset: () => note("reset"),
          inval_all_pixmaps: () => note("invalidate"),
          inval_palette: ({ id }) => note(`palette ${id}`),
        }),
      });
      this.feeds.push(feed);
      this.channels.push(channel);
      this.ends.push(channel.run());
    }
  }

  /** Lets one display receive messages, and everybody handle what they can. */
  async feed(id: number, ...messages: Uint8Array[]): Promise<void> {
    this.feeds[id]!.push(join(...messages));
    await pause(2);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const channel of this.channels) channel.close("the test is over");
    await Promise.all(this.ends);
  }
}

for (const chunkBytes of [Infinity, 1]) {
  const how = chunkBytes === 1 ? ", byte by byte" : "";

  Deno.test(`WAIT_FOR_CHANNELS holds what follows until the other is there${how}`, async () => {
    await using displays = new Displays(2, 5000, chunkBytes);
    await displays.feed(0, mark, wait([DISPLAY, 1, 3]), mark, framed(103));
    assertEquals(displays.log, ["0 mark"]);
    assertEquals(displays.channels[0]!.stats.messages, 2);
    await displays.feed(1, mark, mark);
    assertEquals(displays.log, ["0 mark", "1 mark", "1 mark"]);
    await displays.feed(1, mark);
    assertEquals(displays.log.slice(3), ["1 mark", "0 mark", "0 reset"]);
  });
}

Deno.test("WAIT_FOR_CHANNELS for what has been handled holds nothing", async () => {
  await using displays = new Displays(2);
  await displays.feed(1, mark, mark);
  await displays.feed(0, wait([DISPLAY, 1, 2], [DISPLAY, 1, 1], [DISPLAY, 0, 1]), wait(), mark);
  assertEquals(displays.log, ["1 mark", "1 mark", "0 mark"]);
  assertEquals(displays.channels[0]!.stats.malformed, 0);
});

Deno.test("a message counts once it is handled, not when it comes", async () => {
  await using displays = new Displays(3);
  await displays.feed(1, wait([DISPLAY, 2, 1]), mark); // message 1 of display 1 is not over
  await displays.feed(0, wait([DISPLAY, 1, 1]), framed(103));
  assertEquals(displays.log, []);
  await displays.feed(2, mark);
  assertEquals(displays.log.toSorted(), ["0 reset", "1 mark", "2 mark"]);
});

Deno.test("INVAL_ALL_PIXMAPS is handled after the messages that it names", async () => {
  await using displays = new Displays(2);
  await displays.feed(0, invalidateAll([DISPLAY, 1, 1]), mark);
  assertEquals(displays.log, []);
  await displays.feed(1, framed(103));
  assertEquals(displays.log, ["1 reset", "0 invalidate", "0 mark"]);
  await displays.feed(0, invalidateAll());
  assertEquals(displays.log.at(-1), "0 invalidate");
});

Deno.test("a list holds its later parts with it, in their order", async () => {
  await using displays = new Displays(2);
  const parts = [
    framed(107, le([8, 1])),
    wait([DISPLAY, 1, 1]),
    framed(107, le([8, 2])),
    wait([DISPLAY, 1, 2]),
    framed(107, le([8, 3])),
  ];
  let at = 2 + 4 * parts.length;
  const offsets = parts.map(({ length }) => le([4, (at += length) - length]));
  await displays.feed(0, framed(8, join(le([2, parts.length]), ...offsets, ...parts)), mark);
  assertEquals(displays.log, ["0 palette 1"]);
  await displays.feed(1, mark);
  assertEquals(displays.log.slice(2), ["0 palette 2"]);
  await displays.feed(1, mark);
  assertEquals(displays.log.slice(4), ["0 palette 3", "0 mark"]);
});

Deno.test("a wait for a channel that is not linked is broken, and left out", async () => {
  await using displays = new Displays(2);
  await displays.feed(0, wait([DISPLAY, 7, 1]), wait([4, 0, 1]), mark);
  assertEquals([displays.log, displays.channels[0]!.stats.malformed], [["0 mark"], 2]);
});

Deno.test("channels that wait for each other do not hang", async () => {
  await using displays = new Displays(3);
  await displays.feed(0, wait([DISPLAY, 0, 2]), mark); // for itself
  assertEquals(displays.log, ["0 mark"]);
  await displays.feed(0, wait([DISPLAY, 1, 9]), mark);
  await displays.feed(1, wait([DISPLAY, 2, 9]), mark);
  await displays.feed(2, wait([DISPLAY, 0, 9]), mark); // closes the ring
  assertEquals(displays.log, ["0 mark", "2 mark"]);
  assertEquals(displays.channels.map(({ stats }) => stats.malformed), [1, 0, 1]);
});

Deno.test("a channel that ends is waited for no longer", async () => {
  await using displays = new Displays(2);
  await displays.feed(0, wait([DISPLAY, 1, 99]), mark);
  displays.feeds[1]!.end();
  await displays.ends[1];
  await pause(2);
  assertEquals(displays.log, ["0 mark"]);
});

Deno.test("a wait that is in vain ends the channel at its deadline", async () => {
  await using displays = new Displays(2, 30);
  await displays.feed(0, wait([DISPLAY, 1, 99]), mark);
  const end = await displays.ends[0]!;
  assertInstanceOf(end.error, SpiceTimeoutError);
  assertStringIncludes(end.text, "it waits for display-1, and nothing came within 30 ms");
  assertEquals(displays.log, []);
});

Deno.test("a channel that waits is closed at once, and does not count as stalled", async () => {
  await using displays = new Displays(2);
  await displays.feed(0, wait([DISPLAY, 1, 99]), mark.subarray(0, 3));
  displays.channels[0]!.endIfStalled(1);
  displays.channels[0]!.endIfStalled(1);
  displays.channels[0]!.close("enough");
  assertEquals(await displays.ends[0], { by: "client", text: "enough" });
  assertEquals(displays.log, []);
});
