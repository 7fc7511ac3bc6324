/** DRAW_STROKE: which pixels lines have. `e2e: draws` compares them with the real server's. */
import { assertEquals } from "@std/assert";
import type { Brush, Rect } from "../../lib/spice/draw_layouts.ts";
import type { PathSegment } from "../../lib/spice/shape_layouts.ts";
import { Spans } from "../../lib/display/spans.ts";
import { addThinLine } from "../../lib/display/thin_line.ts";
import { base, display, type Drawn, image32, rect, ROP } from "./display_fixtures.ts";
import { randomFrom } from "./lz_encoder.ts";

const PATH = { begin: 1, end: 2, close: 8, bezier: 16 };
const STYLED = 8, STARTS_WITH_GAP = 4;

/** A connected line of whole pixels. */
function segment(points: number[], flags = PATH.begin | PATH.end): PathSegment {
  return { flags, points: Int32Array.from(points, (value) => value * 16) };
}

interface Options {
  brush?: Brush;
  rop?: number;
  dashes?: number[];
  flags?: number;
  clip?: Rect[];
}

/** Draws a path on a surface. */
function stroke(drawn: Drawn, path: PathSegment[], options: Options = {}): void {
  const { brush = { kind: "solid", color: 1 }, rop = ROP.put, dashes = [], clip } = options;
  const flags = options.flags ?? (dashes.length > 0 ? STYLED : 0);
  drawn.send.draw_stroke({
    base: base(rect(0, 0, 1000, 1000), clip),
    path,
    attributes: { flags, style: Int32Array.from(dashes, (length) => 16 * length) },
    brush,
    foreMode: rop,
    backMode: ROP.put,
  });
}

/** The picture, a character a pixel. */
function picture({ display: { primary } }: Drawn): string[] {
  const { width, height, pixels } = primary!;
  return Array.from(
    { length: height },
    (_, y) =>
      [...pixels.subarray(y * width, (y + 1) * width)].map((pixel) => pixel || ".").join(""),
  );
}

/** Draws on a small surface and returns its picture. */
function drawnAs(width: number, height: number, path: PathSegment[], options?: Options): string[] {
  const drawn = display(width, height);
  stroke(drawn, path, options);
  assertEquals([...drawn.display.stats.ignored], []);
  return picture(drawn);
}

Deno.test("DRAW_STROKE draws lines without their last pixel", () => {
  const there = drawnAs(7, 4, [segment([0, 0, 6, 3])]);
  assertEquals(there, ["1......", ".11....", "...11..", ".....1."]);
  const back = drawnAs(7, 4, [segment([6, 3, 0, 0])]);
  assertEquals(back, [".......", ".11....", "...11..", ".....11"]);
  const closed = segment([1, 1, 3, 1, 3, 3], PATH.begin | PATH.end | PATH.close);
  assertEquals(drawnAs(5, 5, [closed]), [".....", ".111.", "..11.", "...1.", "....."]);
});

Deno.test("DRAW_STROKE joins segments of a path up to its end", () => {
  const path = [
    segment([0, 0, 2, 0], PATH.begin),
    segment([4, 2], PATH.end),
    segment([0, 3, 5, 3]),
  ];
  assertEquals(drawnAs(5, 4, path), ["111..", "...1.", ".....", "11111"]);
});

Deno.test("DRAW_STROKE combines each pixel of each line with a brush", () => {
  const drawn = display(4, 1);
  stroke(drawn, [segment([0, 0, 3, 0, 1, 0])], { rop: ROP.xor });
  assertEquals(picture(drawn), ["11.1"]);
  const tiles: Brush = { kind: "pattern", image: image32(2, [5, 6]), pos: { x: 1, y: 0 } };
  assertEquals(drawnAs(5, 1, [segment([0, 0, 4, 0])], { brush: tiles }), ["6565."]);
});

Deno.test("DRAW_STROKE loses runs behind one that two rectangles cut, as the server does", () => {
  const line = [segment([0, 0, 12, 1])];
  assertEquals(drawnAs(12, 2, line), ["111111......", "......111111"]);
  const clip = [rect(0, 0, 2, 2), rect(4, 0, 8, 2)];
  assertEquals(drawnAs(12, 2, line, { clip }), ["11..11......", "............"]);
  const below = [rect(0, 0, 12, 1), rect(0, 1, 8, 1), rect(9, 1, 3, 1)];
  assertEquals(drawnAs(12, 2, line, { clip: below }), ["111111......", "......11.111"]);
});

Deno.test("DRAW_STROKE draws dashes", () => {
  const line = [segment([0, 0, 12, 0])];
  assertEquals(drawnAs(12, 1, line, { dashes: [3, 2] }), ["111..111..11"]);
  const flags = STYLED | STARTS_WITH_GAP;
  assertEquals(drawnAs(12, 1, line, { dashes: [3, 2], flags }), ["...11...11.."]);
  const corner = [segment([1, 1, 5, 1, 5, 4])];
  assertEquals(drawnAs(7, 5, corner, { dashes: [2, 1], rop: ROP.xor }), [
    ".......",
    ".11.11.",
    ".......",
    ".....1.",
    ".......",
  ]);
});

Deno.test("thin lines are cut to a surface without any pixel moving", () => {
  const random = randomFrom(8);
  const pixels = (x1: number, y1: number, x2: number, y2: number, size: number, shift: number) => {
    const spans = new Spans();
    addThinLine(spans, x1 + shift, y1 + shift, x2 + shift, y2 + shift, size, size);
    return [...spans.x.subarray(0, spans.length)].flatMap((x, i) =>
      Array.from({ length: spans.width[i]! }, (_, n) => `${x + n - shift},${spans.y[i]! - shift}`)
    );
  };
  for (let i = 0; i < 2000; i++) {
    const [x1, y1, x2, y2] = Array.from({ length: 4 }, () => Math.floor(random() * 120) - 50) as [
      number,
      number,
      number,
      number,
    ];
    const whole = pixels(x1, y1, x2, y2, 200, 60);
    const inside = whole.filter((pixel) => {
      const [x, y] = pixel.split(",").map(Number) as [number, number];
      return x >= 0 && y >= 0 && x < 20 && y < 20;
    });
    assertEquals(pixels(x1, y1, x2, y2, 20, 0).sort(), inside.sort(), `${[x1, y1, x2, y2]}`);
  }
});

Deno.test("DRAW_STROKE leaves out what has no end or no beginning, and says so", () => {
  const far = { flags: 3, points: Int32Array.of(0, 0, 16 * 40_000, 0) };
  const curve = PATH.begin | PATH.end | PATH.bezier;
  const long = Array.from({ length: 20_000 }, (_, i) => (i & 2) !== 0 ? 16_000 : i & 1);
  const cases: [PathSegment[], Options, string][] = [
    [[far], {}, "a line too far away"],
    [
      [segment([0, 0, 5, 5, 5, 5, 0, 0].map((value) => value === 5 ? 0 : value), curve)],
      {},
      "a curve without end",
    ],
    [[segment([1, 1, 2, 2, 3, 3], PATH.bezier)], {}, "a curve that begins without a point"],
    [[segment([], PATH.begin)], {}, "a path that begins without a point"],
    [[segment([], PATH.end | PATH.close)], {}, "a path that is closed without a point"],
    [[segment([0, 0, 4, 0])], { dashes: [0, 0] }, "a line of no dashes"],
    [[segment([0, 0, 4, 0])], { flags: STYLED }, "a line of no dashes"],
    [[segment([0, 0, 9000, 0])], { dashes: [1, 1] }, "a line too far away"],
    [[segment(long.map((value) => value / 4))], { dashes: [1, 1] }, "a line that never ends"],
  ];
  for (const [path, options, reason] of cases) {
    const drawn = display(8, 8);
    stroke(drawn, path, options);
    assertEquals([...drawn.display.stats.ignored], [[reason, 1]]);
    assertEquals(new Set(drawn.display.primary!.pixels), new Set([0]));
  }
});
