/**
 * QMP's messages: what a line holds, checked.
 *
 * Source: QEMU docs/interop/qmp-spec.rst, "Protocol Specification".
 */
import { quoted } from "../base/text.ts";
import { QmpProtocolError } from "./errors.ts";
import type { QmpEvent } from "./events.ts";

/** The longest request that is sent, in bytes, well below QEMU's limit of 64 MiB for a token. */
export const MAX_REQUEST_BYTES = 16 * 1024 * 1024;

/** The deepest nesting that is sent; QEMU reads 1024 levels. Source: QEMU qobject/json-streamer.c. */
const MAX_NESTING = 500;

/** What QEMU says first. Source: qmp-spec, "Server Greeting". */
export interface QmpGreeting {
  version: { major: number; minor: number; micro: number };
  /** The packager's own suffix; often empty. */
  package: string;
  /** What can be enabled, such as `oob`. */
  capabilities: string[];
}

/** A request in QMP's own words; an `id` in it is replaced. */
export interface QmpRequest {
  execute: string;
  arguments?: Record<string, unknown>;
  id?: unknown;
}

/** Whether `value` is a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Writes a request as one line, without its end.
 *
 * What QEMU cannot read is refused here: QEMU would answer it without an id, and nobody could tell
 * which command that answer belongs to.
 *
 * @throws {TypeError} when QEMU could not read it: no Unicode text, too long, nested too deep.
 */
export function requestLine(request: QmpRequest): string {
  if (nestsDeeper(request, MAX_NESTING)) {
    throw new TypeError(`Cannot send this to QMP: it nests more than ${MAX_NESTING} levels`);
  }
  const line = JSON.stringify(request);
  if (/\p{Noncharacter_Code_Point}/u.test(line) || LONE_SURROGATE.test(line)) {
    throw new TypeError("Cannot send this to QMP: it holds what is no Unicode character");
  }
  if (line.length > MAX_REQUEST_BYTES) {
    throw new TypeError(`Cannot send this to QMP: it has more than ${MAX_REQUEST_BYTES} bytes`);
  }
  return line;
}

/** How `JSON.stringify` writes half a surrogate pair: an escape that no other backslash escapes. */
const LONE_SURROGATE = /(?<!\\)(?:\\\\)*\\ud[89a-f]/;

function nestsDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((item) => nestsDeeper(item, levels - 1));
}

/** Reads one line. @throws {QmpProtocolError} when it is no JSON object. */
export function parseMessage(line: string): Record<string, unknown> {
  let message: unknown;
  try {
    message = JSON.parse(line);
  } catch (cause) {
    throw new QmpProtocolError(
      `Cannot read QMP: ${quoted(line, 100)} is not JSON, expected one object a line`,
      { cause, hint: "A monitor with pretty=on is not supported" },
    );
  }
  if (!isRecord(message)) throw unexpected("an object", message);
  return message;
}

/** Reads a greeting. @throws {QmpProtocolError} when `message` is something else. */
export function greetingOf(message: Record<string, unknown>): QmpGreeting {
  const greeting = message.QMP;
  const version = isRecord(greeting) ? greeting.version : undefined;
  const qemu = isRecord(version) ? version.qemu : undefined;
  if (!isRecord(greeting) || !isRecord(version) || !isRecord(qemu)) {
    throw unexpected("a QMP greeting", message);
  }
  const { major, minor, micro } = qemu;
  if (typeof major !== "number" || typeof minor !== "number" || typeof micro !== "number") {
    throw unexpected("a QMP greeting with a version", message);
  }
  const { capabilities } = greeting;
  return {
    version: { major, minor, micro },
    package: typeof version.package === "string" ? version.package : "",
    capabilities: Array.isArray(capabilities)
      ? capabilities.filter((name) => typeof name === "string")
      : [],
  };
}

/** Reads an event. @throws {QmpProtocolError} when it has no name. */
export function eventOf(message: Record<string, unknown>): QmpEvent {
  const { event, data, timestamp } = message;
  if (typeof event !== "string") throw unexpected("an event with a name", message);
  const { seconds, microseconds } = isRecord(timestamp) ? timestamp : {};
  return {
    event,
    data: isRecord(data) ? data : {},
    timestamp: {
      seconds: typeof seconds === "number" ? seconds : -1,
      microseconds: typeof microseconds === "number" ? microseconds : -1,
    },
  };
}

/** An error that shows the message that came and says what was expected instead. */
export function unexpected(expected: string, message: unknown): QmpProtocolError {
  const shown = quoted(JSON.stringify(message) ?? "", 100);
  return new QmpProtocolError(`Cannot read QMP: ${shown} came, expected ${expected}`);
}
