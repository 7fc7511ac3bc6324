/** GL scanouts of memfds from the real server: what is shown, and what is survived. */
import { assert, assertEquals, assertGreater } from "@std/assert";
import { decode } from "fast-png";
import { fromFileUrl, join } from "@std/path";
import { pause, retry } from "../../lib/base/deadline.ts";
import type { SharedTexture } from "../../lib/display/gl_interfaces.ts";
import type { GlScanoutOptions } from "./gl_peer.ts";
import {
  assertSamePixels,
  expectNoGrowth,
  footprint,
  GlClient,
  GlPeerRig,
} from "./gl_peer_client.ts";

const MAIN = fromFileUrl(new URL("../../main.ts", import.meta.url));
const FORMATS = "XR24 AR24 XB24 AB24 RX24 RA24 BX24 BA24 RG16 XR30 AR30 XB30 AB30".split(" ");
const [XR24, AR24] = [0x34325258, 0x34325241];
const DRAWS = 20_000;
const SCANOUTS = 10_000;
const options = { timeout: 180_000 };

for (const isWatched of [true, false]) {
  const watched = isWatched ? "watched" : "not watched";

  Deno.test(`e2e: gl: a memfd is shown exactly in every format, ${watched}`, options, async () => {
    await using rig = await GlPeerRig.start();
    const { gl, client } = rig;
    await client.watch(isWatched);
    let seed = 1;
    for (const format of FORMATS) {
      for (const y0top of [false, true]) {
        for (const stride of [undefined, 33 * 4 + 60]) {
          const what = `${format}, y0top ${y0top}, stride ${stride}`;
          const shape = { width: 33, height: 17, format, y0top, seed: seed++ };
          await gl.scanout({ ...shape, ...(stride === undefined ? {} : { stride }) });
          await gl.draw();
          await client.expectPicture(gl, what);
          const area = { x: 5, y: 3, w: 7, h: 2 };
          await gl.paint(seed++, area);
          await gl.draw(area);
          await client.expectPicture(gl, `${what}, a part painted`);
        }
      }
    }
    assertEquals((await client.report()).warnings, []);
  });

  Deno.test(
    `e2e: gl: no draw of ${DRAWS} is left, and nothing grows, ${watched}`,
    options,
    async () => {
      await using rig = await GlPeerRig.start();
      const { gl, client } = rig;
      await gl.scanout({ width: 64, height: 64, seed: 1 });
      await client.watch(isWatched);
      await gl.draws(DRAWS / 4, { scanoutEvery: 3 });
      const before = await footprint(client);
      await gl.draws(DRAWS * 3 / 4, { scanoutEvery: 3 });
      const { display } = await client.report();
      assertEquals([display.gl.draws, display.gl.acks], [DRAWS, DRAWS]);
      assertGreater(display.gl.scanouts, DRAWS / 4);
      assertEquals(display.gl.copies >= DRAWS, isWatched, "whether draws are copied");
      assertEquals((await gl.info()).owed, 0);
      await expectNoGrowth(client, before);
      await client.expectPicture(gl, "afterwards");
    },
  );

  Deno.test(`e2e: gl: a flood of ${SCANOUTS} scanouts, ${watched}`, options, async () => {
    await using rig = await GlPeerRig.start();
    const { gl, client } = rig;
    await client.watch(isWatched);
    await gl.flood(SCANOUTS / 4, { width: 64, height: 64, seed: 1 });
    await gl.draw();
    const before = await footprint(client);
    await gl.flood(SCANOUTS * 3 / 4, { width: 64, height: 64, seed: 7 });
    await gl.draw();
    await client.expectPicture(gl, "the last one");
    await expectNoGrowth(client, before);
    await gl.scanout({ width: 100, height: 50, seed: 3 });
    await gl.draw();
    await client.expectPicture(gl, "the next one");
  });

  Deno.test(
    `e2e: gl: a scanout that makes no sense is not shown, ${watched}`,
    options,
    async () => {
      const shape = { width: 64, height: 48 };
      const faults: Record<string, GlScanoutOptions> = {
        "stride 0": { ...shape, claim: { stride: 0 } },
        "a stride that is less than a row": { ...shape, claim: { stride: 64 * 4 - 4 } },
        "a stride without end": { ...shape, claim: { stride: 0xfffffffc } },
        "width 0": { ...shape, claim: { width: 0 } },
        "width 65535": { ...shape, claim: { width: 65535 } },
        "height 65535": { ...shape, claim: { height: 65535 } },
        "all that there can be": {
          ...shape,
          claim: { width: 0xffffffff, height: 0xffffffff, stride: 0xffffffff },
        },
        "one line more than there is": { ...shape, claim: { height: 49 } },
        "an unknown fourcc": { ...shape, claim: { fourcc: "YV12" } },
        "no fourcc": { ...shape, claim: { fourcc: "" } },
      };
      await using rig = await GlPeerRig.start();
      const { gl, client } = rig;
      await client.watch(isWatched);
      await gl.draw();
      await client.picture();
      const before = await footprint(client);
      let seed = 1;
      for (const [what, fault] of Object.entries(faults)) {
        await gl.scanout({ ...fault, seed: seed++ });
        await gl.draw();
        await gl.draw({ x: 1, y: 1, w: 2, h: 2 });
        assertEquals(typeof await client.picture(), "string", what);
        await gl.scanout({ ...shape, seed: seed++ });
        await gl.draw();
        await client.expectPicture(gl, `after ${what}`);
      }
      const { display, warnings } = await client.report();
      assertEquals(display.gl.draws, display.gl.acks);
      assertGreater(warnings.length, 0);
      await expectNoGrowth(client, before);
    },
  );

  Deno.test(`e2e: gl: memory that is cut off ends nothing, ${watched}`, options, async () => {
    await using rig = await GlPeerRig.start();
    const { gl, client } = rig;
    await client.watch(isWatched);
    await gl.scanout({ width: 640, height: 480, loose: true, seed: 1 });
    await gl.draw();
    await client.expectPicture(gl, "before");
    await gl.cut();
    await gl.draws(10);
    await client.picture(); // the one before, or none
    await gl.scanout({ width: 64, height: 48, seed: 2 });
    await gl.draw();
    await client.expectPicture(gl, "the next one");
    const { display } = await client.report();
    assertEquals([display.gl.draws, display.gl.acks], [12, 12]);
  });

  Deno.test(`e2e: gl: off, to 2D and back, ${watched}`, options, async () => {
    await using rig = await GlPeerRig.start();
    const { peer, gl, client } = rig;
    await client.watch(isWatched);
    await gl.scanout({ width: 80, height: 60, seed: 1 });
    await gl.draw();
    await client.expectPicture(gl, "at first");
    await gl.off();
    await gl.draw(); // nothing to acknowledge
    assertEquals(typeof await client.picture(), "string", "off");
    await peer.primary(120, 90);
    await peer.random(1, 50, ["fill", "copy"], true);
    await peer.sync();
    const picture = await retryPicture(client, 120);
    assertSamePixels(picture, await peer.expect(), "2D");
    assertEquals((await client.report()).display.kind, "surface");
    await peer.destroy(0);
    await gl.scanout({ width: 64, height: 40, seed: 2 });
    await gl.draw();
    await client.expectPicture(gl, "GL again");
    assertEquals((await client.report()).display.kind, "gl");
  });
}

Deno.test(
  "e2e: gl: a client that is killed while it owes an acknowledgement",
  options,
  async () => {
    await using rig = await GlPeerRig.start();
    const { peer, gl, client } = rig;
    await gl.scanout({ width: 64, height: 64, seed: 1 });
    await gl.draw();
    await client.client.stop();
    await gl.post();
    await pause(100);
    assertEquals((await gl.info()).owed, 1);
    await client[Symbol.asyncDispose]();
    await gl.settle();
    await using next = await GlClient.start(peer);
    await gl.draws(100);
    await next.expectPicture(gl, "a later client");
    const { display } = await next.report();
    assertEquals([display.gl.draws, display.gl.acks], [100, 100]);
  },
);

Deno.test("e2e: gl: watching begins and ends at any time", options, async () => {
  await using rig = await GlPeerRig.start();
  const { gl, client } = rig;
  let seed = 1;
  for (let round = 0; round < 20; round++) {
    await client.watch(round % 2 === 0);
    await gl.paint(seed++);
    await gl.draw();
    await client.expectPicture(gl, `round ${round}`);
  }
  const { display } = await client.report();
  assertEquals([display.gl.draws, display.gl.acks], [20, 20]);
});

Deno.test("e2e: gl: a viewer is lent the picture", options, async () => {
  await using rig = await GlPeerRig.start();
  const { gl, client } = rig;
  await client.watch(true);
  for (const shape of [{ width: 70, height: 40 }, { width: 33, height: 21, y0top: true }]) {
    await gl.scanout({ ...shape, seed: 1 });
    await gl.draw();
    const texture = await client.texture();
    assert(texture !== undefined, "nothing is lent");
    assertEquals([texture.width, texture.height], [shape.width, shape.height]);
    assertEquals(texture.kind, "memory"); // there is no GPU
    for (const seed of [2, 3]) {
      const area = { x: 3, y: 5, w: 20, h: 10 };
      await gl.paint(seed, area);
      await gl.draw(area); // its copy may come later: nobody waits for viewers
      await retry("the picture in the memory that is lent", async () => {
        try {
          assertSamePixels(await lentPicture(client, texture), await gl.expect(), "the memory");
        } catch (cause) {
          throw new Deno.errors.Busy("the memory is not up to date", { cause });
        }
      }, {
        timeoutMs: 5000,
        canSucceedLater: (error) => error instanceof Deno.errors.Busy,
      });
    }
  }
});

Deno.test("e2e: gl: two displays", options, async () => {
  await using rig = await GlPeerRig.start(undefined, 2);
  const { peer, gl, client } = rig;
  await gl.scanout({ width: 80, height: 60, seed: 1 });
  await gl.draw();
  await peer.display(1);
  await gl.scanout({ width: 90, height: 70, seed: 2 });
  await gl.draws(200);
  await client.expectPicture(gl, "display 1", 1);
  await peer.display(0);
  await gl.draws(200);
  await client.expectPicture(gl, "display 0", 0);
  const { displays } = await client.client.ask();
  assertEquals(displays.map(({ gl }) => [gl.draws, gl.acks]), [[201, 201], [200, 200]]);
});

Deno.test("e2e: gl: view saves the picture and tells the ledger", options, async () => {
  await using rig = await GlPeerRig.start();
  const { peer, gl, client } = rig;
  await client[Symbol.asyncDispose]();
  await gl.scanout({ width: 320, height: 200, y0top: true, seed: 5 });
  const file = join(peer.folder, "screen.png");
  if (!("path" in peer.target)) throw new TypeError("Cannot attach over TCP");
  const view = new Deno.Command(Deno.execPath(), {
    // deno-fmt-ignore
    args: [
      "run", "-A", MAIN, "view", `spice+unix://${peer.target.path}`, "--headless",
      "--duration", "2s", "--screenshot", file, "--stats", "-",
    ],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const attached = peer.events.length;
  await retry("an attached viewer", () => {
    const isThere = peer.events.slice(attached).some((event) => event.includes("initialized 2"));
    if (!isThere) throw new Deno.errors.NotFound();
    return Promise.resolve();
  }, {
    timeoutMs: 20_000,
    canSucceedLater: (error) => error instanceof Deno.errors.NotFound,
  });
  const { draws } = await gl.draws(50, { pauseMs: 5 });
  const { code, stdout, stderr } = await view.output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  const { displays: [display] } = JSON.parse(new TextDecoder().decode(stdout));
  assertEquals([display.kind, display.width, display.height], ["gl", 320, 200]);
  assertEquals([display.gl.draws, display.gl.acks], [draws, draws]);
  assertEquals(display.gl.kinds, ["memory"]);
  // Nobody looked but for the one picture, which the CPU has read from the memfd.
  assertEquals(display.gl.cpuBytes, 320 * 200 * 4);
  const png = decode(await Deno.readFile(file));
  const pixels = new Uint32Array(png.width * png.height);
  for (let at = 0; at < pixels.length; at++) {
    const [r = 0, g = 0, b = 0] = png.data.subarray(at * png.channels);
    pixels[at] = r << 16 | g << 8 | b;
  }
  assertSamePixels({ width: png.width, pixels }, await gl.expect(), "the file");
});

/** What the memory that a client lends holds. */
async function lentPicture(
  { client }: GlClient,
  { fd, width, height, stride, fourcc }: SharedTexture,
): Promise<{ width: number; pixels: Uint32Array }> {
  const bytes = await Deno.readFile(`/proc/${client.pid}/fd/${fd}`);
  const view = new DataView(bytes.buffer);
  const isBlueFirst = fourcc === XR24 || fourcc === AR24;
  const pixels = new Uint32Array(width * height);
  for (let at = 0; at < pixels.length; at++) {
    const word = view.getUint32(Math.floor(at / width) * stride + at % width * 4, true);
    pixels[at] = isBlueFirst ? word : word >> 16 & 0xff | word & 0xff00 | (word & 0xff) << 16;
  }
  return { width, pixels };
}

/** A picture of this width, once there is one. */
async function retryPicture(
  client: GlClient,
  width: number,
): Promise<{ width: number; pixels: Uint32Array }> {
  return await retry(`a picture ${width} pixels wide`, async () => {
    const picture = await client.picture();
    if (typeof picture === "string" || picture.width !== width) {
      throw new Deno.errors.NotFound(String(picture));
    }
    return picture;
  }, {
    timeoutMs: 10_000,
    canSucceedLater: (error) => error instanceof Deno.errors.NotFound,
  });
}
