/** `utmost log`: what happened to a running VM, and what its QEMU has said. */
import { printable } from "../../base/text.ts";
import { connectVm } from "../../vm/find.ts";
import type { LoggedEvent } from "../../vm/events.ts";
import type { Invocation } from "../args.ts";

/** Prints events, a line each, then the newest lines of QEMU's own output. */
export async function log({ words: [target = ""], flags }: Invocation): Promise<number> {
  const { client } = await connectVm(target);
  await using owned = client;
  const result = await owned.call("log") as { events: LoggedEvent[]; stderr: string[] };
  if (flags.has("json")) console.log(JSON.stringify(result));
  else {
    for (const { t, event, ...keys } of result.events) {
      console.log(`${t.toFixed(1).padStart(10)} ms  ${event}  ${JSON.stringify(keys)}`);
    }
    for (const line of result.stderr) console.log(`qemu: ${printable(line)}`);
  }
  return 0;
}
