/**
 * Our SPICE client as a program beside `tests/rigs/spice_glib_client.c`, with the same language:
 * "up" as soon as there is a picture, then a line of JSON for each line on stdin.
 *
 * ```text
 * deno run -A tests/bench/spice_client.ts PATH
 * ```
 */
import { GuestDisplay } from "../../lib/display/guest_display.ts";
import { SpiceSession } from "../../lib/spice/session.ts";

const [path = ""] = Deno.args;
const up = Promise.withResolvers<void>();
const display = new GuestDisplay({
  onChange: ({ primary }) => {
    if (primary) up.resolve();
  },
});
await using session = await SpiceSession.connect({ path }, {
  onDisplay: ({ id }) => id === 0 ? display.handlers() : {},
});
await up.promise;
console.log("up");
for await (const _line of Deno.stdin.readable) {
  const { messages = 0, bytes = 0 } = session.stats.get("display") ?? {};
  const { draws, frames } = display.stats;
  const picture = display.primary ? await sha256(display.primary.bytes) : "";
  console.log(JSON.stringify({ updates: draws, messages, bytes, frames, picture }));
}

/** What both sides can compare without moving the picture. */
async function sha256(bytes: Uint8Array<ArrayBufferLike>): Promise<string> {
  const words = new Uint32Array(bytes.slice().buffer).map((word) => word & 0xffffff);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", words)).toHex();
}
