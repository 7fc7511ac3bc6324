/**
 * How a child can fail.
 *
 * ```text
 * QemuError (lib/base)        6
 * └── QemuExitError           the child ended, at whatever time
 *     └── QemuLaunchError     it ended before it was up (14 where the host is to blame)
 * ```
 */
import { QemuError, type UtmostErrorOptions } from "../base/errors.ts";
import { ExitCode } from "../base/exit_code.ts";
import { printable } from "../base/text.ts";
import { knownCause } from "./known_causes.ts";

/** How a child ended. */
export interface QemuExit {
  /** Its status; null where a signal ended it. */
  code: number | null;
  /** The signal that ended it, such as `SIGKILL`. */
  signal: string | null;
  /** The last lines that it printed, oldest first, as they came: untrusted text. */
  stderrTail: string[];
}

/** How many of the last lines a message shows. */
const SHOWN_LINES = 3;

/** A child (QEMU, or one that runs beside it) ended. */
export class QemuExitError extends QemuError {
  override name = "QemuExitError";
  /** What messages call the child: `QEMU`, `swtpm`. */
  readonly child: string;
  /** The whole command, program first, without its guard. */
  readonly argv: readonly string[];
  readonly exit: QemuExit;

  constructor(
    child: string,
    argv: readonly string[],
    exit: QemuExit,
    options: UtmostErrorOptions = {},
  ) {
    super(`Cannot go on: ${child} ${describeExit(exit)}${words(exit)}`, options);
    this.child = child;
    this.argv = argv;
    this.exit = exit;
  }
}

/** A child ended before it was up. Its exit code is 14 where its words say that the host failed. */
export class QemuLaunchError extends QemuExitError {
  override name = "QemuLaunchError";
  override readonly exitCode: number;

  constructor(
    child: string,
    argv: readonly string[],
    exit: QemuExit,
    options: UtmostErrorOptions = {},
  ) {
    const cause = knownCause(exit.stderrTail);
    super(child, argv, exit, { ...cause && { hint: cause.hint }, ...options });
    this.exitCode = cause?.exitCode ?? ExitCode.qemu;
    this.message = `Cannot start ${child}: it ${describeExit(exit)}${words(exit)}`;
  }
}

/** One clause about how a child ended: "ended with status 1". */
export function describeExit(exit: Pick<QemuExit, "code" | "signal">): string {
  return exit.signal === null ? `ended with status ${exit.code}` : `was ended by ${exit.signal}`;
}

/** The last lines as the end of a message. */
function words({ stderrTail }: QemuExit): string {
  const shown = stderrTail.filter((line) => line.trim() !== "").slice(-SHOWN_LINES);
  return shown.length === 0
    ? ", and printed nothing"
    : `: ${shown.map((line) => printable(line, 500)).join("; ")}`;
}
