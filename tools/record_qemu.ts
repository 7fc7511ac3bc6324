/**
 * Records what the QEMUs of this machine can do, for the described hosts `linux-*`:
 * `deno run -A tools/record_qemu.ts`. Run it on Debian 12 with all `qemu-system-*` packages.
 */
import { findArchitectures, findBinary } from "../lib/qemu/host_binaries.ts";
import { systemAccess } from "../lib/qemu/host_access.ts";
import { probeBinary } from "../lib/qemu/host_capabilities.ts";
import type { QemuCapabilities } from "../lib/qemu/host_model.ts";
import type { NamesOf, RecordedQemu } from "../lib/qemu/described_hosts.ts";

const OUTPUT = new URL("../lib/qemu/described_qemu.json", import.meta.url);
const TIMEOUT_MS = 60_000;
const LINE_LENGTH = 90;

const access = systemAccess();
const recorded = new Map<string, QemuCapabilities>();
for (const architecture of findArchitectures(access)) {
  const binary = findBinary(access, architecture);
  if (binary === null) continue;
  const { target, capabilities } = await probeBinary(access, binary.path, {
    timeoutMs: TIMEOUT_MS,
  });
  if (target === architecture) recorded.set(architecture, capabilities); // others are links
}
const first = recorded.values().next().value;
if (first === undefined) throw new Error("Cannot record: there is no QEMU");

const every = [...recorded.values()];
const result: RecordedQemu = {
  version: first.version,
  spiceOptions: first.spiceOptions,
  audiodevs: first.audiodevs,
  netdevs: first.netdevs,
  displays: first.displays,
  chardevs: first.chardevs,
  vgaMemory: unique(every.flatMap(withVgaMemory)),
  noVgaMemory: unique(every.flatMap(withoutVgaMemory)),
  machines: Object.fromEntries(
    [...recorded].map(([name, { machines }]) => [
      name,
      lines(
        Object.entries(machines)
          .filter(([machine]) => machine !== "none")
          .map(([machine, { alias, cpuMax }]) =>
            [machine, cpuMax, ...alias ? [alias] : []].join(":")
          ),
      ),
    ]),
  ),
  devices: grouped((qemu) => qemu.devices),
  cpus: grouped((qemu) => qemu.cpus),
};
await Deno.writeTextFile(OUTPUT, JSON.stringify(result, null, 2) + "\n");
console.error(`${recorded.size} QEMUs recorded; format the result with deno fmt`);

function withVgaMemory({ deviceProperties }: QemuCapabilities): string[] {
  return Object.keys(deviceProperties).filter((it) => deviceProperties[it]?.includes("vgamem_mb"));
}

function withoutVgaMemory({ deviceProperties }: QemuCapabilities): string[] {
  return Object.keys(deviceProperties).filter((it) => !deviceProperties[it]?.includes("vgamem_mb"));
}

function unique(names: string[]): string[] {
  return [...new Set(names)].sort();
}

/** Names, each group with the architectures that have exactly these. */
function grouped(namesOf: (qemu: QemuCapabilities) => string[]): NamesOf[] {
  const owners = new Map<string, string[]>();
  for (const [architecture, qemu] of recorded) {
    for (const name of new Set(namesOf(qemu))) {
      owners.set(name, [...(owners.get(name) ?? []), architecture]);
    }
  }
  const groups = Map.groupBy(owners, ([, architectures]) => architectures.join(" "));
  return [...groups].map(([of, entries]) => ({ of, names: lines(entries.map(([name]) => name)) }));
}

/** Joins names to lines, which read better than one name a line. */
function lines(names: string[]): string[] {
  const result: string[] = [];
  for (const name of names.toSorted()) {
    const last = result.at(-1);
    if (last !== undefined && last.length + name.length < LINE_LENGTH) {
      result[result.length - 1] = `${last} ${name}`;
    } else {
      result.push(name);
    }
  }
  return result;
}
