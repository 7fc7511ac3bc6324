import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import {
  DeadlineError,
  NotRunningError,
  RefusedError,
  UtmostError,
} from "../../lib/base/errors.ts";
import { ControlClient, type ControlMethod, ControlServer } from "../../lib/vm/control.ts";

async function withServer(
  methods: Record<string, ControlMethod>,
  body: (path: string, server: ControlServer) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "utmost-control-" });
  const path = join(folder, "control");
  try {
    await using server = ControlServer.listen(path, methods);
    await body(path, server);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Sends text as it is and returns the first answer. */
async function ask(path: string, text: string): Promise<unknown> {
  using conn = await Deno.connect({ transport: "unix", path });
  for (const byte of new TextEncoder().encode(text)) await conn.write(Uint8Array.of(byte));
  const buffer = new Uint8Array(65_536);
  let answer = "";
  while (!answer.includes("\n")) {
    const count = await conn.read(buffer);
    if (count === null) break;
    answer += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return JSON.parse(answer);
}

Deno.test("a client gets results, and errors with the exit code of the supervisor", async () => {
  await withServer({
    add: ({ a, b }) => Number(a) + Number(b),
    slow: () => new Promise((resolve) => setTimeout(() => resolve("late"), 20)),
    never: () => new Promise(() => {}),
    refuse: () => {
      throw new RefusedError("Cannot do that", { hint: "Ask nicely." });
    },
    defect: () => {
      throw new TypeError("oops");
    },
  }, async (path) => {
    await using client = await ControlClient.connect(path);
    const slow = client.call("slow");
    assertEquals(await client.call("add", { a: 1, b: 2 }), 3);
    assertEquals(await slow, "late");
    const refused = await assertRejects(() => client.call("refuse"), UtmostError, "Cannot do that");
    assertEquals([refused.exitCode, refused.hint, refused.name], [
      4,
      "Ask nicely.",
      "RefusedError",
    ]);
    const defect = await assertRejects(() => client.call("defect"), UtmostError, "oops");
    assertEquals(defect.exitCode, 1);
    await assertRejects(() => client.call("toString"), UtmostError, "there is no method");
    await assertRejects(() => client.call("never", {}, { timeoutMs: 1 }), DeadlineError);
  });
});

Deno.test("the server answers what is no request by the rules of JSON-RPC", async () => {
  await withServer({ ping: () => "pong" }, async (path) => {
    const code = async (text: string) => {
      const { error } = await ask(path, text) as { error: { code: number } };
      return error.code;
    };
    assertEquals(await code("{\n"), -32700);
    assertEquals(await code("null\n"), -32600);
    assertEquals(await code('{"id":1}\n'), -32600);
    assertEquals(await code('{"id":1,"method":"nope"}\n'), -32601);
    assertEquals(await ask(path, '\n{"id":"x","method":"ping","params":[1]}\n'), {
      jsonrpc: "2.0",
      id: "x",
      result: "pong",
    });
  });
});

Deno.test("a follower's resources are disposed when it goes", async () => {
  const disposed = Promise.withResolvers<void>();
  await withServer({
    follow: (_params, peer) => {
      peer.own({ [Symbol.dispose]: () => disposed.resolve() });
      peer.notify("event", { n: 1 });
      return null;
    },
  }, async (path) => {
    const client = await ControlClient.connect(path);
    const heard: unknown[] = [];
    client.onNotification((method, params) => heard.push([method, params]));
    await client.call("follow");
    assertEquals(heard, [["event", { n: 1 }]]);
    await client[Symbol.asyncDispose]();
    await disposed.promise;
  });
});

Deno.test("closing the server ends calls, and says what was queued first", async () => {
  await withServer({ never: () => new Promise(() => {}) }, async (path, server) => {
    await using client = await ControlClient.connect(path);
    const waiting = client.call("never");
    await client.call("missing").catch(() => {});
    const closing = server[Symbol.asyncDispose]();
    await assertRejects(() => waiting, NotRunningError, "the supervisor has ended");
    await client.closed;
    await closing;
    await assertRejects(() => client.call("never"), NotRunningError);
  });
});

Deno.test("a client that never reads loses its connection, and nobody else waits", async () => {
  await withServer({
    flood: (_params, peer) => {
      const text = "x".repeat(1024 * 1024);
      for (let i = 0; i < 24; i++) peer.notify("noise", text);
      return null;
    },
    ping: () => "pong",
  }, async (path) => {
    using deaf = await Deno.connect({ transport: "unix", path });
    await deaf.write(new TextEncoder().encode('{"id":1,"method":"flood"}\n'));
    await using client = await ControlClient.connect(path);
    assertEquals(await client.call("ping"), "pong");
  });
});

Deno.test("a server that closes answers first what is about to be answered", async () => {
  const begun = Promise.withResolvers<void>();
  const result = Promise.withResolvers<string>();
  await withServer({
    soon: () => {
      begun.resolve();
      return result.promise;
    },
  }, async (path, server) => {
    await using client = await ControlClient.connect(path);
    const answer = client.call("soon");
    await begun.promise;
    const closing = server[Symbol.asyncDispose]();
    result.resolve("done");
    assertEquals(await answer, "done");
    await closing;
  });
});

Deno.test("a server that closes does not wait for clients that have left", async () => {
  // It would wait for 100 ms, always; on a busy machine a single closing may take as long.
  let fastestMs = Infinity;
  for (let n = 0; n < 5 && fastestMs >= 90; n++) {
    const hasLeft = Promise.withResolvers<void>();
    await withServer({
      never: (_params, peer) => {
        peer.own({ [Symbol.dispose]: () => hasLeft.resolve() });
        peer.notify("begun", {});
        return new Promise(() => {});
      },
    }, async (path, server) => {
      {
        await using client = await ControlClient.connect(path);
        const begun = Promise.withResolvers<void>();
        client.onNotification(() => begun.resolve());
        client.call("never").catch(() => {});
        await begun.promise;
      }
      await hasLeft.promise;
      const start = performance.now();
      await server[Symbol.asyncDispose]();
      fastestMs = Math.min(fastestMs, performance.now() - start);
    });
  }
  assert(fastestMs < 90, `the fastest closing took ${fastestMs.toFixed(0)} ms`);
});
