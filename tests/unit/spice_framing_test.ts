import { assertEquals, assertLess, assertThrows } from "@std/assert";
import fc from "fast-check";
import { struct, u16 } from "../../lib/spice/codec.ts";
import { SpiceDecodeError } from "../../lib/spice/errors.ts";
import { encodeMessage, type MessageSink, MessageSplitter } from "../../lib/spice/framing.ts";
import { MessageMemory } from "../../lib/spice/memory.ts";
import { framed, le } from "../fakes/spice_server.ts";

/** Collects what a splitter delivers; wants at most `most` bytes of each body. */
class Collector implements MessageSink {
  readonly messages: { type: number; size: number; head: Uint8Array }[] = [];
  readonly trailers: ReadonlyMap<number, number>;
  readonly #most: number;

  constructor(most = Infinity, trailers: ReadonlyMap<number, number> = new Map()) {
    this.#most = most;
    this.trailers = trailers;
  }

  wants(_type: number, _size: number): number {
    return this.#most;
  }

  message(type: number, size: number, head: Uint8Array): void {
    this.messages.push({ type, size, head: head.slice() });
  }
}

const message = fc.record({
  type: fc.integer({ min: 0, max: 0xffff }),
  body: fc.uint8Array({ maxLength: 60 }),
}, { noNullPrototype: true });

Deno.test("MessageSplitter delivers the same messages however the stream is cut", () => {
  fc.assert(fc.property(
    fc.array(message, { maxLength: 12 }),
    fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
    fc.integer({ min: 0, max: 70 }),
    (messages, cuts, most) => {
      const sink = new Collector(most);
      const splitter = new MessageSplitter(sink);
      const stream = Uint8Array.from(messages.flatMap(({ type, body }) => [...framed(type, body)]));
      for (let at = 0, i = 0; at < stream.length; i++) {
        const cut = cuts[i % cuts.length]!;
        splitter.feed(stream.slice(at, at + cut));
        at += cut;
      }
      assertEquals(
        sink.messages,
        messages.map(({ type, body }) => ({
          type,
          size: body.length,
          head: body.slice(0, most),
        })),
      );
      assertEquals(splitter.insideMessage, false);
    },
  ));
});

Deno.test("MessageSplitter delivers the same messages where bytes are read to their place", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 200_000 }), { minLength: 1, maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1 }),
      fc.integer({ min: 0, max: 250_000 }),
      (sizes, cuts, most) => {
        const sink = new Collector(most);
        const splitter = new MessageSplitter(sink);
        const bodies = sizes.map((size, n) =>
          new Uint8Array(size).map((_, i) => (i * 7 + (i >> 8) + n) & 255)
        );
        const stream = Uint8Array.from(bodies.flatMap((body) => [...framed(304, body)]));
        for (let at = 0, i = 0; at < stream.length; i++) {
          const cut = cuts[i % cuts.length]!;
          const room = splitter.room();
          const chunk = stream.slice(at, at + Math.min(cut, room?.length ?? cut));
          if (room) {
            room.set(chunk);
            splitter.filled(chunk.length);
          } else splitter.feed(chunk);
          at += chunk.length;
        }
        assertEquals(sink.messages.length, bodies.length);
        for (const [n, body] of bodies.entries()) {
          assertEquals(sink.messages[n]!.size, body.length);
          const isSame = sink.messages[n]!.head.every((byte, i) => byte === body[i]);
          assertEquals([isSame, sink.messages[n]!.head.length], [
            true,
            Math.min(most, body.length),
          ]);
        }
        assertEquals(splitter.insideMessage, false);
      },
    ),
    { numRuns: 15 },
  );
});

const TRAILERS = new Map([[320, 0x40]]);
const at = (type: number) => type === 320 ? Uint8Array.of(0x40) : new Uint8Array();

Deno.test("MessageSplitter takes the byte behind a message with it, however the stream is cut", () => {
  const either = fc.record({
    type: fc.constantFrom(320, 321),
    body: fc.uint8Array({ maxLength: 60 }),
  }, { noNullPrototype: true });
  fc.assert(fc.property(
    fc.array(either, { maxLength: 12 }),
    fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
    fc.integer({ min: 0, max: 70 }),
    (messages, cuts, most) => {
      const sink = new Collector(most, TRAILERS);
      const splitter = new MessageSplitter(sink);
      const stream = Uint8Array.from(
        messages.flatMap(({ type, body }) => [...framed(type, body), ...at(type)]),
      );
      for (let from = 0, i = 0; from < stream.length; i++) {
        const cut = cuts[i % cuts.length]!;
        splitter.feed(stream.slice(from, from + cut));
        from += cut;
      }
      assertEquals(
        sink.messages,
        messages.map(({ type, body }) => ({
          type,
          size: body.length,
          head: body.slice(0, most),
        })),
      );
      assertEquals(splitter.insideMessage, false);
    },
  ));
});

Deno.test("MessageSplitter delivers a message with a byte behind it once that has come", () => {
  const sink = new Collector(Infinity, TRAILERS);
  const splitter = new MessageSplitter(sink);
  splitter.feed(framed(320, new Uint8Array(20)));
  assertEquals([sink.messages.length, splitter.insideMessage], [0, true]);
  splitter.feed(Uint8Array.of(0x40));
  assertEquals([sink.messages.length, splitter.insideMessage], [1, false]);
});

Deno.test("MessageSplitter refuses another byte where one belongs behind a message", () => {
  for (const pieces of [[27], [26, 1], Array<number>(27).fill(1)]) {
    const sink = new Collector(0, TRAILERS); // wanted or not
    const splitter = new MessageSplitter(sink);
    const stream = Uint8Array.of(...framed(320, new Uint8Array(20)), 0x41);
    const error = assertThrows(() => {
      let from = 0;
      for (const piece of pieces) splitter.feed(stream.slice(from, from += piece));
    }, SpiceDecodeError);
    assertEquals(
      error.message,
      "Cannot find the end of message 320: byte 65 follows it, expected 64",
    );
    assertEquals(sink.messages, []);
  }
});

Deno.test("MessageSplitter.insideMessage is true from a header's first byte to a body's last", () => {
  const splitter = new MessageSplitter(new Collector());
  const bytes = framed(300, Uint8Array.of(1, 2, 3));
  for (let i = 0; i < bytes.length; i++) {
    assertEquals(splitter.insideMessage, i > 0);
    splitter.feed(bytes.subarray(i, i + 1));
  }
  assertEquals(splitter.insideMessage, false);
});

Deno.test("MessageSplitter drops what is not wanted without collecting it", () => {
  const sink = new Collector(4);
  const splitter = new MessageSplitter(sink);
  const size = 512 * 1024 * 1024;
  const chunk = new Uint8Array(64 * 1024);
  splitter.feed(le([2, 304], [4, size]));
  const before = memory();
  for (let sent = 0; sent < size; sent += chunk.length) splitter.feed(chunk);
  assertLess(memory() - before, 16 * 1024 * 1024);
  assertEquals(sink.messages, [{ type: 304, size, head: new Uint8Array(4) }]);
});

Deno.test("MessageSplitter allocates for bytes that came, not for those announced", () => {
  const splitter = new MessageSplitter(new Collector());
  const before = memory();
  splitter.feed(le([2, 304], [4, 0xffff_ffff], [8, 0]));
  assertLess(memory() - before, 16 * 1024 * 1024);
  assertEquals(splitter.insideMessage, true);
});

function memory(): number {
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

Deno.test("MessageSplitter keeps a large body's memory while large ones follow each other", () => {
  const memory = new MessageMemory();
  const splitter = new MessageSplitter(new Collector(), memory);
  const send = (size: number) => {
    const bytes = framed(304, new Uint8Array(size));
    splitter.feed(bytes.subarray(0, 100));
    splitter.feed(bytes.subarray(100));
  };
  send(1_000_000);
  assertEquals(memory.taken, 0); // the only one, so far
  send(1_000_000);
  assertEquals(memory.taken, 1_000_000);
  for (let n = 0; n < 16; n++) send(500);
  assertEquals(memory.taken, 1_000_000);
  send(500);
  send(500);
  assertLess(memory.taken, 10_000);
});

Deno.test("MessageSplitter lets a sink refuse a message by its header", () => {
  const splitter = new MessageSplitter({
    wants(type, size) {
      throw new Error(`${type} of ${size}`);
    },
    message() {},
  });
  assertThrows(() => splitter.feed(framed(7, new Uint8Array(3))), Error, "7 of 3");
});

Deno.test("encodeMessage puts type and size before the body", () => {
  assertEquals(
    encodeMessage(0x0102, struct({ a: u16 }), { a: 0x0304 }).toHex(),
    "0201" + "02000000" + "0403",
  );
});
