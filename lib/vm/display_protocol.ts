/** What a display's thread and its owner tell each other by messages. */
import type { SharedTexture } from "../display/gl_interfaces.ts";
import {
  SpiceClosedError,
  SpiceConnectError,
  SpiceDecodeError,
  SpiceLimitError,
  SpiceLinkError,
  SpiceTimeoutError,
} from "../spice/errors.ts";
import { SpiceError, UtmostError } from "../base/errors.ts";
import type { AwaitedMessage, SpiceNotice, SpiceWarning } from "../spice/channel_link.ts";

/** What the thread begins with. */
export interface DisplayStart {
  /** Where the native library is. */
  shim: string;
  /** The descriptor that wakes the thread, which is its own from then on. */
  wakeUp: number;
  /** Memory of the shared numbers and of the ledger. */
  cells: SharedArrayBuffer;
  ledger: SharedArrayBuffer;
  /** Which GPU EGL should take, where it can choose. */
  renderNode?: string;
}

/** A display to link. */
export interface DisplayTask {
  /** The connected socket, the thread's own from then on; also in the shared numbers. */
  socket: number;
  name: string;
  id: number;
  connectionId: number;
  password?: string;
  compression?: "off" | "lz";
  /** Whether compressed images are decoded from the first message on. */
  hasDecoders: boolean;
}

/** What the owner asks for; a thread that blocks is woken for each. */
export type DisplayCommand =
  | { do: "start"; start: DisplayStart }
  | { do: "open"; task: DisplayTask }
  /** Ends the channel, or its link. */
  | { do: "close"; text: string }
  /** Ends the channel if nothing has moved for so long. */
  | { do: "stall"; periodMs: number }
  /** Loads the decoders of compressed images. */
  | { do: "decode" }
  | { do: "watch"; isWatched: boolean }
  /** Brings a texture that is lent up to date, and tells of a change. */
  | { do: "refresh" }
  /** The picture now, or, of a guest that draws and unless `isUrgent`, at its next draw. */
  | { do: "capture"; call: number; isUrgent: boolean }
  | { do: "texture"; call: number }
  /** What the thread has waited for is there, or will never be. */
  | { do: "go on"; call: number; error?: PlainError }
  /** There may be more to tell of what is shown. */
  | { do: "tell" }
  /** Ends the thread. */
  | { do: "end" };

/** What a display shows. */
export interface ShownPicture {
  kind: "surface" | "gl";
  /** Pixels; 0 where nothing is shown. */
  width: number;
  height: number;
  /** A surface's pixels, which the thread draws on: 0xAARRGGBB, without padding. */
  pixels?: SharedArrayBuffer;
}

/** A picture that was asked for. */
export type CapturedPicture =
  | { width: number; height: number; pixels: ArrayBuffer }
  /** It is a surface: the owner has its memory. */
  | "surface"
  /** Why there is none. */
  | { why: string };

/** What the thread tells. */
export type DisplayNews =
  | { is: "ready" }
  | { is: "waiting"; what: string }
  | { is: "linked" }
  | { is: "first message" }
  /** The channel, or the attempt to link one, has ended. */
  | { is: "ended"; by: "client" | "server" | "error"; text: string; error?: PlainError }
  | { is: "shown"; count: number; picture: ShownPicture }
  | { is: "changed" }
  | { is: "captured"; call: number; picture: CapturedPicture }
  | { is: "texture"; call: number; texture: SharedTexture | undefined }
  | { is: "await"; call: number; awaited: readonly AwaitedMessage[] }
  | { is: "reached" }
  | { is: "migrating" }
  | { is: "notice"; notice: SpiceNotice }
  | { is: "warning"; warning: SpiceWarning }
  /** What of the picture is not as the guest's. */
  | { is: "flaw"; text: string }
  /** The thread has let go of all that it had. */
  | { is: "over" };

/** An error on its way to another thread. */
export interface PlainError {
  name: string;
  message: string;
  hint?: string;
  stack?: string;
  /** What the server answered to a link. */
  code?: number;
  /** Whether it is one of ours for the user to read; else it is a defect. */
  isKnown: boolean;
}

const CLASSES = {
  SpiceClosedError,
  SpiceConnectError,
  SpiceDecodeError,
  SpiceLimitError,
  SpiceLinkError,
  SpiceTimeoutError,
  SpiceError,
} as const;

/** Returns an error as it can be posted. */
export function plainError(error: unknown): PlainError {
  const it = error instanceof Error ? error : new Error(String(error));
  return {
    name: it.name,
    message: it.message,
    isKnown: error instanceof UtmostError,
    ...(error instanceof UtmostError && error.hint !== undefined ? { hint: error.hint } : {}),
    ...(it.stack === undefined ? {} : { stack: it.stack }),
    ...(error instanceof SpiceLinkError && error.code !== undefined ? { code: error.code } : {}),
  };
}

/** Returns the error that was posted; of its own class where that matters. */
export function errorOf({ name, message, hint, stack, code, isKnown }: PlainError): Error {
  if (!isKnown) return Object.assign(new Error(message), { name, ...(stack ? { stack } : {}) });
  const Class = CLASSES[name as keyof typeof CLASSES] ?? SpiceError;
  const options = {
    ...(hint === undefined ? {} : { hint }),
    ...(code === undefined ? {} : { code }),
  };
  return new Class(message, options);
}
