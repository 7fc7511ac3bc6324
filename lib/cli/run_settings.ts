/** What a `run` was asked for, from its options; every flag is checked here, before any side effect. */
import { resolve } from "@std/path";
import { UsageError } from "../base/errors.ts";
import type { CommandOptions } from "../qemu/launch_options.ts";
import { type Grant, GRANTS } from "../utm/grants.ts";
import { type LaunchRequest, pickPorts } from "../vm/prepare.ts";
import type { Step } from "../vm/steps.ts";
import { type Invocation, lastValue } from "./args.ts";
import {
  parseCount,
  parseDrive,
  parseDuration,
  parseForward,
  parsePattern,
  parsePicturePath,
  parseSendText,
  parseShare,
  parseWords,
} from "./values.ts";

/** Where the first built-in terminal goes. */
export type SerialPlace = { to: "stdio" } | { to: "off" } | { to: "file"; path: string };

/** A checked `run`. */
export interface RunSettings {
  /** As it was given. */
  bundle: string;
  request: LaunchRequest;
  grants: ReadonlySet<Grant>;
  serial: SerialPlace;
  steps: Step[];
  then: "stop" | "kill" | "leave" | "wait";
  timeoutMs?: number;
  detach: boolean;
  /** A file, or `-` for stdout. */
  events?: string;
  artifacts?: string;
  json: boolean;
  /** `--window` was asked for, which this version does not have. */
  windowWanted: boolean;
}

/** The grants of `--allow`; `all` stands for each of them. @throws {UsageError} */
export function grantsOf(invocation: Invocation): Set<Grant> {
  const words = parseWords("--allow", invocation.values.get("allow") ?? [], [...GRANTS, "all"]);
  return words.has("all") ? new Set(GRANTS) : words as Set<Grant>;
}

/**
 * The part of the options that changes the QEMU command.
 *
 * @throws {UsageError} for a value that cannot be; nothing on the host is looked at but free ports.
 */
export async function requestOf(invocation: Invocation): Promise<LaunchRequest> {
  const { flags, values, passthrough } = invocation;
  const grants = grantsOf(invocation);
  const forwards = (values.get("forward") ?? []).map(parseForward);
  const memory = lastValue(invocation, "memory");
  const cpus = lastValue(invocation, "cpus");
  const renderNode = lastValue(invocation, "rendernode");
  const share = lastValue(invocation, "share");
  const qemu = lastValue(invocation, "qemu");
  const accel = lastValue(invocation, "accel") ?? "auto";
  if (accel === "tcg" && flags.has("require-accel")) {
    throw new UsageError("Cannot use --require-accel with --accel tcg: both cannot be true");
  }
  const options: CommandOptions = {
    accel: accel as CommandOptions["accel"],
    requireAccel: flags.has("require-accel"),
    gl: (lastValue(invocation, "gl") ?? "auto") as CommandOptions["gl"],
    ...(renderNode === undefined ? {} : { renderNode: resolve(renderNode) }),
    ...(memory === undefined
      ? {}
      : { memoryMiB: parseCount("--memory", memory, 1, 16 * 1024 * 1024) }),
    ...(cpus === undefined ? {} : { cpus: parseCount("--cpus", cpus, 1, 1024) }),
    disposable: flags.has("disposable"),
    forwards: await pickPorts(forwards),
    extraArguments: passthrough,
    strict: flags.has("strict"),
    allowPorts: grants.has("ports"),
    allowNetwork: grants.has("network"),
  };
  const drives = new Map<string, string>();
  for (const text of values.get("drive") ?? []) {
    const [id, path] = parseDrive(text);
    if (drives.has(id)) throw new UsageError(`Cannot use --drive ${id}: it is given twice`);
    drives.set(id, resolve(path));
  }
  const parsedShare = share === undefined ? undefined : parseShare(share);
  return {
    options,
    ...(qemu === undefined ? {} : { qemu }),
    drives,
    ...(parsedShare === undefined
      ? {}
      : { share: { ...parsedShare, path: resolve(parsedShare.path) } }),
  };
}

/** Checks a `run`. @throws {UsageError} */
export async function runSettingsOf(invocation: Invocation, bundle: string): Promise<RunSettings> {
  const { flags } = invocation;
  if (flags.has("headless") && flags.has("window")) {
    throw new UsageError("Cannot use --headless with --window: both cannot be true");
  }
  const events = lastValue(invocation, "events");
  const json = flags.has("json");
  if (json && events === "-") {
    throw new UsageError("Cannot use --json with --events -: stdout is for one of them");
  }
  const steps = invocation.steps.map(stepOf);
  const timeout = lastValue(invocation, "timeout");
  const artifacts = lastValue(invocation, "artifacts");
  const then = lastValue(invocation, "then") ?? (steps.length > 0 ? "stop" : "wait");
  return {
    bundle,
    request: await requestOf(invocation),
    grants: grantsOf(invocation),
    serial: serialPlaceOf(lastValue(invocation, "serial"), json || events === "-"),
    steps,
    then: then as RunSettings["then"],
    ...(timeout === undefined ? {} : { timeoutMs: parseDuration("--timeout", timeout) }),
    detach: flags.has("detach"),
    ...(events === undefined ? {} : { events }),
    ...(artifacts === undefined ? {} : { artifacts: resolve(artifacts) }),
    json,
    windowWanted: flags.has("window"),
  };
}

function serialPlaceOf(text: string | undefined, stdoutTaken: boolean): SerialPlace {
  switch (text) {
    case undefined:
      return { to: stdoutTaken ? "off" : "stdio" };
    case "stdio":
      if (!stdoutTaken) return { to: "stdio" };
      throw new UsageError(
        "Cannot use --serial stdio with --json or --events -: stdout is for one of them",
      );
    case "off":
      return { to: "off" };
    default:
      return { to: "file", path: resolve(text) };
  }
}

function stepOf({ name, value }: Invocation["steps"][number]): Step {
  switch (name) {
    case "expect":
      return { kind: "expect", pattern: parsePattern(value), text: value };
    case "send":
      return { kind: "send", bytes: parseSendText(value) };
    case "screenshot":
      return { kind: "screenshot", path: resolve(parsePicturePath("--screenshot", value)) };
  }
}
