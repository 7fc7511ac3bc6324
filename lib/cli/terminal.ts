/** The user's terminal on a guest's serial port: bytes both ways, raw mode, an escape sequence. */

import { OutputQueue } from "./output_queue.ts";

/** The other end: a serial port of ours, or one behind a control socket. */
export interface TerminalPeer {
  /** Calls `listener` with the guest's output. */
  tap(listener: (bytes: Uint8Array) => void): Disposable;
  /** Sends what was typed. */
  write(bytes: Uint8Array): Promise<void>;
}

/** Options of {@linkcode attachTerminal}. */
export interface TerminalOptions {
  /** Whether stdin goes to the guest. */
  input: boolean;
  /** Called when the user types the escape sequence. */
  onEscape: () => void;
  /** Called when raw mode begins and ends. */
  onRaw?: (raw: boolean) => void;
}

/** Ctrl-A: the key that begins an escape sequence, as in QEMU's own terminal. */
const ESCAPE_KEY = 0x01;
const LEAVE_KEY = "x".charCodeAt(0);

/** The escape sequence, for people. */
export const ESCAPE_HELP = "Ctrl-A x";

/**
 * Finds the escape sequence in what is typed. Ctrl-A x leaves; Ctrl-A Ctrl-A sends one Ctrl-A; any
 * other key behind Ctrl-A is sent with it.
 */
export class EscapeFilter {
  #pending = false;

  /** Returns the bytes for the guest, and whether the user wants to leave. */
  push(bytes: Uint8Array): { bytes: Uint8Array; leave: boolean } {
    const out: number[] = [];
    for (const byte of bytes) {
      if (this.#pending) {
        this.#pending = false;
        if (byte === LEAVE_KEY) return { bytes: Uint8Array.from(out), leave: true };
        out.push(ESCAPE_KEY);
        if (byte !== ESCAPE_KEY) out.push(byte);
      } else if (byte === ESCAPE_KEY) this.#pending = true;
      else out.push(byte);
    }
    return { bytes: Uint8Array.from(out), leave: false };
  }
}

/** A terminal in use. */
export interface AttachedTerminal {
  /** Writes what is still queued, and gives the terminal back as it was. */
  detach(): Promise<void>;
}

/** Connects stdout, and stdin if asked for, to a serial port. Raw mode is used where stdin is a TTY. */
export function attachTerminal(peer: TerminalPeer, options: TerminalOptions): AttachedTerminal {
  const output = new OutputQueue(Deno.stdout);
  const tap = peer.tap((bytes) => output.push(bytes));
  const raw = options.input && Deno.stdin.isTerminal();
  const restore = () => {
    if (!raw) return;
    try {
      Deno.stdin.setRaw(false);
    } catch {
      // The terminal is gone.
    }
    options.onRaw?.(false);
  };
  if (raw) {
    Deno.stdin.setRaw(true);
    options.onRaw?.(true);
    globalThis.addEventListener("unload", restore, { once: true });
  }
  if (options.input) void pump(peer, raw, options.onEscape);
  return {
    async detach() {
      tap[Symbol.dispose]();
      await output.flushed();
      restore();
      globalThis.removeEventListener("unload", restore);
    },
  };
}

/** Sends stdin to the guest until it ends; a pending read does not keep the process alive. */
async function pump(peer: TerminalPeer, raw: boolean, onEscape: () => void): Promise<void> {
  const filter = new EscapeFilter();
  const buffer = new Uint8Array(4096);
  for (;;) {
    const count = await Deno.stdin.read(buffer).catch(() => null);
    if (count === null) return;
    const typed = buffer.slice(0, count);
    const { bytes, leave } = raw ? filter.push(typed) : { bytes: typed, leave: false };
    if (bytes.length > 0 && !await peer.write(bytes).then(() => true, () => false)) return;
    if (leave) onEscape();
  }
}
