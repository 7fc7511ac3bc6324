/** A million mutated messages over recorded sessions. */
import { assertEquals, assertLess } from "@std/assert";
import { MAX_CACHE_BYTES } from "../../lib/display/image_cache.ts";
import { MAX_SURFACE_BYTES } from "../../lib/display/surface.ts";
import { MAX_SESSION_BYTES } from "../../lib/spice/memory.ts";
import { fuzz } from "../fakes/spice_fuzzer.ts";

const COUNT = 1_000_000;
/** What a message may take at most, whatever is in it. */
const LIMIT_MS = 1000;
/** What one session may hold: messages under way, surfaces, and the pictures that it keeps. */
const LIMIT_BYTES = MAX_SESSION_BYTES + MAX_SURFACE_BYTES + MAX_CACHE_BYTES;

const given = Deno.env.get("UTMOST_FUZZ_SEED");
const seed = given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);

Deno.test(`e2e: a million mutated messages, seed ${seed}`, { timeout: 600_000 }, async () => {
  console.log(`seed ${seed}; UTMOST_FUZZ_SEED=${seed} runs the same`);
  const report = await fuzz({ seed, count: COUNT, limitMs: LIMIT_MS });
  const { mutated, fed, ended, malformed, slowest, peakBytes, ms } = report;
  console.log(
    `${fed} messages in ${
      Math.round(ms / 1000)
    } s, ${mutated} of them mutated: ${malformed} left ` +
      `out as broken, ${ended} ended their session`,
  );
  console.log(`slowest ${slowest.ms.toFixed(0)} ms: ${slowest.what.slice(0, 160)}`);
  console.log(`memory ${(peakBytes / 2 ** 20).toFixed(0)} MiB, at most ${LIMIT_BYTES / 2 ** 20}`);
  assertEquals(mutated, COUNT);
  assertLess(peakBytes, LIMIT_BYTES);
});
