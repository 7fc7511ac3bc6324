/** The part of `@std/path` in use; `deno-std` on npm ships without types. */

/** Joins path segments and normalises the result. */
export function join(...paths: string[]): string;
/** Resolves path segments to an absolute path, from right to left. */
export function resolve(...paths: string[]): string;
/** The last part of a path; trailing separators are ignored. */
export function basename(path: string | URL, suffix?: string): string;
/** The folder part of a path. */
export function dirname(path: string | URL): string;
/** The extension of a path with its dot, or an empty string. */
export function extname(path: string | URL): string;
/** Whether a path starts at the root. */
export function isAbsolute(path: string): boolean;
/** Resolves `.` and `..` in a path by text alone. */
export function normalize(path: string | URL): string;
/** The relative path from one folder to another. */
export function relative(from: string, to: string): string;
/** The path that a `file:` URL names. */
export function fromFileUrl(url: string | URL): string;
/** The `file:` URL of an absolute path. */
export function toFileUrl(path: string): URL;
/** A regular expression that matches what a glob matches. */
export function globToRegExp(glob: string): RegExp;
