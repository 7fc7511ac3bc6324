/** `utmost console`: this terminal on the serial port of a running VM. */
import { connectVm } from "../../vm/find.ts";
import type { Invocation } from "../args.ts";
import type { Progress } from "../progress.ts";
import { attachTerminal, ESCAPE_HELP } from "../terminal.ts";

/** Connects until the user leaves, stdin and the guest have ended, or the VM is off. */
export async function serialConsole(
  { words: [target = ""] }: Invocation,
  progress: Progress,
): Promise<number> {
  const { vm, client } = await connectVm(target);
  await using owned = client;
  const left = Promise.withResolvers<void>();
  const terminal = attachTerminal({
    tap: (listener) =>
      owned.onNotification((method, params) => {
        if (method === "serial") listener(Uint8Array.fromBase64((params as { data: string }).data));
      }),
    write: async (bytes) => void await owned.call("send", { data: bytes.toBase64() }),
  }, {
    input: true,
    onEscape: () => left.resolve(),
    onRaw: (raw) => progress.raw = raw,
  });
  try {
    progress.info(`connected to ${vm.id} (${vm.name}); ${ESCAPE_HELP} leaves it`);
    await owned.call("serial", { replay: true });
    await Promise.race([left.promise, owned.closed]);
  } finally {
    await terminal.detach();
  }
  return 0;
}
