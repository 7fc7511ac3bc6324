import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "@std/assert";
import fc from "fast-check";
import { DeadlineError } from "../../lib/base/errors.ts";
import { pause } from "../../lib/base/deadline.ts";
import { ByteReader, ByteWriter } from "../../lib/spice/codec.ts";
import {
  SpiceClosedError,
  SpiceDecodeError,
  SpiceLimitError,
  SpicePortError,
} from "../../lib/spice/errors.ts";
import { openPort, type PortEvent, SpicePort } from "../../lib/spice/port.ts";
import { PORT_MESSAGES } from "../../lib/spice/port_messages.ts";
import { SpiceSession } from "../../lib/spice/session.ts";
import {
  channelsList,
  type FakeConnection,
  FakeSpiceServer,
  framed,
  INIT,
  join,
  le,
} from "../fakes/spice_server.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

/** PORT_INIT as a server sends it. */
function portInit(name: string, opened = 1): Uint8Array {
  const bytes = utf8(`${name}\0`);
  return framed(201, join(le([4, bytes.length], [4, 9], [1, opened]), bytes));
}

/** A session with ports; each is given to `serve` once it is linked. */
class Rig implements AsyncDisposable {
  private constructor(readonly server: FakeSpiceServer, readonly session: SpiceSession) {}

  static async start(
    channels: [type: number, id: number][],
    serve: (connection: FakeConnection) => Promise<void>,
  ): Promise<Rig> {
    const server = await FakeSpiceServer.start({
      main: async (connection) => {
        await connection.write(INIT);
        await connection.receive(); // ATTACH_CHANNELS
        await connection.write(channelsList(...channels));
        await connection.drain();
      },
      display: serve,
    });
    return new Rig(server, await SpiceSession.connect(server.target));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

/** One open port named "com.example.port", and the server's end of it. */
class PortRig implements AsyncDisposable {
  private constructor(
    readonly rig: Rig,
    readonly port: SpicePort,
    readonly far: FakeConnection,
    readonly events: PortEvent[],
  ) {}

  static async start(opened = 1): Promise<PortRig> {
    const linked = Promise.withResolvers<FakeConnection>();
    const over = Promise.withResolvers<void>();
    const rig = await Rig.start([[10, 0]], async (connection) => {
      await connection.write(portInit("com.example.port", opened));
      linked.resolve(connection);
      await over.promise;
    });
    rig.session.closed.then(() => over.resolve());
    const events: PortEvent[] = [];
    const port = await openPort(rig.session, "com.example.port", {
      onEvent: (event) => events.push(event),
    });
    return new PortRig(rig, port, await linked.promise, events);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.rig[Symbol.asyncDispose]();
  }
}

/** What was read beyond a block, by reader. */
const beyond = new WeakMap<ReadableStreamDefaultReader<Uint8Array>, Uint8Array>();

/** Reads exactly `count` bytes, and keeps the rest of a chunk for the next call. */
async function read(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  count: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count;) {
    const kept = beyond.get(reader) ?? new Uint8Array();
    const chunk = kept.length > 0 ? kept : (await reader.read()).value;
    if (!chunk) throw new Error(`The stream ended after ${at} bytes`);
    const part = chunk.subarray(0, count - at);
    bytes.set(part, at);
    at += part.length;
    beyond.set(reader, chunk.subarray(part.length));
  }
  return bytes;
}

Deno.test("a port carries bytes both ways", async () => {
  await using rig = await PortRig.start();
  const { port, far } = rig;
  assertEquals([port.name, port.channel, port.isOpened], ["com.example.port", "port", true]);
  const reader = port.readable.getReader();
  const writer = port.writable.getWriter();
  for (let i = 0; i < 3; i++) {
    const line = utf8(`line ${i} é\0\xff`);
    await writer.write(line);
    assertEquals(await far.receive(), { type: 101, body: line });
    await far.send(101, line);
    assertEquals(await read(reader, line.length), line);
  }
});

Deno.test("large writes leave in messages of at most 64 KiB", async () => {
  await using rig = await PortRig.start();
  const writing = rig.port.writable.getWriter().write(new Uint8Array(150_000));
  const sizes = [];
  for (let i = 0; i < 3; i++) sizes.push((await rig.far.receive()).body.length);
  assertEquals(sizes, [65536, 65536, 18928]);
  await writing;
});

Deno.test("events go both ways and keep the state", async () => {
  await using rig = await PortRig.start(0);
  const { port, far } = rig;
  assertEquals(port.isOpened, false);
  for (const event of [0, 2]) await far.send(202, le([1, event]));
  while (rig.events.length < 2) await pause(1);
  assertEquals([rig.events, port.isOpened], [["opened", "break"], true]);
  await far.send(202, le([1, 1]));
  while (rig.events.length < 3) await pause(1);
  assertEquals([rig.events[2], port.isOpened], ["closed", false]);
  port.sendEvent("break");
  assertEquals(await far.receive(), { type: 201, body: le([1, 2]) });
});

Deno.test("what nobody reads stops the server, and nothing of it is lost", async () => {
  await using rig = await PortRig.start();
  const { port, far } = rig;
  const BYTES = 8 * 1024 * 1024;
  const block = new Uint8Array(64 * 1024).map((_, i) => i % 251);
  let sent = 0;
  const sending = (async () => {
    for (; sent < BYTES; sent += block.length) await far.send(101, block);
  })();
  for (let before = -1; before !== sent;) {
    before = sent;
    await pause(30);
  }
  assertLess(sent, 2 * 1024 * 1024); // the socket's buffers, and 256 KiB of ours
  const stats = rig.rig.session.stats.get("port");
  assertLess(stats!.bytes, 600 * 1024);

  const reader = port.readable.getReader();
  for (let got = 0; got < BYTES; got += block.length) {
    assertEquals(await read(reader, block.length), block);
  }
  await sending;
});

Deno.test("a server that reads nothing makes writes wait, and only them", async () => {
  await using rig = await PortRig.start();
  const { port, far, rig: { session } } = rig;
  const writer = port.writable.getWriter();
  const BYTES = 4 * 1024 * 1024;
  let isWritten = false;
  const writing = writer.write(new Uint8Array(BYTES)).then(() => isWritten = true);
  await pause(50);
  assertEquals(isWritten, false);
  const main = session.stats.get("main");
  assert(main); // the session is alive

  let received = 0;
  while (received < BYTES) received += (await far.receive()).body.length;
  await writing;
});

Deno.test("a write that waits is given up by abort, and by the channel's end", async () => {
  for (const end of ["abort", "server", "client"]) {
    await using rig = await PortRig.start();
    const writer = rig.port.writable.getWriter();
    writer.closed.catch(() => {});
    const writing = writer.write(new Uint8Array(4 * 1024 * 1024));
    const failed = assertRejects(() => writing);
    await pause(20);
    if (end === "abort") await writer.abort(new Error("enough"));
    else if (end === "server") rig.far.close();
    else await rig.port[Symbol.asyncDispose]();
    await failed;
  }
});

Deno.test("the stream ends with the channel, after what had come", async () => {
  await using rig = await PortRig.start();
  await rig.far.send(101, utf8("last words"));
  rig.far.close();
  assertEquals((await rig.port.closed).by, "server");
  const reader = rig.port.readable.getReader();
  assertEquals((await reader.read()).value, utf8("last words"));
  assertEquals((await reader.read()).done, true);
  await assertRejects(
    () => rig.port.writable.getWriter().write(utf8("x")),
    SpiceClosedError,
    "the server closed the connection",
  );
});

Deno.test("the stream ends with the session, while it is being read", async () => {
  await using rig = await PortRig.start();
  const reading = rig.port.readable.getReader().read();
  await rig.rig.session[Symbol.asyncDispose]();
  assertEquals((await reading).done, true);
});

Deno.test("a cancelled stream drops what comes, and the server goes on", async () => {
  await using rig = await PortRig.start();
  const block = new Uint8Array(64 * 1024);
  for (let i = 0; i < 4; i++) await rig.far.send(101, block);
  await rig.port.readable.cancel();
  for (let i = 0; i < 100; i++) await rig.far.send(101, block);
  await rig.far.send(202, le([1, 2]));
  while (rig.events.length === 0) await pause(1);
});

Deno.test("many tiny messages are handed over together", async () => {
  await using rig = await PortRig.start();
  const tiny = join(...Array.from({ length: 1000 }, (_, i) => framed(101, Uint8Array.of(i % 251))));
  for (let i = 0; i < 100; i++) await rig.far.write(tiny);
  while (rig.rig.session.stats.get("port")!.messages < 100_001) await pause(1);
  const reader = rig.port.readable.getReader();
  assertEquals((await reader.read()).value?.length, 100_000);
});

Deno.test("compressed data ends the channel: a stream with a hole is worse than none", async () => {
  await using rig = await PortRig.start();
  await rig.far.send(102, join(le([1, 1], [4, 100]), new Uint8Array(20)));
  await assertRejects(
    () => rig.port.readable.getReader().read(),
    SpicePortError,
    "the server compresses what it sends",
  );
});

Deno.test("a second PORT_INIT, an unknown event and a broken one are counted", async () => {
  await using rig = await PortRig.start();
  await rig.far.write(portInit("another"));
  await rig.far.send(202, le([1, 3]));
  await rig.far.send(202);
  await rig.far.send(202, le([1, 2]));
  while (rig.events.length === 0) await pause(1);
  assertEquals(rig.port.name, "com.example.port");
  assertEquals(rig.rig.session.stats.get("port")?.malformed, 3);
});

Deno.test("a message beyond 128 KiB ends the channel", async () => {
  await using rig = await PortRig.start();
  await rig.far.write(le([2, 101], [4, 128 * 1024 + 1]));
  await assertRejects(() => rig.port.readable.getReader().read(), SpiceLimitError, "131073 bytes");
});

Deno.test("openPort finds a port by its name, and closes the others", async () => {
  const names = new Map([[10 << 8, "a"], [10 << 8 | 1, "b"], [11 << 8, "webdav"]]);
  const gone: string[] = [];
  await using rig = await Rig.start([[11, 0], [10, 1], [3, 0], [10, 0]], async (connection) => {
    const name = names.get(connection.link.type << 8 | connection.link.id)!;
    await connection.write(portInit(name));
    await connection.drain();
    gone.push(name);
  });
  await using webdav = await openPort(rig.session, "webdav");
  assertEquals([webdav.name, webdav.channel], ["webdav", "webdav"]);
  while (gone.length < 2) await pause(1);
  assertEquals(gone.toSorted(), ["a", "b"]);
  assertEquals(rig.session.channels, ["main", "webdav"]);
  await using a = await openPort(rig.session, "a"); // one that was closed opens again
  assertEquals(a.channel, "port");

  await a[Symbol.asyncDispose]();
  await webdav[Symbol.asyncDispose]();
  await assertRejects(
    () => openPort(rig.session, "c\u001b"),
    SpicePortError,
    'Cannot open the port "c\ufffd": the server has "a", "b", "webdav"',
  );
});

Deno.test("openPort passes over ports that are in use, and says when that is all", async () => {
  await using rig = await Rig.start([[10, 0], [10, 1]], async (connection) => {
    if (connection.link.id === 0) return; // as a server does with a second client
    await connection.write(portInit("free"));
    await connection.drain();
  });
  await using port = await openPort(rig.session, "free");
  assertEquals(port.channel, "port-1");
  await assertRejects(() => openPort(rig.session, "other"), SpicePortError, "has no free port");
});

Deno.test("openPort says when there are no ports, and when the session has ended", async () => {
  await using rig = await Rig.start([[3, 0]], (connection) => connection.drain());
  await assertRejects(() => openPort(rig.session, "a"), SpicePortError, "has no free port");

  await using other = await Rig.start([[10, 0]], (connection) => connection.drain());
  await other.session[Symbol.asyncDispose]();
  await assertRejects(() => openPort(other.session, "a"), SpiceClosedError);
});

Deno.test("a port that does not tell its name is met with the deadline, and closed", async () => {
  let isClosed = false;
  await using rig = await Rig.start([[10, 0]], async (connection) => {
    await connection.drain();
    isClosed = true;
  });
  await assertRejects(
    () => openPort(rig.session, "a", { timeoutMs: 50 }),
    DeadlineError,
    'Cannot get port "a": nothing came within 50 ms',
  );
  while (!isClosed) await pause(1);
  const user = new AbortController();
  const opening = openPort(rig.session, "a", { signal: user.signal });
  await pause(20);
  user.abort(new Error("enough"));
  await assertRejects(() => opening, Error, "enough");
});

Deno.test("usbredir has no name and is open at once", async () => {
  await using rig = await Rig.start([[9, 0]], async (connection) => {
    await connection.send(101, utf8("hello"));
    await connection.drain();
  });
  await using port = await SpicePort.open(rig.session, { type: 9, id: 0 });
  assertEquals([port.name, port.isOpened], ["", true]);
  assertEquals((await port.readable.getReader().read()).value, utf8("hello"));
});

Deno.test("PORT_INIT of hostile sizes and links is refused", () => {
  const decode = (body: Uint8Array) => PORT_MESSAGES[201].decode(new ByteReader(body));
  assertEquals(decode(join(le([4, 2], [4, 9], [1, 1]), utf8("a\0"))), { name: "a", opened: 1 });
  assertEquals(decode(le([4, 0], [4, 0], [1, 0])), { name: "", opened: 0 });
  for (
    const fields of [
      [0xffff_ffff, 9],
      [1, 9],
      [1, 0],
      [1, 8],
      [1, 0xffff_ffff],
    ] as const
  ) {
    const body = le([4, fields[0]], [4, fields[1]], [1, 1]);
    let error: unknown;
    try {
      decode(body);
    } catch (caught) {
      error = caught;
    }
    assert(error instanceof SpiceDecodeError);
  }
  const huge = join(le([4, 65527], [4, 9], [1, 1]), new Uint8Array(65527).fill(0x1b));
  assertLess(decode(huge).name.length, 4100);
  assert(!decode(huge).name.includes("\u001b"));
});

Deno.test("PORT_INIT survives, and any bytes decode or throw SpiceDecodeError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (body) => {
      try {
        PORT_MESSAGES[201].decode(new ByteReader(body));
      } catch (error) {
        if (!(error instanceof SpiceDecodeError)) throw error;
      }
    }),
  );
  const writer = new ByteWriter();
  PORT_MESSAGES[201].encode(writer, { name: "com.example", opened: 1 });
  const bytes = writer.finish();
  assertGreater(bytes.length, 9);
  assertEquals(PORT_MESSAGES[201].decode(new ByteReader(bytes)), {
    name: "com.example",
    opened: 1,
  });
});
