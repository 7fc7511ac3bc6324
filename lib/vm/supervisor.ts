/**
 * The one process that holds a running VM: its lock, its folder, its connections, and the control
 * socket through which every verb and viewer reaches it.
 */
import { join } from "@std/path";
import { places } from "../base/places.ts";
import { UsageError } from "../base/errors.ts";
import type { Grant } from "../utm/grants.ts";
import { type Bundle, openBundle } from "../utm/bundle.ts";
import { makeState } from "./guest_state.ts";
import { VmMethods } from "./control_methods.ts";
import { ControlServer } from "./control.ts";
import type { EventLog } from "./events.ts";
import { launch } from "./launch.ts";
import { BundleLock } from "./lock.ts";
import type { VirtualMachine } from "./machine.ts";
import { type LaunchRequest, prepare, type PreparedLaunch } from "./prepare.ts";
import { InstanceDirectory } from "./runtime_dir.ts";

/** What a supervisor is started with. */
export interface SupervisorOptions {
  /** Path of the bundle, as it was given. */
  bundle: string;
  request: LaunchRequest;
  grants: ReadonlySet<Grant>;
  /** The instance's id. */
  id: string;
  log: EventLog;
  /** Ends the launch; a VM that runs is not touched by it. */
  signal: AbortSignal;
  /** As in `launch`. */
  greetingTimeoutMs?: number;
  /** Called when the bundle is read, before anything is started. */
  onBundle?: (bundle: Bundle) => void;
  /** Called when the plan is made, before QEMU is started. */
  onPrepared?: (prepared: PreparedLaunch) => void;
  /** Called as soon as the VM exists, before QEMU is started. */
  onMachine?: (vm: VirtualMachine) => void;
  /** As in `launch`. */
  onWarning?: (text: string) => void;
  /** As in `launch`. */
  onNotice?: (text: string) => void;
  /** As in `launch`. */
  onDetail?: (text: string) => void;
  /** As in `launch`. */
  onDefect?: (error: unknown) => void;
  /** A client asked for the VM to be stopped before it was up. */
  onStopRequest: () => void;
}

/** A running VM with its supervisor; disposing it ends the VM and frees everything. */
export class Supervisor implements AsyncDisposable {
  readonly vm: VirtualMachine;
  readonly prepared: PreparedLaunch;
  readonly #methods: VmMethods;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    vm: VirtualMachine,
    prepared: PreparedLaunch,
    methods: VmMethods,
    stack: AsyncDisposableStack,
  ) {
    this.vm = vm;
    this.prepared = prepared;
    this.#methods = methods;
    this.#stack = stack;
  }

  /**
   * Opens the bundle, takes its lock, checks its grants, and brings the VM up.
   *
   * @throws {BundleError} {RefusedError} {RunningError} {HostError} {HostFailure} before QEMU is
   * started, and what `launch` throws. Nothing is left behind.
   */
  static async start(options: SupervisorOptions): Promise<Supervisor> {
    const { id, log, request, signal, greetingTimeoutMs } = options;
    const { onWarning, onNotice, onDetail, onDefect } = options;
    await using stack = new AsyncDisposableStack();
    const { runtime, state } = places();
    const bundle = await openBundle(options.bundle);
    options.onBundle?.(bundle);
    const { disposable } = request.options;
    // Closed last: to a client the end of its connection means that the bundle is free again.
    const control = stack.use(new AsyncDisposableStack());
    stack.use(
      await BundleLock.take(join(state, "locks"), {
        path: bundle.path,
        device: bundle.device,
        inode: bundle.inode,
      }, { shared: disposable, id }),
    );
    const directory = stack.use(await InstanceDirectory.create(runtime, id));
    const { name, uuid } = bundle.config.information;
    const identity = { id, name, uuid, bundle: bundle.path };
    log.emit({ event: "launch", id, bundle: bundle.path, name, uuid });

    const methods = new VmMethods(identity, log, options.onStopRequest);
    control.use(ControlServer.listen(directory.paths.control, methods.table()));
    control.defer(() => methods.saved()); // also of a launch that fails
    const prepared = await prepare(bundle, request, {
      directory: directory.paths.directory,
      listener: "supervisor",
    }, {
      grants: options.grants,
      signal,
      ...(onNotice === undefined ? {} : { onNotice }),
    });
    options.onPrepared?.(prepared);
    for (const { key, from, to, why } of prepared.plan.substitutions) {
      log.emit({ event: "substitution", key, from, to, why });
    }
    await makeState(prepared.state, prepared.plan, directory.paths.directory, signal);

    const launched = stack.use(
      await launch(identity, prepared, {
        log,
        signal,
        ...(greetingTimeoutMs === undefined ? {} : { greetingTimeoutMs }),
        ...(onWarning === undefined ? {} : { onWarning }),
        ...(onNotice === undefined ? {} : { onNotice }),
        ...(onDetail === undefined ? {} : { onDetail }),
        ...(onDefect === undefined ? {} : { onDefect }),
        onStopped: () => methods.saved(),
        onMachine: (vm) => {
          methods.serve(vm, prepared);
          options.onMachine?.(vm);
        },
      }),
    );
    return new Supervisor(launched.vm, prepared, methods, stack.move());
  }

  /** Tells the client that started the VM that it may go: the steps are done. */
  leave(): void {
    this.#methods.leave();
  }

  /** Ends the VM if it runs, starting at QMP `quit`, then frees what belongs to it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** Refuses an id that a detached run cannot have. @throws {UsageError} */
export function checkInstanceId(id: string): string {
  if (/^[a-f][0-9a-f]{7}$/.test(id)) return id;
  throw new UsageError("Cannot use the instance id: expected 8 hex digits, a letter first");
}
