import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { pause } from "../../lib/base/deadline.ts";
import { SpiceError } from "../../lib/base/errors.ts";
import { typeText } from "../../lib/base/keyboard.ts";
import { type Key, keyNamed } from "../../lib/base/keys.ts";
import { SpiceClosedError, SpiceTimeoutError } from "../../lib/spice/errors.ts";
import { type KeyLocks, SpiceInputs, type SpiceInputsOptions } from "../../lib/spice/inputs.ts";
import { SpiceSession } from "../../lib/spice/session.ts";
import {
  channelsList,
  type FakeConnection,
  FakeSpiceServer,
  INIT,
  le,
  linkReply,
  type Script,
  serveDisplay,
} from "../fakes/spice_server.ts";

/** A server's inputs channel, and what the client has sent on it. */
interface FakeInputs {
  connection: FakeConnection;
  /** `[id, …bytes of the body]` each. */
  received: number[][];
  /** Resolves once so many messages are there. */
  until(count: number): Promise<number[][]>;
}

/** What a test changes of the fake server. */
interface FakeOptions {
  /** Whether it has KEY_SCANCODE; yes when left out. */
  scancode?: boolean;
  /** The mouse mode that is on; 2 when left out. */
  mode?: number;
  /** What the inputs channel does; INIT without lights and reading when left out. */
  inputs?: Script;
}

/** Runs `test` with inputs that are open. */
async function withInputs(
  test: (inputs: SpiceInputs, fake: FakeInputs, session: SpiceSession) => Promise<void>,
  options: FakeOptions = {},
  inputsOptions: SpiceInputsOptions = {},
): Promise<void> {
  const connected = Promise.withResolvers<FakeInputs>();
  const inputs: Script = options.inputs ?? (async (connection) => {
    const received: number[][] = [];
    const waiting = new Set<() => void>();
    const until = async (count: number) => {
      while (received.length < count) {
        const more = Promise.withResolvers<void>();
        waiting.add(more.resolve);
        await more.promise;
      }
      return received;
    };
    connected.resolve({ connection, received, until });
    await connection.send(101, le([2, 0]));
    for (;;) {
      const { type, body } = await connection.receive();
      received.push([type, ...body]);
      for (const wake of waiting) wake();
    }
  });
  await using server = await FakeSpiceServer.start({
    link: (connection) => {
      const caps = connection.link.type === 3 ? [options.scancode === false ? 0 : 1] : [0xf];
      return connection.write(linkReply({ channel: caps }));
    },
    main: async (connection) => {
      const init = INIT.slice();
      init[6 + 12] = options.mode ?? 2;
      await connection.write(init);
      await connection.write(channelsList([3, 0], [2, 0]));
      await connection.drain();
    },
    display: (connection) =>
      connection.link.type === 3 ? inputs(connection) : serveDisplay(connection),
  });
  const pointer = options.mode === 1 ? "relative" as const : "absolute" as const;
  await using session = await SpiceSession.connect(server.target, { pointer });
  await using opened = await SpiceInputs.open(session, inputsOptions);
  await test(opened, await connected.promise, session);
}

const events = (...names: string[]) =>
  names.map((name) => ({ key: keyNamed(name.slice(1)), down: name.startsWith("+") }));

Deno.test("sendKeys sends the scancodes of one call in one message", () =>
  withInputs(async (inputs, fake) => {
    await inputs.sendKeys(events("+ctrl_r", "+c", "-c", "-ctrl_r"));
    await inputs.sendKeys(events("+pause", "-pause"));
    assertEquals(await fake.until(2), [
      [104, 0xe0, 0x1d, 0x2e, 0xae, 0xe0, 0x9d],
      [104, 0xe0, 0x46, 0xe0, 0xc6],
    ]);
    assertEquals(inputs.heldKeys, []);
  }));

Deno.test("sendKeys sends KEY_DOWN and KEY_UP to a server without KEY_SCANCODE", () =>
  withInputs(async (inputs, fake) => {
    await inputs.sendKeys(events("+ctrl_r", "+a", "-a", "-ctrl_r", "+pause", "-pause"));
    assertEquals(await fake.until(6), [
      [101, 0xe0, 0x1d, 0, 0],
      [101, 0x1e, 0, 0, 0],
      [102, 0x9e, 0, 0, 0],
      [102, 0xe0, 0x9d, 0, 0],
      [101, 0xe0, 0x46, 0, 0],
      [102, 0xe0, 0xc6, 0, 0],
    ]);
  }, { scancode: false }));

Deno.test("sendKeys cuts what is too long for one message", () =>
  withInputs(async (inputs, fake) => {
    const keys: { key: Key; down: boolean }[] = [];
    for (let n = 0; n < 1500; n++) keys.push(...events("+a", "-a"));
    await inputs.sendKeys(keys);
    const sizes = (await fake.until(2)).map(({ length }) => length - 1);
    assertEquals(sizes, [2048, 952]);
  }));

Deno.test("closing releases what is held, newest first, and buttons", async () => {
  let received: number[][] = [];
  await withInputs(async (inputs, fake) => {
    received = fake.received;
    await inputs.sendKeys(events("+ctrl", "+alt", "+x", "-x"));
    inputs.press("left");
    inputs.press("side");
    assertEquals(inputs.heldKeys, ["ctrl", "alt"]);
    await inputs[Symbol.asyncDispose]();
    await fake.until(6);
    await inputs[Symbol.asyncDispose]();
    await assertRejects(() => inputs.sendKeys(events("+a")), SpiceClosedError);
    assertThrows(() => inputs.moveTo(1, 1), SpiceClosedError);
    assertThrows(() => inputs.press("left"), SpiceClosedError);
  });
  assertEquals(received, [
    [104, 0x1d, 0x38, 0x2d, 0xad],
    [113, 1, 0x01, 0],
    [113, 6, 0x21, 0],
    [104, 0xb8, 0x9d],
    [114, 1, 0x20, 0],
    [114, 6, 0x00, 0],
  ]);
});

Deno.test("pointer events carry the state of the buttons after them", () =>
  withInputs(async (inputs, fake) => {
    inputs.moveTo(10, 20, 1);
    inputs.press("right");
    inputs.moveTo(1000, 2000);
    inputs.scroll(2);
    inputs.scroll(-1);
    inputs.release("right");
    inputs.press("middle");
    inputs.release("middle");
    assertEquals(await fake.until(12), [
      [112, 10, 0, 0, 0, 20, 0, 0, 0, 0, 0, 1],
      [113, 3, 0x04, 0],
      [112, 0xe8, 3, 0, 0, 0xd0, 7, 0, 0, 0x04, 0, 0],
      [113, 5, 0x04, 0],
      [114, 5, 0x04, 0],
      [113, 5, 0x04, 0],
      [114, 5, 0x04, 0],
      [113, 4, 0x04, 0],
      [114, 4, 0x04, 0],
      [114, 3, 0, 0],
      [113, 2, 0x02, 0],
      [114, 2, 0, 0],
    ]);
  }));

Deno.test("motions wait for acknowledgements, a press does not, and settled tells", () =>
  withInputs(async (inputs, fake) => {
    for (let n = 0; n < 20; n++) inputs.moveBy(1, -1);
    assertEquals((await fake.until(8)).length, 8);
    await assertRejects(() => inputs.settled({ timeoutMs: 20 }), SpiceTimeoutError, "20 ms");
    const settled = inputs.settled({ timeoutMs: 5000 });
    await fake.connection.send(111);
    await settled;
    assertEquals((await fake.until(9))[8], [111, 12, 0, 0, 0, 0xf4, 0xff, 0xff, 0xff, 0, 0]);

    for (let n = 0; n < 10; n++) inputs.moveBy(2, 0);
    inputs.press("left");
    const last = (await fake.until(14)).slice(12);
    assertEquals(last, [[111, 14, 0, 0, 0, 0, 0, 0, 0, 0, 0], [113, 1, 1, 0]]);
    await inputs.settled();
  }, { mode: 1 }));

Deno.test("a motion of the kind that the guest does not take is refused, with what it takes", async () => {
  await withInputs((inputs) => {
    const error = assertThrows(() => inputs.moveTo(1, 1), SpiceError, "the guest's pointer is rel");
    assertStringIncludes(error.hint ?? "", "usb-tablet");
    return Promise.resolve();
  }, { mode: 1 });
  await withInputs((inputs) => {
    assertThrows(() => inputs.moveBy(1, 1), SpiceError, "the guest's pointer is absolute");
    for (const [x, y] of [[-1, 0], [0, 0.5], [NaN, 0], [0, 2 ** 32]] as const) {
      assertThrows(() => inputs.moveTo(x, y), RangeError);
    }
    return Promise.resolve();
  });
});

Deno.test("locks follow the guest's lights, and setLocks asks for others", async () => {
  const seen: KeyLocks[] = [];
  await withInputs(
    async (inputs, fake) => {
      assertEquals(inputs.capsLock, false);
      await fake.connection.send(102, le([2, 4 | 1]));
      await fake.connection.send(102, le([2, 4 | 1]));
      await fake.connection.send(102, le([2, 4 | 2]));
      while (seen.length < 2) await pause(1);
      assertEquals(inputs.locks, { scroll: false, num: true, caps: true });
      inputs.setLocks({ caps: false, scroll: true });
      assertEquals(await fake.until(1), [[103, 3, 0]]);
      await typeText(inputs, "aB", { paceMs: 0 });
      const bytes = (await fake.until(7)).slice(1).map(([, ...body]) => body).flat();
      assertEquals(bytes, [0x2a, 0x1e, 0x9e, 0xaa, 0x30, 0xb0], "Shift makes up for Caps Lock");
    },
    {},
    { onLocks: (locks) => seen.push(locks) },
  );
  assertEquals(seen, [
    { scroll: true, num: false, caps: true },
    { scroll: false, num: true, caps: true },
  ]);
});

Deno.test("open ends at its deadline, with its signal, or with a server that closes", async () => {
  const never = () => Promise.resolve();
  await assertRejects(
    () => withInputs(never, { inputs: (connection) => connection.drain() }, { timeoutMs: 50 }),
    SpiceTimeoutError,
    "no INIT within 50 ms",
  );
  const signal = AbortSignal.timeout(30);
  await assertRejects(
    () => withInputs(never, { inputs: (connection) => connection.drain() }, { signal }),
    DOMException,
  );
  await assertRejects(
    () => withInputs(never, { inputs: () => Promise.resolve() }),
    SpiceClosedError,
    "Cannot open the inputs channel",
  );
});

Deno.test("a message beyond the limit ends the channel, and broken ones are put up with", () =>
  withInputs(async (inputs, fake, session) => {
    for (const body of [[], [1], [1, 2, 3, 4, 5]]) {
      await fake.connection.send(102, Uint8Array.from(body));
    }
    await fake.connection.send(200, new Uint8Array(64));
    await fake.connection.send(102, le([2, 2]));
    while (!inputs.locks.num) await pause(1);
    assertEquals(session.stats.get("inputs")?.malformed, 2);
    await fake.connection.send(102, new Uint8Array(65));
    assertEquals((await inputs.closed).by, "error");
    await assertRejects(
      () => inputs.sendKeys(events("+a")),
      SpiceClosedError,
      "expected at most 64",
    );
  }));

Deno.test("open that is given up once it is linked leaves no rejection behind", async () => {
  const user = new AbortController();
  await using server = await FakeSpiceServer.start({
    main: async (connection) => {
      await connection.write(INIT);
      await connection.write(channelsList([3, 0]));
      await connection.drain();
    },
  });
  {
    await using session = await SpiceSession.connect(server.target, {
      onEvent: ({ channel, state }) => {
        if (channel === "inputs" && state === "up") user.abort(new Error("enough"));
      },
    });
    const { signal } = user;
    await assertRejects(() => SpiceInputs.open(session, { signal }), Error, "enough");
  }
  await pause(0); // one that is unhandled fails the test
});
