import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { pause } from "../../lib/base/deadline.ts";
import { SpiceError } from "../../lib/base/errors.ts";
import { LONGEST_SOCKET_PATH } from "../../lib/base/socket_path.ts";
import {
  SpiceClosedError,
  SpiceConnectError,
  SpiceLimitError,
  SpiceLinkError,
  SpiceTimeoutError,
} from "../../lib/spice/errors.ts";
import type { ChannelSetup } from "../../lib/spice/channel_link.ts";
import { routes } from "../../lib/spice/message_routes.ts";
import { empty, message } from "../../lib/spice/codec.ts";
import { type SpiceEvent, SpiceSession } from "../../lib/spice/session.ts";
import { connectStream } from "../../lib/spice/transport.ts";
import {
  channelsList,
  type FakeConnection,
  type FakeServerOptions,
  FakeSpiceServer,
  framed,
  INIT,
  join,
  le,
  linkReply,
  type Script,
  serveDisplay,
  serveMain,
  SESSION_ID,
} from "../fakes/spice_server.ts";

const brief = ({ channel, id, state }: SpiceEvent) => `${channel} ${id} ${state}`;
const ATTACHED = ["main 0 linked", "main 0 up", "display 0 linked", "display 0 up"];

/** Main with the list of channels that a test wants, then `more`. */
function mainWith(list: Uint8Array, more: Script = (connection) => connection.drain()): Script {
  return async (connection) => {
    await connection.write(INIT);
    await connection.receive();
    await connection.write(list);
    await more(connection);
  };
}

for (
  const [name, options] of [
    ["a Unix socket", {}],
    ["a Unix socket, byte by byte", { slow: true }],
    ["TCP", { tcp: true }],
    ["TCP, byte by byte", { tcp: true, slow: true }],
  ] as const
) {
  Deno.test(`connect attaches over ${name}`, async () => {
    const links: unknown[] = [];
    await using server = await FakeSpiceServer.start({
      ...options,
      result: ({ link }) => (links.push(link), 0),
    });
    const events: SpiceEvent[] = [];
    await using session = await SpiceSession.connect(server.target, {
      onEvent: (event) => events.push(event),
    });
    assertEquals(events.map(brief), ATTACHED);
    assertEquals(links, [{ type: 1, id: 0, connectionId: 0 }, {
      type: 2,
      id: 0,
      connectionId: SESSION_ID,
    }]);
    assertEquals(session.channels, ["main", "display"]);
    assertEquals(session.offered.map(({ channel }) => channel), ["inputs", "cursor", "display"]);
    assertEquals(session.mouseMode, { supported: 3, current: 1 });

    await session[Symbol.asyncDispose]();
    assertEquals(session.channels, []);
    const { by, text } = await session.closed;
    assertEquals([by, text], ["client", "the client closed the session"]);
    assertEquals(
      events.slice(4).map((event) => `${brief(event)}: ${event.reason}`).sort(),
      [
        "display 0 closed: the client closed the session",
        "main 0 closed: the client closed the session",
      ],
    );
    await session[Symbol.asyncDispose](); // again changes nothing
    assertEquals(events.length, 6);
  });
}

Deno.test("connect asks main to attach, and a display for no caches", async () => {
  const received: unknown[] = [];
  const keep = (script: Script): Script => async (connection) => {
    const { receive } = connection;
    connection.receive = async () => {
      const message = await receive.call(connection);
      received.push([message.type, message.body.toHex()]);
      return message;
    };
    await script(connection);
  };
  await using server = await FakeSpiceServer.start({
    main: keep(serveMain),
    display: keep(serveDisplay),
  });
  await using _session = await SpiceSession.connect(server.target);
  assertEquals(received, [[104, ""], [101, "0100000000000000000100000000"]]);
});

Deno.test("connect gives the password to every channel", async () => {
  const passwords: string[] = [];
  await using server = await FakeSpiceServer.start({
    result: ({ password }) => (passwords.push(password), password === "secret" ? 0 : 7),
  });
  await using session = await SpiceSession.connect(server.target, { password: "secret" });
  assertEquals([passwords, session.channels], [["secret", "secret"], ["main", "display"]]);
  await assertRejects(
    () => SpiceSession.connect(server.target, { password: "Secret" }),
    SpiceLinkError,
    "the password is wrong or has expired",
  );
  await assertRejects(
    () => SpiceSession.connect(server.target, { password: "" }),
    SpiceLinkError,
    "it needs a password",
  );
});

Deno.test("connect is content with main where there is no display", async () => {
  await using server = await FakeSpiceServer.start({ main: mainWith(channelsList([3, 0])) });
  await using session = await SpiceSession.connect(server.target);
  assertEquals(session.channels, ["main"]);
});

Deno.test("connect links what was asked for alone", async () => {
  await using server = await FakeSpiceServer.start();
  await using session = await SpiceSession.connect(server.target, { channels: [] });
  assertEquals(session.channels, ["main"]);
});

Deno.test("connect brings every display up", async () => {
  await using server = await FakeSpiceServer.start({
    main: mainWith(channelsList([2, 2], [2, 0], [2, 1], [2, 0])),
  });
  await using session = await SpiceSession.connect(server.target);
  assertEquals(session.channels.toSorted(), ["display", "display-1", "display-2", "main"]);
});

Deno.test("connect refuses a server with too many displays", async () => {
  const list = channelsList(...Array.from({ length: 17 }, (_, id) => [2, id] as [number, number]));
  await using server = await FakeSpiceServer.start({ main: mainWith(list) });
  await assertRejects(() => SpiceSession.connect(server.target), SpiceLimitError, "17 displays");
});

Deno.test("connect names a missing server and what to look at", async () => {
  const error = await assertRejects(
    () => SpiceSession.connect({ path: "/nonexistent/s" }),
    SpiceConnectError,
    'Cannot connect to the SPICE server: "/nonexistent/s" does not answer',
  );
  assertInstanceOf(error.cause, Deno.errors.NotFound);
  assertStringIncludes(error.hint ?? "", "path");
});

Deno.test("connect refuses a path that is too long for a socket, and takes the longest", async () => {
  const longest = LONGEST_SOCKET_PATH[Deno.build.os === "darwin" ? "darwin" : "linux"];
  const folder = await Deno.makeTempDir({ prefix: "sun-" });
  const ofLength = (bytes: number) => `${folder}/${"s".repeat(bytes - folder.length - 3)}é`;
  try {
    const error = await assertRejects(
      () => SpiceSession.connect({ path: ofLength(longest + 1) }),
      SpiceConnectError,
      `the path of its socket has ${longest + 1} bytes, expected at most ${longest}`,
    );
    assertStringIncludes(error.hint ?? "", "shorter path");

    const path = ofLength(longest);
    using listener = Deno.listen({ transport: "unix", path });
    const [stream, conn] = await Promise.all([connectStream({ path }), listener.accept()]);
    stream.close();
    conn.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("connect fails when one channel is refused, and leaves nothing behind", async () => {
  await using server = await FakeSpiceServer.start({
    result: ({ link }) => link.type === 2 ? 9 : 0,
  });
  const events: SpiceEvent[] = [];
  await assertRejects(
    () => SpiceSession.connect(server.target, { onEvent: (event) => events.push(event) }),
    SpiceLinkError,
    "Cannot link the display channel: the server answered CHANNEL_NOT_AVAILABLE",
  );
  assertEquals(events.map(brief), ["main 0 linked", "main 0 up", "main 0 closed"]);
});

/** Where a server can stop and run `stop` instead, and what the client then waits for. */
const PHASES: [waits: string, server: (stop: Script) => FakeServerOptions][] = [
  ["link reply of the main channel", (stop) => ({ link: stop })],
  ["link result of the main channel", (stop) => ({
    async link(connection) {
      await connection.write(linkReply());
      await connection.readTicket();
      await stop(connection);
    },
  })],
  ["INIT of the main channel", (stop) => ({ main: stop })],
  ["list of channels", (stop) => ({
    async main(connection) {
      await connection.write(INIT);
      await stop(connection);
    },
  })],
  ["link reply of the display channel", (stop) => ({
    async link(connection) {
      if (connection.link.type === 2) return await stop(connection);
      await connection.write(linkReply());
    },
  })],
  ["first message of display 0", (stop) => ({ display: stop })],
];
const fallSilent: Script = (connection) => connection.drain();
const leave: Script = async (connection) => await connection.close();
for (const [waits, serverThat] of PHASES) {
  Deno.test(`connect ends at its deadline while it waits for the ${waits}`, async () => {
    await using server = await FakeSpiceServer.start(serverThat(fallSilent));
    const started = performance.now();
    const error = await assertRejects(
      () => SpiceSession.connect(server.target, { timeoutMs: 60 }),
      SpiceTimeoutError,
      `no ${waits} within 60 ms`,
    );
    assertLess(performance.now() - started, 60 * 5 + 100);
    assertEquals(error.exitCode, 8);
  });

  Deno.test(`connect is given up while it waits for the ${waits}`, async () => {
    await using server = await FakeSpiceServer.start(serverThat(fallSilent));
    const user = new AbortController();
    const reason = new Error("enough");
    setTimeout(() => user.abort(reason), 30);
    const error = await assertRejects(
      () => SpiceSession.connect(server.target, { signal: user.signal }),
    );
    assertEquals(error, reason);
  });

  Deno.test(`connect fails when the server goes instead of the ${waits}`, async () => {
    await using server = await FakeSpiceServer.start(serverThat(leave));
    const error = await assertRejects(() => SpiceSession.connect(server.target));
    assert(error instanceof SpiceLinkError || error instanceof SpiceClosedError, error.message);
    assertStringIncludes(error.message, "the server closed the connection");
  });
}

Deno.test("connect does nothing for a signal that is aborted already", async () => {
  const reason = new Error("no");
  const signal = AbortSignal.abort(reason);
  const error = await assertRejects(
    () => SpiceSession.connect({ path: "/nonexistent/s" }, { signal }),
  );
  assertEquals(error, reason);
});

Deno.test("a signal that is aborted after attaching changes nothing", async () => {
  await using server = await FakeSpiceServer.start();
  const user = new AbortController();
  await using session = await SpiceSession.connect(server.target, { signal: user.signal });
  user.abort();
  await pause(10);
  assertEquals(session.channels, ["main", "display"]);
});

Deno.test("closed tells at once that the server has gone", async () => {
  await using server = await FakeSpiceServer.start();
  await using session = await SpiceSession.connect(server.target);
  const started = performance.now();
  await server[Symbol.asyncDispose]();
  const { by, text, isServerAlive } = await session.closed;
  assertLess(performance.now() - started, 100);
  assertEquals([by, text, isServerAlive], ["server", "the server closed the connection", false]);
});

Deno.test("closed tells a server that goes on without us from one that has gone", async () => {
  const takeover = Promise.withResolvers<void>();
  await using server = await FakeSpiceServer.start({
    main: mainWith(channelsList([2, 0]), () => takeover.promise),
  });
  await using session = await SpiceSession.connect(server.target);
  takeover.resolve();
  const { by, text, isServerAlive } = await session.closed;
  assertEquals([by, isServerAlive], ["server", true]);
  assertStringIncludes(text, "maybe for another client");
});

Deno.test("a display that closes leaves the session", async () => {
  const leave = Promise.withResolvers<void>();
  await using server = await FakeSpiceServer.start({
    async display(connection) {
      await connection.receive();
      await connection.send(3, le([4, 1], [4, 20]));
      await leave.promise;
    },
  });
  const closed = Promise.withResolvers<SpiceEvent>();
  await using session = await SpiceSession.connect(server.target, {
    onEvent: (event) => event.state === "closed" && closed.resolve(event),
  });
  leave.resolve();
  assertEquals(await closed.promise, {
    channel: "display",
    id: 0,
    state: "closed",
    reason: "the server closed the connection",
  });
  assertEquals(session.channels, ["main"]);
});

Deno.test("draws of a display are acknowledged by themselves", async () => {
  const done = Promise.withResolvers<number>();
  await using server = await FakeSpiceServer.start({
    async display(connection) {
      await connection.receive();
      await connection.send(3, le([4, 1], [4, 20]));
      assertEquals((await connection.receive()).type, 1);
      let acks = 0;
      const draw = framed(304, new Uint8Array(2000));
      const burst = join(...Array.from({ length: 20 }, () => draw));
      for (; acks < 150; acks++) {
        await connection.write(burst);
        assertEquals((await connection.receive()).type, 2);
      }
      done.resolve(acks);
      await connection.drain();
    },
  });
  await using session = await SpiceSession.connect(server.target);
  assertEquals(await done.promise, 150);
  assertEquals(session.stats.get("display")?.messages, 1 + 150 * 20);
});

Deno.test("main's messages are kept: name, mouse mode, additions to the list", async () => {
  await using server = await FakeSpiceServer.start({
    async main(connection) {
      await connection.write(INIT);
      await connection.receive();
      await connection.send(113, join(le([4, 5]), new TextEncoder().encode("Moon\0")));
      await connection.write(channelsList([2, 0]));
      await connection.send(105, le([2, 3], [2, 2]));
      await connection.write(channelsList([2, 0], [200, 9]));
      await connection.send(4, new Uint8Array(12));
      await connection.drain();
    },
  });
  await using session = await SpiceSession.connect(server.target);
  while (session.stats.get("main")!.messages < 6) await pause(1);
  assertEquals(session.serverName, "Moon");
  assertEquals(session.mouseMode, { supported: 3, current: 2 });
  assertEquals(session.offered, [
    { channel: "display", type: 2, id: 0 },
    { channel: "type 200", type: 200, id: 9 },
  ]);
});

for (
  const [channel, type] of [["main", 1], ["main", 101], ["main", 111], ["display", 1]] as const
) {
  Deno.test(`message ${type} on ${channel} ends the session: we do not migrate`, async () => {
    const attached = Promise.withResolvers<void>();
    const migrate: Script = async (connection) => {
      await attached.promise;
      await connection.send(type, new Uint8Array(4));
      await connection.drain();
    };
    await using server = await FakeSpiceServer.start(
      channel === "main" ? { main: mainWith(channelsList(), migrate) } : {
        async display(connection) {
          await connection.receive();
          await connection.send(3, le([4, 1], [4, 20]));
          await migrate(connection);
        },
      },
    );
    await using session = await SpiceSession.connect(server.target);
    attached.resolve();
    const { by, text, error } = await session.closed;
    assertEquals(by, "error");
    assertStringIncludes(text, "the VM moves to another host");
    assertInstanceOf(error, SpiceClosedError);
  });
}

Deno.test("a message beyond main's limit ends the session", async () => {
  const attached = Promise.withResolvers<void>();
  await using server = await FakeSpiceServer.start({
    main: mainWith(channelsList(), async (connection) => {
      await attached.promise;
      await connection.write(le([2, 109], [4, 65537]));
    }),
  });
  await using session = await SpiceSession.connect(server.target);
  attached.resolve();
  assertInstanceOf((await session.closed).error, SpiceLimitError);
});

Deno.test("connect fails when the session ends as soon as it is up", async () => {
  await using server = await FakeSpiceServer.start({
    main: mainWith(join(channelsList(), framed(1, new Uint8Array(4)))), // in one read
  });
  await assertRejects(
    () => SpiceSession.connect(server.target),
    SpiceClosedError,
    "the VM moves to another host",
  );
});

Deno.test("a server that sends noise as messages is refused", async () => {
  await using server = await FakeSpiceServer.start({
    async main(connection) {
      await connection.write(new Uint8Array(100).fill(0xff));
      await connection.drain();
    },
  });
  await assertRejects(() => SpiceSession.connect(server.target), SpiceLimitError, "message 65535");
});

Deno.test("an onEvent that throws fails the attach and leaves nothing behind", async () => {
  await using server = await FakeSpiceServer.start();
  const defect = new TypeError("a defect of the caller");
  const error = await assertRejects(() =>
    SpiceSession.connect(server.target, {
      onEvent: ({ state }) => {
        if (state === "up") throw defect;
      },
    })
  );
  assertEquals(error, defect);
});

for (const channel of ["main", "display"]) {
  Deno.test(`an onEvent that throws when ${channel} closes ends the session, and is told`, async () => {
    const goOn = Promise.withResolvers<void>();
    const ends = async (connection: FakeConnection) => {
      await connection.receive(); // INIT of a display
      await connection.send(3, le([4, 1], [4, 20]));
      await goOn.promise;
    };
    await using server = await FakeSpiceServer.start(
      channel === "display"
        ? { display: ends }
        : { main: mainWith(channelsList([2, 0]), () => goOn.promise) },
    );
    const defect = new TypeError("a defect of the caller");
    await using session = await SpiceSession.connect(server.target, {
      onEvent: (event) => {
        if (event.channel === channel && event.state === "closed") throw defect;
      },
    });
    goOn.resolve();
    const end = await session.closed;
    assertEquals(end, { by: "error", text: defect.message, error: defect, isServerAlive: false });
  });
}

Deno.test("a handler that throws ends its channel, and is told", async () => {
  const defect = new TypeError("a defect of the caller");
  const goOn = Promise.withResolvers<void>();
  await using server = await FakeSpiceServer.start({
    main: mainWith(channelsList([2, 0]), async (connection) => {
      await goOn.promise;
      await connection.send(105, le([2, 3], [2, 1])); // mouse mode
      await connection.drain();
    }),
  });
  await using session = await SpiceSession.connect(server.target, {
    onMain: () => ({
      mouse_mode() {
        throw defect;
      },
    }),
  });
  goOn.resolve();
  const end = await session.closed;
  assertEquals(end, { by: "error", text: defect.message, error: defect, isServerAlive: false });
});

Deno.test("an onEvent that throws for a display that came later ends the session, and is told", async () => {
  const defect = new TypeError("a defect of the caller");
  const goOn = Promise.withResolvers<void>();
  await using server = await FakeSpiceServer.start({
    main: mainWith(channelsList([2, 0]), async (connection) => {
      await goOn.promise;
      await connection.write(channelsList([2, 1]));
      await connection.drain();
    }),
  });
  await using session = await SpiceSession.connect(server.target, {
    onEvent: ({ id, state }) => {
      if (id === 1 && state === "up") throw defect;
    },
  });
  goOn.resolve();
  const { by, error } = await session.closed;
  assertEquals({ by, error }, { by: "error", error: defect });
});

Deno.test("an onOffered or onWarning that throws ends the session, and is told", async () => {
  const defect = new TypeError("a defect of the caller");
  const fail = () => {
    throw defect;
  };
  let goOn = Promise.withResolvers<void>();
  await using server = await FakeSpiceServer.start({
    main: mainWith(channelsList([2, 0]), async (connection) => {
      await goOn.promise;
      await connection.write(channelsList([2, 1])); // a display that will be refused
      await connection.drain();
    }),
    link: (connection) => connection.write(linkReply(connection.link.id === 1 ? { error: 7 } : {})),
  });
  for (const listeners of [{ onOffered: fail }, { onWarning: fail }]) {
    goOn = Promise.withResolvers();
    await using session = await SpiceSession.connect(server.target, listeners);
    goOn.resolve();
    const { by, error } = await session.closed;
    assertEquals({ by, error }, { by: "error", error: defect });
  }
});

Deno.test("open links a channel once, also where it is asked for twice at a time", async () => {
  await using server = await FakeSpiceServer.start();
  await using session = await SpiceSession.connect(server.target);
  const opening = session.open(listener([]));
  const twice = "Cannot link the cursor channel: it is linked already";
  await assertRejects(() => session.open(listener([])), SpiceError, twice);
  await opening;
  await assertRejects(() => session.open(listener([])), SpiceError, twice);
});

/** A channel that nobody has a use for: what comes is kept. */
function listener(got: number[]): ChannelSetup {
  return {
    type: 4,
    caps: [],
    maxBytes: 100,
    routes: () => routes({ 105: message("hide", empty) }, { hide: () => void got.push(105) }),
  };
}

Deno.test("open links one more channel of a session, and both end together", async () => {
  const links: unknown[] = [];
  const shown = Promise.withResolvers<void>();
  await using server = await FakeSpiceServer.start({
    display: async (connection) => {
      links.push(connection.link);
      if (connection.link.type === 2) return await serveDisplay(connection);
      await connection.send(105);
      await connection.send(3, le([4, 1], [4, 20]));
      assertEquals((await connection.receive()).type, 1);
      shown.resolve();
      await connection.drain();
    },
  });
  const events: SpiceEvent[] = [];
  await using session = await SpiceSession.connect(server.target, {
    onEvent: (event) => events.push(event),
  });
  const got: number[] = [];
  const channel = await session.open(listener(got));
  await shown.promise;
  assertEquals(got, [105]);
  assertEquals(links.at(-1), { type: 4, id: 0, connectionId: SESSION_ID });
  assertEquals(session.channels, ["main", "display", "cursor"]);
  assertEquals(events.slice(ATTACHED.length).map(brief), ["cursor 0 linked", "cursor 0 up"]);

  await session[Symbol.asyncDispose]();
  assertEquals((await channel.closed).by, "client");
  await assertRejects(() => session.open(listener(got)), SpiceClosedError, "has ended");
});

Deno.test("open fails within its deadline or at the user's signal, and the session goes on", async () => {
  await using server = await FakeSpiceServer.start({
    link: async (connection) => {
      if (connection.link.type === 4) await connection.drain();
      else await connection.write(linkReply());
    },
  });
  await using session = await SpiceSession.connect(server.target);
  const setup = listener([]);
  await assertRejects(
    () => session.open(setup, 0, { timeoutMs: 50 }),
    SpiceTimeoutError,
    "Cannot link the cursor channel: no answer within 50 ms",
  );
  const user = new AbortController();
  const opening = session.open(setup, 0, { signal: user.signal });
  user.abort(new Error("enough"));
  await assertRejects(() => opening, Error, "enough");
  assertEquals(session.channels, ["main", "display"]);
});

Deno.test("displays and main hand their messages to handlers of the caller", async () => {
  await using server = await FakeSpiceServer.start({
    display: async (connection) => {
      await connection.receive();
      await connection.send(314, le([4, 0], [4, 640], [4, 480], [4, 32], [4, 1]));
      await connection.drain();
    },
  });
  const made = Promise.withResolvers<number>();
  let agents = -1;
  await using _session = await SpiceSession.connect(server.target, {
    onDisplay: () => ({ surface_create: ({ width }) => made.resolve(width) }),
    onMain: () => ({ init: ({ agentConnected }) => void (agents = agentConnected) }),
  });
  assertEquals([await made.promise, agents], [640, 0]);
});
