/**
 * The way from the probe to the host: files, environment and programs, as an interface, so that
 * tests describe other hosts.
 */
import { withDeadline } from "../base/deadline.ts";

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
  /** Written at once; the pipe stays open until the program ends. */
  stdin?: string;
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
  /** Runs a program to its end; the program does not outlive the promise. */
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

async function run(command: string, args: string[], options: RunOptions): Promise<CommandResult> {
  const { stdin, timeoutMs, signal } = options;
  const child = new Deno.Command(command, {
    args,
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const ended = Promise.all([child.status, text(child.stdout), text(child.stderr)]);
  const write = stdin === undefined ? Promise.resolve() : feed(child.stdin, stdin, child.status);
  try {
    const [status, stdout, stderr] = await withDeadline(
      `the end of ${command}`,
      () => ended,
      { timeoutMs, ...(signal && { signal }) },
    );
    return { code: status.code, stdout, stderr };
  } catch (error) {
    try {
      child.kill("SIGKILL");
    } catch { /* it has just ended */ }
    throw error;
  } finally {
    await Promise.allSettled([ended, write]);
  }
}

/**
 * Writes `input` and closes the pipe only when the program has ended: a QMP monitor drops the
 * commands that it has not executed yet when its input ends.
 */
async function feed(
  stdin: WritableStream<Uint8Array>,
  input: string,
  ended: Promise<unknown>,
): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(input));
    await ended;
  } finally {
    await writer.close().catch(() => {}); // the program is gone
  }
}

async function text(stream: ReadableStream<Uint8Array>): Promise<string> {
  return await new Response(stream).text();
}
