/** What else of the host a guest can use: sound servers and render nodes. */
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

/** The DRM render nodes that this user may read and write, by number. */
export function findRenderNodes(access: HostAccess): string[] {
  if (access.os !== "linux") return [];
  return access.list("/dev/dri")
    .filter((name) => /^renderD\d+$/.test(name))
    .sort((a, b) => Number(a.slice(7)) - Number(b.slice(7)))
    .map((name) => `/dev/dri/${name}`)
    .filter((path) => access.openError(path) === undefined);
}
