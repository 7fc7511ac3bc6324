/**
 * Bringing a VM up, in the order that leaves no race: QEMU starts paused, QMP answers, SPICE is
 * attached, and only then does the guest run its first instruction.
 *
 * Every wait here is raced against the exit of QEMU, so that a socket which will never appear ends
 * with QEMU's own words, at once.
 */
import { basename } from "@std/path";
import { pause, retry, withDeadline } from "../base/deadline.ts";
import { HostError, QemuError } from "../base/errors.ts";
import { SerialPort } from "../guest/serial.ts";
import type { ControlSocket, Helper } from "../qemu/launch_options.ts";
import { ChildProcess, QemuProcess } from "../qemu/process.ts";
import type { acceptQmp } from "../qmp/connect.ts";
import type { EventLog } from "./events.ts";
import { lendState } from "./guest_state.ts";
import { VirtualMachine, type VmIdentity } from "./machine.ts";
import type { PreparedLaunch } from "./prepare.ts";
import type { DisplayThreads } from "./display_threads.ts";
import type { Screens } from "./screens.ts";
import type { SpiceKeeper } from "./spice_keeper.ts";
import { toldOnce } from "./told_once.ts";

/** How long QEMU may take to connect to QMP and greet: firmware images are read before that. */
const GREETING_MS = 30_000;
const SPICE_MS = 10_000;
const HELPER_MS = 15_000;
/** How long the exit of QEMU may lag behind the end of its connections. */
const EXIT_LAG_MS = 500;
/** How long the first picture is left unread for the answer to `cont`, in milliseconds. */
const HOLD_MS = 5;

/** Options of {@linkcode launch}. */
export interface LaunchOptions {
  log: EventLog;
  signal: AbortSignal;
  /** How long QEMU may take to greet, in milliseconds; 30 s when left out. */
  greetingTimeoutMs?: number;
  /** Called as soon as the VM exists, before anything is started. */
  onMachine?: (vm: VirtualMachine) => void;
  /** Takes what the user should know of SPICE: that it is lost, what cannot be drawn. */
  onWarning?: (text: string) => void;
  /** Takes what the user may want to know: that SPICE is back. */
  onNotice?: (text: string) => void;
  /** Takes what only the curious want to know: what the SPICE server says. */
  onDetail?: (text: string) => void;
  /** Takes a defect of ours behind the scenes, which does not end the VM. */
  onDefect?: (error: unknown) => void;
  /** Waited for once QEMU has ended, before what it showed last is let go. Never rejects. */
  onStopped?: () => Promise<void>;
}

/** A launched VM and all that it holds; disposing it ends the VM. */
export interface LaunchedVm extends AsyncDisposable {
  vm: VirtualMachine;
}

/**
 * Starts QEMU by `prepared.plan` and returns once the guest runs.
 *
 * The sockets of the plan are in a folder of ours, made before. On failure everything that was
 * started is ended, in reverse.
 *
 * @throws {QemuError} when QEMU exits first, with its last stderr lines.
 * @throws {QmpError} when it does not greet in time. {SpiceError} when SPICE cannot be attached.
 * @throws the signal's reason when it is aborted.
 */
export async function launch(
  identity: VmIdentity,
  prepared: PreparedLaunch,
  options: LaunchOptions,
): Promise<LaunchedVm> {
  const { plan } = prepared;
  const { log } = options;
  await using stack = new AsyncDisposableStack();
  const vm = new VirtualMachine(identity, plan, log);
  options.onMachine?.(vm);

  for (const helper of plan.helpers) {
    if (helper.state !== undefined) stack.use(await lendState(helper.state));
    stack.use(await startHelper(helper, options.signal));
  }
  const accepting = plan.sockets.map((socket) => ({ socket, listener: listen(socket, stack) }));

  const process = stack.use(
    QemuProcess.spawn({ binary: plan.binary, argv: plan.argv }),
  );
  // QEMU takes a while to come up: what speaks to it is loaded in the meantime.
  const loading = loadClients(prepared, stack);
  loading.catch(() => {}); // told where it is waited for
  vm.spawned(process);
  log.emit({
    event: "qemu",
    pid: process.pid,
    binary: plan.binary,
    version: prepared.host.qemu?.version.join(".") ?? "",
    argv: [plan.binary, ...plan.argv],
  });
  const signal = AbortSignal.any([options.signal, process.gone]);
  try {
    const ports = acceptPorts(vm, accepting, signal, stack);
    ports.catch(() => {}); // told by the wait for QMP, or below
    const listener = accepting.find(({ socket }) => socket.kind === "qmp")?.listener;
    if (listener === undefined) throw new Error("the plan has no QMP socket");
    const clients = await loading;
    const qmp = stack.use(
      await clients.acceptQmp(listener, {
        timeoutMs: options.greetingTimeoutMs ?? GREETING_MS,
        signal: options.signal,
        gone: process.gone,
        onEvent: (event) => vm.heard(event),
      }),
    );
    process.confirmUp();
    vm.greeted(qmp);
    await ports;
    if (plan.spice !== undefined && clients.spice !== undefined) {
      vm.attached(await attachSpice(clients.spice, vm, plan.spice, options, signal, stack));
    }
    await resume(vm, signal);
    vm.screens?.complete({ signal });
  } catch (error) {
    if (options.signal.aborted) throw error;
    // A QEMU that dies closes its connections first: its exit says why, in its own words.
    await pause(EXIT_LAG_MS, process.gone).catch(() => {});
    throw process.gone.aborted ? process.gone.reason : error;
  }
  const owned = stack.move();
  return {
    vm,
    async [Symbol.asyncDispose]() {
      await vm.stop("quit");
      await options.onStopped?.();
      await owned.disposeAsync();
    },
  };
}

/**
 * Lets the guest run. QEMU may have to wait for the display before it can answer, so that is read
 * again after a moment, whether or not the answer has come.
 */
async function resume(vm: VirtualMachine, signal: AbortSignal): Promise<void> {
  const timer = setTimeout(() => vm.screens?.release(), HOLD_MS);
  try {
    await vm.resume(signal);
  } finally {
    clearTimeout(timer);
  }
}

/** Listens where QEMU will connect; the listener is closed with the launch at the latest. */
function listen(socket: ControlSocket, stack: AsyncDisposableStack): Deno.Listener {
  const listener = Deno.listen({ transport: "unix", path: socket.path });
  stack.defer(() => {
    try {
      listener.close();
    } catch {
      // Closed as soon as QEMU was there.
    }
  });
  return listener;
}

/** Waits for QEMU on every socket but QMP's: it connects to all of them before it greets. */
async function acceptPorts(
  vm: VirtualMachine,
  accepting: readonly { socket: ControlSocket; listener: Deno.Listener }[],
  signal: AbortSignal,
  stack: AsyncDisposableStack,
): Promise<void> {
  await Promise.all(accepting.map(async ({ socket, listener }) => {
    if (socket.kind === "qmp") return;
    const conn = await withDeadline(
      `a connection from QEMU to ${basename(socket.path)}`,
      () => listener.accept(),
      { signal, timeoutMs: GREETING_MS },
    ).finally(() => listener.close());
    if (socket.kind === "serial" && socket.serial !== undefined) {
      vm.serials.set(socket.serial, stack.use(new SerialPort(conn)));
    } else {
      // The guest agent takes one client; it is held for the verbs that will speak to it.
      stack.defer(() => conn.close());
    }
  }));
}

/** What speaks SPICE. */
interface SpiceClient {
  SpiceKeeper: typeof SpiceKeeper;
  Screens: typeof Screens;
  /** Where displays are drawn whose pictures come as GL scanouts. */
  threads?: DisplayThreads;
}

/** Loads what speaks to QEMU; a display's thread, which loads modules of its own, is started, too. */
async function loadClients(
  { plan: { spice, gl, renderNode }, shim, bundle }: PreparedLaunch,
  stack: AsyncDisposableStack,
): Promise<{ acceptQmp: typeof acceptQmp; spice?: SpiceClient }> {
  const starting = spice !== undefined && gl
    ? startThreads({
      displays: bundle.config.displays.length,
      ...(renderNode === undefined ? {} : { renderNode }),
      ...(shim === undefined ? {} : { shim }),
    }, stack)
    : undefined;
  const loading = spice === undefined
    ? undefined
    : Promise.all([import("./spice_keeper.ts"), import("./screens.ts"), starting]);
  const { acceptQmp } = await import("../qmp/connect.ts");
  if (loading === undefined) return { acceptQmp };
  const [{ SpiceKeeper }, { Screens }, threads] = await loading;
  return {
    acceptQmp,
    spice: { SpiceKeeper, Screens, ...(threads === undefined ? {} : { threads }) },
  };
}

async function startThreads(
  options: { displays: number; renderNode?: string; shim?: string },
  stack: AsyncDisposableStack,
): Promise<DisplayThreads> {
  const [{ DisplayThreads }] = await Promise.all([
    import("./display_threads.ts"),
    import("./thread_screen.ts"), // taken by `Screens` once SPICE is attached, which should not wait
  ]);
  if (stack.disposed) throw new DOMException("the launch has failed", "AbortError");
  return stack.use(DisplayThreads.start(options));
}

async function attachSpice(
  { SpiceKeeper, Screens, threads }: SpiceClient,
  vm: VirtualMachine,
  path: string,
  { log, onWarning, onNotice, onDetail, onDefect }: LaunchOptions,
  signal: AbortSignal,
  stack: AsyncDisposableStack,
): Promise<SpiceKeeper> {
  const once = {
    ...(onWarning === undefined ? {} : { onWarning: toldOnce(onWarning) }),
    ...(onDetail === undefined ? {} : { onDetail: toldOnce(onDetail) }),
    ...(onDefect === undefined ? {} : { onDefect }),
  };
  const screens = stack.use(
    new Screens({
      ...once,
      isHeld: true,
      ...(threads === undefined ? {} : { threads }),
      onMode: ({ id, kind, width, height }) =>
        log.emit({ event: "display", id, kind, width, height }),
      onGuard: (text) => log.emit({ event: "guard", rule: "gl-draw", text }),
    }),
  );
  return stack.use(
    await SpiceKeeper.attach({
      ...once,
      path,
      screens,
      timeoutMs: SPICE_MS,
      signal,
      gone: vm.gone,
      hasClient: async () => {
        const { channels = [] } = await vm.qmp.execute("query-spice");
        return channels.length > 0;
      },
      onEvent: (event) => log.emit({ event: "spice", ...event }),
      onNews: ({ kind, why }) => {
        switch (kind) {
          case "lost":
            onWarning?.(
              `SPICE is lost (${why}): pictures and keys go through QMP until it is back`,
            );
            break;
          case "back":
            onNotice?.("SPICE is back");
            break;
        }
      },
    }),
  );
}

/** Starts a program that has to be up before QEMU, and waits until it listens. */
async function startHelper(helper: Helper, signal: AbortSignal): Promise<ChildProcess> {
  const [binary = helper.name, ...argv] = helper.argv;
  const child = ChildProcess.spawn({ name: helper.name, binary, argv });
  try {
    await retry(`the socket of ${helper.name}`, () => listens(helper.socket), {
      timeoutMs: HELPER_MS,
      signal: AbortSignal.any([signal, child.gone]),
      canSucceedLater: (error) => error instanceof Deno.errors.NotFound,
    });
    return child;
  } catch (error) {
    await child[Symbol.asyncDispose]();
    if (error instanceof QemuError) {
      throw new HostError(`Cannot start ${helper.name}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

/**
 * Resolves once somebody listens on a Unix socket, without connecting to it: swtpm serves one client
 * and ends with it. Linux tells in `/proc/net/unix` (flag 0x10000, `__SO_ACCEPTCON`); elsewhere the
 * socket's existence has to do.
 *
 * @throws {Deno.errors.NotFound} as long as nobody listens.
 */
async function listens(path: string): Promise<void> {
  const info = await Deno.lstat(path);
  if (!info.isSocket) throw new Deno.errors.NotFound(`${path} is no socket`);
  if (Deno.build.os !== "linux") return;
  const table = await Deno.readTextFile("/proc/net/unix");
  const listening = table.split("\n").some((line) =>
    line.endsWith(` ${path}`) && (parseInt(line.split(" ")[3] ?? "0", 16) & 0x10000) !== 0
  );
  if (!listening) throw new Deno.errors.NotFound(`nobody listens on ${path} yet`);
}
