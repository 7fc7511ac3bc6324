/**
 * A supervisor for tests: starts one child under a guard and waits for it, until somebody kills it.
 *
 * Arguments: the guard, the program, its arguments. Prints `spawning` before it spawns.
 */
import { ChildProcess } from "../../lib/qemu/process.ts";
import type { GuardKind } from "../../lib/qemu/guard.ts";

const [guard, binary, ...argv] = Deno.args as [GuardKind, string, ...string[]];
console.log("spawning");
const child = ChildProcess.spawn({ name: "child", binary, argv, guard });
await child.exited;
