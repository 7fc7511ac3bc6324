/**
 * How what the guest's GPU draws gets out of QEMU, settled before displays are rewritten:
 *
 * - `scanouts`: buffers on the GPU, named by descriptors that SPICE hands over. Nothing is copied by
 *   the CPU. It takes a QEMU with SPICE and `gl`, a device with `-gl`, a GPU, and our native shim.
 * - `headless`: QEMU draws on the GPU by itself and reads every frame back (`egl-headless`), and the
 *   pictures are plain ones: 3D in the guest for more copies. Only `--gl auto` falls back to it.
 * - `none`: no 3D; devices with `-gl` are replaced by their twins without.
 */
import { HostError, UsageError } from "../base/errors.ts";
import { splitWords } from "../base/words.ts";
import type { Config } from "../utm/model.ts";
import { hasDevice, hasSpice, offers, qemuName } from "./adapt_capabilities.ts";
import { isGl } from "./facts.ts";
import type { Host, QemuCapabilities } from "./host_model.ts";
import type { CommandOptions } from "./launch_options.ts";

/** What {@linkcode chooseGl} settles. */
export type GlWay =
  | {
    kind: "scanouts";
    /** The value of `gl` in `-spice`: `es` is ANGLE, in UTM's QEMU on macOS. */
    api: "on" | "es";
    /** The GPU; absent on macOS, where there is nothing to choose. */
    renderNode?: string;
  }
  | { kind: "headless"; renderNode: string; why: string }
  | { kind: "none"; why: string };

/** Something without which there are no GL scanouts. */
export interface GlLack {
  /** One clause. */
  why: string;
  /** What was tried, in the words of what failed. */
  detail?: string;
  /** What would do. */
  expected: string;
  /** What the user can do. */
  hint: string;
  /** `egl-headless` gets by without it. */
  headlessWorks: boolean;
}

/** What {@linkcode glLack} looks at, for one QEMU on one host. */
export interface GlFacts {
  host: Pick<Host, "os" | "renderNodes" | "utm">;
  qemu: QemuCapabilities;
  /** The device that is to draw; null where any with `-gl` will do. */
  device: string | null;
  hasShim: boolean;
  /** Why it is not there. */
  shimObstacle?: string;
  /** SPICE is told to listen on a TCP port, too. */
  remote: boolean;
}

/** What egl-headless costs, in one clause. */
export const HEADLESS_COST =
  "each frame is copied from the GPU to the CPU, through a socket, and to the GPU again";

/** Devices without 3D that have a twin with it. Source: QEMU hw/display, virtio-gpu-gl. */
const TWINS: Readonly<Record<string, string>> = {
  "virtio-vga": "virtio-vga-gl",
  "virtio-gpu": "virtio-gpu-gl",
  "virtio-gpu-pci": "virtio-gpu-gl-pci",
  "virtio-gpu-device": "virtio-gpu-gl-device",
};

/**
 * The device that draws by the GPU in place of `hardware`: itself at best; undefined where there is
 * none of its kind.
 */
export function glTwin(
  hardware: string,
  architecture: string,
  qemu: QemuCapabilities,
): string | undefined {
  if (hardware.startsWith("virtio-ramfb")) {
    if (hasDevice(qemu, "virtio-ramfb-gl")) return "virtio-ramfb-gl";
    return isX86(architecture) ? "virtio-vga-gl" : "virtio-gpu-gl-pci";
  }
  return isGl(hardware) ? hardware : TWINS[hardware];
}

/** Whether this launch looks for GL at all: what it takes is not even searched for otherwise. */
export function wantsGl(config: Config, { gl }: Pick<CommandOptions, "gl">): boolean {
  if (gl === "off" || config.displays.length === 0) return false;
  return gl === "on" || config.displays.some(({ hardware }) => isGl(hardware));
}

/**
 * Whether `gl` in `-spice` names an API, as in UTM's QEMU, rather than being a switch: told by the
 * option's help, else by where the QEMU comes from.
 */
function namesGlApi(host: Pick<Host, "os" | "utm">, qemu: QemuCapabilities): boolean {
  return host.os === "darwin" && (qemu.spiceGlApis ?? host.utm !== undefined);
}

/** The first thing that is missing for GL scanouts; undefined where they work. */
export function glLack(
  { host, qemu, device, hasShim, shimObstacle, remote }: GlFacts,
): GlLack | undefined {
  const name = qemuName(qemu);
  const mac = host.os === "darwin";
  if (!hasSpice(host, qemu)) {
    return {
      why: `${name} has no SPICE to bring GL scanouts through`,
      expected: "one with it",
      hint: mac
        ? "Install UTM: its QEMU has SPICE and GL scanouts, Homebrew's has not"
        : "Install QEMU's SPICE modules (Debian: qemu-system-modules-spice)",
      headlessWorks: true,
    };
  }
  const hasGlDevice = device === null
    ? qemu.everything || qemu.devices.some(isGl)
    : hasDevice(qemu, device);
  if (!offers(qemu, "spiceOptions", "gl") || !hasGlDevice) {
    const hint = mac
      ? "Install UTM: its QEMU draws by the GPU"
      : "Install QEMU's OpenGL modules (Debian: qemu-system-modules-opengl)";
    return offers(qemu, "spiceOptions", "gl")
      ? {
        why: `${name} has no ${device ?? "device that draws by the GPU"}`,
        expected: "one with virglrenderer",
        hint,
        headlessWorks: false,
      }
      : {
        why: `the SPICE of ${name} has no gl`,
        expected: "one with it",
        hint,
        headlessWorks: true,
      };
  }
  if (host.renderNodes.length === 0 && !namesGlApi(host, qemu)) {
    return {
      why: "there is no render node in /dev/dri that this user may open",
      expected: "one such as /dev/dri/renderD128",
      hint: "A GPU with a driver has one: join the group that owns it (usually render), or give " +
        "run another with --rendernode",
      headlessWorks: false,
    };
  }
  if (remote) {
    return {
      why: "SPICE listens on a TCP port, which hands over no descriptors",
      expected: "its Unix socket only",
      hint: "Leave out port and tls-port of -spice",
      headlessWorks: true,
    };
  }
  if (!hasShim) {
    return {
      why: "there is no native shim to take GL scanouts",
      ...(shimObstacle === undefined ? {} : { detail: shimObstacle }),
      expected: "libutm_shim",
      hint: "Build it (deno task native), or name it with UTMOST_SHIM",
      headlessWorks: true,
    };
  }
  return undefined;
}

/**
 * Settles how the guest's GPU output gets out of QEMU.
 *
 * @throws {HostError} `--gl on`, and something is missing.
 * @throws {UsageError} `--gl on` for a guest without a display.
 */
export function chooseGl(
  config: Config,
  host: Host,
  qemu: QemuCapabilities,
  options: CommandOptions,
): GlWay {
  if (options.gl === "on" && config.displays.length === 0) {
    throw new UsageError("Cannot use --gl on: the bundle has no display, expected one", {
      hint: "Leave it out, or give the VM a display in UTM",
    });
  }
  if (!wantsGl(config, options)) return { kind: "none", why: "GL is off (--gl off)" };
  const device = glDevice(config, qemu, options);
  const nodes = options.renderNode === undefined ? host.renderNodes : [options.renderNode];
  const lack = glLack({
    host: { ...host, renderNodes: nodes },
    qemu,
    device,
    hasShim: options.hasShim === true,
    ...(options.shimObstacle === undefined ? {} : { shimObstacle: options.shimObstacle }),
    remote: listensRemotely(config, options),
  });
  const [renderNode] = nodes;
  if (lack === undefined) {
    if (namesGlApi(host, qemu)) return { kind: "scanouts", api: "es" };
    return { kind: "scanouts", api: "on", ...(renderNode === undefined ? {} : { renderNode }) };
  }
  const { detail, expected, hint } = lack;
  const why = detail === undefined ? lack.why : `${lack.why} (${detail})`;
  if (options.gl === "on") {
    throw new HostError(
      `Cannot bring GL scanouts through SPICE (--gl on): ${why}, expected ${expected}`,
      { hint: `${hint}; or leave out --gl on: --gl auto takes what there is` },
    );
  }
  const headless = lack.headlessWorks && renderNode !== undefined &&
    offers(qemu, "displays", "egl-headless") && !hasOwnWindow(host, qemu, options) &&
    (device === null || hasDevice(qemu, device));
  return headless ? { kind: "headless", renderNode, why } : { kind: "none", why };
}

/**
 * The device that is to draw by the GPU, the first of them: QEMU takes one. `--gl on` counts those that
 * can be given a twin, too; null where there is none.
 */
function glDevice(
  config: Config,
  qemu: QemuCapabilities,
  options: CommandOptions,
): string | null {
  const { architecture } = config.system;
  for (const { hardware } of config.displays) {
    const twin = options.gl === "on" || isGl(hardware)
      ? glTwin(hardware, architecture, qemu)
      : undefined;
    if (twin !== undefined) return twin;
  }
  return null;
}

/** Whether a QEMU without SPICE shows a window of its own, which is then its only display. */
function hasOwnWindow(host: Host, qemu: QemuCapabilities, options: CommandOptions): boolean {
  return options.display === "window" && !hasSpice(host, qemu);
}

/** Whether arguments of the user's or the bundle's let SPICE listen on a TCP port. */
function listensRemotely(config: Config, options: CommandOptions): boolean {
  const words = [
    ...config.qemu.additionalArguments.flatMap(splitWords),
    ...options.extraArguments,
  ];
  return words.some((word, index) =>
    /^--?spice$/.test(words[index - 1] ?? "") && /(?:^|,)(?:tls-)?port=/.test(word)
  );
}

function isX86(architecture: string): boolean {
  return architecture === "x86_64" || architecture === "i386";
}
