/**
 * The error tree.
 *
 * ```text
 * UtmostError
 * ├── UsageError      2   the command line is wrong
 * ├── BundleError     3   the bundle is not valid, or of a kind that is not run here
 * ├── RefusedError    4   the bundle asks for more than it was granted
 * ├── HostError       5   the host lacks something
 * ├── QemuError       6   QEMU failed to start or died
 * ├── QmpError        7   no greeting in time, or a command failed
 * ├── SpiceError      8   SPICE could not attach
 * ├── ExpectError     9   an expectation failed
 * ├── DeadlineError  10   a wait or the time budget ran out
 * ├── GuestError     11   the guest crashed
 * ├── RunningError   12   the bundle is already running
 * ├── NotRunningError 13  no such VM
 * ├── HostFailure    14   the host failed us: disk full, port taken
 * └── ShimError       5   the native library is missing or does not fit
 * ```
 *
 * A message reads "Cannot <do what>: <what is>, expected <what>", without a final period. `hint`
 * says what to do next. `main.ts` alone prints errors and ends the process.
 */
import { ExitCode } from "./exit_code.ts";

/** Options of every error of ours. */
export interface UtmostErrorOptions extends ErrorOptions {
  /** What the user can do next, one sentence. */
  hint?: string;
}

/** An error that the user should read; anything else that is thrown is a defect of ours. */
export class UtmostError extends Error {
  override name = "UtmostError";
  /** The exit code of the process when this error ends it. */
  readonly exitCode: number;
  /** What the user can do next. */
  readonly hint?: string;

  constructor(message: string, exitCode: number, options: UtmostErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = exitCode;
    if (options.hint !== undefined) this.hint = options.hint;
  }
}

/** Makes one branch of the tree: a base class whose exit code is fixed. */
function branch(name: string, exitCode: number) {
  return class extends UtmostError {
    override name = name;
    constructor(message: string, options: UtmostErrorOptions = {}) {
      super(message, exitCode, options);
    }
  };
}

/** The command line is wrong. */
export class UsageError extends branch("UsageError", ExitCode.usage) {}
/** The bundle is not valid, or of a kind that is not run here. */
export class BundleError extends branch("BundleError", ExitCode.bundle) {}
/** The bundle asks for more than it was granted. */
export class RefusedError extends branch("RefusedError", ExitCode.refused) {}
/** The host lacks something that this launch needs. */
export class HostError extends branch("HostError", ExitCode.host) {}
/** QEMU failed to start or died. */
export class QemuError extends branch("QemuError", ExitCode.qemu) {}
/** QMP gave no greeting in time, or a command failed. */
export class QmpError extends branch("QmpError", ExitCode.qmp) {}
/** SPICE could not attach, or its connection broke. */
export class SpiceError extends branch("SpiceError", ExitCode.spice) {}
/** An expectation failed. */
export class ExpectError extends branch("ExpectError", ExitCode.expectation) {}
/** A wait or the time budget ran out. */
export class DeadlineError extends branch("DeadlineError", ExitCode.timeout) {}
/** The guest crashed. */
export class GuestError extends branch("GuestError", ExitCode.guestCrash) {}
/** The bundle is already running. */
export class RunningError extends branch("RunningError", ExitCode.alreadyRunning) {}
/** No such VM is running. */
export class NotRunningError extends branch("NotRunningError", ExitCode.notRunning) {}
/** The host failed us: a full disk, a file that cannot be written, a taken port. */
export class HostFailure extends branch("HostFailure", ExitCode.hostFailure) {}
/** The native library is missing or does not fit. */
export class ShimError extends branch("ShimError", ExitCode.host) {}
