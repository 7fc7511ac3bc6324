/** Guests of one boot sector each, from the sources in `tests/rigs`. */
import { fromFileUrl, join } from "@std/path";

const RIGS = fromFileUrl(new URL("../rigs", import.meta.url));
/** SeaBIOS boots no disk that is smaller than a cylinder. */
const DISK_BYTES = 1 << 20;

/**
 * Builds `tests/rigs/NAME.S` into a disk in `folder`.
 *
 * @returns The disk's path.
 */
export async function bootDisk(name: string, folder: string): Promise<string> {
  const prefix = Deno.build.os === "darwin" ? "x86_64-elf-" : "x86_64-linux-gnu-";
  const [object, disk] = [join(folder, `${name}.o`), join(folder, `${name}.img`)];
  await run(`${prefix}as`, ["--32", "-o", object, join(RIGS, `${name}.S`)]);
  const layout = ["-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary"];
  await run(`${prefix}ld`, [...layout, "-o", disk, object]);
  await Deno.truncate(disk, DISK_BYTES);
  return disk;
}

async function run(command: string, args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args: [...args] }).output();
  if (success) return;
  throw new Error(`${command} failed: ${new TextDecoder().decode(stderr)}`);
}
