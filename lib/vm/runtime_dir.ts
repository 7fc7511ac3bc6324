/**
 * Where running VMs are found: one folder per instance, named by its id, that holds its sockets.
 *
 * A folder is in use as long as its supervisor holds the advisory lock on the file `pid` in it; the
 * kernel frees that lock however the supervisor ends, so a folder that is not locked is rubbish.
 */
import { join } from "@std/path";
import { HostFailure, UsageError } from "../base/errors.ts";
import { ensurePrivateFolder } from "../base/private_folder.ts";
import { quoted } from "../base/text.ts";

/** An id: 8 hex digits, a letter first, so that it is a valid VM name and never looks like a number. */
const ID = /^[a-f][0-9a-f]{7}$/;
/** A folder whose `pid` file is missing or empty is left alone for so long: it may be just made. */
const GRACE_MS = 10_000;

/** Makes a new instance id. */
export function newInstanceId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(4));
  bytes[0] = 0xa0 + (bytes[0] ?? 0) % 0x60;
  return bytes.toHex();
}

/** The paths inside an instance's folder. */
export interface InstancePaths {
  id: string;
  directory: string;
  /** Control socket of the supervisor. */
  control: string;
  /** Locked by the supervisor; holds its pid. */
  pid: string;
}

/** The paths of one instance below the runtime folder. */
export function instancePaths(runtime: string, id: string): InstancePaths {
  const directory = join(runtime, id);
  return { id, directory, control: join(directory, "control"), pid: join(directory, "pid") };
}

/**
 * Makes sure that the runtime folder exists, belongs to us, and lets nobody else in.
 *
 * @throws {HostFailure} when it cannot be made or is not ours alone.
 */
export function ensureRuntimeDirectory(runtime: string): void {
  const hint = "Set XDG_RUNTIME_DIR to a folder of your own that can be written.";
  ensurePrivateFolder(runtime, "the runtime folder", hint);
}

/** The folder of one instance of ours: locked, and removed at the end. */
export class InstanceDirectory implements AsyncDisposable {
  readonly paths: InstancePaths;
  readonly #pidFile: Deno.FsFile;

  private constructor(paths: InstancePaths, pidFile: Deno.FsFile) {
    this.paths = paths;
    this.#pidFile = pidFile;
  }

  /**
   * Makes and locks the folder of a new instance.
   *
   * @throws {UsageError} when an instance of that id runs.
   * @throws {HostFailure} when the folder cannot be made.
   */
  static async create(runtime: string, id: string): Promise<InstanceDirectory> {
    ensureRuntimeDirectory(runtime);
    const paths = instancePaths(runtime, id);
    try {
      await Deno.mkdir(paths.directory, { mode: 0o700 });
      const pidFile = await Deno.open(paths.pid, {
        createNew: true,
        read: true,
        write: true,
        mode: 0o600,
      });
      await pidFile.lock(true); // whoever lists instances may hold it for a moment
      await pidFile.write(new TextEncoder().encode(`${Deno.pid}\n`));
      return new InstanceDirectory(paths, pidFile);
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) {
        throw new UsageError(`Cannot use the instance id ${id}: it is taken`);
      }
      throw new HostFailure(
        `Cannot make the folder of this instance, ${quoted(paths.directory)}: ${reason(error)}`,
        { cause: error },
      );
    }
  }

  /** Removes the folder with all that is in it, and frees the lock. */
  async [Symbol.asyncDispose](): Promise<void> {
    await removeTree(this.paths.directory);
    this.#pidFile.close();
  }
}

/**
 * Lists the instances whose supervisors live, and removes the folders of those that do not.
 * A missing runtime folder is an empty list.
 */
export async function listInstances(runtime: string): Promise<InstancePaths[]> {
  const found: InstancePaths[] = [];
  try {
    for await (const entry of Deno.readDir(runtime)) {
      if (!entry.isDirectory || !ID.test(entry.name)) continue;
      const paths = instancePaths(runtime, entry.name);
      if (await isAlive(paths)) found.push(paths);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return found.sort((a, b) => a.id < b.id ? -1 : 1);
}

/** Whether a supervisor holds the folder; if none does, the folder is removed. */
async function isAlive(paths: InstancePaths): Promise<boolean> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(paths.pid, { read: true, write: true });
  } catch {
    const info = await Deno.lstat(paths.directory).catch(() => undefined);
    const ageMs = Date.now() - (info?.mtime?.getTime() ?? Date.now());
    if (ageMs > GRACE_MS) await removeTree(paths.directory);
    return false;
  }
  try {
    if (!await file.tryLock(true)) return true;
    // Ours for a moment: its supervisor is gone, unless it has not locked the file yet.
    const { size, mtime } = await file.stat();
    const ageMs = Date.now() - (mtime?.getTime() ?? Date.now());
    if (size > 0 || ageMs > GRACE_MS) await removeTree(paths.directory);
    return false;
  } finally {
    file.close();
  }
}

async function removeTree(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error: unknown) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
