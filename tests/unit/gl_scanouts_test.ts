/**
 * GL scanouts from a server that does what none should: a channel on a real socket, up to the handlers.
 * What a good server does is shown by the peer of `tests/e2e`.
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import type { FdIdentity, OwnedFd } from "../../ffi/fd.ts";
import type { Shim } from "../../ffi/load.ts";
import { SpiceChannel } from "../../lib/spice/channel.ts";
import type { ChannelEnd } from "../../lib/spice/channel_link.ts";
import { displaySetup } from "../../lib/spice/display_channel.ts";
import { DISPLAY_CAPS, DISPLAY_REQUESTS } from "../../lib/spice/display_messages.ts";
import { SpiceClosedError, SpiceDecodeError } from "../../lib/spice/errors.ts";
import { SpiceStream } from "../../lib/spice/transport.ts";
import {
  cut,
  draw,
  glued,
  goodScanout,
  type Piece,
  scanout,
  ScriptedConnection,
  trailer,
} from "../fakes/gl_server.ts";
import { framed, le } from "../fakes/spice_server.ts";
import { expectNoCopies, shimTest } from "./open_shim.ts";

/** What a client came to. */
interface Seen {
  /** Scanouts: their width, and which descriptor came with them. */
  scanouts: { width: number; fd: FdIdentity | undefined }[];
  draws: number;
  /** Answers to draws that have reached the server. */
  dones: number;
  end: ChannelEnd;
  malformed: number;
}

const DONE = "680000000000";

/** Plays pieces to a client that takes every descriptor and answers every draw. */
async function play(shim: Shim, pieces: readonly Piece[]): Promise<Seen> {
  const scanouts: Seen["scanouts"] = [];
  let draws = 0;
  const { caps: _caps, ...setup } = displaySetup({
    gl: true,
    onDisplay: (link) => ({
      gl_scanout_unix({ width }) {
        using fd = link.takeFd();
        scanouts.push({ width, fd: fd?.identify() });
      },
      gl_draw() {
        draws++;
        link.send(DISPLAY_REQUESTS.gl_draw_done, {});
      },
    }),
  });
  const connection = new ScriptedConnection(shim, pieces);
  const channel = new SpiceChannel(new SpiceStream(connection), {
    ...setup,
    name: "display",
    routes: (link) => setup.routes(link),
  });
  const end = await channel.run();
  const answers = connection.answers.toHex();
  const dones = answers.length / DONE.length;
  assertEquals(answers, DONE.repeat(dones));
  return { scanouts, draws, dones, end, malformed: channel.stats.malformed };
}

/** What a server does wrong, and what comes of it; a good scanout and a draw follow in every case. */
interface Fault {
  what: string;
  pieces(fd: OwnedFd): Piece[];
  /** Widths of the scanouts before the good one, and whether each has a descriptor. */
  scanouts?: [width: number, hasFd: boolean][];
  draws?: number;
  malformed?: number;
  /** The good one comes no more. */
  ends?: typeof SpiceDecodeError | typeof SpiceClosedError | "server";
}

const FAULTS: readonly Fault[] = [
  {
    what: "two descriptors with one scanout",
    pieces: (fd) => [{ bytes: scanout() }, trailer(fd, fd)],
    scanouts: [[64, true]],
  },
  {
    what: "a scanout without a descriptor",
    pieces: () => [{ bytes: scanout() }, trailer()],
    scanouts: [[64, false]],
  },
  {
    what: "more descriptors than are taken in",
    pieces: (fd) => [{ bytes: scanout() }, trailer(...Array<OwnedFd>(16).fill(fd))],
    scanouts: [[64, false]],
  },
  {
    what: "a descriptor without a scanout",
    pieces: (fd) => [{ ...draw(), fds: [fd] }],
    draws: 1,
  },
  {
    what: "descriptors without scanouts, all the time",
    pieces: (fd) => Array<Piece>(500).fill({ ...draw(), fds: [fd, fd, fd] }),
    draws: 500,
  },
  {
    what: "a descriptor that comes with the scanout instead of the byte behind it",
    pieces: (fd) => [{ bytes: scanout(), fds: [fd] }, trailer()],
    scanouts: [[64, false]],
  },
  {
    what: "a descriptor inside the header of a scanout",
    pieces: (fd) => {
      const [head, rest] = cut(scanout(), 3);
      return [head!, { ...rest!, fds: [fd] }, trailer()];
    },
    scanouts: [[64, false]],
  },
  {
    what: "a byte behind a scanout that is another",
    pieces: (fd) => [{ bytes: scanout() }, { bytes: Uint8Array.of(0x41), fds: [fd] }],
    ends: SpiceDecodeError,
  },
  {
    what: "no byte behind a scanout",
    pieces: (fd) => [{ bytes: scanout() }, { ...draw(), fds: [fd] }],
    ends: SpiceDecodeError,
  },
  {
    what: "fourcc 0",
    pieces: (fd) => [{ bytes: scanout({ fourcc: 0 }) }, trailer(fd)],
    scanouts: [[64, true]],
  },
  {
    what: "unknown flags",
    pieces: (fd) => [{ bytes: scanout({ flags: 0xffff_ffff }) }, trailer(fd)],
    scanouts: [[64, true]],
  },
  {
    what: "sizes beyond any",
    pieces: (fd) => [
      { bytes: scanout({ width: 0xffff_ffff, height: 0xffff_ffff, stride: 0 }) },
      trailer(fd),
    ],
    scanouts: [[0xffff_ffff, true]],
  },
  {
    what: "a scanout that is too short",
    pieces: (fd) => [{ bytes: Uint8Array.from(framed(320, new Uint8Array(19))) }, trailer(fd)],
    malformed: 1,
  },
  {
    what: "a scanout that is too long",
    pieces: (fd) => [
      { bytes: Uint8Array.from(framed(320, new Uint8Array(1000).fill(1))) },
      trailer(fd),
    ],
    scanouts: [[0x0101_0101, true]],
  },
  {
    what: "a scanout in a list",
    pieces: () => {
      const list = [...le([2, 1], [4, 6]), ...scanout()];
      return [{ bytes: Uint8Array.from(framed(8, Uint8Array.from(list))) }];
    },
    scanouts: [[64, false]],
  },
  { what: "a draw before any scanout", pieces: () => [draw()], draws: 1 },
  { what: "a draw that is too short", pieces: () => [short(321)], malformed: 1 },
  {
    what: "draws that wait for nothing",
    pieces: () => [glued(...Array<Piece>(1000).fill(draw()))],
    draws: 1000,
  },
];

function short(type: number): Piece {
  return { bytes: Uint8Array.from(framed(type, new Uint8Array(3))) };
}

for (const fault of FAULTS) {
  shimTest(
    `a server that sends ${fault.what} is followed, and leaves nothing open`,
    (shim) =>
      expectNoCopies(shim, (bad) =>
        expectNoCopies(shim, async (good) => {
          const after = [...goodScanout(good, 1024), draw()];
          const seen = await play(shim, [...fault.pieces(bad), ...after]);
          const { scanouts = [], draws = 0, malformed = 0, ends = "server" } = fault;
          const expected = scanouts.map(([width, hasFd]) => ({
            width,
            fd: hasFd ? bad.identify() : undefined,
          }));
          if (ends !== "server") {
            assertInstanceOf(seen.end.error, ends);
            assertEquals(seen.scanouts, expected);
            return;
          }
          assertEquals(seen.end.by, "server");
          assertEquals(seen.scanouts, [...expected, { width: 1024, fd: good.identify() }]);
          assertEquals([seen.draws, seen.dones], [draws + 1, draws + 1]);
          assertEquals(seen.malformed, malformed);
        })),
  );
}

shimTest(
  "a scanout arrives with its descriptor wherever it is cut",
  (shim) =>
    expectNoCopies(shim, async (fd) => {
      const bytes = scanout();
      const everywhere = Array.from({ length: bytes.length - 1 }, (_, i) => i + 1);
      for (const cuts of [...everywhere.map((at) => [at]), everywhere, []]) {
        const { scanouts, dones, end } = await play(shim, [
          ...cut(bytes, ...cuts),
          trailer(fd),
          draw(),
        ]);
        assertEquals(end.by, "server");
        assertEquals(scanouts, [{ width: 64, fd: fd.identify() }], `cut at ${cuts}`);
        assertEquals(dones, 1);
      }
    }),
);

shimTest(
  "a connection may end anywhere in a scanout, and leaves nothing open",
  (shim) =>
    expectNoCopies(shim, async (fd) => {
      const bytes = scanout();
      for (let length = 1; length <= bytes.length; length++) {
        const { end, scanouts } = await play(shim, [{ bytes: bytes.slice(0, length), fds: [fd] }]);
        assertEquals(end.text, "the server closed the connection inside a message");
        assertEquals(scanouts, []);
      }
    }),
);

shimTest(
  "what comes before a scanout in one piece leaves its descriptor alone",
  (shim) =>
    expectNoCopies(shim, (one) =>
      expectNoCopies(shim, async (two) => {
        const monitors: Piece = { bytes: Uint8Array.from(framed(317, le([2, 0], [2, 0]))) };
        const pieces = [
          glued(monitors, draw(), { bytes: scanout() }),
          trailer(one),
          glued(monitors, draw(), { bytes: scanout({ width: 65 }) }),
          trailer(two),
        ];
        const { scanouts, dones } = await play(shim, pieces);
        assertEquals(scanouts, [{ width: 64, fd: one.identify() }, {
          width: 65,
          fd: two.identify(),
        }]);
        assertEquals(dones, 2);
      })),
);

shimTest(
  "a flood of scanouts, half of them broken, leaves nothing open",
  (shim) =>
    expectNoCopies(shim, (bad) =>
      expectNoCopies(shim, async (good) => {
        const pieces: Piece[] = [];
        for (let i = 0; i < 1500; i++) {
          const fds = [[], [bad, bad], [good], Array<OwnedFd>(5).fill(bad)][i % 4]!;
          pieces.push({ bytes: scanout({ width: i }) }, trailer(...fds), draw());
        }
        const { scanouts, draws, dones } = await play(shim, pieces);
        assertEquals([scanouts.length, draws, dones], [1500, 1500, 1500]);
        const [shown, other] = [good.identify(), bad.identify()];
        for (const [i, { width, fd }] of scanouts.entries()) {
          assertEquals({ width, fd }, {
            width: i,
            fd: [undefined, other, shown, undefined][i % 4],
          });
        }
      })),
);

Deno.test("the capability for scanouts is set only where it is asked for", () => {
  assert(!displaySetup().caps.includes(DISPLAY_CAPS.glScanout));
  assert(!displaySetup({ takesCompression: true }).caps.includes(DISPLAY_CAPS.glScanout));
  assert(displaySetup({ gl: true }).caps.includes(DISPLAY_CAPS.glScanout));
});
