/** The SPICE peer itself: what it draws with pixman is what the real server's canvas draws. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { SpiceSession } from "../../lib/spice/session.ts";
import { SpicePeer, SURFACE_FORMATS } from "./spice_peer.ts";

const SEED = 1;
const COUNT = 2000;

for (const [name, format] of Object.entries(SURFACE_FORMATS)) {
  if (name === "a8") continue; // never shown
  Deno.test(
    `e2e: peer: pixman and the server draw the same on ${name}`,
    { timeout: 120_000 },
    async () => {
      await using peer = await SpicePeer.start({ checked: true });
      const kinds = ["fill", "copy", "blend", "opaque", "copy_bits", "blackness", "whiteness"];
      if (name !== "argb") kinds.push("invers", "alpha_blend");
      if (name === "xrgb") kinds.push("transparent");
      if (name === "xrgb" || name === "argb") kinds.push("composite");
      await peer.primary(320, 240, format);
      await peer.surface(1, 200, 100, format);
      await peer.random(SEED, COUNT, kinds, true);
      assertEquals(await peer.command("compare 0"), "0 0 0");
      assertEquals(await peer.command("compare 1"), "0 0 0");
    },
  );
}

for (const transport of ["unix", "tcp"] as const) {
  Deno.test(
    `e2e: peer: a session attaches over ${transport} with a password`,
    { timeout: 120_000 },
    async () => {
      await using peer = await SpicePeer.start({ transport, password: "word", displays: 2 });
      await peer.primary(64, 64);
      await using session = await SpiceSession.connect(peer.target, { password: "word" });
      await peer.random(SEED, 500);
      assertEquals(await peer.sync(), 256); // the first mark
      assertEquals(session.channels.toSorted(), ["display", "display-1", "main"]);
    },
  );
}

Deno.test("e2e: peer: a server that loops for ever is told from one that waits", async () => {
  await using peer = await SpicePeer.start();
  await peer.primary(64, 64);
  await peer.command("spin");
  await assertRejects(() => peer.sync(), Error, "the server loops");
  assert(peer.hasLooped);
});
