/**
 * Records sessions with the real libspice-server without a guest, `tests/rigs/spice_peer`, for tests
 * that replay them: `deno run -A tools/record_spice_peer.ts [NAME…]`, all when none is named.
 */
import { pause } from "../lib/base/deadline.ts";
import type { DisplayOptions } from "../lib/spice/display_channel.ts";
import { MAIN_REQUESTS } from "../lib/spice/main_messages.ts";
import { SpiceSession } from "../lib/spice/session.ts";
import { SpicePeer, type SpicePeerOptions, SURFACE_FORMATS } from "../tests/e2e/spice_peer.ts";
import { SpiceRecorder } from "../tests/fakes/spice_recorder.ts";
import { encodeRecording, hashPixels, recordingUrl } from "../tests/fakes/spice_recording.ts";

const QUIET_MS = 200;
/** Channels that are linked beside main and the displays. */
const FURTHER = [3, 4, 9, 10];

/** What a scene has to work with. */
interface Stage {
  peer: SpicePeer;
  /** Waits until nothing more comes, and notes what surface 0 of a display shows. */
  moment(display?: number): Promise<void>;
}

interface Scene {
  made: string;
  peer?: SpicePeerOptions;
  client?: DisplayOptions;
  /** What the peer does before the client connects. */
  before?(peer: SpicePeer): Promise<void>;
  play(stage: Stage): Promise<void>;
}

const CACHES = { pixmapCacheSize: 1n << 20n, glzWindowSize: 1 << 20 };
const COMPRESSED = {
  peer: { transport: "tcp" },
  client: { takesCompression: true, caches: CACHES },
} as const;

/** Random draws of all kinds in several sizes, on surfaces of several formats. */
async function draw({ peer }: Stage, count: number): Promise<void> {
  await peer.surface(1, 90, 70, SURFACE_FORMATS.argb);
  await peer.surface(2, 48, 64);
  await peer.random(50, count);
  await peer.command("destroy 2");
  await peer.more(count);
}

/** Random draws of some kinds on small surfaces of three formats, with a moment after every 20. */
async function drawInSteps({ peer, moment }: Stage, kinds: string[], steps: number): Promise<void> {
  await peer.surface(1, 48, 48, SURFACE_FORMATS.argb);
  await peer.surface(2, 32, 32, SURFACE_FORMATS.a8);
  for (let step = 0; step < steps; step++) {
    if (step === 0) await peer.random(7, 20, kinds);
    else await peer.more(20);
    await moment();
  }
}

/** Copies of bitmaps of all formats, compressed in one way. */
function copies(compression: string): Omit<Scene, "made"> {
  return {
    ...COMPRESSED,
    async before(peer) {
      await peer.primary(64, 40);
      await peer.compression(compression);
      await peer.command("zlib_glz never");
    },
    play: (stage) => drawInSteps(stage, ["copy"], 2),
  };
}

const SCENES: Readonly<Record<string, Scene>> = {
  "peer-draws": {
    made: "100 random draws of every kind on three surfaces, without a cache",
    before: (peer) => peer.primary(120, 90),
    play: (stage) => draw(stage, 50),
  },
  "peer-caches": {
    made:
      "copies of 12 cached images, again and again on two displays that share a cache of 3000 " +
      "pixels, which is dropped once",
    peer: { displays: 2 },
    client: { caches: { pixmapCacheSize: 3000n } },
    async before(peer) {
      await peer.primary(100, 80);
      await peer.display(1);
      await peer.primary(80, 60);
    },
    async play({ peer, moment }) {
      for (let i = 0; i < 120; i++) {
        await peer.display(i % 5 % 2);
        const size = 20 + i % 12;
        const at = `${7 * i % 50},${11 * i % 30},${size},${size}`;
        const image = `bitmap:8:${size}x${size}:${i % 12}:0:tc`;
        await peer.draw(`copy surface=0 box=${at} src=${image} area=0,0,${size},${size} rop=8`);
        if (i === 80) await peer.command("reset_cache");
      }
      for (const display of [0, 1]) await moment(display);
    },
  },
  "peer-quic": {
    made: "60 random draws over TCP, compressed as QUIC",
    ...COMPRESSED,
    async before(peer) {
      await peer.primary(120, 90);
      await peer.compression("quic");
    },
    play: (stage) => draw(stage, 30),
  },
  "peer-auto-glz": {
    made: "100 random draws over TCP, compressed as the server likes it, GLZ and QUIC",
    ...COMPRESSED,
    async before(peer) {
      await peer.primary(120, 90);
      await peer.compression("auto_glz");
    },
    play: (stage) => draw(stage, 50),
  },
  "peer-lines-text": {
    made: "100 random lines, texts and compositions on three surfaces",
    before: (peer) => peer.primary(64, 40),
    play: (stage) => drawInSteps(stage, ["stroke", "text", "composite"], 5),
  },
  "peer-lz": {
    made: "40 random copies of bitmaps of all formats over TCP, compressed as LZ",
    ...copies("lz"),
  },
  "peer-glz": { made: "the same, compressed as GLZ where there is no palette", ...copies("glz") },
  "peer-lz4": { made: "the same, compressed as LZ4 where there is no palette", ...copies("lz4") },
  "peer-stream": {
    made: "30 frames of a moving picture over TCP, which the server makes a stream of JPEGs",
    ...COMPRESSED,
    async before(peer) {
      await peer.primary(160, 100);
      await peer.command("streaming all");
    },
    async play({ peer }) {
      await peer.command("video 30 64 48 8 8 40");
    },
  },
  "peer-cursors": {
    made: "cursors of every kind and of odd sizes, moved, hidden, cached, with a trail, reset",
    before: (peer) => peer.primary(64, 64),
    async play({ peer }) {
      for (let type = 0; type <= 6; type++) {
        for (const [width, height] of [[16, 16], [9, 33], [64, 64]] as const) {
          const unique = type * 100 + width;
          for (const again of [0, 1]) {
            await peer.cursor({ type, width, height, hotX: 3, hotY: 2, seed: type, unique });
            await peer.moveCursor(10 + again, 20);
          }
        }
        await peer.hideCursor();
      }
      await peer.command("cursor trail 5 100");
      await peer.command("reset_cursor");
    },
  },
  "peer-devices": {
    made: "the agent comes, speaks and goes; a port and a USB device with data; lock lights; a " +
      "tablet; three heads",
    before: async (peer) => {
      await peer.primary(64, 64);
      await peer.addDevice("port", "org.example.port.0");
      await peer.addDevice("usbredir", "usb0");
      await peer.addDevice("vdagent", "vdagent");
    },
    async play({ peer }) {
      for (const name of ["org.example.port.0", "usb0", "vdagent"]) {
        await peer.command(`chardev opened ${name}`);
      }
      await peer.sendFromGuest("org.example.port.0", new TextEncoder().encode("hello\r\n"));
      await peer.sendFromGuest("org.example.port.0", new Uint8Array(3000).fill(0x61));
      await peer.sendFromGuest("usb0", new Uint8Array(80));
      for (const message of AGENT_MESSAGES) await peer.sendFromGuest("vdagent", message);
      await peer.leds(7);
      await peer.tablet(true);
      await peer.heads([
        { id: 0, width: 32, height: 64 },
        { id: 1, width: 32, height: 64, x: 32 },
        { id: 2, width: 0, height: 0 },
      ]);
      await pause(300);
      await peer.command("chardev closed org.example.port.0");
      await peer.command("chardev closed vdagent");
    },
  },
};

/** What a guest's agent says, each in chunks of its own device: port 1 and the size before it. */
const AGENT_MESSAGES = [
  agent(6, Uint8Array.fromHex("01000000e78d0300")), // announces capabilities, asks for ours
  agent(7, Uint8Array.fromHex("0000000001000000")), // grabs the clipboard: text
  agent(4, Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0, ...new TextEncoder().encode("clip".repeat(900)))),
  agent(9, new Uint8Array(4)), // releases it
  agent(3, Uint8Array.fromHex("0200000001000000")), // replies to a monitors config
  agent(99, new Uint8Array(10)), // is from the future
];

function agent(type: number, body: Uint8Array): Uint8Array {
  const message = new Uint8Array(20 + body.length);
  const view = new DataView(message.buffer);
  view.setUint32(0, 1, true);
  view.setUint32(4, type, true);
  view.setUint32(16, body.length, true);
  message.set(body, 20);
  const chunks: number[] = [];
  for (let at = 0; at < message.length; at += 2048) {
    const chunk = message.subarray(at, at + 2048);
    chunks.push(1, 0, 0, 0, chunk.length & 0xff, chunk.length >> 8, 0, 0, ...chunk);
  }
  return Uint8Array.from(chunks);
}

async function record(name: string, scene: Scene): Promise<void> {
  await using peer = await SpicePeer.start(scene.peer);
  await scene.before?.(peer);
  const { target } = peer;
  const path = `${peer.folder}/proxy`;
  await using recorder = new SpiceRecorder(
    path,
    "path" in target
      ? { transport: "unix", path: target.path }
      : { hostname: target.host, port: target.port },
  );
  await using session = await SpiceSession.connect({ path }, {
    ...scene.client,
    onMain: (link) => ({
      // As an agent's client does, so that the guest's agent is passed on.
      agent_connected_tokens: () => link.send(MAIN_REQUESTS.agent_start, NO_LIMIT),
      init: ({ agentConnected }) => {
        if (agentConnected) link.send(MAIN_REQUESTS.agent_start, NO_LIMIT);
      },
    }),
  });
  for (const { type, id } of session.offered) {
    if (!FURTHER.includes(type)) continue;
    await session.open({ type, caps: [], maxBytes: 1 << 22, routes: () => new Map() }, id);
  }
  const settle = async () => {
    for (let before = -1; before !== recorder.bytes;) {
      before = recorder.bytes;
      await pause(QUIET_MS);
    }
  };
  await settle();
  await scene.play({
    peer,
    async moment(display = 0) {
      await peer.display(display);
      await peer.sync();
      await settle();
      const { width, height } = await sizeOf(peer);
      recorder.note({ display, width, height, sha256: await hashPixels(await peer.expect(0)) });
    },
  });
  await settle();
  await session[Symbol.asyncDispose]();
  await recorder[Symbol.asyncDispose]();
  const { connections, moments, blocks } = recorder;
  const server = "libspice-server 0.15.1";
  const bytes = await encodeRecording({
    head: { version: 1, server, made: scene.made, connections, moments },
    blocks,
  });
  await Deno.writeFile(recordingUrl(name), bytes);
  console.error(`${name}: ${bytes.length} bytes`);
}
const NO_LIMIT = { tokens: 0xffff_ffff };

/** The size of surface 0 of the chosen display. */
async function sizeOf(peer: SpicePeer): Promise<{ width: number; height: number }> {
  const [width, height] = (await peer.command(`expect 0 ${peer.folder}/size`)).split(" ");
  return { width: Number(width), height: Number(height) };
}

for (const [name, scene] of Object.entries(SCENES)) {
  if (Deno.args.length === 0 || Deno.args.includes(name)) await record(name, scene);
}
