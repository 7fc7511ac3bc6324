/**
 * The guest's GPU of a {@linkcode SpicePeer}: scanouts of memfds and of pipes with surfaces' numbers,
 * and draws, which a client has to acknowledge. `tests/rigs/spice_peer/main.c` has the language.
 */
import { join } from "@std/path";
import type { SpicePeer } from "./spice_peer.ts";

/** What a scanout is made of, and what its message says otherwise. */
export interface GlScanoutOptions {
  /** A memfd, or a pipe with the number of a surface. */
  kind?: "memory" | "pipe";
  width: number;
  height: number;
  /** A DRM fourcc of a memfd ("XR24" when left out), "BGRA" or "RGBA" of a surface. */
  format?: string;
  /** Bytes of a row; as few as there can be when left out. */
  stride?: number;
  y0top?: boolean;
  /** A memfd that may be cut off later. */
  loose?: boolean;
  /** The picture follows from it. */
  seed?: number;
  /** How many of the number's four bytes are in the pipe, or how many more. */
  bytes?: number;
  /** A number without a surface. */
  id?: number;
  /** Planes of the surface. */
  planes?: number;
  /** Other processes do not find the surface. */
  hidden?: boolean;
  /** The other end of the pipe is closed. */
  hung?: boolean;
  claim?: { width?: number; height?: number; stride?: number; fourcc?: string };
}

/** What is posted and done. */
export interface GlInfo {
  /** Draws that are not acknowledged. */
  owed: number;
  draws: number;
  scanouts: number;
  /** Open files of the peer. */
  fds: number;
}

/** Round trips from draw to acknowledgement; times in microseconds. */
export interface GlTimes {
  draws: number;
  seconds: number;
  perSecond: number;
  p50: number;
  p99: number;
  max: number;
}

/** A rectangle in the guest's coordinates. */
export interface GlArea {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** The scanout as {@linkcode SpicePeer.command} takes it. */
function scanoutWords(options: GlScanoutOptions): string {
  const { kind = "memory", width, height, claim = {} } = options;
  const words: string[] = [kind, String(width), String(height)];
  for (const key of ["format", "stride", "seed", "bytes", "id", "planes"] as const) {
    if (options[key] !== undefined) words.push(`${key}=${options[key]}`);
  }
  for (const word of ["y0top", "loose", "hung", "hidden"] as const) {
    if (options[word] === true) words.push(word);
  }
  for (const [key, value] of Object.entries(claim)) words.push(`claim_${key}=${value}`);
  return words.join(" ");
}

/** The GPU of the display that the peer has chosen; owns nothing. */
export class GlPeer {
  readonly #peer: SpicePeer;

  constructor(peer: SpicePeer) {
    this.#peer = peer;
  }

  /** A new buffer, and the heads behind it. */
  async scanout(options: GlScanoutOptions): Promise<void> {
    await this.#peer.command(`gl scanout ${scanoutWords(options)}`);
  }

  /** The same scanout once more: the same memfd, or the same pipe. */
  async again(): Promise<void> {
    await this.#peer.command("gl again");
  }

  /** No scanout any more. */
  async off(): Promise<void> {
    await this.#peer.command("gl off");
  }

  /** So many new buffers, one behind the other, with seeds counting up. */
  async flood(count: number, options: GlScanoutOptions): Promise<void> {
    await this.#peer.command(`gl flood ${count} ${scanoutWords(options)}`);
  }

  /** Paints into the buffer; the client does not hear of it before the next draw. */
  async paint(seed: number, area?: GlArea): Promise<void> {
    await this.#peer.command(`gl paint ${seed} ${areaWords(area)}`.trimEnd());
  }

  /** Cuts a loose memfd off behind its first byte. */
  async cut(): Promise<void> {
    await this.#peer.command("gl cut");
  }

  /** A draw; resolves once it is acknowledged, with the time that took in microseconds. */
  async draw(area?: GlArea): Promise<number> {
    return Number(await this.#peer.command(`gl draw ${areaWords(area)}`.trimEnd()));
  }

  /** A draw that is not waited for. */
  async post(area?: GlArea): Promise<void> {
    await this.#peer.command(`gl post ${areaWords(area)}`.trimEnd());
  }

  /** Waits until no acknowledgement is owed. @throws {Error} when one does not come. */
  async settle(timeoutMs = 10_000): Promise<void> {
    await this.#peer.command(`gl settle ${timeoutMs}`);
  }

  /**
   * Draws one behind the other, with pauses of `pauseMs`, and the same scanout again before every
   * `scanoutEvery`th.
   */
  async draws(
    count: number,
    options: { pauseMs?: number; scanoutEvery?: number; area?: GlArea } = {},
  ): Promise<GlTimes> {
    const { pauseMs = 0, scanoutEvery = 0, area } = options;
    const words = `${count} ${pauseMs} ${scanoutEvery} ${areaWords(area)}`;
    return JSON.parse(await this.#peer.command(`gl draws ${words}`.trimEnd()));
  }

  async info(): Promise<GlInfo> {
    return JSON.parse(await this.#peer.command("gl info"));
  }

  /** What is to be shown: 0xffRRGGBB words, top line first. */
  async expect(): Promise<Uint32Array> {
    const path = join(this.#peer.folder, `${crypto.randomUUID()}.raw`);
    await this.#peer.command(`gl expect ${path}`);
    const bytes = await Deno.readFile(path);
    await Deno.remove(path);
    return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  }
}

function areaWords(area: GlArea | undefined): string {
  return area === undefined ? "" : `${area.x} ${area.y} ${area.w} ${area.h}`;
}
