/** What `doctor` says of pictures: SPICE, GL, the GPUs, and the native shim. */
import type { ShimOrigin } from "../../ffi/find.ts";
import { offers, qemuName } from "./adapt_capabilities.ts";
import { glLack, HEADLESS_COST } from "./adapt_gl.ts";
import { isGl } from "./facts.ts";
import type { HostAccess } from "./host_access.ts";
import type { Host } from "./host_model.ts";
import type { Finding, HostReport, ShimReport } from "./host_report.ts";

/** What `--gl auto` does for a display that draws by the GPU, and why. */
export interface GlReport {
  /** `scanouts`: nothing is copied by the CPU; `egl-headless`: 3D with copies; `off`: no 3D. */
  way: "scanouts" | "egl-headless" | "off";
  /** One clause. */
  why: string;
  /** What to do for `scanouts`; absent where they work. */
  hint?: string;
  /** The render node in use; null: none, or macOS. */
  renderNode: string | null;
  /** Render nodes that are there and may not be opened by this user. */
  denied: string[];
}

/** Says what becomes of GL with the QEMU of `host`. */
export function reportGl(
  access: Pick<HostAccess, "list" | "openError">,
  host: Host,
  shim: ShimReport,
): GlReport {
  const denied = access.list("/dev/dri").filter((name) => /^renderD\d+$/.test(name))
    .map((name) => `/dev/dri/${name}`).filter((path) => !host.renderNodes.includes(path));
  const { qemu } = host;
  if (qemu === null) return { way: "off", why: "there is no QEMU", renderNode: null, denied };
  const lack = glLack({ host, qemu, device: null, hasShim: shim.present, remote: false });
  const renderNode = host.renderNodes[0] ?? null;
  if (lack === undefined) {
    const gpu = renderNode === null ? "by ANGLE, on Metal" : `on ${renderNode}`;
    return { way: "scanouts", why: `${qemuName(qemu)} draws ${gpu}`, renderNode, denied };
  }
  const headless = lack.headlessWorks && renderNode !== null &&
    offers(qemu, "displays", "egl-headless") && qemu.devices.some(isGl);
  return {
    way: headless ? "egl-headless" : "off",
    why: lack.why,
    hint: lack.hint,
    renderNode: headless ? renderNode : null,
    denied,
  };
}

/** The findings on pictures, in the order in which they are printed. */
export function displayFindings(report: HostReport): Finding[] {
  return [
    spiceFinding(report),
    glFinding(report.gl),
    ...gpuFindings(report),
    shimFinding(report.nativeShim),
  ];
}

/** How a library came to be the one in use. */
const SHIM_ORIGINS: Record<ShimOrigin, string> = {
  UTMOST_SHIM: "named by UTMOST_SHIM",
  carried: "carried by this program and unpacked",
  built: "built from source",
  downloaded: "downloaded",
};

function shimFinding({ path, from, abi, why, hint }: ShimReport): Finding {
  const topic = "native shim";
  if (path !== null && from !== null) {
    return { topic, status: "ok", text: `${path}, ${SHIM_ORIGINS[from]}, ABI ${abi}` };
  }
  const text = why ?? "there is none";
  return { topic, status: "note", text, ...(hint === undefined ? {} : { hint }) };
}

function spiceFinding({ host, qemu }: HostReport): Finding {
  const withSpice = qemu.filter((it) => it.spice).length;
  const usable = qemu.filter((it) => it.error === null).length;
  if (withSpice > 0) {
    return { topic: "SPICE", status: "ok", text: `${withSpice} of ${usable} QEMUs have it` };
  }
  return {
    topic: "SPICE",
    status: "note",
    text: "no QEMU here has it: pictures and input go through QMP",
    hint: host.os === "linux"
      ? "Install qemu-system-modules-spice (Debian, Ubuntu) or qemu-ui-spice-core (Fedora)"
      : "Install UTM.app, whose QEMU has it",
  };
}

function glFinding({ way, why, hint }: GlReport): Finding {
  if (way === "scanouts") {
    return { topic: "GL", status: "ok", text: `scanouts, which the CPU never copies: ${why}` };
  }
  const text = way === "egl-headless"
    ? `egl-headless, as ${why}: guests have 3D, but ${HEADLESS_COST}`
    : `off, as ${why}: devices with 3D are replaced by their twins without`;
  return { topic: "GL", status: "note", text, ...(hint === undefined ? {} : { hint }) };
}

function gpuFindings({ renderNodes, gl }: HostReport): Finding[] {
  const findings: Finding[] = [];
  const [first, ...others] = renderNodes;
  if (first !== undefined) {
    findings.push({
      topic: "GPU",
      status: "ok",
      text: others.length === 0
        ? `render node ${first}`
        : `render node ${first}, not ${others.join(", ")}: --rendernode takes another`,
    });
  }
  if (gl.denied.length > 0) {
    findings.push({
      topic: "GPU",
      status: "note",
      text: `${gl.denied.join(", ")} may not be opened by this user`,
      hint: "Join the group that owns it (usually render) and log in again",
    });
  }
  return findings;
}
