/** The files of a bundle that no key names: UEFI variables and TPM state. */
import { basename, dirname, join } from "@std/path";
import { BundleError, HostError, HostFailure } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import type { Bundle, OutsideFile } from "./bundle.ts";
import { isInside, kindOf, reason } from "./images.ts";
import type { BundleFiles, Config } from "./model.ts";

/** Where UEFI variables and TPM state are, and which of them are not in the bundle. */
export interface OwnFiles {
  files: Pick<BundleFiles, "efiVars" | "efiVarsBytes" | "tpmState">;
  outside: OutsideFile[];
}

/**
 * Finds the UEFI variables and the TPM state; what the configuration does not use is not looked at.
 *
 * @throws {BundleError} if something else is in their place.
 */
export async function ownFiles(
  bundle: Pick<Bundle, "path" | "dataFolder"> & { config: Pick<Config, "qemu"> },
): Promise<OwnFiles> {
  const efiVars = join(bundle.dataFolder, "efi_vars.fd");
  const tpmState = join(bundle.dataFolder, "tpmdata");
  const outside: OutsideFile[] = [];
  const look = async (key: string, path: string, used: boolean) => {
    const found = used ? await findOwn(path) : undefined;
    if (found && !isInside(found.realPath, bundle.path)) {
      outside.push({ key, path, realPath: found.realPath });
    }
    return found;
  };
  const vars = await look("QEMU.UEFIBoot", efiVars, bundle.config.qemu.uefiBoot);
  await look("QEMU.TPMDevice", tpmState, bundle.config.qemu.tpmDevice);
  return {
    files: { efiVars, tpmState, ...(vars?.isFile ? { efiVarsBytes: vars.bytes } : {}) },
    outside,
  };
}

/** One file, or where it would be made: then its folder tells whether that is in the bundle. */
async function findOwn(
  path: string,
): Promise<{ realPath: string; bytes: number; isFile: boolean } | undefined> {
  try {
    await Deno.lstat(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw unusable(path, reason(error), error);
    try {
      const realPath = join(await Deno.realPath(dirname(path)), basename(path));
      return { realPath, bytes: 0, isFile: false };
    } catch {
      return undefined;
    }
  }
  try {
    const realPath = await Deno.realPath(path);
    const info = await Deno.stat(realPath);
    if (!info.isFile) throw unusable(path, `it is ${kindOf(info)}`);
    return { realPath, bytes: info.size, isFile: true };
  } catch (error) {
    if (error instanceof BundleError) throw error;
    // A link to nowhere would have us make a file wherever it says.
    if (error instanceof Deno.errors.NotFound) {
      throw unusable(path, "it is a symbolic link that leads nowhere", error);
    }
    throw unusable(path, reason(error), error);
  }
}

function unusable(path: string, what: string, cause?: unknown): BundleError {
  return new BundleError(`Cannot use ${quoted(path)}: ${what}, expected a file`, {
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Options of {@linkcode ensureEfiVars}. */
export interface EfiVarsOptions {
  /** Absolute path of a folder for a copy of the variables, when the bundle is not to be written. */
  copyTo?: string;
}

/**
 * Makes the UEFI variables from the firmware's template if there are none yet. The file appears
 * complete or not at all, and of two that make it at once the first wins.
 *
 * @param templatePath Absolute path of the firmware's empty variable store.
 * @returns The files with `efiVars` and `efiVarsBytes` as they are now.
 * @throws {HostError} if the template cannot be read.
 * @throws {HostFailure} if the variables cannot be written.
 */
export async function ensureEfiVars<Files extends BundleFiles>(
  files: Files,
  templatePath: string,
  options: EfiVarsOptions = {},
): Promise<Files> {
  const { copyTo } = options;
  if (files.efiVarsBytes !== undefined && copyTo === undefined) return files;
  const source = files.efiVarsBytes === undefined ? templatePath : files.efiVars;
  const target = copyTo === undefined ? files.efiVars : join(copyTo, "efi_vars.fd");
  let content: Uint8Array;
  try {
    content = await Deno.readFile(source);
  } catch (error) {
    throw new HostError(`Cannot read the UEFI variables in ${quoted(source)}: ${reason(error)}`, {
      cause: error,
      hint: "They belong to the firmware's package (OVMF, AAVMF, edk2)",
    });
  }
  try {
    if (copyTo === undefined) await Deno.mkdir(dirname(target), { recursive: true });
    await createWhole(target, content);
    return { ...files, efiVars: target, efiVarsBytes: (await Deno.stat(target)).size };
  } catch (error) {
    throw new HostFailure(`Cannot make ${quoted(target)}: ${reason(error)}`, {
      cause: error,
      hint: "Make the bundle writable, or use --disposable to leave it as it is",
    });
  }
}

/** Writes a file beside its place and links it there, which fails if there is one already. */
async function createWhole(path: string, content: Uint8Array): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    {
      using file = await Deno.open(temporary, { write: true, createNew: true, mode: 0o644 });
      for (let at = 0; at < content.length;) at += await file.write(content.subarray(at));
      await file.sync();
    }
    await Deno.chmod(temporary, 0o644); // whatever the umask is, as UTM does
    await linkOrRename(temporary, path);
  } finally {
    await Deno.remove(temporary).catch(() => {}); // gone after a rename
  }
}

async function linkOrRename(from: string, to: string): Promise<void> {
  try {
    await Deno.link(from, to);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return;
    // FAT and some network file systems have no hard links.
    await Deno.rename(from, to);
  }
}
