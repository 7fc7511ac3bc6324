/** What the library's calls answer when they fail: `-errno`, a number that each platform chooses. */
import { ShimError } from "../lib/base/errors.ts";

/** Numbers on Linux and macOS. Source: errno.h of both. */
const CODES = {
  EPERM: [1, 1],
  ENOENT: [2, 2],
  EIO: [5, 5],
  E2BIG: [7, 7],
  EBADF: [9, 9],
  ENOMEM: [12, 12],
  EACCES: [13, 13],
  EEXIST: [17, 17],
  ENODEV: [19, 19],
  EINVAL: [22, 22],
  ENFILE: [23, 23],
  EMFILE: [24, 24],
  ENOSPC: [28, 28],
  EPIPE: [32, 32],
  EAGAIN: [11, 35],
  ENAMETOOLONG: [36, 63],
  EPROTO: [71, 100],
  ENOTSOCK: [88, 38],
  EMSGSIZE: [90, 40],
  ENOTSUP: [95, 45],
  EADDRINUSE: [98, 48],
  ECONNRESET: [104, 54],
  ENOBUFS: [105, 55],
  ETIMEDOUT: [110, 60],
  ECONNREFUSED: [111, 61],
  ESTALE: [116, 70],
  ECANCELED: [125, 89],
} as const;

/** Names of failures, as the C headers spell them. */
export type ErrnoName = keyof typeof CODES;

const COLUMN = Deno.build.os === "darwin" ? 1 : 0;
const NAMES: ReadonlyMap<number, ErrnoName> = new Map(
  Object.entries(CODES).map(([name, numbers]) => [numbers[COLUMN], name as ErrnoName]),
);

/** Returns what a call answers for the failure `name`: a negative number. */
export function failure(name: ErrnoName): number {
  return -CODES[name][COLUMN];
}

/** A call into the native library failed. */
export class ShimCallError extends ShimError {
  override name = "ShimCallError";
  /** `errno`, a positive number of this platform. */
  readonly errno: number;
  /** Its name, where it is one that is expected here. */
  readonly code: ErrnoName | undefined;

  /** @param what What was to be done, as it follows "Cannot". */
  constructor(what: string, result: number) {
    const code = NAMES.get(-result);
    super(`Cannot ${what}: ${code ?? `error ${-result}`}`);
    this.errno = -result;
    this.code = code;
  }
}

/**
 * Passes the result of a call on.
 *
 * @param what What was to be done, as it follows "Cannot".
 * @throws {ShimCallError} for a failure.
 */
export function checked(result: number, what: string): number {
  if (result < 0) throw new ShimCallError(what, result);
  return result;
}
