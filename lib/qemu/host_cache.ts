/**
 * What was found out about this host by starting programs, kept between launches: one small JSON
 * file for each QEMU binary, one for the host.
 *
 * The cache is an optimisation: what cannot be read is asked again, and what cannot be written is
 * forgotten.
 */
import type { HostAccess } from "./host_access.ts";

/** Changed with every change of what is stored; another number is as good as no file. */
const FORMAT = 3; // 1 may hold findings that were cut short, 2 does not say what gl takes

/** Says whether a program is still the one that was asked. */
export interface ProgramKey {
  /** Links followed. */
  path: string;
  bytes: number;
  modifiedMs: number;
  changedMs: number;
  inode: number;
}

/** A {@linkcode ProgramKey} of QEMU. */
export interface QemuKey extends ProgramKey {
  /** The folders that QEMU's modules are in, with their time of change. */
  modules: [path: string, modifiedMs: number][];
}

/** Returns the key of the program at `path`; null when there is none. */
export function programKey(access: HostAccess, path: string): ProgramKey | null {
  const real = access.realPath(path);
  const stat = real === undefined ? undefined : access.stat(real);
  if (real === undefined || stat === undefined) return null;
  const { bytes, modifiedMs, changedMs, inode } = stat;
  return { path: real, bytes, modifiedMs, changedMs, inode };
}

/** Returns the key of the QEMU at `path`; null when there is none. */
export function qemuKey(access: HostAccess, path: string): QemuKey | null {
  const key = programKey(access, path);
  if (key === null) return null;
  const modules: QemuKey["modules"] = [];
  for (const folder of moduleFolders(access, key.path)) {
    const stat = access.stat(folder);
    if (stat !== undefined) modules.push([folder, stat.modifiedMs]);
  }
  return { ...key, modules };
}

/**
 * Where QEMU may have its modules: a package with one more of them (a display, SPICE) changes what
 * an unchanged binary can do. Source: QEMU util/module.c, and the packages of Debian, Fedora, Arch.
 */
function moduleFolders(access: HostAccess, binary: string): string[] {
  const prefix = binary.replace(/\/[^/]+\/[^/]+$/, "");
  const given = access.env("QEMU_MODULE_DIR");
  return [
    ...(given ? [given] : []),
    ...["lib", "lib64", `lib/${access.architecture}-linux-gnu`].map((it) => `${prefix}/${it}/qemu`),
  ];
}

/** The file that holds what is known of the program at `path`, links followed. */
export function cacheFile(cacheDirectory: string, path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1).replace(/[^\w.-]/g, "_").slice(0, 64);
  return `${cacheDirectory}/${name}-${hash(path)}.json`;
}

/** Returns what was stored under `key`; undefined when it is absent, of another key, or damaged. */
export function readCache<T>(access: HostAccess, file: string, key: unknown): T | undefined {
  const text = access.readText(file);
  if (text === undefined) return undefined;
  try {
    const stored = JSON.parse(text);
    if (stored?.format !== FORMAT || typeof stored.value !== "object" || stored.value === null) {
      return undefined;
    }
    return JSON.stringify(stored.key) === JSON.stringify(key) ? stored.value as T : undefined;
  } catch {
    return undefined; // damaged: it is replaced
  }
}

/**
 * Stores `value` under `key`: in a new file that takes the old one's place, readable by its owner
 * alone. A disk that is full or read-only makes the next launch slower, nothing else.
 */
export function writeCache(file: string, key: unknown, value: unknown): void {
  const temporary = `${file}.${Deno.pid}.${crypto.randomUUID().slice(0, 8)}`;
  try {
    Deno.mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true, mode: 0o700 });
    const text = JSON.stringify({ format: FORMAT, key, value }) + "\n";
    Deno.writeTextFileSync(temporary, text, { mode: 0o600, createNew: true });
    Deno.renameSync(temporary, file);
  } catch {
    try {
      Deno.removeSync(temporary);
    } catch { /* it was not made, or cannot be removed either */ }
  }
}

/** FNV-1a of a path, 8 hex digits: it only has to keep file names apart, the key is in the file. */
function hash(text: string): string {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) {
    value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  }
  return value.toString(16).padStart(8, "0");
}
