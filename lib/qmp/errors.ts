/**
 * What can go wrong with QMP.
 *
 * ```text
 * QmpError (lib/base)      7
 * ├── QmpGreetingError     no connection, greeting or capabilities in time
 * ├── QmpCommandError      QEMU refused a command, in its own words
 * ├── QmpTimeoutError      a command was not answered in time
 * ├── QmpProtocolError     the peer does not speak QMP; the client is closed
 * └── QmpClosedError       the connection is gone
 * ```
 */
import { QmpError, type UtmostErrorOptions } from "../base/errors.ts";
import { printable } from "../base/text.ts";

/** Nobody to connect to, no greeting, or no capabilities negotiation within the deadline. */
export class QmpGreetingError extends QmpError {
  override name = "QmpGreetingError";
}

/** QEMU answered a command with an error. */
export class QmpCommandError extends QmpError {
  override name = "QmpCommandError";
  /** The command, such as `blockdev-change-medium`. */
  readonly command: string;
  /** QAPI error class: `GenericError`, `CommandNotFound`, `DeviceNotFound`, … */
  readonly class: string;
  /** QEMU's own words, as they came. */
  readonly desc: string;

  constructor(
    command: string,
    error: { class: string; desc: string },
    options: UtmostErrorOptions = {},
  ) {
    const why = printable(error.desc).replace(/\.$/, "");
    super(`Cannot run QMP command ${printable(command, 100)}: ${why}`, options);
    this.command = command;
    this.class = error.class;
    this.desc = error.desc;
  }
}

/** QEMU did not answer a command in time; the client stays usable. */
export class QmpTimeoutError extends QmpError {
  override name = "QmpTimeoutError";
  /** The command, such as `query-status`. */
  readonly command: string;

  constructor(command: string, timeoutMs: number) {
    super(
      `Cannot run QMP command ${printable(command, 100)}: no reply within ${timeoutMs} ms`,
    );
    this.command = command;
  }
}

/** The peer sent something that is not QMP. */
export class QmpProtocolError extends QmpError {
  override name = "QmpProtocolError";
}

/** The connection is closed, by QEMU or by us. */
export class QmpClosedError extends QmpError {
  override name = "QmpClosedError";
}
