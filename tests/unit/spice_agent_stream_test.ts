import { assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { agentLayouts, capWords, namedCaps } from "../../lib/spice/agent_messages.ts";
import { AgentAssembler, AgentSender, encodeAgentMessage } from "../../lib/spice/agent_stream.ts";
import type { Request } from "../../lib/spice/channel_link.ts";
import { ByteReader } from "../../lib/spice/codec.ts";
import { SpiceDecodeError, SpiceLimitError } from "../../lib/spice/errors.ts";
import { agentMessage } from "../fakes/spice_agent.ts";
import { join } from "../fakes/spice_server.ts";

type Heard = [type: number, body: number[]];

/** Takes every message, but for those of type 9. */
function listener(heard: Heard[]): AgentAssembler {
  return new AgentAssembler({
    wants: (type) => type !== 9,
    message: (type, body) => heard.push([type, [...body]]),
  });
}

const messages = fc.array(
  fc.tuple(fc.integer({ min: 0, max: 12 }), fc.uint8Array({ maxLength: 300 })),
  { maxLength: 12 },
);

Deno.test("any split of an agent's stream is put together equally", () => {
  fc.assert(
    fc.property(
      messages,
      fc.array(fc.integer({ min: 0, max: 120 }), { minLength: 1 }),
      (sent, sizes) => {
        const heard: Heard[] = [];
        const assembler = listener(heard);
        const stream = join(...sent.map(([type, body]) => agentMessage(type, body)));
        for (let at = 0, i = 0; at < stream.length; i++) {
          const size = Math.max(sizes[i % sizes.length]!, i % 2); // every other one may be empty
          assertEquals(assembler.feed(stream.subarray(at, at + size)), true);
          at += size;
        }
        assertEquals(heard, sent.filter(([type]) => type !== 9).map(([t, b]) => [t, [...b]]));
      },
    ),
  );
});

Deno.test("any bytes are put together or dropped, and the next message is heard", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 })), (pieces) => {
      const heard: Heard[] = [];
      const assembler = listener(heard);
      for (const piece of pieces) assembler.feed(piece);
      assembler.reset();
      heard.length = 0;
      assembler.feed(agentMessage(1, Uint8Array.of(7)));
      assertEquals(heard, [[1, [7]]]);
    }),
  );
});

Deno.test("a body belongs to who takes it", () => {
  const bodies: Uint8Array[] = [];
  const assembler = new AgentAssembler({
    wants: () => true,
    message: (_type, body) => bodies.push(body),
  });
  const stream = join(agentMessage(1, Uint8Array.of(1, 2)), agentMessage(1, Uint8Array.of(3, 4)));
  assembler.feed(stream);
  stream.fill(0);
  assertEquals(bodies, [Uint8Array.of(1, 2), Uint8Array.of(3, 4)]);
});

Deno.test("the sender's messages are what the assembler puts together", async () => {
  await fc.assert(
    fc.asyncProperty(
      messages,
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }),
      async (sent, grants) => {
        const heard: Heard[] = [];
        const assembler = listener(heard);
        let tokens = 0;
        const sender = new AgentSender({
          drained: () => Promise.resolve(),
          send<T>(_request: Request<T>, value: T): void {
            const { data } = value as { data: Uint8Array };
            if (--tokens < 0 || data.length > 2048) throw new Error("the server throws us out");
            assembler.feed(data);
          },
        });
        const layout = agentLayouts(new Set()).clipboard;
        const done = Promise.all(sent.map(([type, data]) =>
          sender.send(
            encodeAgentMessage(type, layout, { selection: 0, format: type, data }),
          )
        ));
        for (let i = 0, left = sent.length; left > 0; i++) {
          const grant = grants[i % grants.length]!;
          tokens += grant;
          left -= grant;
          sender.grant(grant);
        }
        await done;
        assertEquals(
          heard,
          sent.filter(([type]) => type !== 9).map(([t, b]) => [t, [t, 0, 0, 0, ...b]]),
        );
      },
    ),
  );
});

Deno.test("a channel that cannot send fails who waits", async () => {
  const sender = new AgentSender({
    drained: () => Promise.resolve(),
    send: () => {
      throw new SpiceLimitError("Cannot send on the main channel: the server has not read");
    },
  });
  const sending = sender.send(new Uint8Array(20));
  sender.grant(1);
  await assertRejects(() => sending, SpiceLimitError);
});

Deno.test("a large message waits for the socket every now and then", async () => {
  let unsent = 0;
  let most = 0;
  const sender = new AgentSender({
    drained: async () => {
      await undefined;
      unsent = 0;
    },
    send<T>(_request: Request<T>, value: T): void {
      unsent += (value as { data: Uint8Array }).data.length;
      most = Math.max(most, unsent);
    },
  });
  sender.grant(0xffff_ffff);
  await sender.send(new Uint8Array(16 * 1024 * 1024));
  assertEquals(most, 16 * 2048);
});

Deno.test("layouts follow the agent's capabilities", () => {
  const encode = (caps: Parameters<typeof agentLayouts>[0]) =>
    encodeAgentMessage(7, agentLayouts(caps).clipboard_grab, {
      selection: 1,
      serial: 5,
      formats: [1, 2],
    }).subarray(20).toHex();
  assertEquals(encode(new Set()), "0100000002000000");
  assertEquals(encode(new Set(["clipboardSelection"])), "010000000100000002000000");
  assertEquals(
    encode(new Set(["clipboardSelection", "clipboardGrabSerial"])),
    "01000000050000000100000002000000",
  );
});

Deno.test("capabilities keep their bits, and unknown ones have no name", () => {
  assertEquals(capWords(["mouseState", "clipboardGrabSerial"]), [1 | 1 << 17]);
  assertEquals(capWords([]), [0]);
  assertEquals([...namedCaps([1 << 5 | 1 << 31, 0xffff_ffff])], ["clipboardByDemand"]);
  assertEquals([...namedCaps([])], []);
});

Deno.test("any body of a message decodes or throws SpiceDecodeError", () => {
  const layouts = [new Set<never>(), namedCaps([0xffff_ffff])]
    .flatMap((caps) => Object.values(agentLayouts(caps)));
  fc.assert(
    fc.property(fc.constantFrom(...layouts), fc.uint8Array({ maxLength: 100 }), (layout, body) => {
      try {
        layout.decode(new ByteReader(body));
      } catch (error) {
        if (!(error instanceof SpiceDecodeError)) throw error;
      }
    }),
    { numRuns: 1000 },
  );
});
