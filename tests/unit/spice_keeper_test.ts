import { assertEquals, assertGreaterOrEqual, assertStrictEquals } from "@std/assert";
import { pause } from "../../lib/base/deadline.ts";
import { QmpError } from "../../lib/base/errors.ts";
import { Screens } from "../../lib/vm/screens.ts";
import { SpiceKeeper, type SpiceKeeperOptions, TakeUpPause } from "../../lib/vm/spice_keeper.ts";
import {
  channelsList,
  type FakeConnection,
  FakeSpiceServer,
  INIT,
  join,
  le,
  serveMain,
} from "../fakes/spice_server.ts";

/** Main of a server with a display alone, which closes when told to. */
function closable() {
  const close = Promise.withResolvers<void>();
  let sessions = 0;
  const main = async (connection: FakeConnection) => {
    if (++sessions > 1) return await serveMain(connection);
    await connection.write(INIT);
    await connection.receive();
    await connection.write(channelsList([2, 0]));
    await close.promise;
  };
  return { main, close: close.resolve, sessions: () => sessions };
}

/** What is the same in all tests: nobody gives up, no QEMU ends, no other client is there. */
function optionsFor(server: FakeSpiceServer, screens: Screens): SpiceKeeperOptions {
  return {
    path: (server.target as { path: string }).path,
    screens,
    timeoutMs: 5_000,
    signal: new AbortController().signal,
    gone: new AbortController().signal,
    hasClient: () => Promise.resolve(false),
    onEvent: () => {},
  };
}

Deno.test("SpiceKeeper takes a lost session up again once no other client is there", async () => {
  const { main, close, sessions } = closable();
  await using server = await FakeSpiceServer.start({ main });
  using screens = new Screens();
  const gone = new AbortController();
  const asked: string[] = [];
  const news: string[] = [];
  const back = Promise.withResolvers<void>();
  const answers = [
    () => Promise.resolve(true),
    () => Promise.reject(new QmpError("Cannot ask: it is busy")),
    () => Promise.resolve(false),
  ];
  await using keeper = await SpiceKeeper.attach({
    ...optionsFor(server, screens),
    gone: gone.signal,
    hasClient: () => {
      asked.push("?");
      return (answers.shift() ?? (() => Promise.resolve(false)))();
    },
    onNews: ({ kind, why }) => {
      news.push(why === undefined ? kind : `${kind}: ${why.split(",")[0]}`);
      if (kind === "back") back.resolve();
    },
  });
  assertEquals(keeper.channels, ["main", "display"]);
  close();
  await back.promise;
  assertEquals(news, ["lost: the server closed the connection", "back"]);
  assertEquals([asked.length, sessions()], [3, 2]);
  assertGreaterOrEqual(keeper.channels.length, 2);
  const captured = await screens.capture(0, { timeoutMs: 10 });
  assertEquals(captured[1], "no picture of display 0 has come within 10 ms", "it is attached");
});

Deno.test("SpiceKeeper takes a session up again that ended for what came, as soon as it may", async () => {
  let [sessions, refusals] = [0, 0];
  const attached = Promise.withResolvers<void>();
  await using server = await FakeSpiceServer.start({
    main: async (connection) => {
      if (++sessions > 1) return await serveMain(connection);
      await connection.write(INIT);
      await connection.receive();
      await connection.write(channelsList([2, 0]));
      await attached.promise;
      await connection.write(le([2, 7], [4, 0x7fff_ffff])); // a NOTIFY beyond every limit
      await connection.drain();
    },
    // Refuses once before it lets the second session in.
    result: ({ link }) => link.type === 1 && sessions === 1 && refusals++ === 0 ? 7 : 0,
  });
  using screens = new Screens();
  const news: string[] = [];
  const back = Promise.withResolvers<void>();
  await using _keeper = await SpiceKeeper.attach({
    ...optionsFor(server, screens),
    onNews: ({ kind }) => {
      news.push(kind);
      if (kind === "back") back.resolve();
    },
  });
  attached.resolve();
  await back.promise;
  assertEquals([news, sessions, refusals > 0], [["lost", "back"], 2, true]);
});

Deno.test("SpiceKeeper lets a session go that ends with QEMU", async () => {
  const { main, close, sessions } = closable();
  await using server = await FakeSpiceServer.start({ main });
  using screens = new Screens();
  const gone = new AbortController();
  const news: unknown[] = [];
  await using _keeper = await SpiceKeeper.attach({
    ...optionsFor(server, screens),
    gone: gone.signal,
    onNews: (item) => news.push(item),
  });
  gone.abort(new DOMException("the VM has ended", "AbortError"));
  close();
  await pause(150);
  assertEquals([news, sessions()], [[], 1]);
});

Deno.test("TakeUpPause grows with each loss, and is forgotten after a session that lasted", () => {
  const pauses = new TakeUpPause();
  const short = Array.from({ length: 9 }, () => pauses.after(1_000));
  assertEquals(short, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  assertEquals([pauses.after(61_000), pauses.after(0)], [500, 1_000]);
});

Deno.test("SpiceKeeper tells what is left out, and what the server says", async () => {
  const notify = (severity: number, text: string) =>
    join(
      le([8, 0n], [4, severity], [4, 0], [4, 0], [4, text.length]),
      new TextEncoder().encode(`${text}\0`),
    );
  await using server = await FakeSpiceServer.start({
    main: async (connection) => {
      await connection.write(INIT);
      await connection.receive();
      await connection.write(channelsList([2, 0]));
      await connection.send(7, notify(1, "keyboard channel is insecure"));
      await connection.send(7, notify(2, "it fails"));
      await connection.drain();
    },
    display: async (connection) => {
      await connection.receive();
      await connection.send(3, le([4, 1], [4, 20]));
      await connection.send(302, le([4, 0])); // DRAW_FILL, cut off
      await connection.send(4999);
      await connection.drain();
    },
  });
  using screens = new Screens();
  const [warnings, details] = [[] as string[], [] as string[]];
  await using _keeper = await SpiceKeeper.attach({
    ...optionsFor(server, screens),
    onWarning: (text) => warnings.push(text),
    onDetail: (text) => details.push(text),
  });
  await pause(50);
  assertEquals(details, ["SPICE, the server says: keyboard channel is insecure"]);
  assertEquals(warnings.filter((text) => text.includes("it fails")).length, 1);
  assertEquals(warnings.filter((text) => text.startsWith("SPICE, display: ")).length, 2);
});

Deno.test("SpiceKeeper keeps the session though whoever hears of it fails", async () => {
  const { main, close } = closable();
  await using server = await FakeSpiceServer.start({ main });
  using screens = new Screens();
  const failure = new Error("the listener has failed");
  const defects: unknown[] = [];
  const back = Promise.withResolvers<void>();
  await using _keeper = await SpiceKeeper.attach({
    ...optionsFor(server, screens),
    onNews: ({ kind }) => {
      if (kind === "back") back.resolve();
      throw failure;
    },
    onDefect: (error) => defects.push(error),
  });
  close();
  await back.promise;
  assertEquals(defects.length, 2);
  for (const defect of defects) assertStrictEquals(defect, failure);
});
