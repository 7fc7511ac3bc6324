/**
 * One question-and-answer session with a QEMU that runs nothing: all commands in one write, all
 * replies in one read.
 *
 * QEMU is not asked to quit: it would, with replies still to be written that the pipe had no room
 * for, and a reader that is slow for a moment would see a QEMU without devices.
 */
import { DeadlineError, HostError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import type { HostAccess, RunOptions } from "./host_access.ts";

/** A QEMU that starts no guest and speaks QMP on its standard streams. */
export const ASK_ARGUMENTS = [
  "-machine",
  "none",
  "-nodefaults",
  "-display",
  "none",
  "-S",
  "-qmp",
  "stdio",
] as const;

/** A QMP command. */
export interface Question {
  execute: string;
  arguments?: Record<string, unknown>;
}

/** What QEMU answered. */
export interface Answers<K extends string> {
  /** The greeting's version: major, minor, micro. */
  version: [number, number, number];
  /** What each command returned; undefined where it failed, as unknown commands do. */
  returned: Record<K, unknown>;
}

/** The id of the last question; QEMU answers in order. */
const LAST = "utmost-last";
const LAST_REPLY = new RegExp(`"id":\\s*"${LAST}"`);

/** The QMP text that asks `questions`, each with its key as the id, and one that marks the end. */
export function questionText(questions: Record<string, Question>): string {
  const lines = [
    { execute: "qmp_capabilities" },
    ...Object.entries(questions).map(([id, question]) => ({ ...question, id })),
    { execute: "query-name", id: LAST },
  ];
  return lines.map((line) => JSON.stringify(line) + "\n").join("");
}

/** Returns whether QEMU has answered all that {@linkcode questionText} asks. */
export function isAnswered(stdout: string): boolean {
  return stdout.endsWith("\n") && LAST_REPLY.test(stdout.slice(-200));
}

/**
 * Reads what QEMU wrote: one JSON object a line, replies paired by their id.
 *
 * @returns null when there is no greeting.
 */
export function parseAnswers<K extends string>(
  text: string,
  questions: Record<K, Question>,
): Answers<K> | null {
  let version: Answers<K>["version"] | null = null;
  const returned: Partial<Record<K, unknown>> = {};
  for (const line of text.split("\n")) {
    if (!line.startsWith("{")) continue; // a library printed something
    let message: Record<string, unknown>;
    try {
      message = JSON.parse(line);
    } catch {
      continue; // cut off by the end of the process
    }
    if (message.QMP !== undefined) {
      const qmp = message.QMP as { version?: { qemu?: Record<string, unknown> } };
      const { major, minor, micro } = qmp.version?.qemu ?? {};
      if (typeof major === "number" && typeof minor === "number" && typeof micro === "number") {
        version = [major, minor, micro];
      }
    } else if (typeof message.id === "string" && Object.hasOwn(questions, message.id)) {
      returned[message.id as K] = message.return;
    }
  }
  return version && { version, returned: returned as Record<K, unknown> };
}

const HINT = "Run it by hand to see what it lacks";

/**
 * Asks the QEMU at `binary`.
 *
 * @param args More arguments, behind {@linkcode ASK_ARGUMENTS} or in their place.
 * @throws {HostError} when it does not start, gives no greeting, or does not end in time.
 * @throws the signal's reason when the caller's signal is aborted.
 */
export async function ask<K extends string>(
  access: HostAccess,
  binary: string,
  questions: Record<K, Question>,
  options: RunOptions,
  args: readonly string[] = ASK_ARGUMENTS,
): Promise<Answers<K>> {
  const cannot = `Cannot ask ${quoted(binary)} what it can do`;
  let result;
  try {
    result = await access.run(binary, [...args], {
      ...options,
      stdin: questionText(questions),
      isComplete: isAnswered,
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    const why = error instanceof DeadlineError
      ? `no answer came within ${options.timeoutMs} ms`
      : "it does not start";
    throw new HostError(`${cannot}: ${why}, expected a QMP greeting`, { cause: error, hint: HINT });
  }
  const answers = parseAnswers(result.stdout, questions);
  if (answers === null) {
    const last = lastLine(result.stderr) ?? lastLine(result.stdout) ?? "nothing";
    throw new HostError(
      `${cannot}: it ended with status ${result.code} and said ${quoted(last)}, ` +
        "expected a QMP greeting",
      { hint: HINT },
    );
  }
  return answers;
}

/** The last line with text in it. */
export function lastLine(text: string): string | undefined {
  return text.split("\n").findLast((line) => line.trim() !== "")?.trim();
}
