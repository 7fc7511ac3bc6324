/** What the recordings of compressing servers are there for is in them. */
import { assert, assertEquals } from "@std/assert";
import { displaySetup } from "../../lib/spice/display_channel.ts";
import { readRecording } from "../fakes/spice_recording.ts";
import { replay } from "../fakes/spice_replay.ts";

const KINDS: [name: string, kinds: string[]][] = [
  ["vga-lz", ["lz_rgb"]],
  ["vga-glz", ["glz_rgb", "lz_rgb"]], // the whole screen that is pushed at first is never GLZ
  ["vga-zlib-glz", ["glz_rgb", "lz_rgb", "zlib_glz_rgb"]],
  ["vga-lz4", ["lz4"]],
  ["peer-lz", ["lz_rgb", "lz_plt"]],
  ["peer-glz", ["glz_rgb", "lz_plt", "lz_rgb"]],
  ["peer-lz4", ["lz4", "lz_plt"]],
  ["vga-quic", ["quic"]],
];

/** What is too small, or already there. */
const PLAIN = ["bitmap", "surface", "from_cache"];

for (const [name, kinds] of KINDS) {
  Deno.test(`recording ${name} has images of the kinds ${kinds.join(", ")}`, async () => {
    const counts = new Map<string, number>();
    await replay(await readRecording(name), {
      setup({ type }) {
        if (type !== 2) return undefined;
        return displaySetup({
          onDisplay: () => ({
            draw_copy({ src }) {
              if (src) counts.set(src.kind, (counts.get(src.kind) ?? 0) + 1);
            },
          }),
        });
      },
    });
    for (const kind of PLAIN) counts.delete(kind);
    assertEquals([...counts.keys()].sort(), kinds.toSorted());
    assert(counts.get(kinds[0]!)! >= 10, `${[...counts]}`);
  });
}
