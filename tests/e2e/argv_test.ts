/**
 * Gives the installed QEMU the command of every fixture bundle, paused, and waits for QMP to greet;
 * and gives commands as text to the installed shell.
 */
import { assert, assertEquals } from "@std/assert";
import { dirname, fromFileUrl, join } from "@std/path";
import fc from "fast-check";
import { pause, withDeadline } from "../../lib/base/deadline.ts";
import { commandForShell } from "../../lib/base/words.ts";
import { buildPlan } from "../../lib/qemu/adapt.ts";
import { probeHost } from "../../lib/qemu/host.ts";
import type { Host } from "../../lib/qemu/host_model.ts";
import type { Helper, LaunchPlan } from "../../lib/qemu/launch_options.ts";
import { ChildProcess, QemuProcess } from "../../lib/qemu/process.ts";
import { connectQmp } from "../../lib/qmp/connect.ts";
import { openBundle, resolveFiles } from "../../lib/utm/bundle.ts";
import type { BundleFiles, Config } from "../../lib/utm/model.ts";
import { options } from "../unit/argv_fixtures.ts";
import { freePort } from "./free_port.ts";

const BUNDLES = fromFileUrl(new URL("../fixtures/bundles/", import.meta.url));

/** The machine has other work while this runs. */
const GREETING_TIMEOUT_MS = 30_000;

const cacheDirectory = await Deno.makeTempDir({ prefix: "utmost-argv-cache-" });
globalThis.addEventListener("unload", () => Deno.removeSync(cacheDirectory, { recursive: true }));

for (const name of [...Deno.readDirSync(BUNDLES)].map((entry) => entry.name).sort()) {
  // Refused by openBundle: unit tests see to them.
  if (name.startsWith("apple")) continue;
  const { config } = await openBundle(join(BUNDLES, name));
  const host = await hostFor(config);
  const { architecture } = config.system;
  if (host.qemu === null) console.log(`skipped: ${name}: there is no qemu-system-${architecture}`);
  Deno.test({
    name: `e2e: argv: QEMU takes the command of ${name} and greets`,
    ignore: host.qemu === null,
    fn: () => greet(name, host),
  });
}

function hostFor(config: Config): Promise<Host> {
  const { architecture, target } = config.system;
  return probeHost({ architecture, machine: target, firmware: true, cacheDirectory });
}

/** Starts a copy of one fixture, paused, and asks it over QMP how it is. */
async function greet(name: string, host: Host): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "utmost-argv-" });
  try {
    await copyFolder(join(BUNDLES, name), join(folder, name));
    const bundle = await openBundle(join(folder, name));
    const files = await resolveFiles(bundle);
    using peers = new DisposableStack();
    const plan = buildPlan(
      withPorts(withFirmwareOf(host, bundle.config), peers),
      files,
      host,
      options({ accel: "tcg" }),
      { directory: folder, listener: "qemu" },
    );
    if (plan.efiVarsTemplate !== undefined) await makeVariables(plan.efiVarsTemplate, files);
    await using _helpers = await startHelpers(plan.helpers, files);
    await using qemu = QemuProcess.spawn({ binary: plan.binary, argv: plan.argv, cwd: folder });
    await using qmp = await connectQmp(qmpSocket(plan), {
      timeoutMs: GREETING_TIMEOUT_MS,
      signal: qemu.gone,
    }).catch((error) => orReasonOfEnd(error, qemu));
    qemu.confirmUp();
    const status = await qmp.execute("query-status");
    assertEquals(status.status, "prelaunch");
    const { UUID } = await qmp.execute("query-uuid");
    assertEquals(UUID.toUpperCase(), bundle.config.information.uuid);
    assertEquals(qemu.outputTail.filter((line) => !isHarmless(line)), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What QEMU prints about a command with which nothing is wrong. */
const HARMLESS = [
  // Where a serial port of mode Ptty leads.
  /^char device redirected to /,
  // SPICE wants to know the PCI address of each screen, and this machine has no PCI.
  /: Setting device address of a display device: Not a PCI device\.$/,
  // A machine, or a CPU that the bundle asks for, has what TCG has not.
  /: warning: TCG doesn't support requested feature/,
  // The board's own sound, and the fixture's empty device tree.
  /^audio: Device lm4549: audiodev default parameter is deprecated/,
  /: warning: couldn't find interrupt controller in dtb/,
];

function isHarmless(line: string): boolean {
  return HARMLESS.some((pattern) => pattern.test(line));
}

/** The configuration, without UEFI where this host has no firmware for the architecture. */
function withFirmwareOf(host: Host, config: Config): Config {
  const { system: { architecture }, qemu } = config;
  if (!qemu.uefiBoot || host.firmware.some((it) => it.architectures.includes(architecture))) {
    return config;
  }
  console.log(`without UEFI: this host has no firmware for ${architecture}`);
  return { ...config, qemu: { ...qemu, uefiBoot: false } };
}

/** Throws why QEMU has ended, if that is behind `error`: its socket may break a moment earlier. */
async function orReasonOfEnd(error: unknown, qemu: QemuProcess): Promise<never> {
  await withDeadline("QEMU's end", () => qemu.exited, { timeoutMs: 1000 }).catch(() => {});
  throw qemu.gone.aborted ? qemu.gone.reason : error;
}

function qmpSocket(plan: LaunchPlan): string {
  const path = plan.sockets.find((socket) => socket.kind === "qmp")?.path;
  assert(path !== undefined, "the plan has no socket for QMP");
  return path;
}

/** Copies the template of UEFI variables to its place in the bundle. */
async function makeVariables(template: string, files: BundleFiles): Promise<void> {
  if (files.efiVarsBytes !== undefined) return;
  await Deno.mkdir(dirname(files.efiVars), { recursive: true });
  await Deno.copyFile(template, files.efiVars);
}

/** Starts programs beside QEMU, and waits until they are up. */
async function startHelpers(
  helpers: readonly Helper[],
  files: BundleFiles,
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  for (const { name, argv: [binary = "", ...argv], socket } of helpers) {
    await Deno.writeFile(files.tpmState, new Uint8Array(), { append: true });
    const helper = stack.use(ChildProcess.spawn({ name, binary, argv }));
    while (!await exists(socket)) await pause(10, helper.gone);
  }
  return stack.move();
}

/** A configuration that listens on ports which are free now, and connects to listeners in `peers`. */
function withPorts(config: Config, peers: DisposableStack): Config {
  return {
    ...config,
    serials: config.serials.map((serial) => {
      if (serial.mode === "TcpServer") return { ...serial, tcpPort: freePort() };
      if (serial.mode !== "TcpClient") return serial;
      const { addr } = peers.use(Deno.listen({ hostname: "127.0.0.1", port: 0 }));
      return { ...serial, tcpHostAddress: addr.hostname, tcpPort: addr.port };
    }),
    networks: config.networks.map((network) => ({
      ...network,
      portForward: network.portForward.map((forward) => ({ ...forward, hostPort: freePort() })),
    })),
  };
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to);
  for await (const entry of Deno.readDir(from)) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    await (entry.isDirectory ? copyFolder(source, target) : Deno.copyFile(source, target));
  }
}

Deno.test("e2e: argv: a shell reads a printed command as it was", async () => {
  // Neither a program nor a shell can be given NUL.
  const word = fc.string({ unit: "grapheme", maxLength: 20 })
    .filter((text) => !text.includes("\0") && text.isWellFormed());
  const hard = fc.string({
    unit: fc.constantFrom(..." \t\n'\"\\$`*?[]{}()<>|&;!#~=%,-aé中".split("")),
    maxLength: 20,
  });
  const lists = fc.sample(fc.array(fc.oneof(word, hard), { minLength: 1 }), 50);
  for (const words of [["-n", "", "=x", "A=b", "~", "!!", "-"], ...lists]) {
    const program = ["printf", "%s\\0", ...words];
    const { stdout } = await new Deno.Command("sh", { args: ["-c", commandForShell(program)] })
      .output();
    assertEquals(new TextDecoder().decode(stdout).split("\0").slice(0, -1), words);
  }
});
