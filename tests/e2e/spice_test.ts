/** SPICE sessions against the installed QEMU. */
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { pause, retry } from "../../lib/base/deadline.ts";
import type { ChannelLink } from "../../lib/spice/channel_link.ts";
import { DISPLAY_REQUESTS } from "../../lib/spice/display_messages.ts";
import { SpiceConnectError, SpiceLinkError } from "../../lib/spice/errors.ts";
import { type SpiceEvent, SpiceSession, type SpiceTarget } from "../../lib/spice/session.ts";
import { Screens } from "../../lib/vm/screens.ts";
import { SpiceKeeper } from "../../lib/vm/spice_keeper.ts";
import { freePort } from "./free_port.ts";

const OFF = "image-compression=off,streaming-video=off,playback-compression=off";

/** A paused QEMU with a SPICE server; owns the process and its directory. */
class Qemu implements AsyncDisposable {
  readonly spice: string;
  readonly #dir: string;
  readonly #child: Deno.ChildProcess;
  readonly #qmp: Deno.UnixConn;

  private constructor(dir: string, child: Deno.ChildProcess, qmp: Deno.UnixConn) {
    this.#dir = dir;
    this.#child = child;
    this.#qmp = qmp;
    this.spice = `${dir}/spice`;
  }

  /** Starts QEMU; in `spice` and `args`, `DIR` stands for its directory. */
  static async start(options: { spice?: string; args?: string[] } = {}): Promise<Qemu> {
    const dir = await Deno.makeTempDir({ prefix: "spice-e2e-" });
    const {
      spice = `unix=on,addr=DIR/spice,disable-ticketing=on`,
      args = ["-device", "virtio-vga"],
    } = options;
    const child = new Deno.Command("qemu-system-x86_64", {
      args: [
        ...["-accel", "tcg", "-machine", "q35", "-m", "64", "-nodefaults", "-display", "none"],
        ...["-S", "-qmp", `unix:${dir}/qmp,server=on,wait=off`],
        ...["-spice", `${spice},${OFF}`.replaceAll("DIR", dir)],
        ...args.map((arg) => arg.replaceAll("DIR", dir)),
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const qmp = await retry(
      "QMP socket",
      () => Deno.connect({ transport: "unix", path: `${dir}/qmp` }),
      {
        timeoutMs: 10_000,
        canSucceedLater: (error) =>
          error instanceof Deno.errors.NotFound ||
          error instanceof Deno.errors.ConnectionRefused,
      },
    );
    const qemu = new Qemu(dir, child, qmp);
    await qemu.#line(); // the greeting
    await qemu.execute("qmp_capabilities");
    return qemu;
  }

  /** Runs a QMP command and returns its reply, as text. */
  async execute(command: string, args: Record<string, unknown> = {}): Promise<string> {
    await this.#qmp.write(
      new TextEncoder().encode(JSON.stringify({ execute: command, arguments: args, id: 1 })),
    );
    for (;;) {
      const line = await this.#line();
      if (line.includes('"id": 1')) return line;
    }
  }

  /** Whether a SPICE client is connected, as QMP tells. */
  async hasClient(): Promise<boolean> {
    return (await this.execute("query-spice")).includes('"connection-id"');
  }

  async #line(): Promise<string> {
    const buffer = new Uint8Array(4096);
    let text = "";
    while (!text.endsWith("\n")) {
      const read = await this.#qmp.read(buffer);
      if (read === null) throw new Error("QMP has gone");
      text += new TextDecoder().decode(buffer.subarray(0, read));
    }
    return text;
  }

  /** Ends QEMU without a warning. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#qmp.close();
    try {
      this.#child.kill("SIGKILL");
    } catch { /* it has gone already */ }
    await this.#child.status;
    await Deno.remove(this.#dir, { recursive: true });
  }
}

const brief = ({ channel, id, state }: SpiceEvent) => `${channel} ${id} ${state}`;
const ATTACHED = ["main 0 linked", "main 0 up", "display 0 linked", "display 0 up"];

Deno.test("e2e: connect attaches main and display before the guest runs", async () => {
  await using qemu = await Qemu.start();
  const events: SpiceEvent[] = [];
  await using session = await SpiceSession.connect({ path: qemu.spice }, {
    onEvent: (event) => events.push(event),
  });
  assertEquals(events.map(brief), ATTACHED);
  assertEquals(session.channels, ["main", "display"]);
  assertStringIncludes(session.serverName, "QEMU");
  assert(session.offered.some(({ channel }) => channel === "inputs"));
  assertEquals(session.mouseMode.current, 1);

  await session[Symbol.asyncDispose]();
  assertEquals(events.slice(ATTACHED.length).map(brief).sort(), [
    "display 0 closed",
    "main 0 closed",
  ]);
  assertEquals((await session.closed).by, "client");
});

/** A disk whose boot sector fills the text screen with ever other characters. */
function restlessDisk(): Uint8Array {
  const sector = new Uint8Array(1 << 20); // SeaBIOS does not boot a disk of one sector
  sector.set(Uint8Array.fromHex(
    "b800b8" + // mov ax, 0xb800: the text screen
      "8ec0" + // mov es, ax
      "31db" + // xor bx, bx
      "31ff" + // again: xor di, di
      "b9d007" + // mov cx, 2000
      "89d8" + // next: mov ax, bx
      "ab" + // stosw
      "43" + // inc bx
      "e2fa" + // loop next
      "ebf3", // jmp again
  ));
  sector.set([0x55, 0xaa], 510);
  return sector;
}

Deno.test("e2e: thousands of draws are acknowledged and never stall", async () => {
  const disk = await Deno.makeTempFile();
  try {
    await Deno.writeFile(disk, restlessDisk());
    await using qemu = await Qemu.start({
      args: ["-device", "virtio-vga", "-drive", `file=${disk},format=raw,if=ide,snapshot=on`],
    });
    await using session = await SpiceSession.connect({ path: qemu.spice });
    await qemu.execute("cont");
    const display = session.stats.get("display");
    assert(display);
    const started = performance.now();
    while (display.messages < 3000 && performance.now() - started < 30_000) await pause(50);
    const { messages, acks, malformed, unknown } = display;
    console.log(`${messages} messages in ${Math.round(performance.now() - started)} ms`);
    assertGreater(messages, 2999);
    assertEquals(acks, Math.floor(messages / 20));
    assertEquals([malformed, unknown.size], [0, 0]);
    await pause(200);
    assertGreater(display.messages, messages, "draws go on");
  } finally {
    await Deno.remove(disk);
  }
});

Deno.test("e2e: a killed QEMU ends the session at once", async () => {
  await using qemu = await Qemu.start();
  await using session = await SpiceSession.connect({ path: qemu.spice });
  const killed = performance.now();
  qemu.kill();
  const reason = await session.closed;
  const ms = performance.now() - killed;
  assertEquals([reason.by, reason.isServerAlive], ["server", false]);
  console.log(`the session ended ${ms.toFixed(1)} ms after QEMU's death (100)`);
  assertLess(ms, 500);
});

Deno.test("e2e: a second client throws the first out, and the reason says so", async () => {
  await using qemu = await Qemu.start();
  await using first = await SpiceSession.connect({ path: qemu.spice });
  await using second = await SpiceSession.connect({ path: qemu.spice });
  const reason = await first.closed;
  assertEquals([reason.by, reason.isServerAlive], ["server", true]);
  assertStringIncludes(reason.text, "maybe for another client");
  assertEquals(second.channels, ["main", "display"]);
});

Deno.test("e2e: a display that QEMU closes is linked again, with its picture", async () => {
  await using qemu = await Qemu.start();
  const created = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const links: ChannelLink[] = [];
  const events: SpiceEvent[] = [];
  await using session = await SpiceSession.connect({ path: qemu.spice }, {
    onEvent: (event) => events.push(event),
    onDisplay(link) {
      const { resolve } = created[links.push(link) - 1]!;
      return { surface_create: () => resolve() };
    },
  });
  await created[0]!.promise;
  links[0]!.send(DISPLAY_REQUESTS.gl_draw_done, {}); // nothing was drawn: the server objects
  await created[1]!.promise;
  await pause(50);
  assertEquals(events.slice(ATTACHED.length).map(brief), [
    "display 0 closed",
    "display 0 linked",
    "display 0 up",
  ]);
  assertEquals(session.channels.toSorted(), ["display", "main"]);
});

Deno.test("e2e: a session is taken up again where QEMU has no other client, and only there", async () => {
  await using qemu = await Qemu.start();
  using screens = new Screens();
  const news: string[] = [];
  const [lost, back] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await using keeper = await SpiceKeeper.attach({
    path: qemu.spice,
    screens,
    timeoutMs: 10_000,
    signal: new AbortController().signal,
    gone: new AbortController().signal,
    hasClient: () => qemu.hasClient(),
    onEvent: () => {},
    onNews: ({ kind }) => {
      news.push(kind);
      (kind === "lost" ? lost : back).resolve();
    },
  });
  assertEquals(await qemu.hasClient(), true);
  const other = await SpiceSession.connect({ path: qemu.spice });
  await lost.promise;
  await pause(1_500);
  assertEquals([news, other.channels], [["lost"], ["main", "display"]], "it is not thrown out");
  await other[Symbol.asyncDispose]();
  await back.promise;
  assertEquals([news, keeper.channels.slice(0, 2)], [["lost", "back"], ["main", "display"]]);
});

const SECRET = ["-object", "secret,id=ticket,data=correct horse", "-device", "virtio-vga"];
const TICKETING = "unix=on,addr=DIR/spice,password-secret=ticket";

Deno.test("e2e: the right password attaches", async () => {
  await using qemu = await Qemu.start({ spice: TICKETING, args: SECRET });
  await using session = await SpiceSession.connect({ path: qemu.spice }, {
    password: "correct horse",
  });
  assertEquals(session.channels, ["main", "display"]);
});

for (const password of ["wrong", ""]) {
  Deno.test(`e2e: the password "${password}" is refused by name`, async () => {
    await using qemu = await Qemu.start({ spice: TICKETING, args: SECRET });
    const error = await assertRejects(
      () => SpiceSession.connect({ path: qemu.spice }, { password }),
      SpiceLinkError,
      "PERMISSION_DENIED",
    );
    assertEquals(error.code, 7);
    assertStringIncludes(error.message, password ? "wrong or has expired" : "needs a password");
  });
}

Deno.test("e2e: a VM without a display attaches with main alone", async () => {
  await using qemu = await Qemu.start({ args: ["-vga", "none"] });
  await using session = await SpiceSession.connect({ path: qemu.spice });
  assertEquals(session.channels, ["main"]);
});

Deno.test("e2e: every display of a VM comes up", async () => {
  await using qemu = await Qemu.start({ args: ["-device", "virtio-vga", "-device", "qxl"] });
  await using session = await SpiceSession.connect({ path: qemu.spice });
  assertEquals(session.channels.toSorted(), ["display", "display-1", "main"]);
});

Deno.test("e2e: TCP works as well", async () => {
  const port = freePort();
  await using _qemu = await Qemu.start({
    spice: `port=${port},addr=127.0.0.1,disable-ticketing=on`,
  });
  const target: SpiceTarget = { host: "127.0.0.1", port };
  await using session = await SpiceSession.connect(target);
  assertEquals(session.channels, ["main", "display"]);
});

Deno.test("e2e: another protocol's socket is told apart", async () => {
  await using qemu = await Qemu.start({
    args: ["-qmp", "unix:DIR/other,server=on,wait=off", "-vga", "none"],
  });
  const error = await assertRejects(
    () => SpiceSession.connect({ path: `${qemu.spice.replace(/spice$/, "other")}` }),
    SpiceLinkError,
  );
  assertStringIncludes(error.hint ?? "", "QMP");
});

Deno.test("e2e: a missing socket is named", async () => {
  const error = await assertRejects(
    () => SpiceSession.connect({ path: "/nonexistent/spice" }),
    SpiceConnectError,
    "/nonexistent/spice",
  );
  assertEquals(error.exitCode, 8);
});
