/** Files that are replaced at once: whoever reads one sees the old content or the new. */

/**
 * Lets `write` make a file beside `path`, and puts it in its place. A symbolic link stays one, also
 * where nothing is at its end yet. What is no regular file (a pipe, a device) is written to as it is.
 *
 * @throws what `write` throws, and the system's errors; a file that was there is then as it was.
 */
export async function replaceFile(
  path: string,
  write: (path: string) => Promise<void>,
): Promise<void> {
  const { target, there } = await placeOf(path);
  if (there !== undefined && !there.isFile) return await write(target);
  const temporary = beside(target);
  try {
    // A file that may not be written must not be replaced either.
    if (there !== undefined) (await Deno.open(target, { write: true })).close();
    (await Deno.open(temporary, { createNew: true, write: true })).close();
    if (there !== undefined && there.mode !== null) await Deno.chmod(temporary, there.mode & 0o777);
    await write(temporary);
    await Deno.rename(temporary, target);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}

/**
 * Checks that a file can be written at `path`, before there is anything to write; all is left as it
 * is. A pipe is not looked at: to open it may wait.
 *
 * @throws the system's errors, as writing would.
 */
export async function expectWritable(path: string): Promise<void> {
  const { target, there } = await placeOf(path);
  if (there !== undefined) {
    if (there.isFile || there.isDirectory) (await Deno.open(target, { write: true })).close();
    return;
  }
  const temporary = beside(target);
  (await Deno.open(temporary, { createNew: true, write: true })).close();
  await Deno.remove(temporary);
}

/** The file that `path` stands for, and what is there. */
async function placeOf(
  path: string,
): Promise<{ target: string; there: Deno.FileInfo | undefined }> {
  const target = await Deno.realPath(path).catch(() => endOf(path));
  return { target, there: await Deno.stat(target).catch(() => undefined) };
}

/** A new name beside a file; not made of its own, which may be as long as a name can be. */
function beside(target: string): string {
  const slash = target.lastIndexOf("/") + 1;
  return `${target.slice(0, slash)}.utmost-${crypto.randomUUID().slice(0, 8)}`;
}

/** Where a link leads that has nothing at its end; other paths as they are. */
async function endOf(path: string): Promise<string> {
  const next = await Deno.readLink(path).catch(() => undefined);
  if (next === undefined || next.startsWith("/")) return next ?? path;
  return path.slice(0, path.lastIndexOf("/") + 1) + next;
}
