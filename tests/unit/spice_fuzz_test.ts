/** Mutated recordings, a few: `tests/e2e/spice_fuzz_test.ts` has a million. */
import { assertEquals, assertInstanceOf, assertLess } from "@std/assert";
import { SpiceError } from "../../lib/base/errors.ts";
import { linkChannel } from "../../lib/spice/link.ts";
import { SpiceStream } from "../../lib/spice/transport.ts";
import { fuzz, Random } from "../fakes/spice_fuzzer.ts";
import { readRecording, recordedChannel } from "../fakes/spice_recording.ts";
import { FedConnection } from "../fakes/spice_replay.ts";

Deno.test("mutated messages are handled, left out, or end their channel", async () => {
  const { mutated, slowest } = await fuzz({ seed: 1, count: 15_000, limitMs: 1000 });
  assertEquals(mutated, 15_000);
  assertLess(slowest.ms, 1000);
});

Deno.test("mutated link replies are accepted or refused", async () => {
  const random = new Random(1);
  const { linkReply } = recordedChannel(await readRecording("virtio-vga-hello"), 0);
  let accepted = 0;
  for (let i = 0; i < 3000; i++) {
    const bytes = new Uint8Array(linkReply.length + 4); // the verdict: 0
    bytes.set(linkReply);
    const view = new DataView(bytes.buffer);
    const places = [0, 4, 8, 12, 16, 182, 186, 190, 194, 198, 202]; // every field of 32 bits
    const edges = [0, 1, 2, 177, 178, 179, 1024, 1025, 4096, 0x7fff_ffff, 0xffff_ffff];
    for (let times = 1 + random.below(2); times > 0; times--) {
      if (random.below(2)) {
        const value = edges[random.below(edges.length)]!;
        view.setUint32(places[random.below(places.length)]!, value, true);
      } else bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
    }
    const feed = new FedConnection(random.below(2) ? Infinity : 7);
    feed.push(bytes.subarray(0, random.below(8) ? bytes.length : random.below(bytes.length)));
    feed.end();
    const request = { channel: "main", type: 1, id: 0, connectionId: 0, caps: [] };
    try {
      await linkChannel(new SpiceStream(feed), request);
      accepted++;
    } catch (error) {
      assertInstanceOf(error, SpiceError, bytes.toHex());
    }
  }
  assertLess(accepted, 1500);
});
