/** What else of the host a guest can use: sound servers and render nodes. */
import { HostError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import type { HostAccess } from "./host_access.ts";

/**
 * The audio back ends that would work now, best first, by QEMU's names. A sound server counts when
 * its socket is there: QEMU without one prints warnings, or does not start.
 */
export function findAudio(access: HostAccess): string[] {
  if (access.os === "darwin") return ["coreaudio"];
  const found: string[] = [];
  const runtime = access.env("XDG_RUNTIME_DIR");
  const isSocket = (path: string) => access.stat(path)?.kind === "socket";
  if (runtime?.startsWith("/")) {
    const remote = access.env("PIPEWIRE_REMOTE") || "pipewire-0";
    if (isSocket(remote.startsWith("/") ? remote : `${runtime}/${remote}`)) found.push("pipewire");
  }
  const pulse = access.env("PULSE_SERVER");
  if (pulse !== undefined && pulse !== "") {
    const path = /^(?:unix:)?(\/.*)$/.exec(pulse)?.[1];
    if (path === undefined || isSocket(path)) found.push("pa"); // a server on the network is believed
  } else if (runtime?.startsWith("/") && isSocket(`${runtime}/pulse/native`)) {
    found.push("pa");
  }
  const playback = access.list("/dev/snd").some((name) =>
    /^pcmC\d+D\d+p$/.test(name) && access.openError(`/dev/snd/${name}`) !== "denied"
  );
  if (playback) found.push("alsa");
  return found;
}

/**
 * The DRM render nodes that this user may read and write, by number; or the one that was `given`,
 * which may be any file.
 *
 * @throws {HostError} when the given one does not open, and on macOS, which has none.
 */
export function findRenderNodes(access: HostAccess, given?: string): string[] {
  if (given !== undefined) return [checkRenderNode(access, given)];
  if (access.os !== "linux") return [];
  return access.list("/dev/dri")
    .filter((name) => /^renderD\d+$/.test(name))
    .sort((a, b) => Number(a.slice(7)) - Number(b.slice(7)))
    .map((name) => `/dev/dri/${name}`)
    .filter((path) => access.openError(path) === undefined);
}

/** QEMU opens it to read and write. */
function checkRenderNode(access: HostAccess, path: string): string {
  if (access.os !== "linux") {
    throw new HostError(
      `Cannot use --rendernode ${quoted(path)}: macOS has no render nodes, expected none`,
      { hint: "Leave it out: QEMU draws by Metal" },
    );
  }
  const why = {
    absent: "there is no such file",
    denied: "this user may not read and write it",
    busy: "it does not open to be read and written",
  };
  const obstacle = access.openError(path);
  if (obstacle === undefined) return path;
  throw new HostError(
    `Cannot use --rendernode ${quoted(path)}: ${why[obstacle]}, ` +
      "expected one such as /dev/dri/renderD128",
    {
      hint: obstacle === "denied"
        ? "Join the group that owns it (usually render) and log in again"
        : "utmost doctor lists the render nodes of this host",
    },
  );
}
