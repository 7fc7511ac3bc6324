/** From an error to what is printed and to the exit code: the only place that does it. */
import { UtmostError } from "../base/errors.ts";
import { ExitCode } from "../base/exit_code.ts";
import type { Progress } from "./progress.ts";

/** Signals that end a run, gracefully at first, at once when one comes again; with their numbers. */
export const ENDING_SIGNALS: readonly (readonly [Deno.Signal, number])[] = [
  ["SIGINT", 2],
  ["SIGTERM", 15],
  ["SIGHUP", 1],
];

/** What is said at the first of them. */
export const INTERRUPT_HELP = "powering the guest down; once more stops it now";

/** Ends a run whose user or system sent it a signal. */
export class InterruptedError extends UtmostError {
  override name = "InterruptedError";
  /** @param signal Its name. @param number Its number. */
  constructor(signal: string, number: number) {
    super(`Ended by ${signal}`, ExitCode.signalBase + number);
  }
}

/** The exit code of a process that an error ends. */
export function exitCodeOf(error: unknown): number {
  return error instanceof UtmostError ? error.exitCode : ExitCode.defect;
}

/** One line that says why, for events and JSON. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** An error as a document of `--json`. */
export function errorDocument(
  error: unknown,
): { error: { code: number; message: string; hint: string | undefined } } {
  const { hint } = error as { hint?: string };
  return { error: { code: exitCodeOf(error), message: reasonOf(error), hint } };
}

/** Prints an error for people: what is wrong and what to do next, or the stack of a defect of ours. */
export function printError(error: unknown, progress: Progress): void {
  if (error instanceof InterruptedError) return;
  if (error instanceof UtmostError) {
    progress.error(error.message);
    if (error.hint !== undefined) progress.hint(error.hint);
    return;
  }
  progress.error("This is a defect of utmost, please report it with what follows");
  const stack = error instanceof Error ? error.stack ?? error.message : String(error);
  progress.plain(stack);
}
