/**
 * Recorded SPICE sessions: what a real server sent on every connection, in the order in which it
 * came, and what its screen showed at some moments.
 *
 * A file is gzip over: one line of JSON (the {@linkcode RecordingHead}), then blocks up to the end,
 * each a connection's number (u8), a length (u32, little-endian) and that many bytes.
 */

/** One connection of a recorded client. */
export interface RecordedConnection {
  /** The channel's type and id, as in the client's link message. */
  type: number;
  id: number;
  /** Words of the channel capabilities that the client offered. */
  caps: number[];
}

/** What a screen showed while the server had nothing more to send. */
export interface RecordedMoment {
  /** How many blocks came before it. */
  blocks: number;
  /** Which display, by the id of its channel. */
  display: number;
  width: number;
  height: number;
  /** SHA-256 of its pixels: 3 bytes R, G, B each, rows from the top, without padding. */
  sha256: string;
}

/** What a recording says of itself. */
export interface RecordingHead {
  version: 1;
  /** The server's name and version. */
  server: string;
  /** How it was made, in one sentence. */
  made: string;
  connections: RecordedConnection[];
  moments: RecordedMoment[];
}

/** Bytes that came on one connection in one read. */
export interface RecordedBlock {
  /** Index into the head's connections. */
  connection: number;
  bytes: Uint8Array<ArrayBuffer>;
}

/** A recorded session. */
export interface Recording {
  head: RecordingHead;
  blocks: RecordedBlock[];
}

const FIXTURES = new URL("../fixtures/spice/", import.meta.url);
const SUFFIX = ".spice.gz";

/** Names of the recordings among the fixtures, sorted. */
export function recordingNames(): string[] {
  return [...Deno.readDirSync(FIXTURES)]
    .filter(({ name }) => name.endsWith(SUFFIX))
    .map(({ name }) => name.slice(0, -SUFFIX.length)).sort();
}

/** Where the recording `name` is kept. */
export function recordingUrl(name: string): URL {
  return new URL(name + SUFFIX, FIXTURES);
}

/** Reads a recording; `source` is the name of a fixture, or where the file is. */
export async function readRecording(source: string | URL): Promise<Recording> {
  const url = typeof source === "string" ? recordingUrl(source) : source;
  const whole = await through(await Deno.readFile(url), new DecompressionStream("gzip"));
  const view = new DataView(whole.buffer);
  const end = whole.indexOf(0x0a);
  const head = JSON.parse(new TextDecoder().decode(whole.subarray(0, end))) as RecordingHead;
  if (head.version !== 1) throw new Error(`${url}: cannot read version ${head.version}`);
  const blocks: RecordedBlock[] = [];
  for (let at = end + 1; at < whole.length;) {
    const length = view.getUint32(at + 1, true);
    blocks.push({ connection: whole[at]!, bytes: whole.subarray(at + 5, at + 5 + length) });
    at += 5 + length;
  }
  return { head, blocks };
}

/** Returns the bytes of a recording's file. */
export async function encodeRecording({ head, blocks }: Recording): Promise<Uint8Array> {
  const parts = [new TextEncoder().encode(`${JSON.stringify(head)}\n`)];
  for (const { connection, bytes } of blocks) {
    const prefix = new Uint8Array(5);
    prefix[0] = connection;
    new DataView(prefix.buffer).setUint32(1, bytes.length, true);
    parts.push(prefix, bytes);
  }
  const blob = new Blob(parts);
  return await through(new Uint8Array(await blob.arrayBuffer()), new CompressionStream("gzip"));
}

async function through(
  bytes: Uint8Array<ArrayBuffer>,
  stream: GenericTransformStream,
): Promise<Uint8Array<ArrayBuffer>> {
  return await new Response(new Blob([bytes]).stream().pipeThrough(stream)).bytes();
}

/** What one connection of a recording brought, taken apart. */
export interface RecordedChannel extends RecordedConnection {
  /** The link reply with its header. */
  linkReply: Uint8Array<ArrayBuffer>;
  /** The verdict on the ticket; undefined where the server closed before. */
  linkResult: number | undefined;
  /** Messages with mini headers, one behind another; the last one may be cut. */
  messages: Uint8Array<ArrayBuffer>;
}

/** Returns what came on connection number `connection`, taken apart. */
export function recordedChannel(recording: Recording, connection: number): RecordedChannel {
  const known = recording.head.connections[connection];
  if (known === undefined) throw new RangeError(`there is no connection ${connection}`);
  const bytes = joinBlocks(recording.blocks.filter((it) => it.connection === connection));
  const view = new DataView(bytes.buffer);
  const replyEnd = 16 + view.getUint32(12, true);
  return {
    ...known,
    linkReply: bytes.subarray(0, replyEnd),
    linkResult: bytes.length < replyEnd + 4 ? undefined : view.getUint32(replyEnd, true),
    messages: bytes.subarray(replyEnd + 4),
  };
}

function joinBlocks(blocks: readonly RecordedBlock[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(blocks.reduce((sum, { bytes }) => sum + bytes.length, 0));
  let at = 0;
  for (const { bytes } of blocks) {
    whole.set(bytes, at);
    at += bytes.length;
  }
  return whole;
}

/** SHA-256 of pixels as {@linkcode RecordedMoment} has it, from `0xAARRGGBB` values. */
export async function hashPixels(pixels: Uint32Array): Promise<string> {
  const rgb = new Uint8Array(pixels.length * 3);
  for (let i = 0, at = 0; i < pixels.length; i++) {
    const pixel = pixels[i]!;
    rgb[at++] = pixel >>> 16;
    rgb[at++] = pixel >>> 8;
    rgb[at++] = pixel;
  }
  return await hashRgb(rgb);
}

/** SHA-256 of pixels as {@linkcode RecordedMoment} has it, from R, G, B bytes. */
export async function hashRgb(rgb: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", rgb)).toHex();
}
