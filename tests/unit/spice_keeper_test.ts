import { assertEquals, assertGreaterOrEqual } from "@std/assert";
import { pause } from "../../lib/base/deadline.ts";
import { QmpError } from "../../lib/base/errors.ts";
import { Screens } from "../../lib/vm/screens.ts";
import { SpiceKeeper } from "../../lib/vm/spice_keeper.ts";
import {
  channelsList,
  type FakeConnection,
  FakeSpiceServer,
  INIT,
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
    path: (server.target as { path: string }).path,
    screens,
    timeoutMs: 5_000,
    signal: new AbortController().signal,
    gone: gone.signal,
    hasClient: () => {
      asked.push("?");
      return (answers.shift() ?? (() => Promise.resolve(false)))();
    },
    onEvent: () => {},
    onNews: ({ kind, why }) => {
      news.push(why === undefined ? kind : `${kind}: ${why.split(";")[0]}`);
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
  assertEquals(captured[1], "nothing has come of display 0 within 10 ms", "it is attached");
});

Deno.test("SpiceKeeper lets a session go that ends with QEMU", async () => {
  const { main, close, sessions } = closable();
  await using server = await FakeSpiceServer.start({ main });
  using screens = new Screens();
  const gone = new AbortController();
  const news: unknown[] = [];
  await using _keeper = await SpiceKeeper.attach({
    path: (server.target as { path: string }).path,
    screens,
    timeoutMs: 5_000,
    signal: new AbortController().signal,
    gone: gone.signal,
    hasClient: () => Promise.resolve(false),
    onEvent: () => {},
    onNews: (item) => news.push(item),
  });
  gone.abort(new DOMException("the VM has ended", "AbortError"));
  close();
  await pause(150);
  assertEquals([news, sessions()], [[], 1]);
});
