import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { DeadlineError, ExpectError } from "../../lib/base/errors.ts";
import { SerialPort } from "../../lib/guest/serial.ts";

/** A serial port with the guest's end of its socket. */
async function withPort(
  body: (port: SerialPort, guest: Deno.Conn) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "utmost-serial-" });
  const listener = Deno.listen({ transport: "unix", path: join(folder, "term0") });
  try {
    const connecting = Deno.connect({ transport: "unix", path: join(folder, "term0") });
    await using port = new SerialPort(await listener.accept());
    using guest = await connecting;
    await body(port, guest);
  } finally {
    listener.close();
    await Deno.remove(folder, { recursive: true });
  }
}

const bytes = (text: string) => new TextEncoder().encode(text);

/** Writes one byte at a time. */
async function drip(conn: Deno.Conn, text: string): Promise<void> {
  for (const byte of bytes(text)) await conn.write(Uint8Array.of(byte));
}

Deno.test("expect finds text that comes in pieces, also in the middle of a character", async () => {
  await withPort(async (port, guest) => {
    const found = port.expect(/gr(ü)ße!/, { timeoutMs: 5000 });
    await drip(guest, "hello, größe and grüße! more");
    assertEquals((await found).text, "grüße!");
    assertEquals((await port.expect(/\w+/, { timeoutMs: 5000 })).text, "more");
  });
});

Deno.test("expect sees text that came before the call, and consumes what it matched", async () => {
  await withPort(async (port, guest) => {
    await guest.write(bytes("login: login: "));
    await port.expect(/login: /, { timeoutMs: 5000 });
    await port.expect(/login: /, { timeoutMs: 5000 });
    await assertRejects(() => port.expect(/login: /, { timeoutMs: 20 }), DeadlineError);
  });
});

Deno.test("expect does not see terminal control sequences, even split ones", async () => {
  await withPort(async (port, guest) => {
    await drip(guest, "\u001b[2J\u001b[01;32mUEFI\u001b[0m \u001b]0;title\u0007Shell\u001b(B>");
    assertEquals((await port.expect(/UEFI Shell>/, { timeoutMs: 5000 })).text, "UEFI Shell>");
  });
});

Deno.test("expect fails at once when the guest ends, and with the signal's reason", async () => {
  await withPort(async (port, guest) => {
    const controller = new AbortController();
    const aborted = port.expect(/never/, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await assertRejects(() => aborted, Error, "enough");
    const waiting = port.expect(/never/);
    await guest.write(bytes("panic: no init\r\n"));
    guest.closeWrite();
    await assertRejects(() => waiting, ExpectError, "the guest ended");
    await port.closed;
    assertEquals(port.tail(), "panic: no init");
    await assertRejects(() => port.expect(/later/), ExpectError);
  });
});

Deno.test("tap gives every onlooker all bytes, with what is kept if asked for", async () => {
  await withPort(async (port, guest) => {
    const early: number[] = [];
    port.tap((piece) => early.push(...piece));
    await guest.write(Uint8Array.of(0, 255, 10));
    await port.expect(/\n/, { timeoutMs: 5000 });
    const late: number[] = [];
    using _tap = port.tap((piece) => late.push(...piece), true);
    assertEquals(early, [0, 255, 10]);
    assertEquals(late, early);
    assertEquals([...port.history()], early);
  });
});

Deno.test("history keeps the newest mebibyte of a flood", async () => {
  await withPort(async (port, guest) => {
    const line = bytes("x".repeat(65_535) + "\n");
    for (let i = 0; i < 40; i++) {
      for (let rest = line; rest.length > 0;) rest = rest.subarray(await guest.write(rest));
    }
    await guest.write(bytes("END"));
    await port.expect(/END/, { timeoutMs: 5000 });
    const kept = port.history();
    assert(kept.length >= 1024 * 1024 && kept.length < 1024 * 1024 + 65_536, `${kept.length}`);
    assertEquals(new TextDecoder().decode(kept.slice(-3)), "END");
  });
});

Deno.test("write keeps the order of calls that are not waited for", async () => {
  await withPort(async (port, guest) => {
    const writes = ["a", "b", "c"].map((text) => port.write(bytes(text.repeat(50_000))));
    const all: number[] = [];
    const buffer = new Uint8Array(65_536);
    while (all.length < 150_000) all.push(...buffer.subarray(0, await guest.read(buffer) ?? 0));
    await Promise.all(writes);
    const text = new TextDecoder().decode(Uint8Array.from(all));
    assertEquals(text, "a".repeat(50_000) + "b".repeat(50_000) + "c".repeat(50_000));
  });
});
