import { assertEquals, assertRejects } from "@std/assert";
import { QmpClosedError, QmpProtocolError } from "../../lib/qmp/errors.ts";
import { LineWriter, readLines } from "../../lib/qmp/transport.ts";

/** A connection's reading end that delivers `bytes` in pieces of `step` bytes. */
function source(bytes: Uint8Array, step: number): Pick<Deno.Conn, "read"> {
  let offset = 0;
  return {
    read(into: Uint8Array): Promise<number | null> {
      const piece = bytes.subarray(offset, Math.min(offset + step, offset + into.length));
      offset += piece.length;
      into.set(piece);
      return Promise.resolve(piece.length === 0 ? null : piece.length);
    },
  };
}

async function lines(text: string, step: number, maxLineBytes?: number): Promise<string[]> {
  const all: string[] = [];
  const options = maxLineBytes === undefined ? {} : { maxLineBytes };
  for await (const batch of readLines(source(new TextEncoder().encode(text), step), options)) {
    all.push(...batch);
  }
  return all;
}

Deno.test("readLines gives the same lines whatever the size of the pieces", async () => {
  const text = '{"a": "ü🦊"}\r\n\r\n{"b": 2}\n  \n{"c": "x\\ny"}\r\n';
  for (let step = 1; step < 40; step++) {
    assertEquals(await lines(text, step), ['{"a": "ü🦊"}', '{"b": 2}', '{"c": "x\\ny"}']);
  }
});

Deno.test("readLines gives the lines of one read together", async () => {
  const batches = [];
  for await (const batch of readLines(source(new TextEncoder().encode("1\n2\n3\n"), 100))) {
    batches.push(batch);
  }
  assertEquals(batches, [["1", "2", "3"]]);
});

Deno.test("readLines accepts a line of the limit and refuses one byte more", async () => {
  for (const step of [1, 7, 1000]) {
    assertEquals(await lines("12345678\n", step, 8), ["12345678"]);
    await assertRejects(() => lines("123456789\n", step, 8), QmpProtocolError, "more than 8 bytes");
    await assertRejects(() => lines("123456789", step, 8), QmpProtocolError, "more than 8 bytes");
  }
});

Deno.test("readLines refuses an end in the middle of a line", async () => {
  await assertRejects(() => lines('{"a": 1}\n{', 100), QmpClosedError, "middle of a message");
});

Deno.test("LineWriter finishes each line before the next when writes are partial", async () => {
  let written = "";
  const writer = new LineWriter({
    async write(bytes: Uint8Array): Promise<number> {
      await Promise.resolve();
      const piece = bytes.subarray(0, 3);
      written += new TextDecoder().decode(piece);
      return piece.length;
    },
  });
  await Promise.all([writer.write("first line"), writer.write("second"), writer.write("third")]);
  assertEquals(written, "first line\nsecond\nthird\n");
});
