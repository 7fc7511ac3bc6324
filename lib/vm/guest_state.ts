/**
 * What a guest writes beside its disks, its UEFI variables and its TPM's state: where a run keeps
 * them, and making them. A disposable run works on throw-away copies in the instance's folder; a
 * bundle that cannot be written on copies in the user's state folder, which last.
 */
import { dirname, join } from "@std/path";
import { HostError, HostFailure, UtmostError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import type { Helper, LaunchPlan } from "../qemu/launch_options.ts";
import type { Bundle, ResolvedFiles } from "../utm/bundle.ts";
import { ensureEfiVars } from "../utm/own_files.ts";

/** Where a helper has its state, and where it works on it. */
type HelperState = NonNullable<Helper["state"]>;

/** A file to be made as a copy, unless it is there. */
export interface StateCopy {
  from: string;
  to: string;
  /** A copy left by an earlier run of this instance's folder does not count. */
  fresh: boolean;
}

/** Files with the places of the guest's state, and the copies that this needs. */
export interface PlacedState {
  files: ResolvedFiles;
  copies: StateCopy[];
}

/** Decides where the guest's state is kept; looks at files, makes none. */
export async function placeState(
  bundle: Bundle,
  files: ResolvedFiles,
  options: { disposable: boolean; directory: string; stateFolder: string },
): Promise<PlacedState> {
  const { disposable, directory, stateFolder } = options;
  if (!disposable && bundle.writable) return { files, copies: [] };
  const folder = disposable
    ? directory
    : join(stateFolder, "bundles", `${bundle.device}-${bundle.inode}`);
  const placed = { ...files };
  const copies: StateCopy[] = [];
  if (bundle.config.qemu.tpmDevice) {
    placed.tpmState = join(folder, "tpmdata");
    copies.push({ from: files.tpmState, to: placed.tpmState, fresh: disposable });
  }
  // QEMU's own -snapshot keeps a disposable run from writing to variables that are there.
  if (bundle.config.qemu.uefiBoot && !(disposable && files.efiVarsBytes !== undefined)) {
    placed.efiVars = join(folder, "efi_vars.fd");
    const made = await Deno.stat(placed.efiVars).catch(() => undefined);
    if (made !== undefined) placed.efiVarsBytes = made.size;
    else if (files.efiVarsBytes !== undefined) {
      copies.push({ from: files.efiVars, to: placed.efiVars, fresh: false });
    }
  }
  return { files: placed, copies };
}

/**
 * Makes the state that is not there yet.
 *
 * @throws {HostFailure} when it cannot be written; the hint says what helps.
 */
export async function makeState(
  { files, copies }: PlacedState,
  plan: LaunchPlan,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    for (const copy of copies) await makeCopy(copy);
    if (plan.efiVarsTemplate !== undefined) {
      await ensureEfiVars(files, await rawTemplate(plan, directory, signal));
    }
    if (plan.helpers.length > 0) {
      // swtpm takes an empty file for a TPM that was never used.
      using _file = await Deno.open(files.tpmState, { create: true, append: true, mode: 0o600 });
    }
  } catch (error) {
    if (error instanceof UtmostError) throw error;
    throw new HostFailure(
      `Cannot make the state of the guest: ${error instanceof Error ? error.message : error}`,
      { cause: error, hint: "With --disposable the bundle is not written." },
    );
  }
}

/**
 * Copies the state of a helper that cannot work on the file itself, and returns what copies it back
 * once the helper has ended. After a `kill -9` of this process the file is as it was before the run.
 *
 * @throws {HostFailure} when one of the files cannot be read or written.
 */
export async function lendState({ file, copy }: HelperState): Promise<AsyncDisposable> {
  await atomically(copy, async (temporary) => {
    await Deno.mkdir(dirname(copy), { recursive: true, mode: 0o700 });
    // An empty file stands for a TPM that was never used; swtpm knows a missing one for that.
    if ((await Deno.stat(file)).size === 0) return false;
    await Deno.copyFile(file, temporary);
    return true;
  });
  return {
    async [Symbol.asyncDispose]() {
      await atomically(file, async (temporary) => {
        if (await Deno.stat(copy).catch(() => undefined) === undefined) return false;
        await Deno.copyFile(copy, temporary);
        return true;
      });
    },
  };
}

/** Puts what `make` writes in the place of `path`, unless it returns false. */
async function atomically(
  path: string,
  make: (temporary: string) => Promise<boolean>,
): Promise<void> {
  const temporary = `${path}.new`;
  try {
    if (!await make(temporary)) return;
    await Deno.chmod(temporary, 0o600);
    await Deno.rename(temporary, path);
  } catch (error) {
    throw new HostFailure(
      `Cannot keep the state of the TPM in ${quoted(path)}: ${
        error instanceof Error ? error.message : error
      }`,
      { cause: error },
    );
  }
}

async function makeCopy({ from, to, fresh }: StateCopy): Promise<void> {
  await Deno.mkdir(dirname(to), { recursive: true, mode: 0o700 });
  if (!fresh && await Deno.stat(to).catch(() => undefined) !== undefined) return;
  const temporary = `${to}.new`;
  try {
    await Deno.copyFile(from, temporary);
    await Deno.chmod(temporary, 0o600);
    await Deno.rename(temporary, to);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // Nothing to copy yet.
  }
}

/** The firmware's template as a raw image; Fedora packages qcow2 ones. */
async function rawTemplate(
  plan: LaunchPlan,
  directory: string,
  signal: AbortSignal,
): Promise<string> {
  const template = plan.efiVarsTemplate ?? "";
  if ((plan.efiVarsTemplateFormat ?? "raw") === "raw") return template;
  const raw = join(directory, "efi_vars_template.fd");
  const format = plan.efiVarsTemplateFormat ?? "raw";
  const args = ["convert", "-f", format, "-O", "raw", template, raw];
  const { success, stderr } = await new Deno.Command("qemu-img", { args, signal }).output();
  if (success) return raw;
  throw new HostError(
    `Cannot convert ${quoted(template)}: ${new TextDecoder().decode(stderr).trim()}`,
    { hint: "qemu-img belongs to QEMU (Debian: qemu-utils)." },
  );
}
