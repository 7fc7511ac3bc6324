/** One display of a guest, wherever it is drawn: in this thread or in one of its own. */
import { withDeadline } from "../base/deadline.ts";
import type { ImageDecoders } from "../display/decoders.ts";
import type { GlReport } from "../display/gl_ledger.ts";
import type { Picture } from "../display/picture.ts";
import type { ChannelStats } from "../spice/channel_link.ts";
import type { LentTexture } from "./display_thread.ts";

/** How often a follower hears of a display that changes, in milliseconds: a screen's own pace. */
export const FRAME_MS = 16;

/** One display as it is now. Source: the contract in README.md, "view". */
export interface DisplayReport {
  /** Which display; they count from 0. */
  id: number;
  /** Whether its picture comes as pixels that are drawn here, or as buffers of the GPU. */
  kind: "surface" | "gl";
  /** Pixels; 0 while nothing is shown. */
  width: number;
  height: number;
  /** How often the picture has changed; changes within 16 ms are one. */
  frames: number;
  /** The ledger of GL scanouts; zeros where there were none. */
  gl: GlReport;
  /** All that came on the display's channel. */
  surface: { messages: number; bytes: number };
}

/** The ledger of a display where no scanout has come. */
export const NO_GL: Readonly<GlReport> = {
  scanouts: 0,
  draws: 0,
  acks: 0,
  ackMicros: { p50: 0, p99: 0 },
  copies: 0,
  copyMicros: { p50: 0, p99: 0 },
  imports: 0,
  textures: 0,
  cpuBytes: 0,
  kinds: [],
};

/** Options of a screen. */
export interface ScreenOptions {
  /** Decodes compressed images from the first message on. */
  decoders?: ImageDecoders;
  /** Called with each picture of another size or kind: a mode set. */
  onMode?: (display: DisplayReport) => void;
  /** Takes what cannot be drawn, one text for each kind of it. */
  onWarning?: (text: string) => void;
  /** Takes what a callback has thrown, which is a defect of ours and must not end the VM. */
  onDefect?: (error: unknown) => void;
  /** Is told of a GL draw that was not acknowledged in time; the guest goes on all the same. */
  onGuard?: (text: string) => void;
}

/** A picture without a word about its alpha, which means nothing on a screen. */
export type ScreenPicture = Omit<Picture, "hasAlpha" | "pixels"> & { readonly pixels: Uint32Array };

/** A picture, or why there is none. */
export type Captured = readonly [picture: ScreenPicture] | readonly [undefined, string];

/** One display. */
export interface Screen extends Disposable {
  /** The channel's name, and which display it is. */
  readonly name: string;
  readonly id: number;
  /** Turns of an event loop in which the picture has changed. */
  readonly changes: number;
  /** Why its channel has ended; its picture may be old from then on. */
  readonly ended: string | undefined;
  /** Whether somebody wants to know of frames as they come. */
  isFollowed: boolean;
  /** The picture in memory of ours, which the guest draws on; undefined where it is on the GPU. */
  readonly pixels: ScreenPicture | undefined;
  /** Resolves once there is a picture. @throws the signal's reason when it is aborted. */
  pictured(signal?: AbortSignal): Promise<void>;
  /** The picture as it is now; one on the GPU is read back. @throws the signal's reason. */
  picture(signal: AbortSignal): Promise<Captured>;
  /** How it is now. @param stats Live counts of its channel; those known before when left out. */
  report(stats?: Readonly<ChannelStats>): DisplayReport;
  /** Draws from now on, where it was held. */
  release(): void;
  /** Draws compressed images from now on. */
  loadDecoders(): Promise<void>;
  /** Keeps a copy of a picture on the GPU up to date for who shows it, or no longer. */
  watch(isWatched: boolean): void;
  /** The texture with that copy; undefined where nobody watches, or the picture is in `pixels`. */
  texture(signal: AbortSignal): Promise<LentTexture | undefined>;
}

/** Calls what is not ours, such as a listener; nobody could catch what it throws. */
export function guarded({ onDefect }: Pick<ScreenOptions, "onDefect">, call: () => void): void {
  try {
    call();
  } catch (error) {
    onDefect?.(error);
  }
}

/** Waits for the first picture of a screen. @throws the signal's reason when it is aborted. */
export async function firstPicture(first: Promise<void>, signal?: AbortSignal): Promise<void> {
  await withDeadline("a picture", () => first, signal === undefined ? {} : { signal });
}
