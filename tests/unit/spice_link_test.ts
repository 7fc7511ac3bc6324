import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { pause } from "../../lib/base/deadline.ts";
import {
  linkErrorName,
  SpiceDecodeError,
  SpiceLimitError,
  SpiceLinkError,
  SpiceTimeoutError,
} from "../../lib/spice/errors.ts";
import {
  capWords,
  encodeLink,
  hasCap,
  linkChannel,
  type LinkRequest,
  type LinkResult,
  makeTicket,
} from "../../lib/spice/link.ts";
import { SpiceStream } from "../../lib/spice/transport.ts";
import {
  FakeConnection,
  framed,
  le,
  linkReply,
  PUBLIC_KEY,
  type Script,
  socketPair,
} from "../fakes/spice_server.ts";

const REQUEST: LinkRequest = { channel: "main", type: 1, id: 0, connectionId: 0, caps: [1, 2] };

/** Links against a server that runs `script` and then closes. */
async function link(
  script: Script,
  request: LinkRequest = REQUEST,
  slow = false,
): Promise<LinkResult> {
  const [client, server] = await socketPair();
  using stream = new SpiceStream(client);
  const connection = new FakeConnection(server, slow);
  const serving = script(connection).finally(() => connection.close());
  try {
    return await linkChannel(stream, request);
  } finally {
    stream.close();
    await serving.catch(() => {});
  }
}

/** A server that answers every link message with `bytes`. */
function answer(bytes: Uint8Array): Script {
  return async (connection) => {
    await connection.readLink();
    await connection.write(bytes);
  };
}

/** A server that answers a good link with `result`. */
function judge(result: number): Script {
  return async (connection) => {
    await connection.readLink();
    await connection.write(linkReply());
    await connection.readTicket();
    await connection.write(le([4, result]));
  };
}

Deno.test("encodeLink gives the bytes of the protocol", () => {
  assertEquals(
    encodeLink({ type: 2, id: 1, connectionId: 0x01020304, caps: [1] }).toHex(),
    "52454451" + "02000000" + "02000000" + "1a000000" + // REDQ, 2.2, 26 bytes
      "04030201" + "02" + "01" + "01000000" + "01000000" + "12000000" +
      "0b000000" + "02000000",
  );
});

Deno.test("capability bits reach the right word", () => {
  assertEquals(capWords([]), new Uint32Array());
  assertEquals(capWords([0, 31, 33]), Uint32Array.of(0x8000_0001, 2));
  for (const bit of [0, 31, 33]) assert(hasCap(capWords([0, 31, 33]), bit));
  for (const bit of [1, 32, 64]) assert(!hasCap(capWords([0, 31, 33]), bit));
});

for (const slow of [false, true]) {
  Deno.test(`linkChannel links over ${slow ? "single bytes" : "whole packets"}`, async () => {
    let password = "?";
    const caps = await link(
      async (connection) => {
        await judge(0)(connection);
        password = connection.password;
      },
      REQUEST,
      slow,
    );
    assertEquals(caps, { commonCaps: Uint32Array.of(0xb), channelCaps: Uint32Array.of(0xf) });
    assertEquals(password, "");
  });
}

Deno.test("linkChannel sends early messages with the ticket when there is no password", async () => {
  const early = framed(104);
  let got: Uint8Array | undefined;
  await link(async (connection) => {
    await connection.readLink();
    await connection.write(linkReply());
    await connection.readTicket();
    got = await connection.read(early.length); // before the result
    await connection.write(le([4, 0]));
  }, { ...REQUEST, early: () => early });
  assertEquals(got, early);
});

Deno.test("linkChannel keeps early messages until a password is accepted", async () => {
  const early = framed(104);
  let got: Uint8Array | undefined;
  let password: string | undefined;
  await link(async (connection) => {
    await judge(0)(connection);
    password = connection.password;
    got = await connection.read(early.length);
  }, { ...REQUEST, early: () => early, password: "pässword" });
  assertEquals([password, got], ["pässword", early]);

  await assertRejects(
    () =>
      link(async (connection) => {
        await judge(7)(connection);
        got = await connection.read(1);
      }, { ...REQUEST, early: () => early, password: "wrong" }),
    SpiceLinkError,
  );
});

Deno.test("linkChannel leaves what follows the result for the channel", async () => {
  const [client, server] = await socketPair();
  using stream = new SpiceStream(client);
  const connection = new FakeConnection(server);
  const serving = (async () => {
    await connection.readLink();
    await connection.write(linkReply());
    await connection.readTicket();
    await connection.write(Uint8Array.of(0, 0, 0, 0, 1, 2, 3));
  })();
  await linkChannel(stream, REQUEST);
  assertEquals(await stream.upTo(3), Uint8Array.of(1, 2, 3));
  await serving;
  connection.close();
});

const CODES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 42];
for (const code of CODES) {
  for (
    const [when, script] of [["reply", answer(linkReply({ error: code }))], [
      "result",
      judge(code),
    ]] as const
  ) {
    Deno.test(`linkChannel names error ${code} of a link ${when}`, async () => {
      const error = await assertRejects(() => link(script), SpiceLinkError);
      assertEquals([error.code, error.codeName], [code, linkErrorName(code)]);
      assertStringIncludes(error.message, `Cannot link the main channel: the server answered`);
      assertStringIncludes(error.message, linkErrorName(code));
      assertEquals(error.exitCode, 8);
    });
  }
}

Deno.test("linkChannel tells a wrong password from a missing one", async () => {
  await assertRejects(() => link(judge(7)), SpiceLinkError, "it needs a password");
  await assertRejects(
    () => link(judge(7), { ...REQUEST, password: "x" }),
    SpiceLinkError,
    "the password is wrong or has expired",
  );
});

const STRANGERS: [first: string, hint: string][] = [
  ['{"QMP": {"version": {}}}\r\n', "QMP"],
  ["RFB 003.008\n", "VNC"],
  ["SSH-2.0-OpenSSH_9.2p1\r\n", "SSH"],
  ["HTTP/1.1 400 Bad Request\r\n", "web server"],
  ["\x15\x03\x01\x00\x02\x02\x46", "TLS"],
  ["\x00\x01\x02\x03\x1b[31m", "not a SPICE server"],
  ["RE", "not a SPICE server"],
];
for (const [first, hint] of STRANGERS) {
  Deno.test(`linkChannel knows ${JSON.stringify(first.slice(0, 8))} is no SPICE server`, async () => {
    const bytes = Uint8Array.from(first, (char) => char.charCodeAt(0));
    const error = await assertRejects(() => link(answer(bytes)), SpiceLinkError, 'expected "REDQ"');
    assertStringIncludes(error.hint ?? "", hint);
    assert(!error.message.includes("\x1b"));
  });
}

Deno.test("linkChannel names a server that closes without a reply", async () => {
  const error = await assertRejects(
    () => link(answer(new Uint8Array())),
    SpiceLinkError,
    "closed the connection without a reply",
  );
  assertStringIncludes(error.hint ?? "", "may not have this channel");
});

Deno.test("linkChannel names a server that closes at any byte of its answers", async () => {
  const reply = linkReply();
  for (let length = 4; length < reply.length; length += 7) {
    await assertRejects(
      () => link(answer(reply.subarray(0, length))),
      SpiceLinkError,
      "closed the connection inside",
    );
  }
  for (const length of [0, 3]) {
    await assertRejects(
      () => link(answer(new Uint8Array([...reply, ...new Uint8Array(length)]))),
      SpiceLinkError,
      "instead of judging the ticket",
    );
  }
});

Deno.test("linkChannel refuses replies that no server sends", async () => {
  const refuse = async (
    options: Parameters<typeof linkReply>[0],
    // deno-lint-ignore no-explicit-any -- any error class
    type: abstract new (...args: any[]) => Error,
    text: string,
  ) => await assertRejects(() => link(answer(linkReply(options))), type, text);
  await refuse({ size: 4097 }, SpiceLimitError, "4097 bytes");
  await refuse({ size: 0xffff_ffff }, SpiceLimitError, "4294967295 bytes");
  await refuse({ size: 100 }, SpiceDecodeError, "left");
  await refuse({ size: 3 }, SpiceDecodeError, "3 are left");
  await refuse({ counts: [1025, 1] }, SpiceLimitError, "1025");
  await refuse({ counts: [1, 0xffff_ffff] }, SpiceLimitError, "4294967295");
  await refuse({ counts: [1, 2] }, SpiceDecodeError, "offset 178");
  await refuse({ capsOffset: 177 }, SpiceDecodeError, "begin at 177");
  await refuse({ capsOffset: 0xffff_fffc }, SpiceDecodeError, "offset 4294967292");
  await refuse({ major: 1 }, SpiceLinkError, "protocol version 1.2");
  await refuse({ common: [3] }, SpiceLinkError, "no mini headers");
  await refuse({ publicKey: new Uint8Array(162) }, SpiceLinkError, "key cannot be used");
});

Deno.test("linkChannel omits the mechanism for a server without auth selection", async () => {
  let length = 0;
  await link(async (connection) => {
    await connection.readLink();
    await connection.write(linkReply({ common: [8] }));
    length = (await connection.read(128)).length;
    await connection.write(le([4, 0]));
  });
  assertEquals(length, 128);
});

Deno.test("linkChannel takes no longer than it may, whatever the server sends", async () => {
  const silent: Script = (connection) => connection.drain();
  const trickling: Script = async (connection) => {
    for (const byte of linkReply()) {
      await connection.write(Uint8Array.of(byte));
      await pause(5);
    }
  };
  for (const script of [silent, trickling]) {
    await assertRejects(
      () => link(script, { ...REQUEST, timeoutMs: 40 }),
      SpiceTimeoutError,
      "Cannot link the main channel: no link reply of the main channel within 40 ms",
    );
  }
});

Deno.test("makeTicket takes passwords of up to 60 bytes", async () => {
  assertEquals((await makeTicket("main", PUBLIC_KEY, "x".repeat(60))).length, 128);
  await assertRejects(
    () => makeTicket("main", PUBLIC_KEY, "ä".repeat(31)),
    SpiceLinkError,
    "62 bytes, expected at most 60",
  );
});
