/** The steps of a scripted run: wait for serial text, send to the serial port, save the screen. */
import { ExpectError, GuestError, NotRunningError, UsageError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import type { SerialPort } from "../guest/serial.ts";
import { endingOf } from "./guest_access.ts";
import type { VirtualMachine } from "./machine.ts";
import type { ScreenshotReport } from "./screenshot.ts";

/** One step. */
export type Step =
  | { kind: "expect"; pattern: RegExp; /** As it was given. */ text: string }
  | { kind: "send"; bytes: Uint8Array }
  | { kind: "screenshot"; path: string };

/** Options of {@linkcode runSteps}. */
export interface StepsOptions {
  signal: AbortSignal;
  /** Called with what is waited for now. */
  onWait?: (what: string) => void;
  /** Called with each picture that was saved. */
  onPicture?: (report: ScreenshotReport) => void;
}

/**
 * Runs the steps one after the other.
 *
 * @throws {UsageError} when the configuration has no terminal to talk to.
 * @throws {ExpectError} when the guest ends before the text comes, or before its picture is taken.
 * @throws {GuestError} when it crashes; {QemuError} when QEMU dies.
 * @throws the signal's reason when it is aborted.
 */
export async function runSteps(
  vm: VirtualMachine,
  steps: readonly Step[],
  options: StepsOptions,
): Promise<void> {
  for (const step of steps) {
    options.signal.throwIfAborted();
    switch (step.kind) {
      case "expect":
        await expect(vm, step, options);
        break;
      case "send":
        await serialOf(vm, "--send").write(step.bytes).catch((error) => ended(vm, error));
        break;
      case "screenshot":
        options.onWait?.("a screenshot");
        options.onPicture?.(
          await vm.screenshot(step.path).catch((error) => lastLook(vm, step, error)),
        );
        break;
    }
  }
}

async function expect(
  vm: VirtualMachine,
  step: Step & { kind: "expect" },
  { signal, onWait }: StepsOptions,
): Promise<void> {
  onWait?.(`serial text ${quoted(step.text)}`);
  const serial = serialOf(vm, "--expect");
  const start = performance.now();
  const log = (matched: boolean) =>
    vm.log.emit({
      event: "expect",
      pattern: step.text,
      matched,
      ms: Math.round(performance.now() - start),
    });
  const crashed = vm.crashed.then(() => {
    throw new GuestError("Cannot go on: the guest reported a panic (GUEST_PANICKED)", {
      hint: "The serial console has the guest's last words.",
    });
  });
  crashed.catch(() => {});
  try {
    await Promise.race([serial.expect(step.pattern, { signal }), crashed]);
    log(true);
  } catch (error) {
    log(false);
    if (error instanceof ExpectError) await ended(vm, lastWords(step.text, serial, error));
    throw error;
  }
}

/** Throws why the VM ended, where that says more than `otherwise`, the failure that was seen. */
async function ended(vm: VirtualMachine, otherwise: unknown): Promise<never> {
  throw (await endingOf(vm))?.error ?? otherwise;
}

/** Throws why there is no picture: a guest that has ended is not there to be looked at. */
async function lastLook(
  vm: VirtualMachine,
  { path }: Step & { kind: "screenshot" },
  cause: unknown,
): Promise<never> {
  if (!(cause instanceof NotRunningError)) throw cause;
  const message = `Cannot save the screen to ${quoted(path)}: the guest ended before`;
  return await ended(vm, new ExpectError(message, { cause }));
}

function lastWords(pattern: string, serial: SerialPort, cause: unknown): ExpectError {
  const tail = serial.tail();
  return new ExpectError(
    `Cannot find ${quoted(pattern)} on the serial port: the guest ended before it came`,
    {
      cause,
      hint: tail === "" ? "Its serial port was silent." : `Its last words were:\n${tail}`,
    },
  );
}

function serialOf(vm: VirtualMachine, option: string): SerialPort {
  const serial = vm.serial;
  if (serial !== undefined) return serial;
  throw new UsageError(
    `Cannot use ${option}: the bundle has no serial port of mode Terminal, expected one`,
    { hint: "Add a serial port (mode: built-in terminal) to the VM." },
  );
}
