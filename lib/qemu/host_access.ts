/**
 * The way from the probe to the host: files, environment and programs, as an interface, so that
 * tests describe other hosts.
 */
import { withDeadline } from "../base/deadline.ts";
import { guardCommand } from "./guard.ts";
import { nativeHost } from "./native_host.ts";

/** What is known of a path, links followed. */
export interface PathStat {
  kind: "file" | "directory" | "socket" | "device" | "other";
  bytes: number;
  /** Milliseconds since 1970, with whatever fraction the runtime gives. */
  modifiedMs: number;
  /** Of the last change of content or metadata; a package manager cannot set it back. */
  changedMs: number;
  inode: number;
  /** Permission bits. */
  mode: number;
  /** The owner's number. */
  uid: number;
}

/** How a program ended. */
export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Options of {@linkcode HostAccess.run}. */
export interface RunOptions {
  /** Its whole input. */
  stdin?: string;
  /**
   * Tells from its output so far that all has been said: the program is ended then, and its status
   * means nothing.
   */
  isComplete?: (stdout: string) => boolean;
  timeoutMs: number;
  signal?: AbortSignal;
}

/**
 * A host to probe.
 *
 * Files are read synchronously: the probe reads some dozens of tiny ones from /sys, /proc and the
 * cache, and one hop through the thread pool costs more than the read.
 */
export interface HostAccess {
  os: "linux" | "darwin";
  /** The processor's architecture, by QEMU's name. */
  architecture: string;
  /** The kernel's release. */
  osRelease: string;
  /** All of the host's memory; absent: not known. */
  memoryBytes?: number;
  /** The user's number. */
  uid: number;
  env(name: string): string | undefined;
  /** The first `maxBytes` of a file as text; undefined when it cannot be read. */
  readText(path: string, maxBytes?: number): string | undefined;
  /** Names in a folder, sorted; empty when it cannot be read. */
  list(path: string): string[];
  stat(path: string): PathStat | undefined;
  /** The path without links; undefined when there is nothing. */
  realPath(path: string): string | undefined;
  /** Tries to open for reading and writing: undefined, or why not. */
  openError(path: string): "absent" | "denied" | "busy" | undefined;
  /** Absolute path of `utmost-qemu-host`, which runs UTM's QEMU; undefined where it is not built. */
  hostProgram(): string | undefined;
  /** Runs a program, by its absolute path, to its end; it outlives neither the promise nor us. */
  run(command: string, args: string[], options: RunOptions): Promise<CommandResult>;
}

/** The machine at hand. */
export function systemAccess(): HostAccess {
  const access: HostAccess = {
    os: Deno.build.os === "darwin" ? "darwin" : "linux",
    architecture: Deno.build.arch,
    osRelease: Deno.osRelease(),
    memoryBytes: Deno.systemMemoryInfo().total,
    uid: Deno.uid() ?? 0,
    env: (name) => Deno.env.get(name),
    readText,
    list: (path) => attempt(() => [...Deno.readDirSync(path)].map((e) => e.name).sort()) ?? [],
    stat,
    realPath: (path) => attempt(() => Deno.realPathSync(path)),
    openError,
    hostProgram: nativeHost,
    run,
  };
  return access;
}

/** The result of `read`, or undefined when the host does not have or show it. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function readText(path: string, maxBytes?: number): string | undefined {
  if (maxBytes === undefined) return attempt(() => Deno.readTextFileSync(path));
  return attempt(() => {
    using file = Deno.openSync(path);
    const bytes = new Uint8Array(maxBytes);
    let length = 0;
    while (length < maxBytes) {
      const count = file.readSync(bytes.subarray(length));
      if (count === null) break;
      length += count;
    }
    return new TextDecoder().decode(bytes.subarray(0, length));
  });
}

function stat(path: string): PathStat | undefined {
  const info = attempt(() => Deno.statSync(path));
  if (info === undefined) return undefined;
  const kind = info.isFile
    ? "file"
    : info.isDirectory
    ? "directory"
    : info.isSocket
    ? "socket"
    : info.isCharDevice || info.isBlockDevice
    ? "device"
    : "other";
  return {
    kind,
    bytes: info.size,
    modifiedMs: info.mtime?.getTime() ?? 0,
    changedMs: info.ctime?.getTime() ?? 0,
    inode: info.ino ?? 0,
    mode: (info.mode ?? 0) & 0o7777,
    uid: info.uid ?? 0,
  };
}

function openError(path: string): "absent" | "denied" | "busy" | undefined {
  try {
    Deno.openSync(path, { read: true, write: true }).close();
    return undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "absent";
    if (error instanceof Deno.errors.PermissionDenied) return "denied";
    return "busy";
  }
}

/** Becomes a program that reads the text `$0`: all of it, whether or not we live on. */
const WITH_INPUT = 'exec "$@" <<UTMOST_END\n$0\nUTMOST_END';

/**
 * Runs a program in a guard, so that a `kill -9` of this process leaves none behind. Its input is
 * not a pipe of ours: a QEMU whose QMP monitor meets the end of its input waits on, for ever.
 */
async function run(command: string, args: string[], options: RunOptions): Promise<CommandResult> {
  const { stdin, timeoutMs, signal, isComplete } = options;
  const { program, args: guarded, lifeline } = stdin === undefined
    ? guardCommand(command, args)
    : guardCommand("/bin/sh", ["-c", WITH_INPUT, stdin, command, ...args]);
  const child = new Deno.Command(program, {
    args: guarded,
    stdin: lifeline ? "piped" : "null",
    stdout: "piped",
    stderr: "piped",
    detached: true, // Ctrl-C is ours to handle, and a guard needs a process group
  }).spawn();
  const end = () => {
    try {
      Deno.kill(-child.pid, "SIGKILL"); // the whole group: a wrapper script has children
    } catch { /* it has just ended */ }
  };
  const ended = Promise.all([
    child.status,
    textUntil(child.stdout, isComplete, end),
    text(child.stderr),
  ]);
  try {
    const [status, stdout, stderr] = await withDeadline(
      `the end of ${command}`,
      () => ended,
      { timeoutMs, ...(signal && { signal }) },
    );
    return { code: status.code, stdout, stderr };
  } catch (error) {
    end();
    throw error;
  } finally {
    await child.status;
    if (lifeline) await release(child.stdin);
    await ended;
  }
}

/** Tells the guard at the other end of a lifeline that there is nothing left to guard. */
async function release(lifeline: WritableStream<Uint8Array>): Promise<void> {
  const writer = lifeline.getWriter();
  try {
    await writer.write(new TextEncoder().encode("\n"));
    await writer.close();
  } catch { /* the guard is gone too */ }
}

/** Reads to the end; calls `end` as soon as `isComplete` says so of what has come. */
async function textUntil(
  stream: ReadableStream<Uint8Array>,
  isComplete: RunOptions["isComplete"],
  end: () => void,
): Promise<string> {
  if (isComplete === undefined) return await text(stream);
  let read = "";
  let isEnded = false;
  for await (const part of stream.pipeThrough(new TextDecoderStream())) {
    read += part;
    if (isEnded || !isComplete(read)) continue;
    isEnded = true;
    end();
  }
  return read;
}

async function text(stream: ReadableStream<Uint8Array>): Promise<string> {
  return await new Response(stream).text();
}
