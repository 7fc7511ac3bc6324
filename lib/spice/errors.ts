/**
 * What can go wrong on a SPICE connection.
 *
 * ```text
 * SpiceError
 * ├── SpiceConnectError   no connection to the server
 * ├── SpiceLinkError      the server refused the link, or does not speak SPICE
 * ├── SpiceClosedError    the server closed a connection that is still needed
 * ├── SpiceTimeoutError   the server said nothing for too long
 * ├── SpiceDecodeError    bytes that do not follow the protocol
 * ├── SpiceAgentError     the guest's agent is not there, or does not do it
 * ├── SpicePortError      no such port, or one that is closed
 * └── SpiceLimitError     a size or count beyond what this client accepts
 * ```
 */
import { SpiceError, type UtmostErrorOptions } from "../base/errors.ts";

/** No connection to the server; the cause is the operating system's error. */
export class SpiceConnectError extends SpiceError {
  override name = "SpiceConnectError";
}

/** The server closed a connection that is still needed. */
export class SpiceClosedError extends SpiceError {
  override name = "SpiceClosedError";
}

/** The server said nothing for too long, in the middle of something it had begun. */
export class SpiceTimeoutError extends SpiceError {
  override name = "SpiceTimeoutError";
}

/** Bytes that do not follow the protocol. */
export class SpiceDecodeError extends SpiceError {
  override name = "SpiceDecodeError";
}

/** The guest's agent is not there, cannot do what is asked, or refuses. */
export class SpiceAgentError extends SpiceError {
  override name = "SpiceAgentError";
}

/** No port has that name, or the port is closed. */
export class SpicePortError extends SpiceError {
  override name = "SpicePortError";
}

/** A size or count beyond what this client accepts; the stream cannot be followed after it. */
export class SpiceLimitError extends SpiceError {
  override name = "SpiceLimitError";
}

/** Name, meaning and remedy of each link error code. Source: spice/error_codes.h, SpiceLinkErr. */
const LINK_ERRORS: Readonly<Record<number, { name: string; means: string; hint?: string }>> = {
  1: { name: "ERROR", means: "an error that it does not explain" },
  2: {
    name: "INVALID_MAGIC",
    means: "that these are no SPICE bytes",
    hint: "Check that nothing between client and server changes the stream",
  },
  3: { name: "INVALID_DATA", means: "that the link message is not valid" },
  4: {
    name: "VERSION_MISMATCH",
    means: "that it speaks another major version",
    hint: "Use a server of SPICE protocol 2 (any since 2010)",
  },
  5: {
    name: "NEED_SECURED",
    means: "that this channel needs TLS, which this client does not speak",
    hint: "Start the server with a Unix socket, or without tls-channel for this channel",
  },
  6: {
    name: "NEED_UNSECURED",
    means: "that this channel must not use TLS",
    hint: "Use the server's port for plain connections",
  },
  7: {
    name: "PERMISSION_DENIED",
    means: "that the password is wrong or has expired",
    hint: "Give the password that was set with QEMU's password-secret or set_password",
  },
  8: {
    name: "BAD_CONNECTION_ID",
    means: "that the session is not known",
    hint: "Another client may have taken the session over: connect again",
  },
  9: {
    name: "CHANNEL_NOT_AVAILABLE",
    means: "that it does not have this channel",
  },
};

/** Returns the name of a link error code as the protocol spells it. */
export function linkErrorName(code: number): string {
  return LINK_ERRORS[code]?.name ?? (code === 0 ? "OK" : `code ${code}`);
}

/** Options of {@linkcode SpiceLinkError}. */
export interface SpiceLinkErrorOptions extends UtmostErrorOptions {
  /** The code in the server's answer, if it gave one. */
  code?: number;
}

/** The server refused the link of a channel, or does not speak SPICE. */
export class SpiceLinkError extends SpiceError {
  override name = "SpiceLinkError";
  /** The code in the server's answer. Source: spice/error_codes.h, SpiceLinkErr. */
  readonly code?: number;
  /** The code's name, as in `PERMISSION_DENIED`. */
  readonly codeName?: string;

  constructor(message: string, options: SpiceLinkErrorOptions = {}) {
    super(message, options);
    if (options.code === undefined) return;
    this.code = options.code;
    this.codeName = linkErrorName(options.code);
  }

  /** Makes the error for an answer with `code` while `channel` ("main", "display") is linked. */
  static refused(
    channel: string,
    code: number,
    options: { password?: boolean } = {},
  ): SpiceLinkError {
    const known = LINK_ERRORS[code];
    const means = code === 7 && options.password === false
      ? "that it needs a password"
      : known?.means ?? "an error unknown to this client";
    const message = `Cannot link the ${channel} channel: the server answered ` +
      `${linkErrorName(code)}, ${means}`;
    return new SpiceLinkError(message, {
      code,
      ...(known?.hint === undefined ? {} : { hint: known.hint }),
    });
  }
}
