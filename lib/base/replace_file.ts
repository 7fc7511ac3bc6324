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
  const target = await Deno.realPath(path).catch(() => endOf(path));
  const there = await Deno.stat(target).catch(() => undefined);
  if (there !== undefined && !there.isFile) return await write(target);
  const slash = target.lastIndexOf("/") + 1;
  // Not made of the name, which may be as long as a name can be.
  const temporary = `${target.slice(0, slash)}.utmost-${crypto.randomUUID().slice(0, 8)}`;
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

/** Where a link leads that has nothing at its end; other paths as they are. */
async function endOf(path: string): Promise<string> {
  const next = await Deno.readLink(path).catch(() => undefined);
  if (next === undefined || next.startsWith("/")) return next ?? path;
  return path.slice(0, path.lastIndexOf("/") + 1) + next;
}
