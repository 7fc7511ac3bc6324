/** The short verbs on a running VM: each is one call to its supervisor. */
import { resolve } from "@std/path";
import { UsageError } from "../../base/errors.ts";
import type { ScreenshotReport } from "../../vm/screenshot.ts";
import { type Invocation, lastValue } from "../args.ts";
import { callLast, callVm } from "../call_vm.ts";
import type { Progress } from "../progress.ts";
import { parseCount, parsePicturePath, parseSendText } from "../values.ts";

/** Room for the whole way down: powering down, quitting, killing. */
const STOP_MS = 60_000;

/** `stop`, `pause`, `resume`, `reset`: says what was done, as text or as `{id, done}`. */
export async function act(
  { command, words: [target = ""], flags }: Invocation,
  progress: Progress,
): Promise<number> {
  const { id } = command === "stop"
    ? await callLast(target, command, { kill: flags.has("kill") }, STOP_MS)
    : await callVm(target, command);
  if (flags.has("json")) console.log(JSON.stringify({ id, done: command }));
  else progress.info(`${id}: ${command} done`);
  return 0;
}

/** `send VM TEXT`. */
export async function send(
  { words: [target = "", text = ""], flags }: Invocation,
): Promise<number> {
  if (text === "") throw new UsageError("Cannot send nothing, expected a text");
  const data = parseSendText(text).toBase64();
  const { id } = await callVm(target, "send", { data });
  if (flags.has("json")) console.log(JSON.stringify({ id, done: "send" }));
  return 0;
}

/** `screenshot VM FILE`. */
export async function screenshot(invocation: Invocation, progress: Progress): Promise<number> {
  const { words: [target = "", file = ""], flags } = invocation;
  const path = resolve(parsePicturePath("FILE", file));
  const number = lastValue(invocation, "display");
  const display = number === undefined ? 0 : parseCount("--display", number, 0, 255);
  const params = { path, display, cursor: flags.has("cursor") };
  const { id, result } = await callVm(target, "screenshot", params);
  const report = result as ScreenshotReport;
  if (flags.has("json")) console.log(JSON.stringify({ id, done: "screenshot", ...report }));
  else if (report.why !== undefined) {
    progress.info(`the picture is QEMU's own screendump: ${report.why}`);
  }
  return 0;
}

/** `qmp VM JSON`: a command's name, or a whole request; prints what is behind `return`. */
export async function qmp({ words: [target = "", text = ""] }: Invocation): Promise<number> {
  let request: unknown = { execute: text };
  if (!/^[a-z][a-z0-9_-]*$/.test(text)) {
    try {
      request = JSON.parse(text);
    } catch (cause) {
      throw new UsageError(
        `Cannot send this to QMP: ${cause instanceof Error ? cause.message : cause}`,
        { cause, hint: `Write '{"execute": "query-status"}', or just query-status.` },
      );
    }
  }
  const { result } = await callVm(target, "qmp", { request });
  console.log(JSON.stringify(result, undefined, 2));
  return 0;
}
