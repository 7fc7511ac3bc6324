/** `utmost run`, and the supervisor of a detached run. */
import { newInstanceId } from "../../vm/runtime_dir.ts";
import { checkInstanceId } from "../../vm/supervisor.ts";
import type { Invocation } from "../args.ts";
import type { Progress } from "../progress.ts";
import { runSettingsOf } from "../run_settings.ts";
import { Session } from "../session.ts";

/** Boots a bundle and stays until the guest is off, or until it may be left. */
export async function run(invocation: Invocation, progress: Progress): Promise<number> {
  const [bundle = ""] = invocation.words;
  const settings = await runSettingsOf(invocation, bundle);
  const id = newInstanceId();
  if (settings.detach || settings.then === "leave") {
    const { runDetached } = await import("../detached.ts");
    return await runDetached(invocation, settings, id, progress);
  }
  const result = await new Session(settings, id, progress, true).run();
  if (settings.json) console.log(JSON.stringify(result));
  return result.code;
}

/** Is the supervisor of a detached run; its stderr is a log file. */
export async function supervise(invocation: Invocation, progress: Progress): Promise<number> {
  const [id = "", bundle = ""] = invocation.words;
  const settings = await runSettingsOf(invocation, bundle);
  const result = await new Session(settings, checkInstanceId(id), progress, false).run();
  if (result.code === 0) await (await import("../detached.ts")).removeLog(id);
  return result.code;
}
