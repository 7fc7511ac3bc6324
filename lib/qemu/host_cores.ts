/** How many processor cores this process may use, and of which kind. */
import type { HostAccess } from "./host_access.ts";
import type { Host } from "./host_model.ts";

/** Where Linux shows its processors. */
const CPU_FOLDER = "/sys/devices/system/cpu";

/** One logical processor. */
interface LogicalCpu {
  /** The same text for the threads of one core. */
  core: string;
  /** Relative speed, 1024 for the fastest; the same for all on most machines. */
  capacity: number;
}

/**
 * The cores of a Linux host: those that the affinity mask allows, and no more than the cgroup's
 * share of time is worth. On processors with cores of two kinds (arm64 `cpu_capacity`) the fastest
 * kind is counted apart.
 */
export function linuxCores(access: HostAccess): Host["cores"] {
  const allowed = parseList(
    /^Cpus_allowed_list:\s*(\S+)/m.exec(access.readText("/proc/self/status") ?? "")?.[1] ??
      access.readText(`${CPU_FOLDER}/online`)?.trim() ?? "0",
  );
  const cpus = allowed.map((number): LogicalCpu => {
    const folder = `${CPU_FOLDER}/cpu${number}`;
    const threads = access.readText(`${folder}/topology/core_cpus_list`) ??
      access.readText(`${folder}/topology/thread_siblings_list`) ?? `${number}`;
    const capacity = Number(access.readText(`${folder}/cpu_capacity`) ?? "1024");
    return { core: threads.trim(), capacity: Number.isFinite(capacity) ? capacity : 1024 };
  });
  const fastest = Math.max(...cpus.map((cpu) => cpu.capacity));
  const limit = cgroupLimit(access);
  const count = (some: LogicalCpu[]): [physical: number, logical: number] => [
    Math.max(1, Math.min(limit, new Set(some.map((cpu) => cpu.core)).size)),
    Math.max(1, Math.min(limit, some.length)),
  ];
  const [physical, logical] = count(cpus);
  const [performancePhysical, performanceLogical] = count(
    cpus.filter((cpu) => cpu.capacity === fastest),
  );
  return { physical, logical, performancePhysical, performanceLogical };
}

/** The `sysctl` names that {@linkcode darwinCores} reads. */
export const DARWIN_CORE_KEYS = [
  "hw.physicalcpu",
  "hw.logicalcpu",
  "hw.perflevel0.physicalcpu", // the performance cores; only where there are two kinds
  "hw.perflevel0.logicalcpu",
] as const;

/** The cores of a Mac, from the output of `sysctl`. */
export function darwinCores(sysctl: Map<string, string>): Host["cores"] {
  const number = (key: typeof DARWIN_CORE_KEYS[number]) => {
    const value = Number(sysctl.get(key));
    return Number.isInteger(value) && value > 0 ? value : undefined;
  };
  const physical = number("hw.physicalcpu") ?? 1;
  const logical = number("hw.logicalcpu") ?? physical;
  const performancePhysical = number("hw.perflevel0.physicalcpu") ?? physical;
  return {
    physical,
    logical,
    performancePhysical,
    performanceLogical: number("hw.perflevel0.logicalcpu") ??
      (performancePhysical === physical ? logical : performancePhysical),
  };
}

/** Reads a kernel list such as `0-3,8`. */
export function parseList(text: string): number[] {
  const numbers: number[] = [];
  for (const part of text.split(",")) {
    const match = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part.trim());
    if (match === null) continue;
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    for (let number = first; number <= last; number++) numbers.push(number);
  }
  return numbers.length > 0 ? numbers : [0];
}

/**
 * How many processors the cgroups above this process are worth, rounded up; infinity without a
 * limit. Source: kernel docs, cgroup-v2 `cpu.max`, and version 1 `cpu.cfs_quota_us`.
 */
function cgroupLimit(access: HostAccess): number {
  let limit = Infinity;
  for (const line of (access.readText("/proc/self/cgroup") ?? "").split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    if (controllers === "") {
      for (const folder of upwards("/sys/fs/cgroup", path)) {
        const [quota, period] = (access.readText(`${folder}/cpu.max`) ?? "").trim().split(" ");
        limit = Math.min(limit, worth(quota, period));
      }
    } else if (controllers.split(",").includes("cpu")) {
      for (const folder of upwards("/sys/fs/cgroup/cpu", path)) {
        limit = Math.min(
          limit,
          worth(
            access.readText(`${folder}/cpu.cfs_quota_us`)?.trim(),
            access.readText(`${folder}/cpu.cfs_period_us`)?.trim(),
          ),
        );
      }
    }
  }
  return limit;
}

/** A quota of time in a period, as a number of processors. */
function worth(quota: string | undefined, period: string | undefined): number {
  const [time, every] = [Number(quota), Number(period)];
  return time > 0 && every > 0 ? Math.max(1, Math.ceil(time / every)) : Infinity;
}

/** `path` below `root` and every folder above it, `root` included: limits are inherited. */
function upwards(root: string, path: string): string[] {
  const folders: string[] = [];
  for (let rest = path.replace(/\/+$/, "");; rest = rest.slice(0, rest.lastIndexOf("/"))) {
    folders.push(root + rest);
    if (rest === "") return folders;
  }
}
