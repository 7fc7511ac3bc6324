/**
 * Everything that is known before QEMU starts: the bundle, what it may do, the host, the plan.
 *
 * Nothing is written and nothing of the bundle runs here, so `argv` and `inspect` use it, too.
 */
import { places } from "../base/places.ts";
import { BundleError, HostError, ShimError } from "../base/errors.ts";
import { buildPlan } from "../qemu/adapt.ts";
import { wantsGl } from "../qemu/adapt_gl.ts";
import { missingQemuHint, probeHost } from "../qemu/host.ts";
import type { Host } from "../qemu/host_model.ts";
import type {
  CommandOptions,
  ExtraForward,
  LaunchPlan,
  SocketPlan,
} from "../qemu/launch_options.ts";
import { together } from "../qemu/together.ts";
import type { Grant } from "../utm/grants.ts";
import { authorize } from "./authorize.ts";
import { type PlacedState, placeState } from "./guest_state.ts";
import { type Bundle, type ResolvedFiles, resolveFiles } from "../utm/bundle.ts";
import type { Share } from "../utm/model.ts";

/** What a launch was asked for, on top of the bundle. */
export interface LaunchRequest {
  options: CommandOptions;
  /** `--qemu` or `UTMOST_QEMU`. */
  qemu?: string;
  /** Images for removable drives, by drive id. */
  drives: ReadonlyMap<string, string>;
  /** `--share`. */
  share?: Share;
}

/** A bundle with what its launch follows from. */
export interface PreparedLaunch {
  request: LaunchRequest;
  bundle: Bundle;
  files: ResolvedFiles;
  /** Where the guest's state is kept, and what has to be made for that. */
  state: PlacedState;
  host: Host;
  plan: LaunchPlan;
  /** Path of the native library, which opens; absent where it is not wanted or not there. */
  shim?: string;
}

/** Options of {@linkcode prepare}. */
export interface PrepareOptions {
  /** A described host instead of this one. */
  host?: Host;
  /** What the bundle may do; without it nothing is refused. */
  grants?: ReadonlySet<Grant>;
  /** Takes what the user should know before it is done: that something is downloaded. */
  onNotice?: (text: string) => void;
  signal?: AbortSignal;
}

/**
 * Finds out what `request` makes of `bundle` on this host, or on `host` where it is given.
 *
 * @throws {RefusedError} when the bundle asks for more than `grants` and trust let it do.
 * @throws {HostError} when the host has no QEMU for the guest's architecture.
 * @throws whatever resolving files, probing the host and building the command throw.
 */
export async function prepare(
  bundle: Bundle,
  request: LaunchRequest,
  sockets: SocketPlan,
  options: PrepareOptions = {},
): Promise<PreparedLaunch> {
  const { config } = bundle;
  const { gl, renderNode } = request.options;
  const [host, resolved, granted] = await together(options.signal, (signal) => {
    const probing = options.host ?? probeHost({
      architecture: config.system.architecture,
      machine: config.system.target,
      cacheDirectory: places().cache,
      firmware: config.qemu.uefiBoot,
      ...(request.qemu === undefined ? {} : { qemu: request.qemu }),
      ...(renderNode === undefined || gl === "off" ? {} : { renderNode }),
      signal,
    });
    const resolving = resolveFiles(bundle, {
      drives: request.drives,
      disposable: request.options.disposable,
      ...(request.share === undefined ? {} : { share: request.share }),
    });
    const authorizing = resolving.then((files) =>
      options.grants === undefined
        ? undefined
        : authorize(bundle, files, options.grants, { signal })
    );
    return [probing, resolving, authorizing];
  });
  if (host.qemu === null) {
    const binary = `qemu-system-${config.system.architecture}`;
    throw new HostError(`Cannot find QEMU: there is no ${binary}, expected it in PATH`, {
      hint: missingQemuHint(config.system.architecture),
    });
  }
  const state = await placeState(bundle, resolved, {
    disposable: request.options.disposable,
    directory: sockets.directory,
    stateFolder: places().state,
  });
  const { files } = state;
  const { shim, ...shimOptions } = wantsGl(config, request.options)
    ? await lookForShim(options)
    : {};
  const command: CommandOptions = {
    ...request.options,
    ...(granted === undefined ? {} : { allowNetwork: granted.has("network") }),
    ...shimOptions,
  };
  const plan = buildPlan(config, files, host, command, sockets);
  if (request.options.strict) refuseSubstitutions(bundle, plan);
  return {
    ...{ request, bundle, files, state, host, plan },
    ...(shim === undefined ? {} : { shim }),
  };
}

/** What is known of the native library. */
type FoundShim = Pick<CommandOptions, "hasShim" | "shimObstacle"> & Pick<PreparedLaunch, "shim">;

/** Finds the native library, and sees that it opens; a described host has it. */
async function lookForShim({ host, onNotice, signal }: PrepareOptions): Promise<FoundShim> {
  if (host !== undefined) return { hasShim: true };
  const [{ loadShim }, { obtainShim }] = await Promise.all([
    import("../../ffi/load.ts"),
    import("../../ffi/release.ts"),
  ]);
  try {
    const { path } = await obtainShim({
      announce: (text) => onNotice?.(text),
      ...(signal === undefined ? {} : { signal }),
    });
    using _shim = loadShim(path);
    return { hasShim: true, shim: path };
  } catch (error) {
    if (!(error instanceof ShimError)) throw error;
    return { hasShim: false, shimObstacle: error.message };
  }
}

/** Under `--strict`, what would only be reported is an error. */
function refuseSubstitutions(bundle: Bundle, plan: LaunchPlan): void {
  const warning = bundle.warnings[0];
  if (warning !== undefined) {
    throw new BundleError(`Cannot run strictly: ${warning.message}`);
  }
  const first = plan.substitutions[0];
  if (first === undefined) return;
  const more = plan.substitutions.length - 1;
  throw new HostError(
    `Cannot run strictly: ${first.key}: ${first.from} would become ${first.to}: ${first.why}` +
      (more === 0 ? "" : ` (and ${more} more)`),
    { hint: "Leave --strict out to accept substitutions; utmost argv --json lists them." },
  );
}

/**
 * Gives every forward with host port 0 a free port. The port is free now; another program can take
 * it before QEMU does, which then says so.
 */
export function pickPorts(forwards: readonly ExtraForward[]): Promise<ExtraForward[]> {
  return Promise.all(forwards.map(async (forward) => {
    if (forward.hostPort !== 0) return forward;
    const hostname = forward.hostAddress.replace(/^\[(.*)\]$/, "$1");
    if (forward.protocol === "udp") return { ...forward, hostPort: await freeUdpPort(hostname) };
    using listener = Deno.listen({ hostname, port: 0 });
    return { ...forward, hostPort: (listener.addr as Deno.NetAddr).port };
  }));
}

/** A UDP port that is free now. Deno's own datagram sockets are unstable; Node's are not. */
async function freeUdpPort(address: string): Promise<number> {
  const { createSocket } = await import("node:dgram");
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  return await new Promise<number>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(0, address, () => {
      const { port } = socket.address();
      socket.close(() => resolve(port));
    });
  });
}
