/** DRAW_TEXT: what glyphs cover. `e2e: draws` compares it with the real server's. */
import { assertEquals } from "@std/assert";
import type { Brush, Rect } from "../../lib/spice/draw_layouts.ts";
import type { Glyph } from "../../lib/spice/shape_layouts.ts";
import { base, display, type Drawn, image32, rect, ROP, rows } from "./display_fixtures.ts";

const A1 = 1, A4 = 2, A8 = 4;
const NONE: Brush = { kind: "none" };
const solid = (color: number): Brush => ({ kind: "solid", color });

interface Options {
  fore?: Brush;
  back?: Brush;
  backArea?: Rect;
  foreMode?: number;
  clip?: Rect[];
}

function text(drawn: Drawn, flags: number, glyphs: Glyph[], options: Options = {}): void {
  const { fore = solid(0xff0000), back = NONE, backArea = rect(0, 0, 0, 0), clip } = options;
  drawn.send.draw_text({
    base: base(rect(0, 0, 100, 100), clip),
    string: { flags, glyphs },
    backArea,
    foreBrush: fore,
    backBrush: back,
    foreMode: options.foreMode ?? ROP.put,
    backMode: ROP.put,
  });
}

function glyph(x: number, y: number, width: number, height: number, data: number[]): Glyph {
  return {
    renderPos: { x, y },
    origin: { x: 0, y: 0 },
    width,
    height,
    data: Uint8Array.from(data),
  };
}

Deno.test("DRAW_TEXT draws glyphs of one bit, bottom row first, on a ground", () => {
  const drawn = display(4, 2);
  text(drawn, A1, [glyph(1, 0, 2, 2, [0x40, 0xc0]), glyph(3, 0, 1, 1, [0x80])], {
    back: solid(0x00ff00),
    backArea: rect(0, 0, 3, 9),
  });
  assertEquals(rows(drawn), ["00ff00 ff0000 ff0000 ff0000", "00ff00 00ff00 ff0000 000000"]);
});

Deno.test("DRAW_TEXT blends glyphs of four bits, and keeps to clip rectangles", () => {
  const drawn = display(4, 1);
  text(drawn, A4, [glyph(0, 0, 4, 1, [0xf8, 0x40])], {
    clip: [rect(0, 0, 2, 1), rect(2, 0, 1, 1)],
  });
  assertEquals(rows(drawn), ["f00000 800000 400000 000000"]);
});

Deno.test("DRAW_TEXT combines glyphs that overlap as the server does", () => {
  const drawn = display(2, 1);
  text(drawn, A4, [
    glyph(0, 0, 2, 1, [0x8f]),
    glyph(0, 0, 2, 1, [0x12]),
    glyph(0, 0, 2, 1, [0x01]),
  ]);
  assertEquals(rows(drawn), ["800000 200000"]); // 2 beside 1 counts as more than f, 1 alone does not
});

Deno.test("DRAW_TEXT counts a pattern's corner from the text's corner", () => {
  const drawn = display(5, 1);
  const fore: Brush = { kind: "pattern", image: image32(2, [0xa, 0xb]), pos: { x: 0, y: 0 } };
  text(drawn, A1, [glyph(1, 0, 4, 1, [0xf0])], { fore });
  assertEquals(rows(drawn), ["000000 00000a 00000b 00000a 00000b"]);
});

Deno.test("DRAW_TEXT draws a text far beyond the surface without making room for it", () => {
  const drawn = display(2, 1);
  text(drawn, A1, [glyph(-(2 ** 30), -(2 ** 30), 1, 1, [0x80]), glyph(1, 0, 1, 1, [0x80])]);
  assertEquals(rows(drawn), ["000000 ff0000"]);
});

Deno.test("DRAW_TEXT leaves out what the server draws by chance, and says so", () => {
  const drawn = display(2, 1);
  text(drawn, A8, [glyph(0, 0, 1, 1, [0xff])]);
  text(drawn, A1, [glyph(0, 0, 1, 1, [0x80])], { foreMode: ROP.xor, backArea: rect(0, 0, 2, 1) });
  assertEquals([...drawn.display.stats.ignored.keys()], [
    "a text of 8 bits a pixel",
    "a text with a ground and an operation",
  ]);
  assertEquals(rows(drawn), ["000000 000000"]);
});
