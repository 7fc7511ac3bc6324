/** `utmost type` and `keys`: the keyboard of a running VM. */
import { HOLD_MS, PACE_MS } from "../../base/keyboard.ts";
import { parseChord } from "../../base/keys.ts";
import { strokesOf } from "../../base/us_layout.ts";
import type { Invocation } from "../args.ts";
import { callVm } from "../call_vm.ts";
import { parseTypedText } from "../values.ts";

/** `type VM TEXT`. */
export async function type(
  { words: [target = "", words = ""], flags }: Invocation,
): Promise<number> {
  const text = parseTypedText(words);
  const strokes = strokesOf(text).length; // refuses what is on no key, before anything is typed
  const { id, result } = await callVm(target, "type", { text }, typingMs(strokes));
  if (flags.has("json")) console.log(JSON.stringify({ id, done: "type", by: result }));
  return 0;
}

/** `keys VM KEY…`. */
export async function keys({ words: [target = "", ...keys], flags }: Invocation): Promise<number> {
  const pressed = keys.flatMap(parseChord).length;
  const { id, result } = await callVm(target, "keys", { keys }, typingMs(pressed));
  if (flags.has("json")) console.log(JSON.stringify({ id, done: "keys", by: result }));
  return 0;
}

/** How long so many keys may take, with much room: a guest may be slow to take them. */
function typingMs(keys: number): number {
  return 30_000 + keys * 4 * (HOLD_MS + 4 * PACE_MS);
}
