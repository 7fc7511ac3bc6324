import { assertEquals } from "@std/assert";
import { parseSummary, sum, verdict } from "../../tools/suite_summary.ts";

Deno.test("parseSummary reads the last line of deno test", () => {
  const rows: [string, ReturnType<typeof parseSummary>][] = [
    ["ok | 8 passed | 0 failed (5ms)", { passed: 8, failed: 0, skipped: 0 }],
    ["ok | 8 passed (3 steps) | 0 failed | 2 ignored (5ms)", { passed: 8, failed: 0, skipped: 2 }],
    ["FAILED | 1 passed | 2 failed (1 step) (3ms)", { passed: 1, failed: 2, skipped: 0 }],
    [
      "ok | 1 passed | 0 failed | 1 ignored (2 steps) | 4 filtered out (3ms)",
      { passed: 1, failed: 0, skipped: 1 },
    ],
    ["some test ... ok (3ms)", undefined],
    ["a guest printed: ok | 8 passed | 0 failed", undefined],
  ];
  for (const [line, expected] of rows) assertEquals(parseSummary(line), expected, line);
});

Deno.test("parseSummary reads the last line of a suite of ours", () => {
  const rows: [string, ReturnType<typeof parseSummary>][] = [
    ["native guard: 22 passed, 0 failed", { passed: 22, failed: 0, skipped: 0 }],
    ["3 passed, 1 failed, 2 skipped", { passed: 3, failed: 1, skipped: 2 }],
    ["3 passed", undefined],
    ["", undefined],
  ];
  for (const [line, expected] of rows) assertEquals(parseSummary(line), expected, line);
});

Deno.test("verdict makes a failure of a suite that ran nothing or died", () => {
  const counts = { passed: 3, failed: 0, skipped: 1 };
  assertEquals(verdict(counts, 0), counts);
  assertEquals(verdict(counts, 1), { passed: 3, failed: 1, skipped: 1 });
  assertEquals(verdict({ ...counts, failed: 2 }, 1), { passed: 3, failed: 2, skipped: 1 });
  assertEquals(verdict(undefined, 0), { passed: 0, failed: 1, skipped: 0 });
  assertEquals(verdict({ passed: 0, failed: 0, skipped: 4 }, 0), {
    passed: 0,
    failed: 1,
    skipped: 4,
  });
});

Deno.test("sum adds suites up", () => {
  const one = { passed: 1, failed: 2, skipped: 3 };
  assertEquals(sum([]), { passed: 0, failed: 0, skipped: 0 });
  assertEquals(sum([one, one]), { passed: 2, failed: 4, skipped: 6 });
});
