/** No message of a server takes a second, however large its surface is. */
import { assertEquals, assertLess } from "@std/assert";
import type { Image } from "../../lib/spice/image_layouts.ts";
import { base, display, image32, NO_MASK, rect, ROP } from "./display_fixtures.ts";

const DOT = image32(1, [0x102030]);
const DOT_AREA = rect(0, 0, 1, 1);
const composite = (src: Image) => ({
  flags: 1 | 3 << 8 | 1 << 14, // SRC, nearest, repeated
  src,
  mask: undefined,
  srcTransform: undefined,
  maskTransform: undefined,
  srcOrigin: { x: 0, y: 0 },
  maskOrigin: { x: 0, y: 0 },
});

for (
  const [width, height, isDrawn] of [[3840, 2160, true], [8192, 1025, false]] as const
) {
  Deno.test(`what costs much a pixel is ${isDrawn ? "" : "not "}drawn on ${width} × ${height}`, () => {
    const { display: guest, send } = display(width, height);
    const all = base(rect(0, 0, width, height));
    const scaled = { base: all, src: DOT, srcArea: DOT_AREA, scaleMode: 0, mask: NO_MASK };
    const before = performance.now();
    send.draw_copy({ ...scaled, rop: ROP.xor });
    send.draw_rop3({ ...scaled, brush: { kind: "solid", color: 1 }, rop3: 0x3c });
    const ms = performance.now() - before;
    assertEquals(
      [...guest.stats.ignored.keys()],
      isDrawn ? [] : [
        "a scaled draw of more than 8 megapixels",
        "a ternary operation of more than 8 megapixels",
      ],
    );
    assertLess(ms, isDrawn ? 5000 : 100); // five times the slack
  });
}

Deno.test("compositions are drawn on a screen of 1920 × 1080, and not on a larger one", () => {
  for (
    const [width, height, reasons] of [
      [1920, 1080, []],
      [2048, 1025, ["a composition of more than 2 megapixels"]],
    ] as const
  ) {
    const { display: guest, send } = display(width, height);
    const all = base(rect(0, 0, width, height));
    const before = performance.now();
    send.draw_composite({ base: all, composite: composite(DOT) });
    assertLess(performance.now() - before, 5000);
    assertEquals([...guest.stats.ignored.keys()], [...reasons]);
  }
});
