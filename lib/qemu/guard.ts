/**
 * Guards: how a child is started so that it does not outlive this process, not even after a
 * `kill -9` of this process.
 *
 * Each guard ends up as the child itself (`exec`), so the child's pid is the one that was spawned:
 *
 * - `native`: `utmost-qemu-host --parent PID -- PROGRAM …`, our own program, for every system.
 * - `setpriv`: Linux only. The kernel's parent-death signal, set by util-linux's `setpriv`; a shell
 *   then compares its parent's pid, because a parent that died before the signal was set sends none.
 *   The signal belongs to the thread that spawned: spawn from the main thread, never from a Worker.
 *   The kernel clears it when the program is setuid or has file capabilities.
 * - `shell`: anywhere. A shell starts a watcher in the background and becomes the program; the
 *   watcher reads from a pipe, the lifeline, whose other end is ours. A line means that the child
 *   has ended, an end of file that we have: then the watcher kills its process group.
 *
 * The shell's watcher kills no innocent process. It needs the child to lead a process group of its
 * own and is a member of that group: as long as it lives, the system gives that number to no other
 * process or group.
 */
import { HostError } from "../base/errors.ts";
import { findInPath } from "./executable.ts";
import { builtNativeHost } from "./native_host.ts";

/** A way to tie a child to this process; `none` does not. */
export type GuardKind = "native" | "setpriv" | "shell" | "none";

/** A command that is tied to this process. */
export interface GuardedCommand {
  kind: GuardKind;
  /** Absolute path of what is really spawned. */
  program: string;
  args: string[];
  /** Whether stdin must be a pipe of ours: it takes a line once the child has ended. */
  lifeline: boolean;
}

/** Options of {@linkcode guardCommand}. */
export interface GuardOptions {
  /** The guard to use; the best one of this host when left out. */
  kind?: GuardKind;
  /** The process that the child is tied to; this one when left out. */
  parentPid?: number;
  /** Path of `utmost-qemu-host`; looked for in this checkout's build folder when left out. */
  nativeHost?: string;
}

/** Reads as: the parent is still ours, so become the program. */
const COMPARE_PARENT = '[ "$PPID" = "$0" ] && exec "$@"';

/** The watcher ignores what may reach the whole group by mistake and holds none of our pipes. */
const WATCH_LIFELINE = [
  "exec 3<&0",
  "{ trap '' HUP INT TERM; read -r _ <&3 || kill -s KILL -- -$$; } 3<&3 </dev/null >/dev/null 2>&1 &",
  'exec "$@" </dev/null 3<&-',
].join("\n");

/**
 * Wraps a command in a guard. The child must be spawned as the leader of a process group of its own
 * (`detached`), from the main thread.
 *
 * @param program Absolute path.
 * @throws {HostError} when the guard that was asked for is not installed.
 */
export function guardCommand(
  program: string,
  args: readonly string[],
  options: GuardOptions = {},
): GuardedCommand {
  const { parentPid = Deno.pid } = options;
  // The host of UTM's libraries is a guard itself; QEMU and swtpm know no such option.
  const isHost = args[0] === "--library";
  const nativeHost = options.nativeHost ?? (isHost ? program : builtNativeHost());
  const kind = options.kind ?? bestGuard(nativeHost);
  switch (kind) {
    case "native":
      return {
        kind,
        program: nativeHost ?? missing("utmost-qemu-host", "Build it: deno task native"),
        args: isHost && program === nativeHost
          ? ["--parent", `${parentPid}`, ...args]
          : ["--parent", `${parentPid}`, "--", program, ...args],
        lifeline: false,
      };
    case "setpriv":
      return {
        kind,
        program: usableSetpriv() ?? missing("setpriv", "Install util-linux"),
        // deno-fmt-ignore
        args: ["--pdeathsig", "KILL", "/bin/sh", "-c", COMPARE_PARENT, `${parentPid}`, program, ...args],
        lifeline: false,
      };
    case "shell":
      return {
        kind,
        program: "/bin/sh",
        args: ["-c", WATCH_LIFELINE, "utmost-guard", program, ...args],
        lifeline: true,
      };
    case "none":
      return { kind, program, args: [...args], lifeline: false };
  }
}

function missing(tool: string, hint: string): never {
  throw new HostError(`Cannot guard a child process: ${tool} is missing`, { hint });
}

function bestGuard(nativeHost: string | undefined): GuardKind {
  if (nativeHost) return "native";
  return Deno.build.os === "linux" && usableSetpriv() ? "setpriv" : "shell";
}

/** util-linux's `setpriv`; busybox has one that knows no parent-death signal. */
function usableSetpriv(): string | undefined {
  const found = findInPath("setpriv");
  return found && Deno.realPathSync(found).endsWith("/setpriv") ? found : undefined;
}
