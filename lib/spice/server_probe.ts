/** Whether a server that has closed our session goes on without us. */
import { withDeadline } from "../base/deadline.ts";
import { DeadlineError, SpiceError } from "../base/errors.ts";
import { connectStream, type SpiceStream, type SpiceTarget } from "./transport.ts";

/** How long a connection stays open before the server behind it counts as running. */
const OPEN_MS = { local: 50, remote: 300 } as const;
/** How long making a connection may take. */
const CONNECT_MS = 2000;

/**
 * Finds out whether a server takes connections. Being accepted is no proof: a process that is being
 * torn down by its kernel accepts for a moment. So the connection has to stay open for a while.
 *
 * @param own Is given the connection, so that whoever owns the session can close it.
 */
export async function isServing(
  target: SpiceTarget,
  own: (stream: SpiceStream) => void,
): Promise<boolean> {
  try {
    using stream = await withDeadline(
      "SPICE server",
      (signal) => connectStream(target, signal),
      { timeoutMs: CONNECT_MS },
    );
    own(stream);
    let isOpen = false;
    const timer = setTimeout(() => {
      isOpen = true;
      stream.close();
    }, "path" in target ? OPEN_MS.local : OPEN_MS.remote);
    await stream.chunk(); // nothing comes: a server does not speak first
    clearTimeout(timer);
    return isOpen;
  } catch (error) {
    if (error instanceof SpiceError || error instanceof DeadlineError) return false;
    throw error;
  }
}
