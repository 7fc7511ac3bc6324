/**
 * ANGLE, the OpenGL ES that UTM and browsers use, with SwiftShader below it: the tests of EGL run on it
 * as on Mesa. It comes with Chromium in an npm package, of which it is 1.6 of 70 MB; so the package is
 * in no import map and no lockfile, and its file is checked against the sum below.
 */
import { brotliDecompressSync } from "node:zlib";
import { fromFileUrl, join } from "@std/path";
import { HostError } from "../lib/base/errors.ts";
import { hasFiles } from "./backports.ts";

/** Where it is, or would be: `libEGL.so` and what that needs. */
export const ANGLE_DIR: string = fromFileUrl(new URL("../.cache/angle", import.meta.url));

/** The last version with a whole ANGLE: from 152 on, `libGLESv2.so` has nothing in it. */
const PACKAGE = "@sparticuz/chromium@149.0.0";
const ARCHIVE = "bin/swiftshader.tar.br";
const SHA256 = "49cfdf5cf3d15ed1eb5e636619f325ff38c609e27d43d06a129dc54f88f67e29";

/** Why this host cannot have it, or undefined where it can. */
export function whyNoAngleHere(): string | undefined {
  const { os, arch } = Deno.build;
  return os === "linux" && arch === "x86_64" ? undefined : `it is for Linux on x86_64`;
}

/** Whether it is there. */
export async function hasAngle(): Promise<boolean> {
  return await hasFiles(ANGLE_DIR, ["libEGL.so", "libGLESv2.so", "libvk_swiftshader.so"]);
}

/** Runs deno apart from this project's configuration. @returns what it printed */
async function deno(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [args[0]!, "--no-config", "--no-lock", ...args.slice(1)],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  if (success) return new TextDecoder().decode(stdout);
  const last = new TextDecoder().decode(stderr).trim().split("\n").at(-1) ?? "";
  throw new HostError(`Cannot fetch ANGLE: deno ${args[0]} failed: ${last}`);
}

/** Downloads the package into Deno's cache, and returns its folder there. */
async function packageFolder(): Promise<string> {
  await deno("cache", `npm:${PACKAGE}`);
  const info = JSON.parse(await deno("info", "--json", `npm:${PACKAGE}`));
  const folder: unknown = info?.npmPackages?.[PACKAGE]?.localPath;
  if (typeof folder === "string") return folder;
  throw new HostError(`Cannot fetch ANGLE: Deno does not tell where ${PACKAGE} is`);
}

/**
 * Fetches and unpacks it; a run that is cut short leaves nothing that counts as there.
 *
 * @throws {HostError} when the package cannot be had, or is not the one that is known.
 */
export async function fetchAngle(): Promise<void> {
  const packed = await Deno.readFile(join(await packageFolder(), ARCHIVE));
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", packed)).toHex();
  if (sum !== SHA256) {
    throw new HostError(
      `Cannot use ANGLE: the SHA-256 of ${ARCHIVE} is ${sum}, expected ${SHA256}`,
    );
  }
  const work = `${ANGLE_DIR}.new`;
  await remove(work);
  try {
    await Deno.mkdir(work, { recursive: true });
    const tar = new Deno.Command("tar", { args: ["-x", "-C", work], stdin: "piped" }).spawn();
    const writer = tar.stdin.getWriter();
    await writer.write(new Uint8Array(brotliDecompressSync(packed)));
    await writer.close();
    const { success } = await tar.status;
    if (!success) throw new HostError("Cannot unpack ANGLE: tar failed");
    await remove(ANGLE_DIR);
    await Deno.rename(work, ANGLE_DIR);
  } finally {
    await remove(work);
  }
}

async function remove(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error: unknown) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
