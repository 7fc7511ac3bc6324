/**
 * One bundle, one writer: an advisory file lock outside the bundle, keyed by the bundle's device and
 * inode, exclusive for a run in place and shared for disposable ones. The kernel frees it whatever
 * happens to the holder.
 */
import { join } from "@std/path";
import { pause } from "../base/deadline.ts";
import { HostFailure, RunningError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";

/**
 * How long a holder that was killed may take to let go, in milliseconds: its locks are freed with
 * the last of its threads. One that has just come writes its name in this time.
 */
const LINGER_MS = 250;
const RETRY_MS = 10;

/** What a bundle is known by, whatever path leads to it. */
export interface BundleKey {
  /** The bundle's path, for messages. */
  path: string;
  device: number;
  inode: number;
}

/** A held lock; freed when disposed. */
export class BundleLock implements Disposable {
  readonly #file: Deno.FsFile;

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /**
   * Takes the lock, waiting no longer than for a holder that has been killed.
   *
   * @throws {RunningError} when the bundle runs; the message names the pid of its supervisor.
   * @throws {HostFailure} when the folder of locks cannot be written.
   */
  static async take(
    folder: string,
    bundle: BundleKey,
    options: { shared: boolean; id: string },
  ): Promise<BundleLock> {
    const path = join(folder, `${bundle.device}-${bundle.inode}.lock`);
    let file: Deno.FsFile;
    try {
      await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
      file = await Deno.open(path, { create: true, read: true, write: true, mode: 0o600 });
    } catch (error) {
      throw new HostFailure(
        `Cannot lock ${quoted(bundle.path)}: ${error instanceof Error ? error.message : error}`,
        { cause: error, hint: "Set XDG_STATE_HOME to a folder that can be written." },
      );
    }
    try {
      const end = performance.now() + LINGER_MS;
      while (!await file.tryLock(!options.shared)) {
        if (performance.now() > end) throw await runningError(file, bundle, options);
        await pause(RETRY_MS);
      }
      await file.truncate();
      await file.write(new TextEncoder().encode(`${Deno.pid} ${options.id}\n`));
      return new BundleLock(file);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Frees the lock. The file stays: removing it would let two holders lock two files of one name. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}

async function runningError(
  file: Deno.FsFile,
  bundle: BundleKey,
  options: { shared: boolean },
): Promise<RunningError> {
  const buffer = new Uint8Array(64);
  const count = await file.read(buffer) ?? 0;
  const holder = /^(\d+) ([0-9a-f]+)\n/.exec(new TextDecoder().decode(buffer.subarray(0, count)));
  const who = holder === null ? "" : ` as ${holder[2]}, pid ${holder[1]}`;
  return new RunningError(`Cannot run ${quoted(bundle.path)}: it is running already${who}`, {
    hint: options.shared
      ? "It runs in place; stop that first: a disposable run reads the disks that it writes."
      : "Stop it first (utmost stop), or give --disposable to every run of this bundle.",
  });
}
