/** What a display's thread runs: it does what its owner asks for, until it is to end. */
import { OwnedFd } from "../../ffi/fd.ts";
import { loadShim, type Shim } from "../../ffi/load.ts";
import { UnixSocket } from "../../ffi/socket.ts";
import { WakeUp } from "../../ffi/waker.ts";
import type { GlDriver, GuestBuffer } from "../display/gl_interfaces.ts";
import { GlLedger } from "../display/gl_ledger.ts";
import { FdConnection } from "../spice/fd_connection.ts";
import { DisplayCells } from "./display_cells.ts";
import type { DisplayCommand, DisplayNews, DisplayStart } from "./display_protocol.ts";
import { WorkerDisplay } from "./worker_display.ts";

/** What is needed of the thread's global scope. */
export interface DisplayScope {
  onmessage: ((event: MessageEvent<DisplayCommand>) => void) | null;
  postMessage(news: DisplayNews, transfer: Transferable[]): void;
}

/** Makes what opens buffers and EGL, by a native library that stays open for as long. */
export type MakeDriver<B extends GuestBuffer> = (
  shim: Shim,
  renderNode: string | undefined,
) => GlDriver<OwnedFd, B>;

/** Serves the owner of this thread, whose commands come to `scope`. */
export function serveDisplay<B extends GuestBuffer>(
  scope: DisplayScope,
  makeDriver: MakeDriver<B>,
): void {
  clearTimeout(setTimeout(() => {})); // the first timer of a thread takes 4 ms, which nobody waits for yet
  let handle: ((command: DisplayCommand) => void) | undefined;
  scope.onmessage = ({ data: command }) => {
    if (command.do === "start") handle = begin(command.start, scope, makeDriver);
    else handle?.(command);
  };
}

/** Makes the display, and returns what handles the commands that follow. */
function begin<B extends GuestBuffer>(
  start: DisplayStart,
  scope: DisplayScope,
  makeDriver: MakeDriver<B>,
): (command: DisplayCommand) => void {
  const shim = loadShim(start.shim);
  const cells = new DisplayCells(start.cells);
  const wakeUp = new WakeUp(shim, new OwnedFd(shim, start.wakeUp));
  const post = (news: DisplayNews, transfer: Transferable[] = []) => {
    scope.postMessage(news, transfer);
  };

  let heard = 1; // the command that this one is
  /** Commands that take more than a turn. */
  let handling: Promise<void> = Promise.resolve();
  let next = Promise.withResolvers<void>();
  /** The owner counts what it posts before it wakes: nothing of it is left when this resolves. */
  const afterTurn = async () => {
    while (heard < cells.posted) await next.promise;
    await handling;
  };

  const display = new WorkerDisplay({
    cells,
    ledger: new GlLedger(start.ledger),
    post,
    connect: (socket) =>
      new FdConnection(new UnixSocket(shim, new OwnedFd(shim, socket)), wakeUp, { afterTurn }),
    driver: makeDriver(shim, start.renderNode),
  });
  let isEnding = false;
  const end = async () => {
    if (isEnding) return;
    isEnding = true;
    await display[Symbol.asyncDispose]();
    wakeUp[Symbol.dispose]();
    shim[Symbol.dispose]();
    post({ is: "over" });
  };
  post({ is: "ready" });
  return (command) => {
    heard++;
    next.resolve();
    next = Promise.withResolvers();
    if (command.do === "end") void end(); // waits for the connection, which waits for `handling`
    else handling = handling.then(() => display.handle(command)).catch(die);
  };
}

/** Ends the thread with a defect, at once: nothing more is handled, and no call is blocked in. */
function die(defect: unknown): Promise<never> {
  queueMicrotask(() => {
    throw defect;
  });
  return new Promise(() => {});
}
