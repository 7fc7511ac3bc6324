/** The monotonic clock that event times are read from. */

/**
 * Milliseconds between the exec of this process and the moment that `performance.now()` counts
 * from. Linux tells the former in steps of 10 ms (`/proc/self/stat`, field 22, in ticks of
 * 1/100 s since boot); elsewhere it is not known and taken as 0.
 */
function msBeforeTimeOrigin(): number {
  if (Deno.build.os !== "linux") return 0;
  try {
    const stat = Deno.readTextFileSync("/proc/self/stat");
    // The command's name, in parentheses, may hold blanks and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const startMs = Number(fields[19]) * 10;
    const uptimeMs = Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]) * 1000;
    const offset = uptimeMs - startMs - performance.now();
    return offset > 0 && offset < 10_000 ? offset : 0;
  } catch {
    return 0;
  }
}

const offsetMs = msBeforeTimeOrigin();

/** Milliseconds since the exec of this process, on a monotonic clock. */
export function msSinceExec(): number {
  return offsetMs + performance.now();
}
