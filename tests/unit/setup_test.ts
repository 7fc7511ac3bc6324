import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { archiveOf, whyNoBackports } from "../../tools/backports.ts";
import { type Component, COMPONENTS } from "../../tools/components.ts";
import { aptCandidates, aptSize } from "../../tools/package_managers.ts";
import { isPresent, missing, packageNames, plan } from "../../tools/setup.ts";

const nothingThere = () => Promise.resolve(false);
const everythingThere = () => Promise.resolve(true);

const SPICE: Component = {
  what: "SPICE",
  level: "demo",
  linux: { present: ["/modules/*/spice.so"], packages: [["modules-spice", "common"], ["server"]] },
};
const NETBOOT: Component = {
  what: "a Linux",
  level: "all",
  linux: { present: ["/linux"], packages: [["netboot"]] },
  optional: true,
};

Deno.test("missing asks for what the level and the host have, and nothing else", async () => {
  const components = [SPICE, NETBOOT];
  const names = async (...args: Parameters<typeof missing>) =>
    (await missing(...args)).map(({ component }) => component.what);
  assertEquals(await names("all", "linux", nothingThere, components), ["SPICE", "a Linux"]);
  assertEquals(await names("demo", "linux", nothingThere, components), ["SPICE"]);
  assertEquals(await names("all", "darwin", nothingThere, components), []);
  assertEquals(await names("all", "linux", everythingThere, components), []);
  const onlySpice = (what: string) => Promise.resolve(what === "/modules/*/spice.so");
  assertEquals(await names("all", "linux", onlySpice, components), ["a Linux"]);
});

Deno.test("plan takes the first name that the archive has, of every package", async () => {
  const wanted = await missing("demo", "linux", nothingThere, [SPICE]);
  const known = new Set(["common", "server", "modules-spice"]);
  assertEquals(plan(wanted, known).packages, ["modules-spice", "server"]);
  known.delete("modules-spice");
  assertEquals(plan(wanted, known).packages, ["common", "server"]);
});

Deno.test("plan names what the archive lacks, and takes no half of it", async () => {
  const wanted = await missing("all", "linux", nothingThere, [SPICE, NETBOOT]);
  const { packages, unavailable } = plan(wanted, new Set(["server"]));
  assertEquals(packages, []);
  assertEquals(unavailable, wanted);
  assertEquals(packageNames(unavailable), "modules-spice or common, netboot, server");
});

Deno.test("every component can be looked for and installed", async () => {
  for (const os of ["linux", "darwin"] as const) {
    const everything = await missing("all", os, nothingThere);
    const names = new Set(everything.flatMap(({ source }) => source.packages.flat()));
    assertEquals(plan(everything, names).unavailable, []);
    for (const { source } of everything) assertEquals(source.present.includes(""), false);
  }
  assertEquals(COMPONENTS.filter(({ linux, darwin }) => !linux && !darwin), []);
});

Deno.test("isPresent finds commands on PATH and files behind any folder", async () => {
  const folder = await Deno.makeTempDir({ prefix: "utmost-setup-" });
  try {
    await Deno.mkdir(join(folder, "one/qemu"), { recursive: true });
    await Deno.mkdir(join(folder, "two"));
    await Deno.writeTextFile(join(folder, "one/qemu/spice.so"), "");
    assertEquals(await isPresent("sh"), true);
    assertEquals(await isPresent("utmost-no-such-command"), false);
    assertEquals(await isPresent(`${folder}/*/qemu/spice.so`), true);
    assertEquals(await isPresent(`${folder}/*/qemu/gtk.so`), false);
    assertEquals(await isPresent(`${folder}/*/*/spice.so`), true);
    assertEquals(await isPresent(`${folder}/none/*/spice.so`), false);
    assertEquals(await isPresent(`${folder}/one/qemu/spice.so/*`), false);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("aptCandidates leaves out what has no candidate", () => {
  const policy = `qemu-utils:
  Installed: (none)
  Candidate: 1:7.2
  Version table:
     1:7.2 500
qemu-system-modules-spice:
  Installed: (none)
  Candidate: (none)
  Version table:
make:
  Installed: 4.3
  Candidate: 4.3
`;
  assertEquals([...aptCandidates(policy)], ["qemu-utils", "make"]);
  assertEquals([...aptCandidates("")], []);
});

Deno.test("aptSize reads the sizes of a plan", () => {
  const plan = `The following NEW packages will be installed:
Need to get 1,234 kB/45.6 MB of archives.
After this operation, 210 MB of additional disk space will be used.
Do you want to continue? [Y/n] N
Abort.
`;
  assertEquals(aptSize(plan), "1,234 kB to download, 210 MB on disk");
  assertEquals(aptSize("E: Unable to locate package"), undefined);
});

Deno.test("setup refuses arguments that it does not know", async () => {
  const args = ["run", "--allow-read", "--allow-env=PATH", "tools/setup.ts", "--yes"];
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: new URL("../..", import.meta.url),
    stdin: "null",
  }).output();
  assertEquals(code, 2);
  assertStringIncludes(new TextDecoder().decode(stderr), "unknown argument --yes");
});

Deno.test("whyNoBackports names a host whose archive does not have it", () => {
  const debian = (version: string) =>
    `PRETTY_NAME="Debian GNU/Linux ${version}"\nVERSION_ID="${version}"\nID=debian\n`;
  assertEquals(whyNoBackports(debian("12"), "x86_64"), undefined);
  assertStringIncludes(whyNoBackports(debian("13"), "x86_64") ?? "", "Linux 13 is not Debian 12");
  assertStringIncludes(whyNoBackports("", "x86_64") ?? "", "this system is not Debian 12");
  assertStringIncludes(whyNoBackports(debian("12"), "aarch64") ?? "", "x86_64");
});

Deno.test("archiveOf takes the mirror that the system uses", () => {
  const targets = "http://other.example/security bookworm-security\n" +
    "http://mirror.example/debian bookworm\n";
  assertEquals(archiveOf(targets), "http://mirror.example/debian");
  assertEquals(archiveOf(""), "http://deb.debian.org/debian");
});
