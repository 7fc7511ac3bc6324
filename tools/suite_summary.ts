/** How many tests a suite ran, read out of what it printed. */

/** Counts of one suite, or of several. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** `ok | 8 passed (3 steps) | 0 failed | 2 ignored (5ms)`, the last line of `deno test`. */
const DENO = /^(?:ok|FAILED) \| (\d+) passed(?: \([^)]*\))? \| (\d+) failed(?: \([^)]*\))?(.*)$/;
/** `native guard: 22 passed, 0 failed`, the last line of every suite of ours. */
const PLAIN = /^(?:[\w -]+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/;

/** Reads one line of a suite; undefined when it is not its summary. */
export function parseSummary(line: string): Counts | undefined {
  const deno = DENO.exec(line);
  if (deno) {
    const skipped = /\| (\d+) ignored/.exec(deno[3] ?? "")?.[1];
    return { passed: Number(deno[1]), failed: Number(deno[2]), skipped: Number(skipped ?? 0) };
  }
  const plain = PLAIN.exec(line);
  if (!plain) return undefined;
  return { passed: Number(plain[1]), failed: Number(plain[2]), skipped: Number(plain[3] ?? 0) };
}

/** Adds counts up. */
export function sum(counts: readonly Counts[]): Counts {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const { passed, failed, skipped } of counts) {
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
  }
  return total;
}

/**
 * What a suite came to, given its summary and its exit status: a suite that ran nothing, or ended
 * badly without naming a failure, counts as one failed test.
 */
export function verdict(summary: Counts | undefined, exitCode: number): Counts {
  const counts = summary ?? { passed: 0, failed: 0, skipped: 0 };
  const ranNothing = counts.passed + counts.failed === 0;
  const diedSilently = exitCode !== 0 && counts.failed === 0;
  return ranNothing || diedSilently ? { ...counts, failed: counts.failed + 1 } : counts;
}
