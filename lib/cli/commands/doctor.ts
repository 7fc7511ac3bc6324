/** `utmost doctor`: what this host offers, with one hint for each thing that it lacks. */
import { ShimError } from "../../base/errors.ts";
import { ExitCode } from "../../base/exit_code.ts";
import { places } from "../../base/places.ts";
import { printable } from "../../base/text.ts";
import { systemAccess } from "../../qemu/host_access.ts";
import { type Invocation, lastValue } from "../args.ts";
import { wantsColors } from "../progress.ts";
import { type HostReport, noShim, reportHost, type ShimReport } from "../../qemu/host_report.ts";

/**
 * Looks at this host and prints what it found.
 *
 * @returns The exit code: 0, or 5 when no QEMU here can be used.
 * @throws {HostError} when the QEMU that was given cannot be used.
 */
export async function doctor(invocation: Invocation): Promise<number> {
  const { flags } = invocation;
  const qemu = lastValue(invocation, "qemu");
  const report = await reportHost(systemAccess(), {
    places: places(),
    nativeShim: await lookForShim(),
    ...(qemu === undefined ? {} : { qemu }),
  });
  const colors = Deno.stdout.isTerminal() && wantsColors(flags);
  console.log(flags.has("json") ? JSON.stringify(report) : formatReport(report, colors));
  return report.qemu.some((it) => it.error === null) ? ExitCode.ok : ExitCode.host;
}

/** Whether the native shim opens; nothing is downloaded for it. */
async function lookForShim(): Promise<ShimReport> {
  const [{ findShim }, { loadShim, SHIM_ABI }] = await Promise.all([
    import("../../../ffi/find.ts"),
    import("../../../ffi/load.ts"),
  ]);
  try {
    const found = findShim();
    using shim = loadShim(found?.path);
    return { present: true, path: shim.path, from: found?.from ?? null, abi: SHIM_ABI, why: null };
  } catch (error) {
    if (!(error instanceof ShimError)) throw error;
    return noShim(error.message, error.hint);
  }
}

/** How a status looks, and its colour. */
const MARKS = {
  ok: ["ok", "32"],
  note: ["note", "33"],
  missing: ["missing", "1;31"],
} as const;

const STATUS_WIDTH = "missing".length;

/** Lays a report out for people: status, topic and text in columns, hints below. */
export function formatReport({ host, findings }: HostReport, colors: boolean): string {
  const topicWidth = Math.max(...findings.map((it) => it.topic.length), 0);
  const indent = " ".repeat(STATUS_WIDTH + topicWidth + 4);
  const paint = (code: string, text: string) => colors ? `\x1b[${code}m${text}\x1b[0m` : text;
  const lines = findings.flatMap(({ topic, status, text, hint }) => {
    const [mark, code] = MARKS[status];
    const head = `${paint(code, mark.padEnd(STATUS_WIDTH))}  ${topic.padEnd(topicWidth)}  `;
    const line = head + printable(text);
    return hint === undefined
      ? [line]
      : [line, `${indent}${paint("36", "hint:")} ${printable(hint)}`];
  });
  const { physical, logical } = host.cores;
  const memory = host.memoryMiB === undefined ? "" : `, ${host.memoryMiB} MiB`;
  const system = host.os === "darwin" ? "macOS" : "Linux";
  const cores = `${physical} cores, ${logical} threads`;
  return [`${system} on ${host.architecture}: ${cores}${memory}`, "", ...lines].join("\n");
}
