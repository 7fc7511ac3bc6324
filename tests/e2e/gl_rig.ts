/**
 * QEMU with GL scanouts on a host without a GPU: the real one, under `tests/rigs/render_rig.c`, which
 * gives it Mesa's software renderer for a render node.
 */
import { join } from "@std/path";
import { type TestQemu, testQemus } from "./screen_rig.ts";
import { buildRig } from "./spice_peer.ts";

/** A QEMU that renders in software and sends GL scanouts; its folder belongs to the caller. */
export interface GlRig {
  /** Folder for `--qemu`: its `qemu-system-x86_64` is the real one with the rig preloaded. */
  qemu: string;
  /** The `qemu-system-x86_64` in it. */
  binary: string;
  /** Stands for a render node: for `--rendernode`, or `rendernode=` of `-spice`. */
  renderNode: string;
}

/**
 * Makes a rig in `folder`, which is there already.
 *
 * @param binary The QEMU that it runs; a bare name is looked for on PATH.
 */
export async function makeGlRig(folder: string, binary = "qemu-system-x86_64"): Promise<GlRig> {
  const library = await buildRig("render_rig.so");
  const qemu = join(folder, "qemu");
  const rig: GlRig = {
    qemu,
    binary: join(qemu, "qemu-system-x86_64"),
    renderNode: join(folder, "render-node"),
  };
  await Deno.mkdir(qemu);
  await Deno.writeTextFile(rig.renderNode, "");
  // Preloaded for QEMU alone: nothing else has the variable, and QEMU removes it for its children.
  const script = `#!/bin/sh\nLD_PRELOAD=${shellWord(library)} exec ${shellWord(binary)} "$@"\n`;
  await Deno.writeTextFile(rig.binary, script, { mode: 0o755 });
  return rig;
}

/** The QEMUs of the tests, and why a rig cannot run them here. */
export async function glQemus(): Promise<TestQemu[]> {
  const qemus = await testQemus();
  if (Deno.build.os === "linux") return qemus;
  const why = "the render rig is for Linux";
  return qemus.map((qemu) => ({ ...qemu, missing: qemu.missing ?? why }));
}

/** The options of `run` for a rig. */
export function rigOptions({ qemu, renderNode }: GlRig): string[] {
  return ["--qemu", qemu, "--rendernode", renderNode, "--accel", "tcg"];
}

function shellWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
