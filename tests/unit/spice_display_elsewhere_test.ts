/** Displays that somebody else links for the session. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { pause } from "../../lib/base/deadline.ts";
import type { ChannelEnd, RunningChannel } from "../../lib/spice/channel_link.ts";
import { SpiceClosedError } from "../../lib/spice/errors.ts";
import { type DisplayOpening, type SpiceEvent, SpiceSession } from "../../lib/spice/session.ts";
import {
  channelsList,
  FakeSpiceServer,
  INIT,
  type Script,
  SESSION_ID,
} from "../fakes/spice_server.ts";

/** A channel that the test runs. */
class OtherChannel implements RunningChannel {
  readonly stats = { messages: 3, bytes: 60, acks: 0, malformed: 0, unknown: new Map() };
  readonly #ended = Promise.withResolvers<ChannelEnd>();
  readonly closed = this.#ended.promise;
  readonly ending = this.closed.then(() => {});
  stallChecks = 0;

  constructor(readonly name: string, readonly id: number) {}

  reached(_serial: bigint): undefined {}

  endIfStalled(): void {
    this.stallChecks++;
  }

  end(end: ChannelEnd): void {
    this.#ended.resolve(end);
  }

  close(text: string): void {
    this.end({ by: "client", text });
  }
}

/** Main with one display, until the client leaves or the test says so. */
function withDisplay(leave?: Promise<void>): Script {
  return async (connection) => {
    await connection.write(INIT);
    await connection.receive();
    await connection.write(channelsList([2, 0]));
    await Promise.race([connection.drain(), leave ?? connection.drain()]);
  };
}

Deno.test("a display that is linked elsewhere is one of the session's channels", async () => {
  await using server = await FakeSpiceServer.start({ main: withDisplay() });
  const openings: DisplayOpening[] = [];
  const events: string[] = [];
  await using session = await SpiceSession.connect(server.target, {
    password: "secret",
    onEvent: ({ channel, id, state }: SpiceEvent) => void events.push(`${channel} ${id} ${state}`),
    openDisplay: (_signal, opening) => {
      openings.push(opening);
      setTimeout(opening.onFirstMessage, 1);
      return Promise.resolve(new OtherChannel(opening.name, opening.id));
    },
  });
  const [opening] = openings;
  assert(opening);
  assertEquals(
    [opening.target, opening.name, opening.id, opening.connectionId, opening.password],
    [server.target, "display", 0, SESSION_ID, "secret"],
  );
  assertEquals(session.channels, ["main", "display"]);
  assertEquals(session.stats.get("display")?.messages, 3);
  assertEquals(events, ["main 0 linked", "main 0 up", "display 0 linked", "display 0 up"]);
});

Deno.test("a display elsewhere that ends alone is linked again", async () => {
  await using server = await FakeSpiceServer.start({ main: withDisplay() });
  const channels: OtherChannel[] = [];
  await using session = await SpiceSession.connect(server.target, {
    openDisplay: (_signal, opening) => {
      const channel = new OtherChannel(opening.name, opening.id);
      channels.push(channel);
      opening.onFirstMessage();
      return Promise.resolve(channel);
    },
  });
  channels[0]!.end({ by: "server", text: "the server closed the connection" });
  const end = performance.now() + 5000;
  while (channels.length < 2) {
    assert(performance.now() < end);
    await pause(5);
  }
  await pause(1);
  assertEquals(session.channels, ["main", "display"]);
});

Deno.test("a display elsewhere that cannot be linked fails the session with its error", async () => {
  await using server = await FakeSpiceServer.start({ main: withDisplay() });
  const error = await assertRejects(
    () =>
      SpiceSession.connect(server.target, {
        openDisplay: () => Promise.reject(new SpiceClosedError("Cannot link: no")),
      }),
    SpiceClosedError,
  );
  assertEquals(error.message, "Cannot link: no");
});

Deno.test("the end of main tells why a display elsewhere was never linked", async () => {
  const leave = Promise.withResolvers<void>();
  await using server = await FakeSpiceServer.start({ main: withDisplay(leave.promise) });
  const error = await assertRejects(
    () =>
      SpiceSession.connect(server.target, {
        openDisplay: (signal) =>
          new Promise((_, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason));
            leave.resolve();
          }),
      }),
    SpiceClosedError,
  );
  assertStringIncludes(error.message, "the server closed the connection");
});

Deno.test("the end of a session closes a display elsewhere", async () => {
  await using server = await FakeSpiceServer.start({ main: withDisplay() });
  let channel: OtherChannel | undefined;
  const session = await SpiceSession.connect(server.target, {
    openDisplay: (_signal, opening) => {
      channel = new OtherChannel(opening.name, opening.id);
      opening.onFirstMessage();
      return Promise.resolve(channel);
    },
  });
  await session[Symbol.asyncDispose]();
  assertEquals((await channel!.closed).by, "client");
});
