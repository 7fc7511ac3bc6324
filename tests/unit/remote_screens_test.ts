import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { decode } from "fast-png";
import { pause } from "../../lib/base/deadline.ts";
import { SpiceError, UsageError } from "../../lib/base/errors.ts";
import { displaySetup } from "../../lib/spice/display_channel.ts";
import { DISPLAY_CAPS, IMAGE_COMPRESSIONS } from "../../lib/spice/display_messages.ts";
import { isOnThisHost, RemoteScreens } from "../../lib/vm/remote_screens.ts";
import {
  channelsList,
  type FakeConnection,
  FakeSpiceServer,
  INIT,
  join,
  le,
  type Script,
} from "../fakes/spice_server.ts";

/** Main of a server with these channels. */
function mainWith(...channels: [type: number, id: number][]): Script {
  return async (connection) => {
    await connection.write(INIT);
    await connection.receive();
    await connection.write(channelsList(...channels));
    await connection.drain();
  };
}

/** A display of 4 × 4 black pixels, with a red pointer of one pixel at 2,3. */
async function serveScreen(connection: FakeConnection): Promise<void> {
  if (connection.link.type === 4) {
    const place = le([2, 2], [2, 3], [2, 0], [2, 0], [1, 1]);
    const shape = le([2, 0], [8, 0], [1, 0], [2, 1], [2, 1], [2, 0], [2, 0]);
    await connection.send(101, join(place, shape, le([4, 0xffff0000])));
  } else {
    await connection.receive(); // INIT
    await connection.send(314, le([4, 0], [4, 4], [4, 4], [4, 32], [4, 1])); // SURFACE_CREATE
    await connection.send(102); // MARK
  }
  await connection.drain();
}

async function withFolder(work: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(`${folder}/screen.png`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("RemoteScreens says at once that a server has no display", async () => {
  await using server = await FakeSpiceServer.start({ main: mainWith([3, 0]) });
  await using screens = await RemoteScreens.attach(server.target);
  await assertRejects(
    () => screens.screenshot("/never.png"),
    SpiceError,
    "Cannot save the screen: the server has no display",
  );
});

Deno.test("RemoteScreens waits for a picture no longer than it may, and says for what", async () => {
  await using server = await FakeSpiceServer.start({ main: mainWith([2, 0]) });
  await using screens = await RemoteScreens.attach(server.target, { pictureTimeoutMs: 30 });
  const error = await assertRejects(() => screens.screenshot("/never.png"), SpiceError);
  assertEquals(
    [error.exitCode, error.message],
    [8, "Cannot save the screen: no picture of display 0 has come within 30 ms"],
  );
});

Deno.test("RemoteScreens gives a wait for a picture up with its signal", async () => {
  await using server = await FakeSpiceServer.start({ main: mainWith([2, 0]) });
  await using screens = await RemoteScreens.attach(server.target);
  const signal = AbortSignal.timeout(20);
  await assertRejects(() => screens.screenshot("/never.png", { signal }), DOMException);
});

Deno.test("RemoteScreens saves the first display that there is, or the one named", async () => {
  await using server = await FakeSpiceServer.start({
    main: mainWith([2, 1], [2, 3]),
    display: serveScreen,
  });
  await using screens = await RemoteScreens.attach(server.target);
  await withFolder(async (path) => {
    assertEquals((await screens.screenshot(path)).display, 1);
    assertEquals((await screens.screenshot(path, { display: 3 })).display, 3);
    const error = await assertRejects(
      () => screens.screenshot(path, { display: 0 }),
      UsageError,
      "Cannot find display 0: there are only displays 1, 3",
    );
    assertStringIncludes(error.hint!, "--display");
  });
});

Deno.test("RemoteScreens saves the picture that came last though the server has gone", async () => {
  const lost = Promise.withResolvers<void>();
  await using server = await FakeSpiceServer.start({
    main: async (connection) => {
      await connection.write(INIT);
      await connection.receive();
      await connection.write(channelsList([2, 0]));
      await lost.promise;
      connection.close();
    },
    display: serveScreen,
  });
  await using screens = await RemoteScreens.attach(server.target);
  await withFolder(async (path) => {
    await screens.screenshot(path);
    await Deno.remove(path);
    lost.resolve();
    assert(await screens.ended instanceof SpiceError);
    await assertRejects(() => screens.screenshot(path), SpiceError, "SPICE is lost");
    assertEquals(await screens.lastScreenshot(path), { path, display: 0, source: "spice" });
    assertEquals(decode(await Deno.readFile(path)).width, 4);
    await assertRejects(
      () => screens.lastScreenshot(path, { display: 1 }),
      SpiceError,
      "no picture of display 1 has come",
    );
  });
});

Deno.test("RemoteScreens links the pointer where it is asked for, and draws it if asked", async () => {
  await using server = await FakeSpiceServer.start({
    main: mainWith([2, 0], [3, 0], [4, 0]),
    display: serveScreen,
  });
  await using screens = await RemoteScreens.attach(server.target, { cursor: true });
  assertEquals(screens.channels, ["main", "display", "cursor"]);
  await withFolder(async (path) => {
    await screens.screenshot(path, { cursor: true });
    const { data, channels } = decode(await Deno.readFile(path));
    const at = (3 * 4 + 2) * channels;
    assertEquals([...data.subarray(at, at + 3)], [255, 0, 0]);
    await screens.screenshot(path);
    assert(decode(await Deno.readFile(path)).data.every((value) => value === 0));
  });
});

Deno.test("RemoteScreens tells what is left out, and what the server says, once each", async () => {
  const text = new TextEncoder().encode("it is slow\0");
  const notify = (severity: number) =>
    join(le([8, 0n], [4, severity], [4, 0], [4, 0], [4, text.length - 1]), text);
  await using server = await FakeSpiceServer.start({
    main: async (connection) => {
      await connection.write(INIT);
      await connection.receive();
      await connection.write(channelsList([2, 0]));
      for (const severity of [1, 1, 0]) await connection.send(7, notify(severity));
      await connection.drain();
    },
    display: async (connection) => {
      await connection.receive();
      await connection.send(3, le([4, 1], [4, 20]));
      for (let n = 0; n < 2; n++) {
        await connection.send(302, le([4, 0])); // DRAW_FILL, cut off
        await connection.send(4999);
      }
      await connection.drain();
    },
  });
  const [warnings, details] = [[] as string[], [] as string[]];
  await using _screens = await RemoteScreens.attach(server.target, {
    gl: "off", // else it tells, too, where there is no native library
    onWarning: (text) => warnings.push(text),
    onDetail: (text) => details.push(text),
  });
  await pause(50);
  assertEquals(warnings.filter((text) => text.startsWith("display: ")).length, 2);
  assertEquals(warnings.filter((text) => text === "the server says: it is slow").length, 1);
  assertEquals(details, ["the server says: it is slow"]);
});

Deno.test("RemoteScreens asks for packed pixels where they cross a network", () => {
  const here = ["localhost", "127.0.0.1", "127.1.2.3", "::1"].map((host) => ({ host, port: 1 }));
  for (const target of [{ path: "/s" }, ...here]) assertEquals(isOnThisHost(target), true);
  for (const host of ["10.0.0.1", "127.example.org", "fe80::1", "::11"]) {
    assertEquals(isOnThisHost({ host, port: 1 }), false, host);
  }
  const caps = {
    commonCaps: new Uint32Array(),
    channelCaps: Uint32Array.of(1 << DISPLAY_CAPS.prefCompression),
  };
  for (const compression of ["off", "lz"] as const) {
    const bytes = displaySetup({ compression }).early!(caps);
    assertEquals(bytes.at(-1), IMAGE_COMPRESSIONS[compression]);
  }
});
