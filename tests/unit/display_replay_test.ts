/** Recorded sessions of real servers, drawn: the picture is that of the server's own screendump. */
import { assertEquals } from "@std/assert";
import { displaySetup } from "../../lib/spice/display_channel.ts";
import { GuestDisplay } from "../../lib/display/guest_display.ts";
import { loadDecoders } from "../../lib/display/load_decoders.ts";
import { hashPixels, readRecording, recordingNames } from "../fakes/spice_recording.ts";
import { replay } from "../fakes/spice_replay.ts";

const DISPLAY_TYPE = 2;

for (const name of recordingNames()) {
  for (const chunkBytes of [Infinity, 1021]) {
    const how = chunkBytes === Infinity ? "as it came" : `${chunkBytes} bytes a read`;
    Deno.test(`recording ${name}, ${how}: drawn as the server's screendumps show`, async () => {
      const recording = await readRecording(name);
      const decoders = await loadDecoders();
      const displays = new Map<number, GuestDisplay>();
      const seen: unknown[] = [];
      await replay(recording, {
        chunkBytes,
        setup({ type, id }) {
          if (type !== DISPLAY_TYPE) return undefined;
          const display = new GuestDisplay({ decoders });
          displays.set(id, display);
          return displaySetup({ onDisplay: (link) => display.handlers(link) });
        },
        async onMoment({ display: id }) {
          const primary = displays.get(id)?.primary;
          if (primary === undefined) return void seen.push("nothing is shown");
          const { width, height, pixels } = primary;
          seen.push({ width, height, sha256: await hashPixels(pixels) });
        },
      });
      assertEquals(
        seen,
        recording.head.moments.map(({ width, height, sha256 }) => ({ width, height, sha256 })),
      );
      if (recording.head.moments.length === 0) return; // has draws of kinds that are not drawn
      for (const { stats } of displays.values()) assertEquals([...stats.ignored], []);
    });
  }
}
