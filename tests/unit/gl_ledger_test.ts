import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { GlLedger } from "../../lib/display/gl_ledger.ts";
import { HISTOGRAM_CELLS, MicrosHistogram } from "../../lib/display/micros_histogram.ts";
import { NO_GL } from "../../lib/vm/screen.ts";

Deno.test("a histogram without times tells 0", () => {
  const histogram = new MicrosHistogram();
  assertEquals([histogram.total, histogram.percentile(0.5), histogram.percentile(0.99)], [0, 0, 0]);
});

Deno.test("a histogram tells each time to within 3 %, and a quarter of a microsecond", () => {
  fc.assert(fc.property(fc.double({ min: 0, max: 5e8, noNaN: true }), (micros) => {
    const histogram = new MicrosHistogram();
    histogram.add(micros);
    const told = histogram.percentile(1);
    assert(Math.abs(told - micros) <= Math.max(0.2, micros * 0.032), `${told} for ${micros}`);
  }));
});

Deno.test("a histogram takes times beyond all measure, and before the beginning", () => {
  const histogram = new MicrosHistogram();
  for (const micros of [Infinity, 1e300, -5]) histogram.add(micros);
  assertEquals(histogram.total, 3);
  assertEquals(histogram.percentile(0), 0.1);
  assert(histogram.percentile(1) > 5e8);
});

Deno.test("percentiles are ranks: half, and 99 of 100", () => {
  const histogram = new MicrosHistogram();
  for (let i = 0; i < 99; i++) histogram.add(2);
  histogram.add(1000);
  assertEquals(histogram.percentile(0.5), 2.1);
  assertEquals(histogram.percentile(0.99), 2.1);
  assert(Math.abs(histogram.percentile(0.995) - 1000) < 32);
});

Deno.test("a histogram can lie in memory of others", () => {
  const counts = new Uint32Array(new SharedArrayBuffer(HISTOGRAM_CELLS * 4));
  new MicrosHistogram(counts).add(7);
  assertEquals(new MicrosHistogram(counts).total, 1);
});

Deno.test("a ledger that is shared tells what the other side counts", () => {
  const ledger = new GlLedger();
  const other = new GlLedger(ledger.memory);
  assertEquals(other.report(), NO_GL);
  ledger.scanout();
  ledger.buffer("iosurface");
  ledger.buffer("dmabuf");
  ledger.import();
  ledger.draw();
  ledger.stage = "copy";
  ledger.texture();
  assertEquals([other.draws, other.acks, other.stage], [1, 0, "copy"]);
  ledger.copy(3);
  ledger.ack(40);
  ledger.stage = "idle";
  for (let i = 0; i < 3; i++) ledger.cpu(2 ** 32); // more than 32 bits hold
  assertEquals(other.report(), {
    scanouts: 1,
    draws: 1,
    acks: 1,
    ackMicros: { p50: 40.5, p99: 40.5 },
    copies: 1,
    copyMicros: { p50: 3.1, p99: 3.1 },
    imports: 1,
    textures: 1,
    cpuBytes: 3 * 2 ** 32,
    kinds: ["dmabuf", "iosurface"],
  });
});
