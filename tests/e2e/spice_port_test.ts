/** SPICE ports of the installed QEMU: a serial line, a QMP monitor, WebDAV and USB redirection. */
import { assert, assertEquals, assertLess, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { pause, retry, withDeadline } from "../../lib/base/deadline.ts";
import { SpiceConnectError, SpicePortError } from "../../lib/spice/errors.ts";
import { openPort, type PortEvent, SpicePort } from "../../lib/spice/port.ts";
import { SpiceSession } from "../../lib/spice/session.ts";
import { SpicePeer } from "./spice_peer.ts";

const HELLO = fromFileUrl(new URL("../../examples/hello.utm/Data/hello.img", import.meta.url));
const TERMINAL = "com.utmapp.terminal.0";
const MONITOR = "org.qemu.monitor.qmp.0";
const AGENT = "org.qemu.guest_agent.0";
const WEBDAV = "org.spice-space.webdav.0";

/** A QEMU with the example guest, whose serial line is a SPICE port; owns the process. */
class Qemu implements AsyncDisposable {
  readonly target: { path: string };
  readonly #folder: string;
  readonly #child: Deno.ChildProcess;

  private constructor(folder: string, child: Deno.ChildProcess) {
    this.target = { path: `${folder}/spice` };
    this.#folder = folder;
    this.#child = child;
  }

  static async start(): Promise<Qemu> {
    const folder = await Deno.makeTempDir({ prefix: "spice-port-" });
    const port = (id: string, name: string) => ["-chardev", `spiceport,id=${id},name=${name}`];
    const child = new Deno.Command("qemu-system-x86_64", {
      args: [
        ...["-accel", "tcg", "-machine", "q35", "-m", "64", "-nodefaults", "-display", "none"],
        ...["-spice", `unix=on,addr=${folder}/spice,disable-ticketing=on`],
        ...["-drive", `file=${HELLO},format=raw,if=ide,snapshot=on`],
        ...[...port("term0", TERMINAL), "-serial", "chardev:term0"],
        ...[...port("qmp", MONITOR), "-mon", "chardev=qmp,mode=control"],
        ...["-device", "virtio-serial"],
        ...[...port("qga", AGENT), "-device", `virtserialport,chardev=qga,name=${AGENT}`],
        ...[...port("dav", WEBDAV), "-device", `virtserialport,chardev=dav,name=${WEBDAV}`],
        ...["-device", "qemu-xhci", "-chardev", "spicevmc,id=usb,name=usbredir"],
        ...["-device", "usb-redir,chardev=usb"],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    return new Qemu(folder, child);
  }

  attach(): Promise<SpiceSession> {
    return retry("SPICE", () => SpiceSession.connect(this.target), {
      timeoutMs: 20_000,
      canSucceedLater: (error) => error instanceof SpiceConnectError,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch { /* it has gone already */ }
    await this.#child.status;
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** Text of a port, both ways. */
class Talk {
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #text = "";

  constructor(port: SpicePort) {
    this.#reader = port.readable.pipeThrough(new TextDecoderStream() as TransformStream)
      .getReader();
    this.#writer = port.writable.getWriter();
  }

  write(text: string): Promise<void> {
    return this.#writer.write(new TextEncoder().encode(text));
  }

  /** Waits for `word` and returns what comes up to its end. */
  until(word: string, timeoutMs = 60_000): Promise<string> {
    return withDeadline(`"${word.slice(0, 40)}" from the port`, async () => {
      for (let from = 0;;) {
        const at = this.#text.indexOf(word, from);
        if (at >= 0) {
          const head = this.#text.slice(0, at + word.length);
          this.#text = this.#text.slice(at + word.length);
          return head;
        }
        from = Math.max(0, this.#text.length - word.length);
        const { value, done } = await this.#reader.read();
        if (done) throw new Error(`The port ended after ${JSON.stringify(this.#text)}`);
        this.#text += value;
      }
    }, { timeoutMs });
  }
}

Deno.test("e2e: a guest's serial line is a port, and every line comes back", async () => {
  await using qemu = await Qemu.start();
  await using session = await qemu.attach();
  await using port = await openPort(session, TERMINAL);
  assert(port.isOpened);
  const talk = new Talk(port);
  await retry("answer of the guest", async () => {
    await talk.write("first\n"); // what it wrote before we came is lost, and it may still boot
    await talk.until("echo: first", 500);
  }, { timeoutMs: 60_000, canSucceedLater: () => true });

  const lines = Array.from({ length: 512 }, (_, i) => `line ${i} ${"0123456789".repeat(5)}`);
  const writing = talk.write(lines.map((line) => `${line}\n`).join("")); // waits for the UART
  for (const line of lines) await talk.until(`echo: ${line}`);
  await writing;
});

Deno.test("e2e: 1 MiB passes a port both ways", async () => {
  await using qemu = await Qemu.start();
  await using session = await qemu.attach();
  await using port = await openPort(session, MONITOR);
  const talk = new Talk(port);
  await talk.until('{"QMP"');
  await talk.write('{"execute":"qmp_capabilities"}\n');
  await talk.until('{"return": {}}\r\n');
  // QEMU 7.2 never sends the rest of an answer of more than 131,136 bytes on a SPICE port.
  const ids = Array.from({ length: 17 }, (_, i) => `${i} ${"0123456789abcdef".repeat(3900)}`);
  const start = performance.now();
  const writing = talk.write(
    ids.map((id) => `${JSON.stringify({ execute: "query-status", id })}\n`).join(""),
  );
  for (const id of ids) assertEquals(JSON.parse(await talk.until("\r\n")).id, id);
  await writing;
  console.log(`1 MiB through QMP and back in ${Math.round(performance.now() - start)} ms`);
});

Deno.test("e2e: a QMP monitor, a closed agent and WebDAV are found by name", async () => {
  await using qemu = await Qemu.start();
  await using session = await qemu.attach();
  {
    await using port = await openPort(session, MONITOR);
    const talk = new Talk(port);
    assertStringIncludes(await talk.until("\r\n"), '{"QMP": {"version"');
    await talk.write('{"execute":"qmp_capabilities"}\n');
    await talk.until('{"return": {}}\r\n');
    await talk.write('{"execute":"query-status"}\n');
    assertStringIncludes(await talk.until("\r\n"), '"status": "running"');

    await using agent = await openPort(session, AGENT);
    assertEquals(agent.isOpened, false); // the guest has no driver for it
    await using webdav = await openPort(session, WEBDAV);
    assertEquals([webdav.channel, webdav.isOpened], ["webdav", false]);
  }
  await using again = await openPort(session, MONITOR); // a port may be opened again
  await new Talk(again).until('{"QMP"');
  const error = await assertRejects(() => openPort(session, "nobody"), SpicePortError);
  assertStringIncludes(error.message, `"${TERMINAL}"`);
});

Deno.test("e2e: usbredir is a stream of bytes without a name", async () => {
  await using qemu = await Qemu.start();
  await using session = await qemu.attach();
  const offered = session.offered.find(({ channel }) => channel === "usbredir");
  assert(offered);
  await using port = await SpicePort.open(session, offered);
  const { value: hello } = await port.readable.getReader().read();
  assertEquals(hello?.length, 80);
  assertEquals(hello?.subarray(0, 8), Uint8Array.of(0, 0, 0, 0, 68, 0, 0, 0)); // HELLO, 68 bytes
});

Deno.test("e2e: a second client takes the ports over, and the first one's streams end", async () => {
  await using qemu = await Qemu.start();
  await using first = await qemu.attach();
  await using port = await openPort(first, MONITOR);
  const reader = port.readable.getReader();
  await reader.read();
  const reading = reader.read();
  await using second = await qemu.attach();
  assertEquals((await reading).done, true);
  assertEquals((await first.closed).by, "server");
  await using other = await openPort(second, MONITOR);
  await new Talk(other).until('{"QMP"');
});

Deno.test("e2e: peer: a port's guest opens and closes it, and nothing unread is lost", async () => {
  await using peer = await SpicePeer.start({ displays: 0 });
  await peer.addDevice("port", "com.example.other");
  await peer.addDevice("port", "com.example.port");
  await using session = await SpiceSession.connect(peer.target);
  const events: PortEvent[] = [];
  await using port = await openPort(session, "com.example.port", {
    onEvent: (event) => events.push(event),
  });
  await peer.command("chardev opened com.example.port");
  await peer.command("chardev closed com.example.port");
  port.sendEvent("break");
  await peer.event(/^chardev com.example.port break$/);

  const BYTES = 4 * 1024 * 1024;
  const block = crypto.getRandomValues(new Uint8Array(64 * 1024));
  for (let sent = 0; sent < BYTES; sent += block.length) {
    await peer.sendFromGuest("com.example.port", block);
  }
  await pause(100);
  const { bytes } = session.stats.get("port-1") ?? session.stats.get("port")!;
  assertLess(bytes, 600 * 1024); // the rest waits in the server and in its guest
  assertEquals(events, ["opened", "closed"]);

  let got = 0;
  for await (const chunk of port.readable) {
    for (const byte of chunk) {
      if (byte !== block[got++ % block.length]) throw new Error(`Byte ${got - 1} is another`);
    }
    if (got === BYTES) break;
  }
});
