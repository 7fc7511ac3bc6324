/**
 * The guest's agent for real: our client, libspice-server, spice-vdagentd and spice-vdagent on an X
 * desktop. Only the virtual machine between the server and the daemon is missing.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { pause, retry } from "../../lib/base/deadline.ts";
import { type AgentEvent, SpiceAgent } from "../../lib/spice/agent.ts";
import type { ClipboardFormat, ClipboardSelection } from "../../lib/spice/clipboard.ts";
import { SpiceAgentError } from "../../lib/spice/errors.ts";
import { SpiceSession } from "../../lib/spice/session.ts";
import { GuestDesktop } from "./guest_desktop.ts";

const SETTLE = { timeoutMs: 20_000, canSucceedLater: () => true };
const ignore = Deno.build.os !== "linux"; // X and the agent are Linux programs
const TEXT = 'Grüße, 世界 🎉👩‍💻\n\ttab and "quotes"\nlast line without an end';
const MEBIBYTE = "0123456789abcdé\n".repeat(1 << 16).slice(0, 1_000_000);

/** A desktop, a session with it and its agent, connected. */
class Rig implements AsyncDisposable {
  private constructor(
    readonly desktop: GuestDesktop,
    readonly session: SpiceSession,
    readonly agent: SpiceAgent,
    readonly events: AgentEvent[],
  ) {}

  static async start(displays: number): Promise<Rig> {
    await using stack = new AsyncDisposableStack();
    const desktop = stack.use(await GuestDesktop.start({ displays }));
    const events: AgentEvent[] = [];
    const agent = new SpiceAgent({ onEvent: (event) => events.push(event) });
    const session = stack.use(
      await SpiceSession.connect(desktop.peer.target, { onMain: (link) => agent.handlers(link) }),
    );
    assertEquals(agent.caps, undefined);
    desktop.startAgent();
    await agent.connected({ timeoutMs: 20_000 });
    stack.move();
    return new Rig(desktop, session, agent, events);
  }

  /** Waits until the guest holds something in one of these formats. */
  async held(format: ClipboardFormat, selection?: ClipboardSelection): Promise<void> {
    await retry(`${format} in the guest`, () => {
      if (this.agent.clipboard.formats(selection).includes(format)) return Promise.resolve();
      throw new Error(`The guest holds ${this.agent.clipboard.formats(selection)}`);
    }, SETTLE);
  }

  /** Waits until pasting in the guest gives this. */
  async pasted(expected: Uint8Array, selection?: string, target?: string): Promise<void> {
    await retry("paste in the guest", async () => {
      assertEquals(await this.desktop.paste(selection, target), expected);
    }, SETTLE);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session[Symbol.asyncDispose]();
    await this.desktop[Symbol.asyncDispose]();
  }
}

const utf8 = (text: string) => new TextEncoder().encode(text);

Deno.test({
  name: "e2e: agent: clipboards pass both ways, and what is too large is refused",
  ignore,
  async fn() {
    await using rig = await Rig.start(0);
    const { desktop, agent } = rig;
    assert(agent.caps?.has("clipboardByDemand") && agent.caps.has("clipboardGrabSerial"));

    for (const [selection, text] of [["clipboard", TEXT], ["primary", "1"]] as const) {
      await desktop.copy(text, selection);
      await rig.held("text", selection);
      assertEquals(await agent.clipboard.readText({ selection }), text);
    }
    const png = Uint8Array.fromHex("89504e470d0a1a0a0000000d49484452ff00");
    await desktop.copy(png, "clipboard", "image/png");
    await rig.held("png");
    assertEquals(await agent.clipboard.read("png"), png);

    for (const selection of ["clipboard", "primary"] as const) {
      await agent.clipboard.offer({ text: TEXT, png }, { selection });
      await rig.pasted(utf8(TEXT), selection);
      await rig.pasted(png, selection, "image/png");
    }

    await desktop.copy(MEBIBYTE);
    await rig.held("text");
    let start = performance.now();
    assertEquals(await agent.clipboard.readText(), MEBIBYTE);
    const fromGuest = performance.now() - start;
    await agent.clipboard.offer({ text: MEBIBYTE });
    start = performance.now();
    await rig.pasted(utf8(MEBIBYTE));
    const toGuest = performance.now() - start;
    console.log(`1 MB from the guest ${fromGuest.toFixed(0)} ms, to it ${toGuest.toFixed(0)} ms`);

    await desktop.copy("x".repeat(16 * 1024 * 1024 + 1));
    await rig.held("text");
    await assertRejects(
      () => agent.clipboard.readText({ timeoutMs: 30_000 }),
      SpiceAgentError,
      "has more than 16777216 bytes", // its agent knows our limit
    );
    await assertRejects(
      () => agent.clipboard.offer({ text: "x".repeat(16 * 1024 * 1024 + 1) }),
      SpiceAgentError,
      "16777217 bytes",
    );
    assertEquals([agent.stats.malformed, agent.stats.dropped], [0, 0]);
  },
});

Deno.test({
  name: "e2e: agent: it is asked for a resolution, and the guest's desktop has it",
  ignore,
  async fn() {
    await using rig = await Rig.start(0); // without a display that could be told by the server
    assertEquals(await rig.desktop.resolution(), "2048x1536");
    for (const [width, height] of [[800, 600], [1000, 700]] as const) {
      await rig.agent.resize([{ width, height }]);
      await retry("new resolution", async () => {
        assertEquals(await rig.desktop.resolution(), `${width}x${height}`);
      }, SETTLE);
    }
    assert(rig.events.some((event) => event.kind === "reply" && event.isSuccess));
  },
});

Deno.test({
  name: "e2e: agent: a display that takes the resolution is told by the server",
  ignore,
  async fn() {
    await using rig = await Rig.start(1);
    await rig.agent.resize([{ width: 800, height: 600, x: 7, y: 9 }]);
    assertEquals(await rig.desktop.peer.event(/^monitors /), "monitors 0 800x600+7+9");
  },
});

Deno.test({
  name: "e2e: agent: it goes with its session, fails what waits, and comes back",
  ignore,
  async fn() {
    await using rig = await Rig.start(0);
    const { desktop, agent, events } = rig;
    for (let round = 0; round < 3; round++) {
      await desktop.copy(`round ${round}`);
      await rig.held("text");
      assertEquals(await agent.clipboard.readText(), `round ${round}`);
      await agent.clipboard.offer({ text: `ours ${round}` });
      await rig.pasted(utf8(`ours ${round}`));

      const gone = events.length;
      await desktop.stopAgent();
      await retry("end of the agent", () => {
        if (events.slice(gone).some(({ kind }) => kind === "disconnected")) {
          return Promise.resolve();
        }
        throw new Error("The agent is still there");
      }, SETTLE);
      assertEquals([agent.caps, agent.clipboard.formats()], [undefined, []]);
      await assertRejects(
        () => agent.clipboard.offer({ text: "x" }),
        SpiceAgentError,
        "no agent runs",
      );
      desktop.startAgent();
      await agent.connected();
    }
  },
});

Deno.test({
  name: "e2e: agent: it goes in the middle of a transfer, and the read fails at once",
  ignore,
  async fn() {
    await using rig = await Rig.start(0);
    const { desktop, agent } = rig;
    await desktop.copy("x".repeat(15 * 1024 * 1024));
    await rig.held("text");
    const reading = agent.clipboard.readText({ timeoutMs: 60_000 });
    const failed = assertRejects(() => reading, SpiceAgentError, "the agent has gone");
    await desktop.stopAgent();
    await failed;
    desktop.startAgent();
    await agent.connected();
    await desktop.copy("after");
    await rig.held("text");
    assertEquals(await agent.clipboard.readText(), "after");
  },
});

Deno.test({
  name: "e2e: agent: when both sides copy at once they agree who holds the clipboard",
  ignore,
  async fn() {
    await using rig = await Rig.start(0);
    const { desktop, agent } = rig;
    const wins = { guest: 0, ours: 0 };
    for (let round = 0; round < 12; round++) {
      const copy = () => desktop.copy(`guest ${round}`); // takes effect some milliseconds later
      const offer = () => agent.clipboard.offer({ text: `ours ${round}` });
      const [first, second] = round % 2 === 0 ? [copy, offer] : [offer, copy];
      await first();
      await pause(3 * round);
      await second();
      await pause(100);
      let isGuests = false;
      await retry("agreement", async () => {
        isGuests = agent.clipboard.formats().includes("text");
        const text = isGuests ? `guest ${round}` : `ours ${round}`;
        assertEquals(new TextDecoder().decode(await desktop.paste()), text);
        if (isGuests) assertEquals(await agent.clipboard.readText(), text);
      }, SETTLE);
      wins[isGuests ? "guest" : "ours"]++;
    }
    console.log(`the guest won ${wins.guest} times, we ${wins.ours} times`);
  },
});

Deno.test({
  name: "e2e: agent: a new session finds the agent that is there",
  ignore,
  async fn() {
    await using rig = await Rig.start(0);
    for (let round = 0; round < 3; round++) await rig.agent.clipboard.offer({ text: "old" });
    await rig.pasted(utf8("old"));
    await rig.session[Symbol.asyncDispose]();

    const agent = new SpiceAgent();
    await using _session = await SpiceSession.connect(rig.desktop.peer.target, {
      onMain: (link) => agent.handlers(link),
    });
    await agent.connected();
    await agent.clipboard.offer({ text: "new" });
    await rig.pasted(utf8("new"));
    await rig.desktop.copy("guest's");
    await retry("text in the guest", async () => {
      assertEquals(await agent.clipboard.readText(), "guest's");
    }, SETTLE);
  },
});
