/** Lines, texts and compositions of random numbers, most of them senseless: none may throw. */
import type { Brush } from "../../lib/spice/draw_layouts.ts";
import type { Image } from "../../lib/spice/image_layouts.ts";
import type { Transform } from "../../lib/spice/shape_layouts.ts";
import { base, display, FORMAT, image32, rect } from "./display_fixtures.ts";
import { randomFrom } from "./lz_encoder.ts";

const ROUNDS = 6000;
const FORMATS = Object.values(FORMAT);

Deno.test("DRAW_STROKE, DRAW_TEXT and DRAW_COMPOSITE survive senseless numbers", () => {
  const random = randomFrom(11);
  const below = (limit: number) => Math.floor(random() * limit);
  const many = <T>(most: number, make: () => T) => Array.from({ length: below(most + 1) }, make);
  const number = () => {
    const edges = [0, 1, -1, 0x7fffffff, -0x80000000];
    const choice = below(8);
    return choice < edges.length
      ? edges[choice]!
      : below(2 ** [8, 20, 31][choice - 5]!) - below(99);
  };
  const place = () => ({ x: number(), y: number() });
  const place16 = () => ({ x: number() << 16 >> 16, y: number() << 16 >> 16 });
  const box = () => rect(below(200), below(200), below(200), below(200));
  const image = (): Image => {
    if (below(3) > 0) {
      const pixels = Array.from({ length: 24 }, () => below(2 ** 32));
      return image32(1 + below(4) * 2 % 3, pixels, 8 + below(2));
    }
    const surfaceId = below(3);
    return { kind: "surface", surfaceId, id: 1n, flags: 0, width: 2, height: 1 };
  };
  const brush = (): Brush =>
    [
      { kind: "none" } as const,
      { kind: "solid", color: below(2 ** 32) } as const,
      { kind: "pattern", image: image(), pos: place() } as const,
    ][below(3)]!;
  const transform = (): Transform | undefined => {
    if (below(2) === 0) return undefined;
    const [t00, t01, t02, t10, t11, t12] = Array.from({ length: 6 }, number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    return { t00, t01, t02, t10, t11, t12 };
  };
  const surfaceFormat = () => FORMATS[below(FORMATS.length)]!;

  for (let round = 0; round < ROUNDS; round++) {
    const { send } = display(1 + below(150), 1 + below(150), surfaceFormat());
    const size = { width: 1 + below(20), height: 1 + below(20) };
    send.surface_create({ surfaceId: 1, ...size, format: surfaceFormat(), flags: 0 });
    const where = base(box(), below(2) === 0 ? undefined : many(4, box));
    const mode = below(2) === 0 ? 8 : below(2048);
    switch (round % 3) {
      case 0:
        send.draw_stroke({
          base: where,
          path: many(3, () => {
            const points = Int32Array.from({ length: 2 * below(8) }, number);
            return { flags: below(32), points };
          }),
          attributes: { flags: below(16), style: Int32Array.from({ length: below(6) }, number) },
          brush: brush(),
          foreMode: mode,
          backMode: 8,
        });
        break;
      case 1:
        send.draw_text({
          base: where,
          string: {
            flags: below(16),
            glyphs: many(4, () => {
              const [width, height] = [below(40), below(40)];
              const data = Uint8Array.from({ length: width * height }, () => below(256));
              return { renderPos: place(), origin: place(), width, height, data };
            }),
          },
          backArea: box(),
          foreBrush: brush(),
          backBrush: brush(),
          foreMode: mode,
          backMode: 8,
        });
        break;
      case 2:
        send.draw_composite({
          base: where,
          composite: {
            flags: below(13) | below(2 ** 17) << 8,
            src: image(),
            mask: image(),
            srcTransform: transform(),
            maskTransform: transform(),
            srcOrigin: place16(),
            maskOrigin: place16(),
          },
        });
    }
  }
});
