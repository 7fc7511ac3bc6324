/** Taking sessions up again. */
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import {
  SpiceClosedError,
  SpiceLimitError,
  SpiceLinkError,
  SpiceTakenError,
  SpiceTimeoutError,
} from "../../lib/spice/errors.ts";
import { type ReconnectOptions, Reconnector } from "../../lib/spice/reconnect.ts";
import {
  type SpiceCloseReason,
  SpiceSession,
  type SpiceSessionOptions,
  type SpiceTarget,
} from "../../lib/spice/session.ts";
import { FakeSpiceServer } from "../fakes/spice_server.ts";

const TAKEN: SpiceCloseReason = { by: "server", text: "it closed", isServerAlive: true };
const GONE: SpiceCloseReason = { by: "server", text: "it closed", isServerAlive: false };

function reconnector(
  target: SpiceTarget,
  options: Partial<ReconnectOptions> = {},
  sessionOptions: SpiceSessionOptions = {},
): Reconnector {
  const connect = (signal: AbortSignal) =>
    SpiceSession.connect(target, { timeoutMs: 1000, signal, ...sessionOptions });
  return new Reconnector({ connect, timeoutMs: 5000, ...options });
}

Deno.test("a server that comes back is found again", async () => {
  const first = await FakeSpiceServer.start({ tcp: true });
  const { target } = first;
  await using session = await SpiceSession.connect(target);
  await first[Symbol.asyncDispose]();
  const end = await session.closed;
  assertEquals([end.by, end.isServerAlive], ["server", false]);
  const again = reconnector(target).again(end);
  await using server = await FakeSpiceServer.start({ tcp: true, port: portOf(target) });
  await using second = await again;
  assertEquals([second.channels, server.errors], [["main", "display"], []]);
});

function portOf(target: SpiceTarget): number {
  if (!("port" in target)) throw new Error("not on TCP");
  return target.port;
}

Deno.test("a stalled connection is made anew without asking", async () => {
  await using server = await FakeSpiceServer.start();
  const error = new SpiceTimeoutError("stalled");
  const end: SpiceCloseReason = { by: "error", text: "stalled", error, isServerAlive: false };
  await using session = await reconnector(server.target).again(end);
  assertEquals(session.channels, ["main", "display"]);
});

Deno.test("a session that another client may have is left to it, unless told otherwise", async () => {
  await using server = await FakeSpiceServer.start();
  await assertRejects(
    () => reconnector(server.target).again(TAKEN),
    SpiceTakenError,
    "another client may have it, and would be thrown out",
  );
  await using session = await reconnector(server.target, { takesOver: true }).again(TAKEN);
  assertEquals(session.channels, ["main", "display"]);
});

Deno.test("who can tell whether there is a client is asked", async () => {
  await using server = await FakeSpiceServer.start();
  for (const end of [TAKEN, GONE]) {
    const hasClient = () => Promise.resolve(true);
    await assertRejects(
      () => reconnector(server.target, { hasClient }).again(end),
      SpiceTakenError,
      "another client has it",
    );
  }
  const hasClient = () => Promise.resolve(false);
  await using session = await reconnector(server.target, { hasClient }).again(TAKEN);
  assertEquals(session.channels, ["main", "display"]);
});

Deno.test("two clients that take over do not fight", async () => {
  await using server = await FakeSpiceServer.start();
  const ours = reconnector(server.target, { takesOver: true });
  await using _session = await ours.again(TAKEN);
  await assertRejects(() => ours.again(TAKEN), SpiceTakenError, "takes it over each time");
});

Deno.test("a session that was ended on purpose or for what came is not taken up again", async () => {
  await using server = await FakeSpiceServer.start();
  const limit = new SpiceLimitError("too large");
  for (
    const end of [
      { by: "client", text: "enough", isServerAlive: false },
      { by: "error", text: "too large", error: limit, isServerAlive: false },
      { by: "error", text: "a defect", error: new TypeError("a defect"), isServerAlive: false },
    ] satisfies SpiceCloseReason[]
  ) {
    const error = await assertRejects(
      () => reconnector(server.target).again(end),
      SpiceClosedError,
      `up again: ${end.text}`,
    );
    assertEquals(error.cause, "error" in end ? end.error : undefined);
  }
});

Deno.test("a refusal is final, an absent server is waited for until the deadline", async () => {
  await using server = await FakeSpiceServer.start({ result: () => 7 });
  await assertRejects(() => reconnector(server.target).again(GONE), SpiceLinkError, "password");
  const error = await assertRejects(
    () => reconnector({ path: "/nonexistent/s" }, { timeoutMs: 250 }).again(GONE),
    SpiceTimeoutError,
    "did not come back within 250 ms",
  );
  assertInstanceOf(error.cause, Error);
  const reason = new Error("enough");
  const started = performance.now();
  const given = await assertRejects(() =>
    reconnector({ path: "/nonexistent/s" }).again(GONE, soon(30, reason))
  );
  assertEquals(given, reason);
  assert(performance.now() - started < 1000);
});

function soon(ms: number, reason: Error): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), ms);
  return controller.signal;
}
