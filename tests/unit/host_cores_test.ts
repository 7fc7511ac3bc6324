import { assertEquals } from "@std/assert";
import { darwinCores, linuxCores, parseList } from "../../lib/qemu/host_cores.ts";
import { fakeHost } from "../fakes/host.ts";

/** /sys and /proc of a Linux whose CPU n belongs to core `cores[n]`. */
function tree(cores: string[], allowed: string, capacities?: number[]): Record<string, string> {
  const files: Record<string, string> = { "/proc/self/status": `Cpus_allowed_list:\t${allowed}\n` };
  cores.forEach((core, number) => {
    const folder = `/sys/devices/system/cpu/cpu${number}`;
    files[`${folder}/topology/core_cpus_list`] = `${core}\n`;
    const capacity = capacities?.[number];
    if (capacity !== undefined) files[`${folder}/cpu_capacity`] = `${capacity}\n`;
  });
  return files;
}

const SMT = ["0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7"];
const cores = (files: Record<string, string>) => linuxCores(fakeHost({ files }));
const same = (physical: number, logical: number) => ({
  physical,
  logical,
  performancePhysical: physical,
  performanceLogical: logical,
});

Deno.test("linuxCores counts cores and threads, and respects the affinity mask", () => {
  assertEquals(cores(tree(SMT, "0-7")), same(4, 8));
  assertEquals(cores(tree(SMT, "0-1,4")), same(2, 3));
  assertEquals(cores({}), same(1, 1));
});

Deno.test("linuxCores is limited by cgroups of both versions, also by one above", () => {
  const v2 = {
    ...tree(SMT, "0-7"),
    "/proc/self/cgroup": "0::/ci/job\n",
    "/sys/fs/cgroup/ci/job/cpu.max": "max 100000\n",
    "/sys/fs/cgroup/ci/cpu.max": "250000 100000\n",
  };
  assertEquals(cores(v2), same(3, 3));
  const v1 = {
    ...tree(SMT, "0-7"),
    "/proc/self/cgroup": "4:cpu,cpuacct:/job\n0::/\n",
    "/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "50000\n",
    "/sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
    "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
  };
  assertEquals(cores(v1), same(1, 1));
});

Deno.test("linuxCores counts the fastest kind apart on arm64 with two kinds", () => {
  const files = tree(["0", "1", "2", "3", "4", "5"], "0-5", [446, 446, 446, 446, 1024, 1024]);
  assertEquals(cores(files), {
    physical: 6,
    logical: 6,
    performancePhysical: 2,
    performanceLogical: 2,
  });
});

Deno.test("darwinCores has performance cores only where sysctl has", () => {
  const intel = new Map([["hw.physicalcpu", "4"], ["hw.logicalcpu", "8"]]);
  assertEquals(darwinCores(intel), same(4, 8));
  assertEquals(darwinCores(new Map()), same(1, 1));
  const apple = new Map([
    ["hw.physicalcpu", "8"],
    ["hw.logicalcpu", "8"],
    ["hw.perflevel0.physicalcpu", "4"],
  ]);
  assertEquals(darwinCores(apple), {
    physical: 8,
    logical: 8,
    performancePhysical: 4,
    performanceLogical: 4,
  });
});

Deno.test("parseList reads kernel lists", () => {
  assertEquals(parseList("0-3,8\n"), [0, 1, 2, 3, 8]);
  assertEquals(parseList(""), [0]);
});
