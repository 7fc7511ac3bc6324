/** Displays in threads of their own: real threads, real descriptors, no GPU. */
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { pause } from "../../lib/base/deadline.ts";
import { SpiceConnectError } from "../../lib/spice/errors.ts";
import type { DisplayOpening } from "../../lib/spice/session.ts";
import { GlLedger } from "../../lib/display/gl_ledger.ts";
import { DisplayThread } from "../../lib/vm/display_thread.ts";
import type { DisplayReport } from "../../lib/vm/screen.ts";
import {
  DIES_AT,
  HANGS_AT,
  pixelOf,
  READ_THROWS,
  THROWS_AT,
} from "../fakes/stand_in_worker_marks.ts";
import { GlDisplayRig, type GlPeer, SilentListener, until } from "./gl_display_rig.ts";
import { shimTest } from "./open_shim.ts";

shimTest(
  "with nobody looking every draw is acknowledged once, and nothing is copied",
  async (shim) => {
    await using rig = await GlDisplayRig.start(shim);
    rig.peer.scanout(8);
    await rig.peer.monitors(8);
    for (let i = 0; i < 100; i++) await rig.peer.drawn();
    await until("the ledger", () => rig.report.gl.acks === 100);
    const { kind, width, height, gl, surface } = rig.report;
    assertEquals([kind, width, height], ["gl", 8, 1]);
    assertEquals([gl.scanouts, gl.draws, gl.copies, gl.imports, gl.cpuBytes], [1, 100, 0, 0, 0]);
    assert(gl.ackMicros.p50 > 0 && gl.ackMicros.p99 >= gl.ackMicros.p50);
    assert(surface.messages >= 103, `${surface.messages}`);
    assertEquals([rig.peer.dones, rig.modes, rig.warnings], [100, ["gl 8×1"], []]);
    assertEquals(rig.peer.requests.filter((id) => id === 2).length, 5, "one ACK for 20 messages");
  },
);

shimTest("a picture is read back from the scanout that is shown", async (shim) => {
  await using rig = await GlDisplayRig.start(shim);
  rig.peer.scanout(64, 2);
  await rig.peer.monitors(16, 2);
  await rig.peer.drawn();
  const [picture, why] = await rig.screens.capture(0, { timeoutMs: 5000 });
  assert(picture, why);
  assertEquals([picture.width, picture.height, picture.pixels.length], [16, 2, 32]);
  assertEquals(new Set(picture.pixels), new Set([pixelOf(64)]));
  assertEquals(rig.report.gl.cpuBytes, 64 * 2 * 4);
  assertEquals(rig.screens.pixels(0), undefined);
  await rig.detach(); // the picture stays
  const [latest] = await rig.screens.latest(0);
  assertEquals(latest?.pixels, picture.pixels);
});

shimTest("who watches has draws copied, and is lent our texture", async (shim) => {
  await using rig = await GlDisplayRig.start(shim);
  rig.peer.scanout(64);
  await rig.peer.drawn();
  const never = new AbortController().signal;
  assertEquals(await rig.screens.texture(0, never), undefined);
  const one = rig.screens.watch(0);
  const other = rig.screens.watch(0);
  const texture = await rig.screens.texture(0, never);
  assertEquals([texture?.width, texture?.surfaceId, texture?.fd], [64, 7, undefined]);
  await rig.peer.drawn();
  assertEquals(rig.report.gl.copies, 2); // what was there, and the draw
  one[Symbol.dispose]();
  one[Symbol.dispose]();
  await rig.peer.drawn();
  assertEquals(rig.report.gl.copies, 3);
  other[Symbol.dispose]();
  assertEquals(await rig.screens.texture(0, never), undefined);
  await rig.peer.drawn();
  assertEquals(rig.report.gl.copies, 3);
});

shimTest("a display changes between surfaces and scanouts", async (shim) => {
  await using rig = await GlDisplayRig.start(shim);
  await rig.peer.surface(32, 16);
  await until("a surface", () => rig.modes.length === 1);
  assertEquals(rig.screens.pixels(0)?.pixels.length, 32 * 16);
  rig.peer.scanout(64);
  await rig.peer.drawn();
  await rig.peer.monitors();
  await until("nothing", () => rig.report.width === 0);
  assertEquals(rig.report.kind, "gl");
  const [, why] = await rig.screens.capture(0, { timeoutMs: 1000 });
  assertEquals(why, "display 0: the guest shows nothing");
  await rig.peer.surface(40, 20);
  await until("a surface", () => rig.report.width === 40);
  const [picture] = await rig.screens.capture(0, { timeoutMs: 1000 });
  assertEquals(picture?.pixels.length, 40 * 20);
  rig.peer.scanout(64);
  await rig.peer.monitors(64);
  await until("the scanout", () => rig.report.kind === "gl");
  assertEquals(rig.modes, ["surface 32×16", "gl 64×1", "surface 40×20", "gl 64×1"]);
});

shimTest("a guest that draws is captured at its next draw, if one comes", async (shim) => {
  await using rig = await GlDisplayRig.start(shim);
  rig.peer.scanout(64);
  await rig.peer.drawn();
  const thread = rig.threads.of(0);
  const never = new AbortController().signal;
  let isThere = false;
  const captured = thread.capture(never).finally(() => isThere = true);
  await pause(30);
  assertEquals(isThere, false);
  await rig.peer.drawn();
  const picture = await captured;
  assert(typeof picture === "object" && "pixels" in picture);
  assertEquals(rig.report.gl.cpuBytes, 64 * 4, "it is read once");
  await thread.capture(never); // no draw comes
  assertEquals(rig.report.gl.cpuBytes, 2 * 64 * 4);
});

shimTest("the picture of a guest that has gone waits for no draw", async (shim) => {
  await using rig = await GlDisplayRig.start(shim);
  rig.peer.scanout(64);
  await rig.peer.drawn();
  const thread = rig.threads.of(0);
  const never = new AbortController().signal;
  const answers: string[] = [];
  const captured = thread.capture(never).then(() => answers.push("captured"));
  const ended = until("the end", () => rig.events.some((text) => text.includes("0 closed")))
    .then(() => answers.push("ended"));
  rig.peer.close();
  await Promise.all([captured, ended]);
  assertEquals(answers, ["captured", "ended"]);
  await rig.detach();
  await rig.screens.latest(0);
  assertEquals(rig.report.gl.cpuBytes, 2 * 64 * 4);
});

shimTest("who waits for a first picture gets that of a later session", async (shim) => {
  await using rig = await GlDisplayRig.start(shim);
  const captured = rig.screens.capture(0, { timeoutMs: 5000 });
  await rig.detach();
  await rig.attach();
  rig.peer.scanout(64);
  await rig.peer.monitors(64);
  const [picture, why] = await captured;
  assertEquals([picture?.width, why], [64, undefined]);
});

shimTest("draws in one piece, and before any scanout, are acknowledged each", async (shim) => {
  await using rig = await GlDisplayRig.start(shim);
  for (let i = 0; i < 30; i++) void rig.peer.draw();
  await until("30", () => rig.peer.dones === 30);
  await pause(20);
  assertEquals(rig.peer.dones, 30);
});

shimTest("a follower hears of changes at a screen's pace, and of the last one", async (shim) => {
  await using rig = await GlDisplayRig.start(shim);
  rig.peer.scanout(8);
  const heard: DisplayReport[] = [];
  {
    using _following = rig.screens.follow((report) => heard.push(report));
    const end = performance.now() + 200;
    while (performance.now() < end) await rig.peer.drawn();
    const { draws } = rig.report.gl;
    await until("the last draw", () => heard.at(-1)?.gl.draws === draws);
    assert(heard.length >= 2 && heard.length <= 16, `${heard.length}`);
    const count = heard.length;
    await pause(40);
    assertEquals(heard.length, count);
    await rig.peer.drawn();
    await until("one more", () => heard.length > count);
  }
  const count = heard.length;
  await rig.peer.drawn();
  await pause(40);
  assertEquals(heard.length, count);
});

shimTest("a copy that hangs is acknowledged for it, once, and told", async (shim) => {
  await using rig = await GlDisplayRig.start(shim);
  using _watching = rig.screens.watch(0);
  rig.peer.scanout(20_000);
  await rig.peer.drawn();
  const before = performance.now();
  await rig.peer.drawn(HANGS_AT + 1_800);
  const tookMs = performance.now() - before;
  assert(tookMs >= 950 && tookMs < 1_750, `${tookMs}`);
  assertEquals(rig.guards.length, 1);
  assertMatch(
    rig.guards[0]!,
    /^no draw of display was acknowledged for 1\d\d\d ms: its thread is at "copy" with draw 2 of 20000×1, and 1 were/,
  );
  assertEquals(rig.warnings, rig.guards);
  await rig.peer.drawn(); // once the thread is back
  await pause(30);
  assertEquals(rig.peer.dones, 3);
  const { draws, acks, ackMicros } = rig.report.gl;
  assertEquals([draws, acks], [3, 3]);
  assert(ackMicros.p99 > 900_000);
  assertEquals(rig.session.channels, ["main", "display"]);
});

shimTest("a thread that does not come back is left behind, and the VM goes on", async (shim) => {
  const rig = await GlDisplayRig.start(shim, { hangMs: 200 });
  const { threads, peer } = rig;
  const thread = threads.of(0);
  {
    await using _rig = rig;
    using _watching = rig.screens.watch(0);
    peer.scanout(20_000);
    await peer.drawn();
    await peer.drawn(HANGS_AT + 2_400);
    await until("the end", () => rig.events.some((text) => text.startsWith("display 0 closed")));
    assertStringIncludes(
      rig.events.find((text) => text.startsWith("display 0 closed"))!,
      'Cannot go on with display: the thread of display does not come back from "copy"',
    );
    assert(!thread.isUsable && !thread.isOver);
    await until("another", () => rig.peers.length === 2 && rig.events.at(-1) === "display 0 up");
    assert(rig.threads.of(0) !== thread);
    rig.peer.scanout(64);
    await rig.peer.drawn();
    await until("the picture", () => rig.report.width === 64);
    assertEquals([rig.guards.length, peer.dones], [1, 2]);
  }
  await thread.over; // it ended by itself, once it was back
});

shimTest("a thread is not taken for the one that hung before it", async (shim) => {
  const ledger = new GlLedger();
  ledger.draw();
  ledger.stage = "read"; // and there it stays
  await using thread = DisplayThread.start(shim, {
    entry: new URL("../fakes/stand_in_worker.ts", import.meta.url),
    ledger,
  });
  assertEquals([thread.ledger.stage, thread.ledger.draws], ["idle", 1]);
});

shimTest("a defect of what the owner asked for ends the thread, and is told", async (shim) => {
  await using rig = await GlDisplayRig.start(shim);
  rig.peer.scanout(READ_THROWS);
  await rig.peer.drawn();
  await pause(300);
  const [, why] = await rig.screens.capture(0, { timeoutMs: 5000 });
  assertMatch(why!, /its thread has died: Uncaught TypeError: a defect of the read/);
  assertEquals(rig.defects.length, 1);
  await until("another", () => rig.peers.length === 2 && rig.events.at(-1) === "display 0 up");
});

shimTest(
  "a thread that dies ends its display with an error that names it, and another comes",
  async (shim) => {
    await using rig = await GlDisplayRig.start(shim);
    const watching = rig.screens.watch(0);
    rig.peer.scanout(20_000);
    await rig.peer.drawn();
    void rig.peer.draw(DIES_AT);
    await until("the end", () => rig.events.some((text) => text.includes("its thread has died")));
    assertStringIncludes(
      rig.events.find((text) => text.startsWith("display 0 closed"))!,
      "Cannot go on with display: its thread has died: Uncaught TypeError: the GPU is on fire",
    );
    assertEquals(rig.defects.length, 1);
    await until("another", () => rig.peers.length === 2 && rig.events.at(-1) === "display 0 up");
    const { copies } = rig.report.gl;
    rig.peer.scanout(64);
    await rig.peer.drawn();
    await until("the picture", () => rig.report.width === 64);
    assertEquals(rig.report.gl.copies, copies + 1); // who watched goes on watching
    watching[Symbol.dispose]();
  },
);

shimTest(
  "a defect ends the channel after the draw was acknowledged; the thread stays",
  async (shim) => {
    await using rig = await GlDisplayRig.start(shim);
    using _watching = rig.screens.watch(0);
    const { peer } = rig;
    const thread = rig.threads.of(0);
    peer.scanout(20_000);
    await peer.drawn();
    await peer.draw(THROWS_AT);
    await until("the end", () => rig.events.includes("display 0 closed: a defect of the copy"));
    assert(peer.dones <= 2);
    await until("another", () => rig.peers.length === 2 && rig.events.at(-1) === "display 0 up");
    assertEquals(rig.threads.of(0), thread);
  },
);

shimTest(
  "a session that comes later shows the scanout that is sent again, counts go on",
  async (shim) => {
    await using rig = await GlDisplayRig.start(shim);
    rig.peer.scanout(64);
    await rig.peer.drawn();
    const { messages } = rig.report.surface;
    await rig.detach();
    assertEquals(rig.report.width, 64);
    await rig.attach();
    await until("nothing", () => rig.report.width === 0);
    rig.peer.scanout(64);
    await rig.peer.drawn();
    await until("the picture", () => rig.report.width === 64);
    assertEquals([rig.report.gl.draws, rig.peers.length], [2, 2]);
    assert(rig.report.surface.messages > messages);
  },
);

shimTest("a server that leaves ends the display, and a draw that is owed with it", async (shim) => {
  await using rig = await GlDisplayRig.start(shim);
  rig.peer.scanout(64);
  await rig.peer.drawn();
  rig.peer.close();
  await until("the end", () => rig.events.some((text) => text.startsWith("display 0 closed")));
  await until("another", () => rig.peers.length === 2 && rig.events.at(-1) === "display 0 up");
  await rig.peer.drawn();
});

shimTest("displays have threads of their own", async (shim) => {
  await using rig = await GlDisplayRig.start(shim, { displays: 2 });
  const [one, other] = rig.peers;
  one!.scanout(8);
  other!.scanout(16);
  await Promise.all([one!.drawn(), other!.drawn()]);
  const widths = () => rig.screens.displays().map(({ width }) => width).sort((a, b) => a - b);
  await until("both", () => widths()[0] !== 0); // what is shown travels apart from acknowledgements
  assertEquals(widths(), [8, 16]);
});

shimTest("a display may wait for messages of another thread's", async (shim) => {
  await using rig = await GlDisplayRig.start(shim, { displays: 2 });
  const [first, second] = rig.peers.toSorted((a, b) => a.id - b.id) as [GlPeer, GlPeer];
  // Display 1 goes on once display 0 has handled its third message: SET_ACK is the first.
  await second.send(5, Uint8Array.of(1, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0));
  void second.draw();
  await pause(30);
  assertEquals(second.dones, 0);
  await first.drawn();
  await pause(30);
  assertEquals(second.dones, 0);
  await first.drawn();
  await until("the draw behind the wait", () => second.dones === 1);
  await second.send(5, Uint8Array.of(1, 9, 0, 3, 0, 0, 0, 0, 0, 0, 0)); // of no channel: left out
  await second.drawn();
});

shimTest("a listener that throws ends its display, and is told", async (shim) => {
  await using rig = await GlDisplayRig.start(shim);
  rig.onWarning = () => {
    throw new TypeError("a listener's defect");
  };
  await rig.peer.send(9999); // an unknown message is warned of
  await until("the end", () => rig.events.some((text) => text.includes("a listener's defect")));
  await until("another", () => rig.peers.length === 2 && rig.events.at(-1) === "display 0 up");
  await rig.peer.drawn();
});

shimTest(
  "linking is given up with its signal, and another display is linked after it",
  async (shim) => {
    await using rig = await GlDisplayRig.start(shim);
    await using thread = DisplayThread.start(shim, {
      entry: new URL("../fakes/stand_in_worker.ts", import.meta.url),
    });
    using listener = new SilentListener(shim);
    const opening = (path: string): DisplayOpening => ({
      target: { path },
      name: "display",
      id: 0,
      connectionId: 1,
      onWait() {},
      onFirstMessage() {},
      waitFor: () => undefined,
      onMigrate() {},
      onNotice() {},
      onWarning() {},
    });
    const link = { hasDecoders: false };
    const given = new AbortController();
    const opened = thread.open(given.signal, opening(listener.path), link);
    setTimeout(() => given.abort(new Deno.errors.TimedOut("enough")), 30);
    await assertRejects(() => opened, Deno.errors.TimedOut, "enough");
    const never = new AbortController().signal;
    const error = await assertRejects(
      () => thread.open(never, opening(`${listener.path}-none`), link),
      SpiceConnectError,
    );
    assertStringIncludes(error.message, "does not answer");
    const channel = await thread.open(never, opening(rig.path), link);
    assertEquals(channel.name, "display");
    channel.close("that is all");
    assertEquals(await channel.closed, { by: "client", text: "that is all" });
    assertEquals(channel.reached(1000n), undefined);
  },
);
