import { assertEquals, assertThrows } from "@std/assert";
import { HostError } from "../../lib/base/errors.ts";
import { findAudio, findRenderNodes } from "../../lib/qemu/host_services.ts";
import { fakeHost } from "../fakes/host.ts";

const SOCKET = { kind: "socket" as const };

Deno.test("findAudio lists the servers that are there, best first", () => {
  const env = { XDG_RUNTIME_DIR: "/run/user/1000" };
  const files = {
    "/run/user/1000/pipewire-0": SOCKET,
    "/run/user/1000/pulse/native": SOCKET,
    "/dev/snd/pcmC0D0p": { kind: "device" as const },
  };
  assertEquals(findAudio(fakeHost({ env, files })), ["pipewire", "pa", "alsa"]);
  assertEquals(findAudio(fakeHost({ env })), []);
  assertEquals(findAudio(fakeHost({ files })), ["alsa"]);
  const capture = { "/dev/snd/pcmC0D0c": { kind: "device" as const } };
  const denied = { "/dev/snd/pcmC0D0p": { kind: "device" as const, open: "denied" as const } };
  assertEquals(findAudio(fakeHost({ files: { ...capture, ...denied } })), []);
  assertEquals(findAudio(fakeHost({ os: "darwin" })), ["coreaudio"]);
});

Deno.test("findAudio believes PULSE_SERVER when it is on the network, else looks", () => {
  assertEquals(findAudio(fakeHost({ env: { PULSE_SERVER: "tcp:10.0.0.1" } })), ["pa"]);
  assertEquals(findAudio(fakeHost({ env: { PULSE_SERVER: "unix:/p" } })), []);
  assertEquals(
    findAudio(fakeHost({ env: { PULSE_SERVER: "unix:/p" }, files: { "/p": SOCKET } })),
    ["pa"],
  );
});

Deno.test("findRenderNodes lists what can be opened, in the order of numbers", () => {
  const device = { kind: "device" as const };
  const files = {
    "/dev/dri/card0": device,
    "/dev/dri/renderD129": device,
    "/dev/dri/renderD128": device,
    "/dev/dri/renderD130": { ...device, open: "denied" as const },
    "/dev/dri/by-path/x": device,
  };
  assertEquals(findRenderNodes(fakeHost({ files })), [
    "/dev/dri/renderD128",
    "/dev/dri/renderD129",
  ]);
  assertEquals(findRenderNodes(fakeHost({ files, os: "darwin" })), []);
});

Deno.test("findRenderNodes takes any file that the user names, and no other then", () => {
  const files = {
    "/dev/dri/renderD128": { kind: "device" as const },
    "/dev/dri/renderD129": { kind: "device" as const, open: "denied" as const },
    "/tmp/file": "",
  };
  const host = fakeHost({ files });
  assertEquals(findRenderNodes(host, "/tmp/file"), ["/tmp/file"]);
  const refused = (path: string, why: string) => {
    const error = assertThrows(() => findRenderNodes(host, path), HostError, why);
    assertEquals(error.message.includes(path), true);
  };
  refused("/dev/dri/renderD129", "this user may not read and write it");
  refused("/dev/dri/renderD130", "there is no such file");
  const mac = fakeHost({ files, os: "darwin" });
  assertThrows(() => findRenderNodes(mac, "/tmp/file"), HostError, "macOS has no render nodes");
});
